package io.github.dimple4j.structure.schema;

import io.github.dimple4j.structure.RefusedSchemaException;
import java.net.URI;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import tools.jackson.databind.JsonNode;

/** A schema as it was read: where its parts stand, and what its references mean. */
final class SchemaDocument {
  /** Keywords whose value is data, in which nothing is a schema. */
  private static final Set<String> DATA = Set.of("enum", "const", "default", "examples", "example");
  /** Keywords whose value has names of its own, each with a schema. */
  private static final Set<String> NAMES = Set.of("properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies");
  /** Keywords whose value is a schema, or a list of such. */
  private static final Set<String> SCHEMAS = Set.of("additionalItems", "additionalProperties", "allOf", "anyOf", "contains", "contentSchema", "else", "if", "items",
      "not", "oneOf", "prefixItems", "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties");
  private static final URI NOWHERE = URI.create("schema:/");

  private final JsonNode root;
  private final Draft draft;
  private final Map<JsonNode, String> pointers = new IdentityHashMap<>();
  private final Map<JsonNode, URI> bases = new IdentityHashMap<>();
  private final Map<String, JsonNode> named = new HashMap<>();
  private final Map<String, JsonNode> strays = new HashMap<>(); // what reads as the name of a schema where none is looked for
  private final Map<String, Integer> dynamic = new HashMap<>(); // how many schemas have a dynamic anchor; the recursive one's name is empty

  private static final class Unknown {
    static final String[] BEFORE_SIX = {"const", "contains", "propertyNames", "if", "dependentRequired", "dependentSchemas", "prefixItems",
        "minContains", "$dynamicRef", "$recursiveRef"};
  }

  /** Editions of JSON Schema, with the keywords of others that they do not know. */
  enum Draft {
    /** Held as the fourth, but for {@link #OF_THREE}. */
    THREE(Unknown.BEFORE_SIX),
    FOUR(Unknown.BEFORE_SIX),
    SIX("if", "dependentRequired", "dependentSchemas", "prefixItems", "minContains", "$dynamicRef", "$recursiveRef"),
    SEVEN("dependentRequired", "dependentSchemas", "prefixItems", "minContains", "$dynamicRef", "$recursiveRef"),
    OF_2019("dependencies", "prefixItems", "$dynamicRef"),
    OF_2020("dependencies", "$recursiveRef");

    /** What the third edition alone knows, of names and meanings that no other has. */
    static final List<String> OF_THREE = List.of("disallow", "divisibleBy", "extends");

    private final Set<String> unknown;

    Draft(String... unknown) {
      this.unknown = Set.of(unknown);
    }

    /** Whether a keyword says something. */
    boolean knows(String keyword) {
      return !unknown.contains(keyword);
    }

    /** Whether bounds are exclusive by true and false, and a schema is named by {@code id}. */
    boolean isOld() {
      return ordinal() <= FOUR.ordinal();
    }

    /** Whether nothing counts beside {@code $ref}. */
    boolean referencesStandAlone() {
      return ordinal() <= SEVEN.ordinal();
    }

    static Draft of(JsonNode root) {
      String name = root.isObject() && root.path("$schema").isString() ? root.get("$schema").stringValue() : "";
      if (name.contains("draft-03")) {
        return THREE;
      }
      if (name.contains("draft-04")) {
        return FOUR;
      }
      if (name.contains("draft-06")) {
        return SIX;
      }
      if (name.contains("draft-07")) {
        return SEVEN;
      }
      return name.contains("2019-09") ? OF_2019 : OF_2020;
    }
  }

  SchemaDocument(JsonNode root) {
    this.root = root;
    this.draft = Draft.of(root);
    named.put(NOWHERE.toString(), root);
    walk(root, "#", NOWHERE, named);
  }

  /** Names of schemas go to {@code names}: of those within keywords that nobody knows, which may be none, to {@link #strays}. */
  private void walk(JsonNode node, String pointer, URI base, Map<String, JsonNode> names) {
    if (node.isObject()) {
      URI inside = note(node, base, names);
      pointers.putIfAbsent(node, pointer);
      bases.putIfAbsent(node, inside);
      for (Map.Entry<String, JsonNode> entry : node.properties()) {
        String place = pointer + "/" + escaped(entry.getKey());
        if (NAMES.contains(entry.getKey()) && entry.getValue().isObject()) {
          pointers.putIfAbsent(entry.getValue(), place);
          bases.putIfAbsent(entry.getValue(), inside);
          for (Map.Entry<String, JsonNode> part : entry.getValue().properties()) { // a name may read as a keyword of data
            walk(part.getValue(), place + "/" + escaped(part.getKey()), inside, names);
          }
        } else if (!DATA.contains(entry.getKey()) || !entry.getValue().isContainer()) {
          walk(entry.getValue(), place, inside, SCHEMAS.contains(entry.getKey()) ? names : strays);
        }
      }
    } else if (node.isArray()) {
      pointers.putIfAbsent(node, pointer);
      for (int i = 0; i < node.size(); i++) {
        walk(node.get(i), pointer + "/" + i, base, names);
      }
    }
  }

