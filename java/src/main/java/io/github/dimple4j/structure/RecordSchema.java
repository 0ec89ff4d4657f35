package io.github.dimple4j.structure;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonTypeInfo;
import io.github.dimple4j.InvalidArgumentException;
import io.github.dimple4j.json.MalformedJsonException;
import io.github.dimple4j.json.StrictJson;
import java.lang.reflect.GenericArrayType;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.lang.reflect.TypeVariable;
import java.lang.reflect.WildcardType;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.net.URI;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Collectors;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.MapperFeature;
import tools.jackson.databind.cfg.DateTimeFeature;
import tools.jackson.databind.exc.MismatchedInputException;
import tools.jackson.databind.exc.UnrecognizedPropertyException;
import tools.jackson.databind.exc.ValueInstantiationException;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.jsontype.NamedType;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * JSON Schemas of records, and records of JSON texts.
 *
 * <p>A record becomes an object with a property for each component, in their order. All are there, but for {@link Optional} ones, which
 * may be left out. Components may be records, generic ones too, enums, strings, {@code char}, {@code boolean}, numbers of any kind (whole ones
 * within the bounds of their type), lists, collections, arrays, maps from strings or enums, {@link LocalDate}, {@link LocalTime},
 * {@link LocalDateTime}, {@link Instant}, {@link OffsetDateTime}, {@link UUID} and {@link URI}. Nothing is null, and no number infinite. A property has its
 * component's name, or that of {@link JsonProperty}; other annotations that change how Jackson reads a record are refused.
 *
 * <p>A component that is a sealed interface becomes one of the records that it permits, with a property {@code type} in front, which has the
 * record's simple name: {@code {"type": "Circle", "radius": 2}}.
 *
 * <p>Records must be open to Jackson, which makes them: public, or in a package that is open to {@code tools.jackson.databind}.
 */
