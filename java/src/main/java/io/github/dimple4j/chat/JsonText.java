package io.github.dimple4j.chat;

import io.github.dimple4j.InvalidArgumentException;
import io.github.dimple4j.json.MalformedJsonException;
import io.github.dimple4j.json.StrictJson;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** JSON as templates know it: maps, lists, texts, numbers and booleans. */
final class JsonText {
  private JsonText() {}

  /** {@code what} is what the text is, for the message. */
  static JsonNode read(String text, String what) {
    try {
      JsonNode root = StrictJson.DECIMALS.read(text);
      if (!root.isMissingNode()) {
        return root;
      }
    } catch (MalformedJsonException wrong) {
      throw new InvalidArgumentException(what + " are not JSON: " + wrong.getMessage());
    }
    throw new InvalidArgumentException(what + " are an empty text, expected a JSON object");
  }

  /** The mapping that a text is as JSON, or else the text. */
  static Object mappingOrText(String text) {
    try {
      JsonNode root = read(text, "a result");
      return root.isObject() ? value(root) : text;
    } catch (InvalidArgumentException noJson) {
      return text;
    }
  }

  /** The same value with the keys of objects by their code points. */
  static JsonNode sorted(JsonNode node) {
    if (node.isObject()) {
      ObjectNode object = JsonNodeFactory.instance.objectNode();
      node.properties().stream().sorted(Map.Entry.comparingByKey(Comparator.comparing(key -> key.codePoints().toArray(), Arrays::compare)))
          .forEach(entry -> object.set(entry.getKey(), sorted(entry.getValue())));
      return object;
    } else if (node.isArray()) {
      ArrayNode array = JsonNodeFactory.instance.arrayNode();
      node.forEach(element -> array.add(sorted(element)));
      return array;
    }
    return node;
  }

  static Object value(JsonNode node) {
    if (node.isObject()) {
      Map<String, Object> map = new LinkedHashMap<>();
      node.properties().forEach(entry -> map.put(entry.getKey(), value(entry.getValue())));
      return map;
    } else if (node.isArray()) {
      List<Object> list = new ArrayList<>();
      node.forEach(element -> list.add(value(element)));
      return list;
    } else if (node.isNumber()) {
      return node.isIntegralNumber() && node.canConvertToLong() ? (Object) node.longValue() : (Object) node.doubleValue();
    } else if (node.isBoolean()) {
      return node.booleanValue();
    }
    return node.isNull() ? null : node.stringValue();
  }
}
