package io.github.dimple4j.structure.schema;

import io.github.dimple4j.structure.RefusedSchemaException;
import io.github.dimple4j.structure.json.NumberRange;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import tools.jackson.databind.JsonNode;

/** What does not fit the keywords of a schema: one at least does not hold. */
final class Complements {
  private static final List<String> TYPES = List.of("null", "boolean", "number", "string", "array", "object");

  private final Terms terms;
  private final KeywordValues values;
  private final Assertions assertions;
  private final Constants constants;
  private final Keywords keywords;

  Complements(Terms terms, KeywordValues values, Assertions assertions, Constants constants, Keywords keywords) {
    this.terms = terms;
    this.values = values;
    this.assertions = assertions;
    this.constants = constants;
    this.keywords = keywords;
  }

  /** What does not fit a schema. */
  List<Shape> of(JsonNode schema) {
    if (schema.isBoolean()) {
      return schema.booleanValue() ? List.of() : List.of(Shape.ANYTHING);
    }
    values.expect(schema.isObject(), schema, "", "a schema is an object, true or false");
    values.expectNoneOfThree(schema);
    if (keywords.referenceStandsAlone(schema)) {
      return keywords.reference(schema, "$ref", true);
    }
    List<Shape> all = new ArrayList<>();
    for (Map.Entry<String, JsonNode> entry : schema.properties()) {
      add(schema, entry.getKey(), entry.getValue(), all);
    }
    return terms.merged(all.stream().map(Shape::pruned).filter(shape -> !shape.isNothing()).toList());
  }

  private void add(JsonNode schema, String keyword, JsonNode value, List<Shape> all) {
    if (!terms.document.draft().knows(keyword)) {
      return; // elsewhere it is taken at its word, which admits less; here that would admit more
    }
    RefusedSchemaException unheld = values.refusal(schema, keyword, "what does not fit " + keyword
        + " (asked for by not, oneOf, if or dependencies)");
    switch (keyword) {
      case "type" -> all.add(otherTypes(schema));
      case "enum" -> {
        values.expect(value.isArray(), schema, keyword, "not a list");
        all.addAll(constants.except(value, unheld));
      }
      case "const" -> all.addAll(constants.except(List.of(value), unheld));
      case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum" -> beyond(schema, keyword, all);
      case "multipleOf" -> all.add(Shape.of(NumberRule.otherThanMultiples(assertions.divisor(schema), unheld)));
      case "minLength" -> shorter(values.size(schema, keyword, 0)).ifPresent(most -> all.add(Shape.of(StringRule.ofLength(0, most))));
      case "maxLength" -> all.add(Shape.of(StringRule.ofLength(values.size(schema, keyword, 0) + 1, StringRule.UNBOUNDED)));
      case "pattern" -> all.add(Shape.of(StringRule.matching(new StringRule.Match(schema, keyword, value.asString(), true))));
      case "format" -> {
        if (value.isString() && Formats.isKnown(value.stringValue())) {
          all.add(Shape.of(StringRule.unheld(unheld)));
        }
      }
      case "minItems" -> shorter(values.size(schema, keyword, 0)).ifPresent(most -> all.add(Shape.of(ArrayRule.ofLength(0, most))));
      case "maxItems" -> all.add(Shape.of(ArrayRule.ofLength(values.size(schema, keyword, 0) + 1, ArrayRule.UNBOUNDED)));
      case "items", "prefixItems", "additionalItems", "contains", "unevaluatedItems" -> {
        if (!(value.isBoolean() && value.booleanValue())) {
          all.add(Shape.of(ArrayRule.unheld(unheld)));
        }
      }
      case "uniqueItems" -> {
        if (value.asBoolean(false)) {
          all.add(Shape.of(ArrayRule.unheld(unheld).and(ArrayRule.ofLength(2, ArrayRule.UNBOUNDED))));
        }
      }
      case "minProperties" -> shorter(values.size(schema, keyword, 0)).ifPresent(most -> all.add(Shape.of(ObjectRule.ofSize(0, most))));
      case "maxProperties" -> all.add(Shape.of(ObjectRule.ofSize(values.size(schema, keyword, 0) + 1, ObjectRule.UNBOUNDED)));
      case "properties" -> values.members(schema, keyword).forEach(entry -> all.add(Shape.of(ObjectRule
          .property(entry.getKey(), terms.of(entry.getValue(), true)).and(ObjectRule.requiring(Set.of(entry.getKey()))))));
      case "required" -> values.names(schema, keyword, value).forEach(name -> all.add(Shape.of(ObjectRule.property(name, terms.nothing))));
      case "patternProperties", "additionalProperties", "propertyNames", "unevaluatedProperties" -> {
        if (!(value.isBoolean() && value.booleanValue())) {
          all.add(Shape.of(ObjectRule.unheld(unheld)));
        }
      }
      case "$ref", "$dynamicRef", "$recursiveRef" -> all.addAll(keywords.reference(schema, keyword, true));
      case "allOf" -> values.list(schema, keyword).forEach(part -> all.addAll(terms.shapes(part, true)));
      case "anyOf" -> all.addAll(none(schema, values.list(schema, keyword)));
      case "oneOf" -> {
        List<JsonNode> cases = values.list(schema, keyword);
        all.addAll(none(schema, cases));
        for (int i = 0; i < cases.size(); i++) {
          for (int j = 0; j < i; j++) {
            all.addAll(terms.and(terms.shapes(cases.get(i), false), terms.shapes(cases.get(j), false), schema));
          }
        }
      }
      case "not" -> all.addAll(terms.shapes(value, false));
      case "if" -> all.addAll(keywords.conditional(schema, "then", "else", true));
      case "dependentRequired", "dependentSchemas", "dependencies" -> {
        for (Map.Entry<String, JsonNode> entry : values.members(schema, keyword)) {
          Shape there = Shape.of(ObjectRule.requiring(Set.of(entry.getKey())));
          if (entry.getValue().isArray()) {
            values.names(schema, keyword, entry.getValue())
                .forEach(name -> all.add(there.and(Shape.of(ObjectRule.property(name, terms.nothing)))));
          } else {
            all.addAll(terms.and(List.of(there), terms.shapes(entry.getValue(), true), schema));
          }
        }
      }
      default -> {
        // says nothing, so nothing fails it
      }
    }
  }

