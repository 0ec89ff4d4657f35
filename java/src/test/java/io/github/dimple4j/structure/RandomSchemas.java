package io.github.dimple4j.structure;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Schemas drawn at random from all keywords that are held. */
public final class RandomSchemas {
  /** What a schema may say, each of which {@link #nextObject} says often. */
  public static final List<String> KEYWORDS = List.of("enum", "const", "minItems", "maxItems", "minLength", "maxLength", "pattern", "format",
      "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "anyOf", "oneOf", "allOf", "$ref", "prefixItems", "required",
      "additionalProperties", "patternProperties", "boolean", "null", "array", "types");
  private static final int ONE_IN = 7; // of the schemas have each of the keywords, or more

  private static final JsonMapper MAPPER = JsonMapper.builder().build();
  private static final List<String> NAMES = List.of("name", "size", "colour", "sort", "größe", "a\"b", "x", "xy");
  private static final List<String> PATTERNS = List.of("^[a-z]{2,4}$", "a", "^x", "^(cat|dog)s?$", "[0-9]{3}", "^\\w+-\\d*$", "^[^x]*$", "é|ü$");
  private static final List<String> FORMATS = List.of("date", "time", "date-time", "duration", "uuid", "email", "hostname", "ipv4", "ipv6", "uri",
      "uri-reference", "json-pointer", "regex");

  private final Random random;
  private final Map<String, Integer> uses = new HashMap<>();
  private int objects;
  private ObjectNode root;
  private int definitions;

  /**
   * Begins a series of schemas.
   *
   * @param seed of the series
   */
  public RandomSchemas(long seed) {
    random = new Random(seed);
  }

  ObjectNode next() {
    root = MAPPER.createObjectNode();
    definitions = 0;
    root.setAll(schema(4));
    return root;
  }

  /**
   * An object with objects and arrays in it, to a depth of 4. Those of {@link #KEYWORDS} that have been rare so far come in as further
   * properties.
   *
   * @return the schema
   */
  public ObjectNode nextObject() {
    root = MAPPER.createObjectNode();
    definitions = 0;
    root.setAll(object(4));
    objects++;
    for (String keyword : KEYWORDS) {
      if (ONE_IN * uses(keyword) < objects && !says(root, keyword)) {
        ((ObjectNode) root.get("properties")).set("with " + keyword, schemaThatSays(keyword));
        root.remove(List.of("maxProperties", "propertyNames"));
      }
    }
    KEYWORDS.stream().filter(keyword -> says(root, keyword)).forEach(keyword -> uses.merge(keyword, 1, Integer::sum));
    return root;
  }

  /**
   * How many of {@link #nextObject}'s schemas have had a keyword.
   *
   * @param keyword one of {@link #KEYWORDS}
   * @return the number
   */
  public int uses(String keyword) {
    return uses.getOrDefault(keyword, 0);
  }

  private ObjectNode schemaThatSays(String keyword) {
    JsonNode before = root.path("$defs").deepCopy();
    while (true) {
      ObjectNode schema = schema(1);
      if (says(schema, keyword)) {
        return schema;
      }
      if (before.isMissingNode()) {
        root.remove("$defs");
      } else {
        root.set("$defs", before.deepCopy());
      }
    }
  }

  private static boolean says(JsonNode schema, String keyword) {
    return switch (keyword) {
      case "boolean", "null", "array" -> schema.findValues("type").stream().anyMatch(type -> type.isString() && type.asString().equals(keyword));
      case "types" -> schema.findValues("type").stream().anyMatch(JsonNode::isArray);
      case "required" -> schema.findValues(keyword).stream().anyMatch(names -> !names.isEmpty());
      default -> schema.findValue(keyword) != null;
    };
  }

  private int up(int bound) {
    return random.nextInt(bound);
  }

  private ObjectNode schema(int depth) {
    int kinds = depth == 0 ? 8 : 16;
    return switch (up(kinds)) {
      case 0 -> string();
      case 1 -> integer();
      case 2 -> number();
      case 3 -> type(up(2) == 0 ? "boolean" : "null");
      case 4 -> constants();
      case 5 -> string();
      case 6 -> types();
      case 7 -> MAPPER.createObjectNode().set("const", scalar());
      case 8, 9, 10 -> object(depth);
      case 11, 12 -> array(depth);
      case 13 -> alternatives(depth);
      case 14 -> merged(depth);
      default -> reference(depth);
    };
  }

  private static ObjectNode type(String name) {
    return MAPPER.createObjectNode().put("type", name);
  }

  private ObjectNode types() {
    ObjectNode schema = MAPPER.createObjectNode();
    ArrayNode names = schema.putArray("type");
    Set<String> all = new TreeSet<>();
    for (int i = 0; i < 2; i++) {
      all.add(List.of("string", "integer", "number", "boolean", "null").get(up(5)));
    }
    all.forEach(names::add);
    return schema.put("maxLength", 5).put("minimum", -3);
  }

  private JsonNode scalar() {
    return switch (up(6)) {
      case 0 -> MAPPER.valueToTree(NAMES.get(up(NAMES.size())));
      case 1 -> MAPPER.valueToTree(up(100) - 50);
      case 2 -> MAPPER.valueToTree(new java.math.BigDecimal(up(1000)).movePointLeft(2));
      case 3 -> MAPPER.getNodeFactory().booleanNode(up(2) == 0);
      case 4 -> MAPPER.getNodeFactory().nullNode();
      default -> MAPPER.valueToTree(List.of(up(3), "y"));
    };
  }

