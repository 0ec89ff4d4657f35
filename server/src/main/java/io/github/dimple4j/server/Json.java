package io.github.dimple4j.server;

import java.io.ByteArrayInputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** JSON, read strictly. */
final class Json {
  private static final int DEEPEST = 200;
  private static final int LONGEST_NUMBER = 100;

  /** Bodies are limited before they come here; a picture is a string of any length. A schema's bounds are decimal numbers, to their last digit. */
  private static final JsonMapper MAPPER = JsonMapper.builder(JsonFactory.builder()
      .streamReadConstraints(StreamReadConstraints.builder().maxNestingDepth(DEEPEST).maxStringLength(Integer.MAX_VALUE)
          .maxNumberLength(LONGEST_NUMBER).build())
      .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build()).enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS).build();

  private static final byte[] MARK = "\ufeff".getBytes(StandardCharsets.UTF_8);

  private Json() {}

  static ObjectNode object() {
    return JsonNodeFactory.instance.objectNode();
  }

  /** Reads a value, which nothing may follow, from UTF-8, as JSON between programs is (RFC 8259, 8.1); a mark of the byte order may stand before it. */
  static JsonNode read(byte[] text) throws JacksonException {
    int from = Arrays.mismatch(MARK, text) == MARK.length ? MARK.length : 0;
    return MAPPER.readTree(new InputStreamReader(new ByteArrayInputStream(text, from, text.length - from), StandardCharsets.UTF_8.newDecoder()));
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
