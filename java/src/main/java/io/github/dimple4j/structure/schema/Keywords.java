package io.github.dimple4j.structure.schema;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import tools.jackson.databind.JsonNode;

/**
 * What the keywords of a schema say, and what their complements say. Both are exact: what cannot be said of a type is a refusal in
 * that type's rule, which counts only if values of the type remain.
 */
final class Keywords {
  private final Terms terms;
  private final KeywordValues values;
  private final Assertions assertions;
  private final Constants constants;
  private final Complements complements;

  Keywords(Terms terms, SchemaDocument document) {
    this.terms = terms;
    values = new KeywordValues(document);
    assertions = new Assertions(terms, values);
    constants = new Constants(terms);
    complements = new Complements(terms, values, assertions, constants, this);
  }

  /** What a schema says. */
  List<Shape> shapes(JsonNode schema) {
    if (schema.isBoolean()) {
      return schema.booleanValue() ? List.of(Shape.ANYTHING) : List.of();
    }
    values.expect(schema.isObject(), schema, "", "a schema is an object, true or false");
    values.expectNoneOfThree(schema);
    if (referenceStandsAlone(schema)) {
      return reference(schema, "$ref", false);
    }
    List<Shape> all = List.of(assertions.of(schema).pruned());
    for (Map.Entry<String, JsonNode> entry : schema.properties()) {
      List<Shape> more = applied(schema, entry.getKey(), entry.getValue(), all);
      if (more != null) {
        all = terms.and(all, more, schema);
      }
    }
    return all.stream().filter(shape -> !shape.isNothing()).toList();
  }

  /** What does not fit a schema. */
  List<Shape> complement(JsonNode schema) {
    return complements.of(schema);
  }

  /** Whether all other keywords beside a reference say nothing. */
  boolean referenceStandsAlone(JsonNode schema) {
    return schema.has("$ref") && terms.document.draft().referencesStandAlone();
  }

  /** What the schema says, or its complement, that a keyword refers to. */
  List<Shape> reference(JsonNode schema, String keyword, boolean complement) {
    return terms.shapes(terms.document.target(schema, keyword), complement);
  }

  /** Keywords that bring alternatives or other schemas; null for all others. */
  private List<Shape> applied(JsonNode schema, String keyword, JsonNode value, List<Shape> sofar) {
    return switch (keyword) {
      case "$ref", "$dynamicRef", "$recursiveRef" -> reference(schema, keyword, false);
      case "enum" -> {
        values.expect(value.isArray(), schema, keyword, "not a list");
        yield constants.of(value);
      }
      case "const" -> constants.of(List.of(value));
      case "allOf" -> {
        List<Shape> all = List.of(Shape.ANYTHING);
        for (JsonNode part : values.list(schema, keyword)) {
          all = terms.and(all, terms.shapes(part, false), schema);
        }
        yield all;
      }
      case "anyOf" -> {
        List<Shape> any = new ArrayList<>();
        values.list(schema, keyword).forEach(way -> any.addAll(terms.shapes(way, false)));
        yield terms.merged(any);
      }
      case "oneOf" -> oneOf(schema, sofar);
      case "not" -> terms.shapes(value, true);
      case "if" -> conditional(schema, "then", "else", false);
      case "dependentRequired", "dependentSchemas", "dependencies" -> {
        List<Shape> all = List.of(Shape.ANYTHING);
        for (Map.Entry<String, JsonNode> entry : values.members(schema, keyword)) {
          all = terms.and(all, dependent(schema, keyword, entry.getKey(), entry.getValue()), schema);
        }
        yield all;
      }
      default -> null;
    };
  }

  /** Exactly one case: each without those others with which it may share a value. */
  private List<Shape> oneOf(JsonNode schema, List<Shape> sofar) {
    List<JsonNode> cases = values.list(schema, "oneOf");
    List<List<Shape>> shapes = new ArrayList<>();
    for (JsonNode one : cases) {
      shapes.add(terms.and(sofar, terms.shapes(one, false), schema));
    }
    List<Shape> all = new ArrayList<>();
    for (int i = 0; i < cases.size(); i++) {
      List<Shape> one = shapes.get(i);
      for (int j = 0; j < cases.size() && !one.isEmpty(); j++) {
        if (i != j && !terms.isEmpty(terms.and(one, shapes.get(j), schema))) {
          one = terms.and(one, terms.shapes(cases.get(j), true), schema);
        }
      }
      all.addAll(one);
    }
    return terms.merged(all);
  }

  /** What {@code if} says with its two ways, or that the way does not hold which it takes. */
  List<Shape> conditional(JsonNode schema, String then, String otherwise, boolean complement) {
    JsonNode condition = schema.get("if");
    List<Shape> all = new ArrayList<>();
    if (schema.has(then)) {
      all.addAll(terms.and(terms.shapes(condition, false), terms.shapes(schema.get(then), complement), schema));
    } else if (!complement) {
      all.addAll(terms.shapes(condition, false));
    }
    if (schema.has(otherwise)) {
      all.addAll(terms.and(terms.shapes(condition, true), terms.shapes(schema.get(otherwise), complement), schema));
    } else if (!complement) {
      if (!schema.has(then)) {
        return List.of(Shape.ANYTHING);
      }
      all.addAll(terms.shapes(condition, true));
    }
    return terms.merged(all);
  }

  private List<Shape> dependent(JsonNode schema, String keyword, String name, JsonNode value) {
    List<Shape> then;
    if (value.isArray()) {
      then = List.of(Shape.of(ObjectRule.requiring(values.names(schema, keyword, value))));
    } else if (value.isString()) { // draft 3
      then = List.of(Shape.of(ObjectRule.requiring(Set.of(value.stringValue()))));
    } else {
      then = terms.and(terms.shapes(value, false), List.of(Shape.of(ObjectRule.ANY)), schema);
    }
    List<Shape> all = new ArrayList<>();
    all.add(Shape.ANYTHING.with(ObjectRule.property(name, terms.nothing)));
    all.addAll(terms.and(List.of(Shape.of(ObjectRule.requiring(Set.of(name)))), then, schema));
    return all;
  }
}
