package io.github.dimple4j.structure;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.github.dimple4j.InvalidArgumentException;
import java.lang.annotation.Annotation;
import java.lang.reflect.AnnotatedElement;
import java.lang.reflect.GenericArrayType;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.net.URI;
import java.time.Instant;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.util.ArrayDeque;
import java.util.Collection;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import java.util.UUID;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * JSON Schemas of records, and records of JSON texts.
 *
 * <p>A record becomes an object with a property for each component, in their order. All are there, but for {@link Optional} ones, which
 * may be left out. Components may be records, enums, strings, {@code char}, {@code boolean}, numbers of any kind (whole ones within the
 * bounds of their type), lists, collections, arrays, maps from strings, {@link LocalDate}, {@link Instant}, {@link OffsetDateTime},
 * {@link UUID} and {@link URI}. Nothing is null. A property has its component's name, or that of {@link JsonProperty}; other annotations
 * that change how Jackson reads a record are refused.
 *
 * <p>Records must be open to Jackson, which makes them: public, or in a package that is open to {@code tools.jackson.databind}.
 */
public final class RecordSchema {
  private static final JsonMapper MAPPER = JsonMapper.builder().build();

  /** Of Jackson's annotations those that change nothing of reading. */
  private static final Set<String> HARMLESS = Set.of("JsonPropertyDescription", "JsonClassDescription", "JsonPropertyOrder", "JsonInclude",
      "JsonAlias");

  private final Deque<Class<?>> underWay = new ArrayDeque<>();

  private RecordSchema() {}

  /**
   * The schema of a record.
   *
   * @param type the record's class
   * @return the schema
   * @throws InvalidArgumentException if the class is no record, a component has a type of which no schema can be made, or a record lies
   *     within itself
   */
  public static JsonSchema of(Class<?> type) {
    if (!Objects.requireNonNull(type, "type").isRecord()) {
      throw new InvalidArgumentException(type.getName() + " is no record");
    }
    return JsonSchema.of(new RecordSchema().schema(type, type.getSimpleName()));
  }

  /**
   * Reads an instance.
   *
   * @param <R> the record
   * @param text the JSON text
   * @param type the record's class
   * @return the instance
   * @throws InvalidArgumentException if the text is not the JSON text of an instance, or the record cannot be made
   */
  public static <R> R read(String text, Class<R> type) {
    Objects.requireNonNull(text, "text");
    Objects.requireNonNull(type, "type");
    try {
      return MAPPER.readValue(text, type);
    } catch (JacksonException wrong) {
      throw new InvalidArgumentException("no " + type.getSimpleName() + " in the answer: " + wrong.getOriginalMessage());
    }
  }

  private ObjectNode schema(Type type, String place) {
    if (type instanceof ParameterizedType generic && generic.getRawType() instanceof Class<?> raw) {
      Type[] arguments = generic.getActualTypeArguments();
      if (raw == List.class || raw == Collection.class) {
        return array(schema(arguments[0], place));
      }
      if (raw == Map.class && arguments[0] == String.class) {
        return ofType("object").set("additionalProperties", schema(arguments[1], place));
      }
    }
    if (type instanceof GenericArrayType array) {
      return array(schema(array.getGenericComponentType(), place));
    }
    if (type instanceof Class<?> known) {
      if (known.isArray()) {
        return array(schema(known.getComponentType(), place));
      }
      if (known.isRecord()) {
        return record(known, place);
      }
      if (known.isEnum()) {
        return constants(known);
      }
      ObjectNode simple = simple(known);
      if (simple != null) {
        return simple;
      }
    }
    throw new InvalidArgumentException(place + " is of type " + type.getTypeName() + ", of which no schema can be made");
  }

