package io.github.dimple4j.structure;

import com.networknt.schema.Error;
import com.networknt.schema.InputFormat;
import com.networknt.schema.Schema;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.util.List;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** Another's judgement of texts: networknt's validator, with formats asserted. */
public final class Validator {
  private static final SchemaRegistry REGISTRY = SchemaRegistry.withDefaultDialect(SpecificationVersion.DRAFT_2020_12);
  private static final JsonMapper MAPPER = JsonMapper.builder().enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS).build();
  private static final List<String> BOUNDS = List.of("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum");

  private final Schema schema;

  /**
   * Reads a schema.
   *
   * @param schema its JSON text
   */
  public Validator(String schema) {
    JsonNode root = MAPPER.readTree(schema);
    spellWithFraction(root);
    this.schema = REGISTRY.getSchema(root.toString());
  }

  /** Whole bounds become fractions of zero: the validator has it that any number beyond 64 bits fails to compare with a whole one. */
  private static void spellWithFraction(JsonNode node) {
    if (node instanceof ObjectNode object) {
      for (String bound : BOUNDS) {
        if (object.path(bound).isIntegralNumber()) {
          object.put(bound, new BigDecimal(object.get(bound).bigIntegerValue()).setScale(1));
        }
      }
    }
    node.forEach(Validator::spellWithFraction);
  }

  /**
   * What is wrong with a text.
   *
   * @param text in UTF-8
   * @return nothing if it is valid
   */
  public List<String> errors(byte[] text) {
    return schema.validate(new String(text, StandardCharsets.UTF_8), InputFormat.JSON,
        context -> context.executionConfig(config -> config.formatAssertionsEnabled(true))).stream().map(Error::toString).toList();
  }
}