  private ObjectNode constants() {
    ObjectNode schema = MAPPER.createObjectNode();
    ArrayNode all = schema.putArray("enum");
    for (int i = 0; i <= up(4); i++) {
      all.add(scalar());
    }
    return schema;
  }

  private ObjectNode string() {
    ObjectNode schema = type("string");
    switch (up(4)) {
      case 0 -> schema.put("pattern", PATTERNS.get(up(PATTERNS.size())));
      case 1 -> schema.put("format", FORMATS.get(up(FORMATS.size())));
      case 2 -> schema.put("minLength", up(4)).put("maxLength", 4 + up(8));
      default -> {
        // any
      }
    }
    return schema;
  }

  private ObjectNode integer() {
    ObjectNode schema = type("integer");
    int low = up(400) - 250;
    if (up(4) > 0) {
      schema.put(up(2) == 0 ? "minimum" : "exclusiveMinimum", low);
    }
    if (up(4) > 0) {
      schema.put(up(2) == 0 ? "maximum" : "exclusiveMaximum", low + 2 + up(1300));
    }
    return schema;
  }

  private ObjectNode number() {
    ObjectNode schema = type("number");
    java.math.BigDecimal low = new java.math.BigDecimal(up(40_000) - 25_000).movePointLeft(up(4));
    if (up(4) > 0) {
      schema.put(up(2) == 0 ? "minimum" : "exclusiveMinimum", low);
    }
    if (up(4) > 0) {
      schema.put(up(2) == 0 ? "maximum" : "exclusiveMaximum", low.add(new java.math.BigDecimal(1 + up(500)).movePointLeft(up(3))));
    }
    return schema;
  }

  private ObjectNode object(int depth) {
    ObjectNode schema = type("object");
    ObjectNode properties = schema.putObject("properties");
    List<String> names = new ArrayList<>(NAMES);
    java.util.Collections.shuffle(names, random);
    int count = up(4);
    for (String name : names.subList(0, count)) {
      properties.set(name, schema(depth - 1));
    }
    ArrayNode required = schema.putArray("required");
    names.subList(0, count).stream().filter(name -> up(2) == 0).forEach(required::add);
    if (up(8) == 0) {
      required.add(names.get(count));
    }
    switch (up(6)) {
      case 0, 1 -> schema.put("additionalProperties", false);
      case 2 -> schema.set("additionalProperties", schema(0));
      case 3 -> schema.putObject("patternProperties").set("^x", schema(0));
      default -> {
        // open
      }
    }
    switch (up(8)) {
      case 0 -> schema.put("minProperties", up(3));
      case 1 -> schema.put("maxProperties", required.size() + up(3));
      case 2 -> schema.putObject("propertyNames").put("maxLength", 8);
      case 3 -> schema.putObject("dependentRequired").putArray(names.get(0)).add(names.get(1));
      default -> {
        // none
      }
    }
    return schema;
  }

  private ObjectNode array(int depth) {
    ObjectNode schema = type("array");
    if (up(3) == 0) {
      ArrayNode first = schema.putArray("prefixItems");
      for (int i = 0; i <= up(2); i++) {
        first.add(schema(depth - 1));
      }
      if (up(2) == 0) {
        schema.put("items", false);
        return schema;
      }
    }
    if (up(4) > 0) {
      schema.set("items", schema(depth - 1));
    }
    if (up(2) == 0) {
      schema.put("minItems", up(3));
    }
    if (up(2) == 0) {
      schema.put("maxItems", 3 + up(2));
    }
    return schema;
  }

  private ObjectNode alternatives(int depth) {
    ObjectNode schema = MAPPER.createObjectNode();
    boolean exclusive = up(2) == 0;
    ArrayNode cases = schema.putArray(exclusive ? "oneOf" : "anyOf");
    if (exclusive) { // cases that are told apart by a tag, a type or a range
      ObjectNode one = object(depth);
      ((ObjectNode) one.get("properties")).putObject("kind").put("const", "one");
      ((ArrayNode) one.get("required")).add("kind");
      one.remove(List.of("maxProperties", "propertyNames"));
      cases.add(one).add(string()).add(type("integer").put("maximum", 3)).add(type("number").put("exclusiveMinimum", 3));
    } else {
      cases.add(schema(depth - 1)).add(schema(depth - 1));
    }
    return schema;
  }

  private ObjectNode merged(int depth) {
    ObjectNode schema = object(depth);
    ArrayNode all = schema.putArray("allOf");
    ObjectNode more = object(depth);
    more.remove(List.of("additionalProperties", "maxProperties", "required"));
    schema.remove(List.of("additionalProperties", "maxProperties"));
    all.add(more);
    return schema;
  }

  private ObjectNode reference(int depth) {
    ObjectNode target = schema(depth - 1);
    String name = "d~/ " + definitions++;
    ((ObjectNode) (root.has("$defs") ? root.get("$defs") : root.putObject("$defs"))).set(name, target);
    return MAPPER.createObjectNode().put("$ref", "#/$defs/" + name.replace("~", "~0").replace("/", "~1").replace(" ", "%20"))
        .put("description", "an annotation").put("default", 1);
  }
}
