package io.github.dimple4j.structure;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Schemas written by hand for every keyword that is held, with values that fit and values that do not ({@code instances.jsonl}): the
 * verdicts are those of networknt's validator, for these values and for what a change makes of them.
 */
class SchemaInstancesTest {
  private static final JsonMapper MAPPER = JsonMapper.builder().enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS).build();
  private static final JsonMapper STRICT = MAPPER.rebuild().enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS).build();
  private static final List<JsonNode> OTHERS = Stream.of(
      "null", "true", "0", "-1", "2.5", "\"\"", "\"a\"", "\"é😀\"", "[]", "{}", "[1]", "{\"a\":1}", "100")
      .map(MAPPER::readTree).toList();

  private final Random random = new Random(4);

  static List<JsonNode> rows() {
    try (var lines = new BufferedReader(new InputStreamReader(SchemaInstancesTest.class.getResourceAsStream("instances.jsonl"),
        StandardCharsets.UTF_8))) {
      return lines.lines().map(MAPPER::readTree).toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @ParameterizedTest
  @MethodSource("rows")
  void verdictsAreTheValidators(JsonNode row) {
    Validator validator = new Validator(row.get("schema").toString());
    JsonSchema schema = JsonSchema.of(row.get("schema"));
    ByteAutomaton judging = schema.compile(SchemaOptions.JUDGING);
    ByteAutomaton producing = Piece.json(schema, SchemaOptions.PRODUCING).compile();
    List<JsonNode> all = new ArrayList<>();
    for (JsonNode value : row.get("valid")) {
      byte[] text = MAPPER.writeValueAsBytes(value);
      assertThat(validator.errors(text)).as("%s", value).isEmpty();
      assertThat(judging.accepts(text)).as("%s", value).isTrue();
      all.add(value);
    }
    for (JsonNode value : row.get("invalid")) {
      byte[] text = MAPPER.writeValueAsBytes(value);
      assertThat(validator.errors(text)).as("%s", value).isNotEmpty();
      assertThat(judging.accepts(text) || producing.accepts(text)).as("%s", value).isFalse();
      all.add(value);
    }
    for (JsonNode value : all) {
      for (int i = 0; i < 20; i++) {
        byte[] text = i % 2 == 0 ? MAPPER.writeValueAsBytes(changed(value)) : changed(MAPPER.writeValueAsBytes(value));
        if (judging.accepts(text) || producing.accepts(text)) {
          STRICT.readTree(text);
          assertThat(validator.errors(text)).as(new String(text, StandardCharsets.UTF_8)).isEmpty();
        }
      }
    }
  }

  /** A member, an item, or the whole is another, missing, or one more. */
  private JsonNode changed(JsonNode value) {
    JsonNode other = OTHERS.get(random.nextInt(OTHERS.size()));
    if (value.isEmpty() || random.nextInt(3) == 0) {
      return other;
    }
    JsonNode copy = value.deepCopy();
    int at = random.nextInt(copy.size());
    if (copy instanceof ObjectNode object) {
      String name = List.copyOf(object.propertyNames()).get(at);
      switch (random.nextInt(4)) {
        case 0 -> object.set("more", other);
        case 1 -> object.remove(name);
        default -> object.set(name, changed(object.get(name)));
      }
    } else if (copy instanceof ArrayNode array) {
      switch (random.nextInt(4)) {
        case 0 -> array.add(other);
        case 1 -> array.remove(at);
        default -> array.set(at, changed(array.get(at)));
      }
    }
    return copy;
  }

  /** A byte is another one. */
  private byte[] changed(byte[] text) {
    byte[] copy = text.clone();
    copy[random.nextInt(copy.length)] = (byte) "0123456789,.-{}[]\"eE+ tx".charAt(random.nextInt(24));
    return copy;
  }
}