  private static Optional<Long> shorter(long length) {
    return length == 0 ? Optional.empty() : Optional.of(length - 1);
  }

  private List<Shape> none(JsonNode schema, List<JsonNode> ways) {
    List<Shape> all = List.of(Shape.ANYTHING);
    for (JsonNode way : ways) {
      all = terms.and(all, terms.shapes(way, true), schema);
    }
    return all;
  }

  private Shape otherTypes(JsonNode schema) {
    Shape types = assertions.types(schema);
    Shape others = Shape.NOTHING;
    for (String name : TYPES) {
      Shape one = Shape.ofType(name);
      boolean there = switch (name) {
        case "null" -> types.nulls();
        case "boolean" -> types.booleans() != 0;
        case "number" -> types.number() != null;
        case "string" -> types.string() != null;
        case "array" -> types.array() != null;
        default -> types.object() != null;
      };
      others = there ? others : others.or(one);
    }
    boolean onlyWhole = types.number() != null && !types.number().range().fractions();
    return onlyWhole ? others.or(Shape.of(NumberRule.within(new NumberRange(false, true, null, false, null, false)))) : others;
  }

  private void beyond(JsonNode schema, String keyword, List<Shape> all) {
    NumberRange range = assertions.number(schema).range();
    boolean lower = keyword.toLowerCase(Locale.ROOT).contains("min");
    if (lower && range.low() != null) {
      all.add(Shape.of(NumberRule.within(new NumberRange(true, true, null, false, range.low(), !range.lowOpen()))));
    } else if (!lower && range.high() != null) {
      all.add(Shape.of(NumberRule.within(new NumberRange(true, true, range.high(), !range.highOpen(), null, false))));
    }
  }
}