public final class RecordSchema {
  /** An answer's numbers may be as long as an answer. */
  private static final JsonFactory FACTORY = JsonFactory.builder()
      .streamReadConstraints(StreamReadConstraints.builder().maxNumberLength(Integer.MAX_VALUE).build()).build();
  private static final JsonMapper MAPPER = builder().build();
  private static final StrictJson ANSWERS = StrictJson.decimals(Integer.MAX_VALUE);
  private static final String TAG = "type";
  private static final int DEEPEST = 64;
  private static final String TIME = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]";

  /** Days that every year has. */
  private static final String DAY = "[0-9]{4}-((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)";

  /** What can read a type: with the names of the records of its sealed interfaces. */
  private static final ClassValue<JsonMapper> READERS = new ClassValue<>() {
    @Override
    protected JsonMapper computeValue(Class<?> type) {
      return reader(type);
    }
  };

  /** A type without variables and wildcards, to be compared. */
  private record Generic(Class<?> raw, List<Type> arguments) implements Type {
    @Override
    public String getTypeName() {
      return raw.getName() + arguments.stream().map(Type::getTypeName).collect(Collectors.joining(", ", "<", ">"));
    }
  }

  private record ArrayOf(Type items) implements Type {}

  /** What Jackson is told of a sealed interface. */
  @JsonTypeInfo(use = JsonTypeInfo.Id.NAME, property = TAG)
  private interface Tagged {}

  private final Deque<Type> underWay = new ArrayDeque<>();
  private final Map<Class<?>, List<Class<?>>> sealed = new LinkedHashMap<>(); // with the records that they permit

  private RecordSchema() {}

  /** Times stay in their zones. */
  private static JsonMapper.Builder builder() {
    return JsonMapper.builder(FACTORY).disable(DateTimeFeature.ADJUST_DATES_TO_CONTEXT_TIME_ZONE);
  }

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
      JsonMapper reader = READERS.get(type);
      try (JsonParser numbers = new FiniteNumbers(reader.createParser(text))) {
        return reader.readValue(numbers, type);
      }
    } catch (JacksonException wrong) {
      throw new InvalidArgumentException("no " + type.getSimpleName() + " in the answer: " + reason(text, wrong) + advice(type, wrong));
    }
  }

  /** A module keeps its records to itself unless it says otherwise. */
  private static String advice(Class<?> type, Throwable wrong) {
    for (Throwable cause = wrong; cause != null; cause = cause.getCause()) {
      if (cause instanceof IllegalAccessException) {
        return "; on the module path its module has to say: opens " + type.getPackageName() + " to tools.jackson.databind;";
      }
    }
    return "";
  }

  private static String reason(String text, JacksonException wrong) {
    try {
      ANSWERS.read(text);
    } catch (MalformedJsonException malformed) {
      return malformed.getMessage();
    }
    String where = wrong.getPath().stream().map(part -> part.getPropertyName() != null ? part.getPropertyName() : "[" + part.getIndex() + "]")
        .collect(Collectors.joining("."));
    return (where.isEmpty() ? "" : where + ": ") + difference(wrong);
  }

  private static String difference(JacksonException wrong) {
    if (wrong instanceof UnrecognizedPropertyException) {
      return "no such component";
    }
    if (wrong instanceof ValueInstantiationException && wrong.getCause() != null) { // the record's own
      return String.valueOf(wrong.getCause().getMessage());
    }
    return wrong instanceof MismatchedInputException other && other.getTargetType() != null ? "not a " + other.getTargetType().getSimpleName()
        : wrong.getOriginalMessage().lines().findFirst().orElse("");
  }

  private static JsonMapper reader(Class<?> type) {
    RecordSchema known = new RecordSchema();
    try {
      known.schema(type, type.getSimpleName());
    } catch (InvalidArgumentException noSchema) {
      return MAPPER; // what the text was held to came from elsewhere
    }
    if (known.sealed.isEmpty()) {
      return MAPPER;
    }
    JsonMapper.Builder builder = builder().disable(MapperFeature.REQUIRE_TYPE_ID_FOR_SUBTYPES); // of a component that is the record
    known.sealed.forEach((parent, records) -> {
      builder.addMixIn(parent, Tagged.class);
      records.forEach(permitted -> builder.registerSubtypes(new NamedType(permitted, permitted.getSimpleName())));
    });
    return builder.build();
  }

  private ObjectNode schema(Type type, String place) {
    if (type instanceof Generic(Class<?> raw, List<Type> arguments)) {
      if (raw == List.class || raw == Collection.class) {
        return array(schema(arguments.getFirst(), place));
      }
      if (raw == Map.class && arguments.getFirst() == String.class) {
        return ofType("object").set("additionalProperties", schema(arguments.get(1), place));
      }
      if (raw == Map.class && arguments.getFirst() instanceof Class<?> keys && keys.isEnum()) {
        ObjectNode map = ofType("object");
        map.set("propertyNames", constants(keys));
        return map.set("additionalProperties", schema(arguments.get(1), place));
      }
      if (raw.isRecord()) {
        return record(type, raw, variables(raw, arguments), place);
      }
    } else if (type instanceof ArrayOf(Type items)) {
      return array(schema(items, place));
    } else if (type instanceof Class<?> known) {
      if (known.isArray()) {
        return array(schema(known.getComponentType(), place));
      }
      if (known.isRecord()) {
        return record(type, known, Map.of(), place);
      }
      if (known.isEnum()) {
        return constants(known);
      }
      if (known.isInterface() && known.isSealed()) {
        return alternatives(known, place);
      }
      ObjectNode simple = simple(known);
      if (simple != null) {
        return simple;
      }
    }
    throw new InvalidArgumentException(place + " is of type " + type.getTypeName() + ", of which no schema can be made");
  }

  private ObjectNode record(Type type, Class<?> raw, Map<TypeVariable<?>, Type> variables, String place) {
    if (underWay.contains(type) || underWay.size() == DEEPEST) { // types that grow never come again
      throw new InvalidArgumentException(place + ": the record " + raw.getName() + " lies within itself");
    }
    RecordAnnotations.check(raw, place);
    underWay.push(type);
    ObjectNode schema = ofType("object");
    ObjectNode properties = schema.putObject("properties");
    ArrayNode required = schema.putArray("required");
    for (RecordComponent component : raw.getRecordComponents()) {
      String name = RecordAnnotations.name(component, place + "." + component.getName());
      Type outer = resolved(component.getGenericType(), variables);
      Type inside = optional(outer);
      if (properties.has(name)) {
        throw new InvalidArgumentException(place + " has two components of the name " + name);
      }
      properties.set(name, schema(inside == null ? outer : inside, place + "." + name));
      if (inside == null) {
        required.add(name);
      }
    }
    underWay.pop();
    return schema.put("additionalProperties", false);
  }

  /** One of the records of a sealed interface. */
  private ObjectNode alternatives(Class<?> parent, String place) {
    RecordAnnotations.check(parent, place);
    List<Class<?>> records = new ArrayList<>();
    addPermitted(parent, parent, records, place);
    sealed.put(parent, records);
    ObjectNode schema = MAPPER.createObjectNode();
    ArrayNode ways = schema.putArray("anyOf");
    Set<String> names = new HashSet<>();
    for (Class<?> permitted : records) {
      if (!names.add(permitted.getSimpleName())) {
        throw new InvalidArgumentException(place + ": two records of " + parent.getName() + " have the name " + permitted.getSimpleName());
      }
      ObjectNode way = record(permitted, permitted, Map.of(), place);
      ObjectNode properties = MAPPER.createObjectNode();
      properties.putObject(TAG).put("const", permitted.getSimpleName());
      if (way.get("properties").has(TAG)) {
        throw new InvalidArgumentException(place + ": " + permitted.getName() + " has a component " + TAG
            + ", which tells the records of " + parent.getName() + " apart");
      }
      properties.setAll((ObjectNode) way.get("properties"));
      way.set("properties", properties);
      way.withArray("required").insert(0, TAG);
      ways.add(way);
    }
    return schema;
  }

  private static void addPermitted(Class<?> parent, Class<?> top, List<Class<?>> records, String place) {
    for (Class<?> permitted : parent.getPermittedSubclasses()) {
      if (permitted.isInterface() && permitted.isSealed()) {
        RecordAnnotations.check(permitted, place);
        addPermitted(permitted, top, records, place);
      } else if (!permitted.isRecord() || permitted.getTypeParameters().length > 0) {
        throw new InvalidArgumentException(place + " is of type " + top.getName() + ", which permits " + permitted.getName()
            + ", of which no schema can be made");
      } else if (!records.contains(permitted)) {
        records.add(permitted);
      }
    }
  }

  private static Map<TypeVariable<?>, Type> variables(Class<?> raw, List<Type> arguments) {
    Map<TypeVariable<?>, Type> variables = new HashMap<>();
    for (int i = 0; i < arguments.size(); i++) {
      variables.put(raw.getTypeParameters()[i], arguments.get(i));
    }
    return variables;
  }

  /** A type with what its variables stand for; wildcards become their bound. */
  private static Type resolved(Type type, Map<TypeVariable<?>, Type> variables) {
    return switch (type) {
      case TypeVariable<?> variable -> variables.getOrDefault(variable, variable);
      case ParameterizedType generic -> new Generic((Class<?>) generic.getRawType(),
          Arrays.stream(generic.getActualTypeArguments()).map(argument -> resolved(argument, variables)).toList());
      case GenericArrayType array -> new ArrayOf(resolved(array.getGenericComponentType(), variables));
      case WildcardType wildcard when wildcard.getLowerBounds().length == 0 -> resolved(wildcard.getUpperBounds()[0], variables);
      default -> type;
    };
  }

  /** What is in an optional, or null for all other types. */
  private static Type optional(Type type) {
    if (type instanceof Generic(Class<?> raw, List<Type> arguments) && raw == Optional.class) {
      return arguments.getFirst();
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
    } else if (type == double.class || type == Double.class) {
      return ofType("number").put("minimum", -Double.MAX_VALUE).put("maximum", Double.MAX_VALUE);
    } else if (type == BigDecimal.class) {
      return ofType("number");
    } else if (type == LocalDate.class) {
      return ofType("string").put("format", "date");
    } else if (type == LocalTime.class) {
      return ofType("string").put("pattern", "^" + TIME + "$");
    } else if (type == LocalDateTime.class) {
      return ofType("string").put("pattern", "^" + DAY + "T" + TIME + "$");
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
