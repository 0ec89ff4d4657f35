package io.github.dimple4j.structure.schema;

import io.github.dimple4j.structure.RefusedSchemaException;
import io.github.dimple4j.structure.json.NumberRange;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import tools.jackson.databind.JsonNode;

/** The values of keywords, refused where they are not what the keyword takes. */
final class KeywordValues {
  private final SchemaDocument document;

  KeywordValues(SchemaDocument document) {
    this.document = document;
  }

  RefusedSchemaException refusal(JsonNode schema, String keyword, String reason) {
    return document.refusal(schema, keyword, reason);
  }

  void expect(boolean condition, JsonNode schema, String keyword, String otherwise) {
    if (!condition) {
      throw refusal(schema, keyword, otherwise);
    }
  }

  /** Refuses what only the third edition knows, in a document of it. */
  void expectNoneOfThree(JsonNode schema) {
    for (String keyword : SchemaDocument.Draft.OF_THREE) {
      expect(document.draft() != SchemaDocument.Draft.THREE || !schema.has(keyword), schema, keyword, keyword + ", a keyword of draft 3");
    }
  }

  /** Schemas in a list. */
  List<JsonNode> list(JsonNode schema, String keyword) {
    JsonNode value = schema.get(keyword);
    expect(value.isArray(), schema, keyword, "not a list of schemas");
    List<JsonNode> all = new ArrayList<>();
    value.forEach(all::add);
    return all;
  }

  /** What stands in an object; nothing if the keyword is not there. */
  Set<Map.Entry<String, JsonNode>> members(JsonNode schema, String keyword) {
    JsonNode value = schema.path(keyword);
    expect(value.isMissingNode() || value.isObject(), schema, keyword, "not an object");
    return value.properties();
  }

  /** Names in a list, which is the value of the keyword or a part of it. */
  Set<String> names(JsonNode schema, String keyword, JsonNode value) {
    Set<String> all = new LinkedHashSet<>();
    expect(value.isArray(), schema, keyword, "not a list of names");
    for (JsonNode name : value) {
      expect(name.isString(), schema, keyword, "not a list of names");
      all.add(name.stringValue());
    }
    return all;
  }

  /** A number, null if the keyword is not there. */
  BigDecimal decimal(JsonNode schema, String keyword) {
    JsonNode value = schema.path(keyword);
    if (value.isMissingNode()) {
      return null;
    }
    expect(value.isNumber(), schema, keyword, "not a number");
    expect(NumberRange.canBeSpelled(value.decimalValue()), schema, keyword, "a number of more than " + NumberRange.MOST_DIGITS + " digits");
    return normal(value.decimalValue());
  }

  private static BigDecimal normal(BigDecimal value) {
    return value.signum() == 0 ? BigDecimal.ZERO : value.stripTrailingZeros();
  }

  /** A count. */
  long size(JsonNode schema, String keyword, long otherwise) {
    BigDecimal value = decimal(schema, keyword);
    if (value == null) {
      return otherwise;
    }
    expect(value.signum() >= 0 && value.scale() <= 0 && value.compareTo(BigDecimal.valueOf(Long.MAX_VALUE)) < 0, schema, keyword,
        "not a count");
    return value.longValueExact();
  }
}
