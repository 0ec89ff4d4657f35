package io.github.dimple4j.structure.schema;

import io.github.dimple4j.structure.json.NumberRange;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import tools.jackson.databind.JsonNode;

/** Keywords that say something of the values of one type each, and {@code type} itself. */
final class Assertions {
  private final Terms terms;
  private final KeywordValues values;

  Assertions(Terms terms, KeywordValues values) {
    this.terms = terms;
    this.values = values;
  }

  /** What all of them say together. */
  Shape of(JsonNode schema) {
    Shape types = types(schema);
    if (types.number() != null) {
      types = new Shape(types.nulls(), types.booleans(), types.number().and(number(schema)), types.string(), types.array(), types.object());
    }
    if (types.string() != null) {
      types = new Shape(types.nulls(), types.booleans(), types.number(), string(schema), types.array(), types.object());
    }
    if (types.array() != null) {
      types = new Shape(types.nulls(), types.booleans(), types.number(), types.string(), array(schema), types.object());
    }
    return types.object() == null ? types : types.with(object(schema));
  }

  /** What {@code type} says. */
  Shape types(JsonNode schema) {
    JsonNode type = schema.path("type");
    if (type.isMissingNode()) {
      return Shape.ANYTHING;
    }
    Shape all = Shape.NOTHING;
    boolean numbers = false;
    for (String name : type.isString() ? Set.of(type.stringValue()) : values.names(schema, "type", type)) {
      Shape one = Shape.ofType(name);
      values.expect(one != null, schema, "type", "the unknown type " + name);
      if (!(name.equals("integer") && numbers)) {
        Shape others = new Shape(all.nulls(), all.booleans(), null, all.string(), all.array(), all.object());
        all = name.equals("number") ? others.or(one) : all.or(one);
      }
      numbers |= name.equals("number");
    }
    return all;
  }

  /** What is said of numbers. */
  NumberRule number(JsonNode schema) {
    BigDecimal low = values.decimal(schema, "minimum");
    BigDecimal high = values.decimal(schema, "maximum");
    NumberRange range;
    if (terms.document.draft().isOld() || schema.path("exclusiveMinimum").isBoolean()
        || schema.path("exclusiveMaximum").isBoolean()) {
      range = new NumberRange(true, true, low, schema.path("exclusiveMinimum").asBoolean(false), high,
          schema.path("exclusiveMaximum").asBoolean(false));
      values.expect(!schema.path("exclusiveMinimum").isNumber() && !schema.path("exclusiveMaximum").isNumber(), schema, "exclusiveMinimum",
          "a number, where this draft has true or false");
    } else {
      range = new NumberRange(true, true, low, false, high, false)
          .and(new NumberRange(true, true, values.decimal(schema, "exclusiveMinimum"), true,
              values.decimal(schema, "exclusiveMaximum"), true));
    }
    BigDecimal divisor = divisor(schema);
    NumberRule rule = NumberRule.within(range);
    return divisor == null ? rule : rule.and(NumberRule.multiples(divisor, values.refusal(schema, "multipleOf", "multipleOf")));
  }

  /** What {@code multipleOf} says; null if it is not there. */
  BigDecimal divisor(JsonNode schema) {
    BigDecimal divisor = values.decimal(schema, "multipleOf");
    values.expect(divisor == null || divisor.signum() > 0, schema, "multipleOf", "not a number above 0");
    return divisor;
  }

  private StringRule string(JsonNode schema) {
    StringRule rule = StringRule.ANY;
    if (schema.has("minLength") || schema.has("maxLength")) {
      rule = StringRule.ofLength(values.size(schema, "minLength", 0), values.size(schema, "maxLength", StringRule.UNBOUNDED));
    }
    if (schema.has("pattern")) {
      values.expect(schema.get("pattern").isString(), schema, "pattern", "not a string");
      rule = rule.and(StringRule.matching(new StringRule.Match(schema, "pattern", schema.get("pattern").stringValue(), false)));
    }
    if (schema.path("format").isString() && Formats.isKnown(schema.get("format").stringValue())) {
      rule = rule.and(StringRule.matching(new StringRule.Match(schema, "format", schema.get("format").stringValue(), false)));
    }
    return rule;
  }

