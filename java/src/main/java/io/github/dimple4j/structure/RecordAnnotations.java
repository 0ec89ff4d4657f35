package io.github.dimple4j.structure;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.annotation.JsonProperty;
import io.github.dimple4j.InvalidArgumentException;
import java.lang.annotation.Annotation;
import java.lang.reflect.AnnotatedElement;
import java.lang.reflect.Constructor;
import java.lang.reflect.Executable;
import java.lang.reflect.Method;
import java.lang.reflect.RecordComponent;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Stream;

/** Jackson's annotations on records and sealed interfaces, in all places where it looks for them: names are taken over, what else counts is refused. */
final class RecordAnnotations {
  /** Those that change nothing of reading. */
  private static final Set<String> HARMLESS = Set.of("JsonPropertyDescription", "JsonClassDescription", "JsonPropertyOrder", "JsonInclude",
      "JsonAlias");

  /** And those that say how a method that is no accessor is written. */
  private static final Set<String> WRITING = Set.of("JsonIgnore", "JsonGetter");

  private RecordAnnotations() {}

  /** Refuses those on the type, and on what it has beside its components. */
  static void check(Class<?> type, String place) {
    refuse(type, place, HARMLESS);
    for (Constructor<?> constructor : type.getDeclaredConstructors()) {
      refuse(constructor, place, HARMLESS);
    }
    for (Method method : type.getDeclaredMethods()) {
      if (!isAccessor(method, type)) {
        refuse(method, place + "." + method.getName(), WRITING);
      }
    }
  }

  private static boolean isAccessor(Method method, Class<?> type) {
    return type.isRecord() && method.getParameterCount() == 0
        && Arrays.stream(type.getRecordComponents()).anyMatch(component -> component.getName().equals(method.getName()));
  }

  /** The property of a component. */
  static String name(RecordComponent component, String place) {
    String name = component.getName();
    boolean renamed = false;
    for (AnnotatedElement element : places(component)) {
      refuse(element, place, HARMLESS);
      JsonProperty said = element.getAnnotation(JsonProperty.class);
      if (said == null) {
        continue;
      }
      if (said.access() == JsonProperty.Access.READ_ONLY) {
        throw new InvalidArgumentException(place + ": @JsonProperty keeps it from being read");
      }
      if (renamed && !said.value().isEmpty() && !said.value().equals(name)) {
        throw new InvalidArgumentException(place + " has two names, " + name + " and " + said.value());
      }
      if (!said.value().isEmpty()) {
        name = said.value();
        renamed = true;
      }
    }
    return name;
  }

  /** An accessor that is written out has none of its component's annotations, but field and constructor have. */
  private static List<AnnotatedElement> places(RecordComponent component) {
    Class<?> type = component.getDeclaringRecord();
    RecordComponent[] all = type.getRecordComponents();
    Class<?>[] types = Arrays.stream(all).map(RecordComponent::getType).toArray(Class<?>[]::new);
    int index = Arrays.stream(all).map(RecordComponent::getName).toList().indexOf(component.getName());
    try {
      Executable canonical = type.getDeclaredConstructor(types);
      return Stream.of(component.getAccessor(), type.getDeclaredField(component.getName()), canonical.getParameters()[index])
          .map(AnnotatedElement.class::cast).filter(Objects::nonNull).toList();
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException("every record has a canonical constructor and a field for each component", e);
    }
  }

  private static void refuse(AnnotatedElement element, String place, Set<String> harmless) {
    for (Annotation annotation : element.getAnnotations()) {
      Class<?> type = annotation.annotationType();
      boolean jacksons = type.getName().startsWith("com.fasterxml.jackson.") || type.getName().startsWith("tools.jackson.");
      boolean ofUnknownOnly = annotation instanceof JsonIgnoreProperties ignored && ignored.value().length == 0; // of which there are none
      if (jacksons && !(annotation instanceof JsonProperty) && !ofUnknownOnly && !harmless.contains(type.getSimpleName())) {
        throw new InvalidArgumentException(
            place + ": @" + type.getSimpleName() + " changes how it is read, of which its schema knows nothing");
      }
    }
  }
}
