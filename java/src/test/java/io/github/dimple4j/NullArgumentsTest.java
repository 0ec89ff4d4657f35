package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.dimple4j.chat.ChatMessage;
import io.github.dimple4j.chat.ChatTemplate;
import io.github.dimple4j.chat.ContentPart;
import io.github.dimple4j.chat.Tool;
import io.github.dimple4j.chat.ToolCall;
import io.github.dimple4j.chat.ToolChoice;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.lang.reflect.Array;
import java.lang.reflect.Constructor;
import java.lang.reflect.Executable;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A null argument of any public method says which argument it is: {@code "text"}, not what some method deep inside could not do with it. The
 * classes are looked up, so a new one is tested as far as there are values for it here.
 */
class NullArgumentsTest {
  private static final List<String> PACKAGES = List.of("", "chat/", "structure/", "tokenizer/");

  /** Public constructors that callers use; of others the library makes what callers read, or what a file holds, where null says that it has none. */
  private static final Set<Class<?>> MADE_BY_CALLERS = Set.of(ModelOptions.class, Turn.class, ChatMessage.class, ContentPart.Text.class,
      ContentPart.Markup.class, Tool.class, ToolCall.class);

  @TempDir private Path folder;
  private final Map<Class<?>, Object> values = new HashMap<>();
  private DimpleModel model;
  private Session session;

  @BeforeEach
  void makeValues() throws IOException {
    Path file = TinyModel.ofText().write(folder.resolve("model.gguf"));
    model = DimpleModel.load(file);
    session = model.session().user("cat").responseLength(4).open();
    Image image = Image.rgb(new byte[3], 1, 1);
    for (Object value : List.of(ImageOptions.builder().build(), new BitSet(), "text", file, image, model, session, new int[] {1}, new byte[3], ModelOptions.builder().build(),
        Decoding.defaults(), Scoring.leftToRight(), Template.of(Template.slot(1)), ChatTemplate.chatMl(), ChatTemplate.chatMl().toolSyntax(), ToolChoice.AUTO, new ToolCall("x", "{}"),
         ChatMessage.of("user", "x"), model.tokenizer(), List.of(),
        Map.of(), Optional.empty(), OptionalInt.empty(), Duration.ZERO, new BufferedImage(1, 1, BufferedImage.TYPE_INT_RGB), Set.of())) {
      values.put(value.getClass(), value);
    }
  }

  @AfterEach
  void close() {
    session.close();
    model.close();
  }

  @Test
  void aNullSaysWhichArgumentItIs() throws Exception {
    List<String> tested = new ArrayList<>();
    List<String> wrong = new ArrayList<>();
    for (Class<?> type : publicClasses()) {
      for (Executable executable : executables(type)) {
        for (int i = 0; i < executable.getParameterCount(); i++) {
          if (!executable.getParameterTypes()[i].isPrimitive()) {
            test(type, executable, i, tested, wrong);
          }
        }
      }
    }
    assertThat(tested).hasSizeGreaterThan(50);
    assertThat(wrong).isEmpty();
  }

  private static List<Class<?>> publicClasses() throws IOException, URISyntaxException, ClassNotFoundException {
    Path root = Path.of(DimpleModel.class.getProtectionDomain().getCodeSource().getLocation().toURI()).resolve("io/github/dimple4j");
    List<Class<?>> classes = new ArrayList<>();
    for (String name : PACKAGES) {
      try (Stream<Path> files = Files.list(root.resolve(name))) {
        for (String file : files.map(path -> path.getFileName().toString()).filter(f -> f.endsWith(".class") && !f.contains("-info")).sorted().toList()) {
          String simple = file.substring(0, file.length() - ".class".length());
          Class<?> type = Class.forName("io.github.dimple4j." + name.replace('/', '.') + simple, false, DimpleModel.class.getClassLoader());
          if (isPublic(type) && !Throwable.class.isAssignableFrom(type)) {
            classes.add(type);
          }
        }
      }
    }
    return classes;
  }

  private static boolean isPublic(Class<?> type) {
    return Modifier.isPublic(type.getModifiers()) && (type.getDeclaringClass() == null || isPublic(type.getDeclaringClass()));
  }