  private ArrayRule array(JsonNode schema) {
    ArrayRule rule = ArrayRule.ANY;
    if (schema.has("minItems") || schema.has("maxItems")) {
      rule = ArrayRule.ofLength(values.size(schema, "minItems", 0), values.size(schema, "maxItems", ArrayRule.UNBOUNDED));
    }
    boolean tuple = schema.path("items").isArray();
    if (schema.has("items") || schema.has("prefixItems")) {
      List<Term> first = new ArrayList<>();
      if (schema.has("prefixItems") && !terms.document.draft().knows("prefixItems")) {
        List<Term> all = values.list(schema, "prefixItems").stream().map(item -> terms.of(item, false)).toList();
        rule = rule.and(ArrayRule.of(new ArrayRule.Items(all, null)));
      } else if (schema.has("prefixItems")) {
        values.list(schema, "prefixItems").forEach(item -> first.add(terms.of(item, false)));
      } else if (tuple) {
        values.list(schema, "items").forEach(item -> first.add(terms.of(item, false)));
      }
      JsonNode others = tuple ? schema.path("additionalItems") : schema.path("items");
      rule = rule.and(ArrayRule.of(new ArrayRule.Items(first, others.isMissingNode() ? null : terms.of(others, false))));
    }
    if (schema.path("uniqueItems").asBoolean(false)) {
      rule = rule.and(ArrayRule.distinct(values.refusal(schema, "uniqueItems", "uniqueItems")));
    }
    boolean none = terms.document.draft().knows("minContains") && values.size(schema, "minContains", 1) == 0;
    if (schema.has("contains") && (!none || schema.has("maxContains"))) {
      rule = rule.and(ArrayRule.unheld(values.refusal(schema, "contains", "contains")));
    }
    if (unevaluated(schema, "unevaluatedItems")) {
      rule = rule.and(ArrayRule.unheld(values.refusal(schema, "unevaluatedItems", "unevaluatedItems")));
    }
    return rule;
  }

  private static boolean unevaluated(JsonNode schema, String keyword) {
    return schema.has(keyword) && !(schema.get(keyword).isBoolean() && schema.get(keyword).booleanValue());
  }

  private ObjectRule object(JsonNode schema) {
    ObjectRule rule = ObjectRule.ANY;
    if (schema.has("properties") || schema.has("patternProperties") || schema.has("additionalProperties")) {
      rule = ObjectRule.of(part(schema));
    }
    if (schema.has("required")) {
      rule = rule.and(ObjectRule.requiring(values.names(schema, "required", schema.get("required"))));
    }
    if (schema.has("minProperties") || schema.has("maxProperties")) {
      rule = rule.and(ObjectRule.ofSize(values.size(schema, "minProperties", 0),
          values.size(schema, "maxProperties", ObjectRule.UNBOUNDED)));
    }
    if (schema.has("propertyNames")) {
      rule = rule.and(new ObjectRule(List.of(), Set.of(), List.of(terms.of(schema.get("propertyNames"), false)), 0, ObjectRule.UNBOUNDED,
          null));
    }
    if (unevaluated(schema, "unevaluatedProperties")) {
      rule = rule.and(ObjectRule.unheld(values.refusal(schema, "unevaluatedProperties", "unevaluatedProperties")));
    }
    return rule;
  }

  private ObjectRule.Part part(JsonNode schema) {
    Map<String, Term> properties = new LinkedHashMap<>();
    for (Map.Entry<String, JsonNode> entry : values.members(schema, "properties")) {
      properties.put(entry.getKey(), terms.of(entry.getValue(), false));
    }
    List<ObjectRule.PatternProperties> patterns = new ArrayList<>();
    for (Map.Entry<String, JsonNode> entry : values.members(schema, "patternProperties")) {
      patterns.add(new ObjectRule.PatternProperties(new StringRule.Match(schema, "patternProperties", entry.getKey(), false),
          terms.of(entry.getValue(), false)));
    }
    JsonNode others = schema.path("additionalProperties");
    return new ObjectRule.Part(properties, patterns, others.isMissingNode() ? null : terms.of(others, false));
  }
}
