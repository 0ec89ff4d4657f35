package io.github.dimple4j.server;

import io.github.dimple4j.json.MalformedJsonException;
import io.github.dimple4j.json.StrictJson;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** JSON, read strictly. */
final class Json {
  private static final int LONGEST_NUMBER = 100;

  /** Bodies are limited before they come here; a picture is a string of any length. A schema's bounds are decimal numbers, to their last digit. */
  private static final StrictJson READER = StrictJson.decimals(LONGEST_NUMBER);
  private static final JsonMapper MAPPER = JsonMapper.shared();

  private Json() {}

  static ObjectNode object() {
    return JsonNodeFactory.instance.objectNode();
  }

  /** Reads a value, which nothing may follow, from UTF-8, as JSON between programs is (RFC 8259, 8.1); a mark of the byte order may stand before it. */
  static JsonNode read(byte[] text) throws MalformedJsonException {
    return READER.read(text);
  }

  static JsonNode read(String text) throws JacksonException {
    return MAPPER.readTree(text);
  }

  static byte[] bytes(JsonNode value) {
    return MAPPER.writeValueAsBytes(value);
  }

  static String text(JsonNode value) {
    return MAPPER.writeValueAsString(value);
  }
}