  /** Without equals and valueOf, which are Java's, and without the one method to which null is a name that a file lacks. */
  private static List<Executable> executables(Class<?> type) {
    Stream<Method> methods = Stream.of(type.getDeclaredMethods()).filter(method -> !method.isSynthetic() && !method.getName().equals("equals")
        && !method.getName().equals("named") && !(type.isEnum() && method.getName().equals("valueOf")) && !Modifier.isAbstract(method.getModifiers()));
    Stream<Constructor<?>> constructors = type.isEnum() || Modifier.isAbstract(type.getModifiers()) ? Stream.empty()
        : Stream.of(type.getDeclaredConstructors()).filter(constructor -> MADE_BY_CALLERS.contains(type));
    return Stream.<Executable>concat(constructors, methods).filter(executable -> Modifier.isPublic(executable.getModifiers())).toList();
  }

  private void test(Class<?> type, Executable executable, int nulled, List<String> tested, List<String> wrong) throws Exception {
    String name = executable + " " + nulled;
    Object receiver = null;
    if (executable instanceof Method && !Modifier.isStatic(executable.getModifiers())) {
      receiver = value(type);
      if (receiver == null) {
        return;
      }
    }
    Object[] arguments = new Object[executable.getParameterCount()];
    for (int i = 0; i < arguments.length; i++) {
      if (i != nulled) {
        arguments[i] = value(executable.getParameterTypes()[i]);
        if (arguments[i] == null) {
          return;
        }
      }
    }
    call(name, executable, receiver, arguments, tested, wrong);
    Class<?> parameter = executable.getParameterTypes()[nulled];
    if (parameter.isArray() && !parameter.getComponentType().isPrimitive()) {
      arguments[nulled] = Array.newInstance(parameter.getComponentType(), 1);
      call(name + " element", executable, type == SessionBuilder.class ? value(type) : receiver, arguments, tested, wrong);
    }
    if (parameter == List.class) {
      arguments[nulled] = Arrays.asList((Object) null);
      call(name + " element", executable, type == SessionBuilder.class ? value(type) : receiver, arguments, tested, wrong);
    }
  }

  @Test
  void aNullInAMappingSaysWhichItIs() {
    assertThatThrownBy(() -> Decoding.builder().logitBias(Collections.singletonMap(null, 1f))).isInstanceOf(NullPointerException.class).hasMessage("bias[null]");
    assertThatThrownBy(() -> Decoding.builder().logitBias(Collections.singletonMap(5, null))).isInstanceOf(NullPointerException.class).hasMessage("bias[5]");
  }

  private void call(String name, Executable executable, Object receiver, Object[] arguments, List<String> tested, List<String> wrong) throws Exception {
    tested.add(name);
    try {
      if (executable instanceof Constructor<?> constructor) {
        constructor.newInstance(arguments);
      } else {
        ((Method) executable).invoke(receiver, arguments);
      }
      wrong.add(name + ": accepted");
    } catch (InvocationTargetException e) {
      String message = e.getCause().getMessage();
      boolean said = e.getCause() instanceof NullPointerException && message != null && message.matches("[a-z]\\w*(\\[\\d+])?");
      if (!said) {
        wrong.add(name + ": " + e.getCause());
      }
    }
  }

  private Object value(Class<?> type) throws Exception {
    if (type == SessionBuilder.class) {
      return model.session();
    }
    if (type.isPrimitive()) {
      return type == boolean.class ? (Object) false : type == float.class ? (Object) 1f : type == double.class ? (Object) 1.0 : type == long.class ? (Object) 1L : (Object) 1;
    }
    if (type.isEnum()) {
      return type.getEnumConstants()[0];
    }
    if (type.isArray()) {
      return values.containsKey(type) ? values.get(type) : Array.newInstance(type.getComponentType(), 0);
    }
    if (type.getSimpleName().equals("Builder")) {
      Method builder = type.getDeclaringClass().getMethod("builder");
      return builder.invoke(null);
    }
    for (Object value : values.values()) {
      if (type.isInstance(value)) {
        return value;
      }
    }
    return null;
  }
}