  /** Takes down what names a schema; the base of references in it. */
  private URI note(JsonNode node, URI base, Map<String, JsonNode> names) {
    if (node.path("$recursiveAnchor").asBoolean(false) && names == named) {
      dynamic.merge("", 1, Integer::sum);
    }
    URI inside = base;
    String id = name(node, draft.isOld() ? "id" : "$id");
    if (id != null && !(draft.referencesStandAlone() && node.has("$ref"))) {
      inside = resolved(base, id);
      boolean anchor = inside.getRawFragment() != null && !inside.getRawFragment().isEmpty();
      names.putIfAbsent(anchor ? inside.toString() : withoutFragment(inside), node);
    }
    for (String keyword : new String[] {"$anchor", "$dynamicAnchor"}) {
      String anchor = name(node, keyword);
      if (anchor != null) {
        names.putIfAbsent(withoutFragment(inside) + "#" + anchor, node);
        dynamic.merge(anchor, keyword.equals("$anchor") || names == strays ? 0 : 1, Integer::sum);
      }
    }
    return inside;
  }

  private JsonNode called(String name) {
    return named.getOrDefault(name, strays.get(name));
  }

  private static String name(JsonNode node, String keyword) {
    return node.path(keyword).isString() ? node.get(keyword).stringValue() : null;
  }

  private static URI resolved(URI base, String reference) {
    try {
      return base.resolve(URI.create(reference));
    } catch (IllegalArgumentException odd) {
      return base; // names nothing that a reference could mean
    }
  }

  private static String withoutFragment(URI uri) {
    String text = uri.toString();
    int fragment = text.indexOf('#');
    return fragment < 0 ? text : text.substring(0, fragment);
  }

  private static String escaped(String key) {
    return key.replace("~", "~0").replace("/", "~1");
  }

  JsonNode root() {
    return root;
  }

  Draft draft() {
    return draft;
  }

  /** JSON Pointer to a part of the document. */
  String pointer(JsonNode node) {
    return pointers.getOrDefault(node, "#");
  }

  RefusedSchemaException refusal(JsonNode schema, String keyword, String reason) {
    return new RefusedSchemaException(pointer(schema) + (keyword.isEmpty() ? "" : "/" + escaped(keyword)), reason);
  }

  /** What a schema's reference means. */
  JsonNode target(JsonNode schema, String keyword) {
    JsonNode value = schema.get(keyword);
    if (!value.isString()) {
      throw refusal(schema, keyword, "a reference that is not a string");
    }
    String reference = value.stringValue();
    URI base = bases.getOrDefault(schema, NOWHERE);
    int hash = reference.indexOf('#');
    String fragment = hash < 0 ? "" : reference.substring(hash + 1);
    String place = hash < 0 ? reference : reference.substring(0, hash);
    String document = withoutFragment(place.isEmpty() ? base : resolved(base, place));
    JsonNode start = called(document);
    if (start == null) {
      throw refusal(schema, keyword, "the reference " + reference + " leads out of the document");
    }
    JsonNode target;
    if (fragment.isEmpty()) {
      target = start;
    } else if (fragment.startsWith("/")) {
      target = at(start, fragment);
      if (target == null && start != root) {
        target = at(root, fragment);
      }
    } else {
      target = called(document + "#" + fragment);
    }
    if (target == null || !target.isObject() && !target.isBoolean()) {
      throw refusal(schema, keyword, "the reference " + reference + " leads nowhere");
    }
    boolean recursive = keyword.equals("$recursiveRef") && target.path("$recursiveAnchor").asBoolean(false);
    boolean moves = recursive || keyword.equals("$dynamicRef") && fragment.equals(name(target, "$dynamicAnchor"));
    if (moves && dynamic.getOrDefault(recursive ? "" : fragment, 0) > 1) {
      throw refusal(schema, keyword, "what " + reference + " means hangs on where it is met: several schemas have that anchor");
    }
    return target;
  }

  private static JsonNode at(JsonNode start, String fragment) {
    JsonNode node = start;
    for (String step : fragment.substring(1).split("/", -1)) {
      String key = step;
      try {
        key = URLDecoder.decode(step.replace("+", "%2B"), StandardCharsets.UTF_8);
      } catch (IllegalArgumentException plain) {
        // a per cent sign that is not an escape stands for itself
      }
      key = key.replace("~1", "/").replace("~0", "~");
      node = node.isArray() && key.matches("\\d{1,9}") ? node.get(Integer.parseInt(key)) : node.isObject() ? node.get(key) : null;
      if (node == null) {
        return null;
      }
    }
    return node;
  }
}