  private ObjectNode record(Class<?> type, String place) {
    if (underWay.contains(type)) {
      throw new InvalidArgumentException(place + ": the record " + type.getName() + " lies within itself");
    }
    refuseAnnotations(type, place);
    underWay.push(type);
    ObjectNode schema = ofType("object");
    ObjectNode properties = schema.putObject("properties");
    ArrayNode required = schema.putArray("required");
    for (RecordComponent component : type.getRecordComponents()) {
      String name = name(component, place + "." + component.getName());
      Type inside = optional(component.getGenericType());
      properties.set(name, schema(inside == null ? component.getGenericType() : inside, place + "." + name));
      if (inside == null) {
        required.add(name);
      }
    }
    underWay.pop();
    return schema.put("additionalProperties", false);
  }

  private static String name(RecordComponent component, String place) {
    JsonProperty said = component.getAccessor().getAnnotation(JsonProperty.class);
    refuseAnnotations(component.getAccessor(), place);
    if (said == null) {
      return component.getName();
    }
    if (said.access() == JsonProperty.Access.READ_ONLY) {
      throw new InvalidArgumentException(place + ": @JsonProperty keeps it from being read");
    }
    return said.value().isEmpty() ? component.getName() : said.value();
  }

  private static void refuseAnnotations(AnnotatedElement element, String place) {
    for (Annotation annotation : element.getAnnotations()) {
      Class<?> type = annotation.annotationType();
      boolean jacksons = type.getName().startsWith("com.fasterxml.jackson.") || type.getName().startsWith("tools.jackson.");
      if (jacksons && !(annotation instanceof JsonProperty) && !HARMLESS.contains(type.getSimpleName())) {
        throw new InvalidArgumentException(
            place + ": @" + type.getSimpleName() + " changes how it is read, of which its schema knows nothing");
      }
    }
  }

  /** What is in an optional, or null for all other types. */
  private static Type optional(Type type) {
    if (type instanceof ParameterizedType generic && generic.getRawType() == Optional.class) {
      return generic.getActualTypeArguments()[0];
    }
    return type == OptionalInt.class ? int.class : type == OptionalLong.class ? long.class : type == OptionalDouble.class ? double.class
        : null;
  }

  private static ObjectNode constants(Class<?> type) {
    ObjectNode schema = MAPPER.createObjectNode();
    ArrayNode names = schema.putArray("enum");
    for (Object constant : type.getEnumConstants()) {
      names.add(MAPPER.<JsonNode>valueToTree(constant));
    }
    return schema;
  }

  private static ObjectNode simple(Class<?> type) {
    if (type == String.class || type == CharSequence.class) {
      return ofType("string");
    } else if (type == char.class || type == Character.class) {
      return ofType("string").put("pattern", "^[\\u0000-\\uFFFF]$");
    } else if (type == boolean.class || type == Boolean.class) {
      return ofType("boolean");
    } else if (type == byte.class || type == Byte.class) {
      return integer(Byte.MIN_VALUE, Byte.MAX_VALUE);
    } else if (type == short.class || type == Short.class) {
      return integer(Short.MIN_VALUE, Short.MAX_VALUE);
    } else if (type == int.class || type == Integer.class) {
      return integer(Integer.MIN_VALUE, Integer.MAX_VALUE);
    } else if (type == long.class || type == Long.class) {
      return integer(Long.MIN_VALUE, Long.MAX_VALUE);
    } else if (type == BigInteger.class) {
      return ofType("integer");
    } else if (type == float.class || type == Float.class) {
      return ofType("number").put("minimum", -Float.MAX_VALUE).put("maximum", Float.MAX_VALUE);
    } else if (type == double.class || type == Double.class || type == BigDecimal.class) {
      return ofType("number");
    } else if (type == LocalDate.class) {
      return ofType("string").put("format", "date");
    } else if (type == Instant.class || type == OffsetDateTime.class) {
      return ofType("string").put("format", "date-time");
    } else if (type == UUID.class) {
      return ofType("string").put("format", "uuid");
    } else if (type == URI.class) {
      return ofType("string").put("format", "uri");
    }
    return null;
  }

  private static ObjectNode ofType(String name) {
    return MAPPER.createObjectNode().put("type", name);
  }

  private static ObjectNode integer(long min, long max) {
    return ofType("integer").put("minimum", min).put("maximum", max);
  }

  private static ObjectNode array(ObjectNode items) {
    return ofType("array").set("items", items);
  }
}
