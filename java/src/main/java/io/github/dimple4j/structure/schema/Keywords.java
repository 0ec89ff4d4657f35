package io.github.dimple4j.structure.schema;

import io.github.dimple4j.structure.RefusedSchemaException;
import io.github.dimple4j.structure.json.NumberRange;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.JsonNodeFactory;

/**
 * What the keywords of a schema say, and what their complements say. Both are exact: what cannot be said of a type is a refusal in
 * that type's rule, which counts only if values of the type remain.
 */
final class Keywords {
  private static final List<String> TYPES = List.of("null", "boolean", "number", "string", "array", "object");

  private final Terms terms;
  private final Map<JsonNode, JsonNode> constants = new IdentityHashMap<>();

  Keywords(Terms terms) {
    this.terms = terms;
  }

  private RefusedSchemaException refusal(JsonNode schema, String keyword, String reason) {
    return terms.document.refusal(schema, keyword, reason);
  }

  private boolean referenceStandsAlone(JsonNode schema) {
    return schema.has("$ref") && terms.document.draft().referencesStandAlone();
  }

  /** What a schema says. */
  List<Shape> shapes(JsonNode schema) {
    if (schema.isBoolean()) {
      return schema.booleanValue() ? List.of(Shape.ANYTHING) : List.of();
    }
    expect(schema.isObject(), schema, "", "a schema is an object, true or false");
    if (referenceStandsAlone(schema)) {
      return reference(schema, "$ref", false);
    }
    List<Shape> all = List.of(assertions(schema).pruned());
    for (Map.Entry<String, JsonNode> entry : schema.properties()) {
      List<Shape> more = applied(schema, entry.getKey(), entry.getValue(), all);
      if (more != null) {
        all = terms.and(all, more, schema);
      }
    }
    return all.stream().filter(shape -> !shape.isNothing()).toList();
  }

  private List<Shape> reference(JsonNode schema, String keyword, boolean complement) {
    return terms.shapes(terms.document.target(schema, keyword), complement);
  }

  private void expect(boolean condition, JsonNode schema, String keyword, String otherwise) {
    if (!condition) {
      throw refusal(schema, keyword, otherwise);
    }
  }

  /** Keywords that bring alternatives or other schemas; null for all others. */
  private List<Shape> applied(JsonNode schema, String keyword, JsonNode value, List<Shape> sofar) {
    return switch (keyword) {
      case "$ref", "$dynamicRef", "$recursiveRef" -> reference(schema, keyword, false);
      case "enum" -> {
        expect(value.isArray(), schema, keyword, "not a list");
        yield constants(value);
      }
      case "const" -> constants(List.of(value));
      case "allOf" -> {
        List<Shape> all = List.of(Shape.ANYTHING);
        for (JsonNode part : list(schema, keyword)) {
          all = terms.and(all, terms.shapes(part, false), schema);
        }
        yield all;
      }
      case "anyOf" -> {
        List<Shape> any = new ArrayList<>();
        list(schema, keyword).forEach(way -> any.addAll(terms.shapes(way, false)));
        yield terms.merged(any);
      }
      case "oneOf" -> oneOf(schema, sofar);
      case "not" -> terms.shapes(value, true);
      case "if" -> conditional(schema, "then", "else", false);
      case "dependentRequired", "dependentSchemas", "dependencies" -> {
        List<Shape> all = List.of(Shape.ANYTHING);
        for (Map.Entry<String, JsonNode> entry : members(schema, keyword)) {
          all = terms.and(all, dependent(schema, keyword, entry.getKey(), entry.getValue()), schema);
        }
        yield all;
      }
      default -> null;
    };
  }

  private List<JsonNode> list(JsonNode schema, String keyword) {
    JsonNode value = schema.get(keyword);
    expect(value.isArray(), schema, keyword, "not a list of schemas");
    List<JsonNode> all = new ArrayList<>();
    value.forEach(all::add);
    return all;
  }

  private Set<Map.Entry<String, JsonNode>> members(JsonNode schema, String keyword) {
    JsonNode value = schema.path(keyword);
    expect(value.isMissingNode() || value.isObject(), schema, keyword, "not an object");
    return value.properties();
  }

  /** Exactly one case: each without those others with which it may share a value. */
  private List<Shape> oneOf(JsonNode schema, List<Shape> sofar) {
    List<JsonNode> cases = list(schema, "oneOf");
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

  private List<Shape> conditional(JsonNode schema, String then, String otherwise, boolean complement) {
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

  private Shape absent(String name) {
    return Shape.ANYTHING.with(ObjectRule.property(name, nothing()));
  }

  private Term nothing() {
    return terms.of(tools.jackson.databind.node.BooleanNode.FALSE, false);
  }

  private List<Shape> dependent(JsonNode schema, String keyword, String name, JsonNode value) {
    List<Shape> then;
    if (value.isArray()) {
      then = List.of(Shape.of(ObjectRule.requiring(strings(schema, keyword, value))));
    } else if (value.isString()) { // draft 3
      then = List.of(Shape.of(ObjectRule.requiring(Set.of(value.stringValue()))));
    } else {
      then = terms.and(terms.shapes(value, false), List.of(Shape.of(ObjectRule.ANY)), schema);
    }
    List<Shape> all = new ArrayList<>();
    all.add(absent(name));
    all.addAll(terms.and(List.of(Shape.of(ObjectRule.requiring(Set.of(name)))), then, schema));
    return all;
  }

  private Set<String> strings(JsonNode schema, String keyword, JsonNode value) {
    Set<String> all = new LinkedHashSet<>();
    expect(value.isArray(), schema, keyword, "not a list of names");
    for (JsonNode name : value) {
      expect(name.isString(), schema, keyword, "not a list of names");
      all.add(name.stringValue());
    }
    return all;
  }

  /** The values themselves: scalars together, arrays and objects one by one. */
  private List<Shape> constants(Iterable<JsonNode> values) {
    boolean nulls = false;
    int booleans = 0;
    Set<BigDecimal> numbers = new LinkedHashSet<>();
    Set<String> strings = new LinkedHashSet<>();
    List<Shape> all = new ArrayList<>();
    for (JsonNode value : values) {
      if (value.isNull()) {
        nulls = true;
      } else if (value.isBoolean()) {
        booleans |= value.booleanValue() ? 2 : 1;
      } else if (value.isNumber()) {
        numbers.add(value.decimalValue());
      } else if (value.isString()) {
        strings.add(value.stringValue());
      } else if (value.isArray()) {
        List<Term> items = new ArrayList<>();
        value.forEach(item -> items.add(constant(item)));
        all.add(Shape.of(new ArrayRule(List.of(new ArrayRule.Items(items, null)), items.size(), items.size(), null)));
      } else {
        Map<String, Term> properties = new LinkedHashMap<>();
        value.properties().forEach(entry -> properties.put(entry.getKey(), constant(entry.getValue())));
        ObjectRule.Part part = new ObjectRule.Part(properties, List.of(), nothing());
        all.add(Shape.of(new ObjectRule(List.of(part), properties.keySet(), List.of(), 0, ObjectRule.UNBOUNDED, null)));
      }
    }
    Shape scalars = new Shape(nulls, booleans,
        numbers.isEmpty() ? null : new NumberRule(NumberRange.ANY, List.copyOf(numbers), List.of(), null),
        strings.isEmpty() ? null : StringRule.only(strings), null, null);
    if (!scalars.isNothing()) {
      all.add(scalars);
    }
    return terms.merged(all);
  }

  private Term constant(JsonNode value) {
    return terms.of(constants.computeIfAbsent(value, any -> JsonNodeFactory.instance.objectNode().set("const", any)), false);
  }

  private static BigDecimal normal(BigDecimal value) {
    return value.signum() == 0 ? BigDecimal.ZERO : value.stripTrailingZeros();
  }

  // Assertions, which say something of one type each.

  private Shape assertions(JsonNode schema) {
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

  private Shape types(JsonNode schema) {
    JsonNode type = schema.path("type");
    if (type.isMissingNode()) {
      return Shape.ANYTHING;
    }
    Shape all = Shape.NOTHING;
    boolean numbers = false;
    for (String name : type.isString() ? Set.of(type.stringValue()) : strings(schema, "type", type)) {
      Shape one = Shape.ofType(name);
      expect(one != null, schema, "type", "the unknown type " + name);
      if (!(name.equals("integer") && numbers)) {
        Shape others = new Shape(all.nulls(), all.booleans(), null, all.string(), all.array(), all.object());
        all = name.equals("number") ? others.or(one) : all.or(one);
      }
      numbers |= name.equals("number");
    }
    return all;
  }

  private BigDecimal decimal(JsonNode schema, String keyword) {
    JsonNode value = schema.path(keyword);
    if (value.isMissingNode()) {
      return null;
    }
    expect(value.isNumber(), schema, keyword, "not a number");
    return normal(value.decimalValue());
  }

  private NumberRule number(JsonNode schema) {
    BigDecimal low = decimal(schema, "minimum");
    BigDecimal high = decimal(schema, "maximum");
    NumberRange range;
    if (terms.document.draft() == SchemaDocument.Draft.FOUR || schema.path("exclusiveMinimum").isBoolean()
        || schema.path("exclusiveMaximum").isBoolean()) {
      range = new NumberRange(true, true, low, schema.path("exclusiveMinimum").asBoolean(false), high,
          schema.path("exclusiveMaximum").asBoolean(false));
      expect(!schema.path("exclusiveMinimum").isNumber() && !schema.path("exclusiveMaximum").isNumber(), schema, "exclusiveMinimum",
          "a number, where this draft has true or false");
    } else {
      range = new NumberRange(true, true, low, false, high, false)
          .and(new NumberRange(true, true, decimal(schema, "exclusiveMinimum"), true, decimal(schema, "exclusiveMaximum"), true));
    }
    BigDecimal divisor = decimal(schema, "multipleOf");
    if (divisor != null) {
      expect(divisor.signum() > 0, schema, "multipleOf", "not a number above 0");
      return new NumberRule(range, null, List.of(divisor), refusal(schema, "multipleOf", "multipleOf"));
    }
    return NumberRule.within(range);
  }

  private long size(JsonNode schema, String keyword, long otherwise) {
    BigDecimal value = decimal(schema, keyword);
    if (value == null) {
      return otherwise;
    }
    expect(value.signum() >= 0 && value.scale() <= 0 && value.compareTo(BigDecimal.valueOf(Long.MAX_VALUE)) < 0, schema, keyword,
        "not a count");
    return value.longValueExact();
  }

  private StringRule string(JsonNode schema) {
    StringRule rule = StringRule.ANY;
    if (schema.has("minLength") || schema.has("maxLength")) {
      rule = StringRule.ofLength(size(schema, "minLength", 0), size(schema, "maxLength", StringRule.UNBOUNDED));
    }
    if (schema.has("pattern")) {
      expect(schema.get("pattern").isString(), schema, "pattern", "not a string");
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
      rule = ArrayRule.ofLength(size(schema, "minItems", 0), size(schema, "maxItems", ArrayRule.UNBOUNDED));
    }
    boolean tuple = schema.path("items").isArray();
    if (schema.has("items") || schema.has("prefixItems")) {
      List<Term> first = new ArrayList<>();
      if (schema.has("prefixItems") && !terms.document.draft().knows("prefixItems")) {
        rule = rule.and(new ArrayRule(List.of(new ArrayRule.Items(list(schema, "prefixItems").stream().map(item -> terms.of(item, false))
            .toList(),
            null)), 0, ArrayRule.UNBOUNDED, null));
      } else if (schema.has("prefixItems")) {
        list(schema, "prefixItems").forEach(item -> first.add(terms.of(item, false)));
      } else if (tuple) {
        list(schema, "items").forEach(item -> first.add(terms.of(item, false)));
      }
      JsonNode others = tuple ? schema.path("additionalItems") : schema.path("items");
      rule = rule.and(new ArrayRule(List.of(new ArrayRule.Items(first, others.isMissingNode() ? null : terms.of(others, false))), 0,
          ArrayRule.UNBOUNDED, null));
    }
    if (schema.path("uniqueItems").asBoolean(false)) {
      rule = rule.and(ArrayRule.unheld(refusal(schema, "uniqueItems", "uniqueItems")));
    }
    if (schema.has("contains") && size(schema, "minContains", 1) > 0 || schema.has("contains") && schema.has("maxContains")) {
      rule = rule.and(ArrayRule.unheld(refusal(schema, "contains", "contains")));
    }
    if (unevaluated(schema, "unevaluatedItems")) {
      rule = rule.and(ArrayRule.unheld(refusal(schema, "unevaluatedItems", "unevaluatedItems")));
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
      rule = rule.and(ObjectRule.requiring(strings(schema, "required", schema.get("required"))));
    }
    if (schema.has("minProperties") || schema.has("maxProperties")) {
      rule = rule.and(ObjectRule.ofSize(size(schema, "minProperties", 0), size(schema, "maxProperties", ObjectRule.UNBOUNDED)));
    }
    if (schema.has("propertyNames")) {
      rule = rule.and(new ObjectRule(List.of(), Set.of(), List.of(terms.of(schema.get("propertyNames"), false)), 0, ObjectRule.UNBOUNDED,
          null));
    }
    if (unevaluated(schema, "unevaluatedProperties")) {
      rule = rule.and(ObjectRule.unheld(refusal(schema, "unevaluatedProperties", "unevaluatedProperties")));
    }
    return rule;
  }

  private ObjectRule.Part part(JsonNode schema) {
    Map<String, Term> properties = new LinkedHashMap<>();
    for (Map.Entry<String, JsonNode> entry : members(schema, "properties")) {
      properties.put(entry.getKey(), terms.of(entry.getValue(), false));
    }
    List<ObjectRule.PatternProperties> patterns = new ArrayList<>();
    for (Map.Entry<String, JsonNode> entry : members(schema, "patternProperties")) {
      patterns.add(new ObjectRule.PatternProperties(new StringRule.Match(schema, "patternProperties", entry.getKey(), false),
          terms.of(entry.getValue(), false)));
    }
    JsonNode others = schema.path("additionalProperties");
    return new ObjectRule.Part(properties, patterns, others.isMissingNode() ? null : terms.of(others, false));
  }

  // Complements: one keyword at least does not hold.

  /** What does not fit a schema. */
  List<Shape> complement(JsonNode schema) {
    if (schema.isBoolean()) {
      return schema.booleanValue() ? List.of() : List.of(Shape.ANYTHING);
    }
    expect(schema.isObject(), schema, "", "a schema is an object, true or false");
    if (referenceStandsAlone(schema)) {
      return reference(schema, "$ref", true);
    }
    List<Shape> all = new ArrayList<>();
    for (Map.Entry<String, JsonNode> entry : schema.properties()) {
      complement(schema, entry.getKey(), entry.getValue(), all);
    }
    return terms.merged(all.stream().map(Shape::pruned).filter(shape -> !shape.isNothing()).toList());
  }

  private void complement(JsonNode schema, String keyword, JsonNode value, List<Shape> all) {
    if (!terms.document.draft().knows(keyword)) {
      return; // elsewhere it is taken at its word, which admits less; here that would admit more
    }
    RefusedSchemaException unheld = refusal(schema, keyword, "what does not fit " + keyword
        + " (asked for by not, oneOf, if or dependencies)");
    switch (keyword) {
      case "type" -> all.add(otherTypes(schema));
      case "enum" -> all.addAll(exceptConstants(value, unheld));
      case "const" -> all.addAll(exceptConstants(List.of(value), unheld));
      case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum" -> beyond(schema, keyword, all);
      case "multipleOf" -> all.add(Shape.of(new NumberRule(NumberRange.ANY, null, List.of(), unheld)));
      case "minLength" -> shorter(size(schema, keyword, 0)).ifPresent(most -> all.add(Shape.of(StringRule.ofLength(0, most))));
      case "maxLength" -> all.add(Shape.of(StringRule.ofLength(size(schema, keyword, 0) + 1, StringRule.UNBOUNDED)));
      case "pattern" -> all.add(Shape.of(StringRule.matching(new StringRule.Match(schema, keyword, value.asString(), true))));
      case "format" -> {
        if (value.isString() && Formats.isKnown(value.stringValue())) {
          all.add(Shape.of(StringRule.unheld(unheld)));
        }
      }
      case "minItems" -> shorter(size(schema, keyword, 0)).ifPresent(most -> all.add(Shape.of(ArrayRule.ofLength(0, most))));
      case "maxItems" -> all.add(Shape.of(ArrayRule.ofLength(size(schema, keyword, 0) + 1, ArrayRule.UNBOUNDED)));
      case "items", "prefixItems", "additionalItems", "contains", "uniqueItems", "unevaluatedItems" -> {
        boolean free = value.isBoolean() && value.booleanValue() == !keyword.equals("uniqueItems");
        if (!free) {
          all.add(Shape.of(ArrayRule.unheld(unheld)));
        }
      }
      case "minProperties" -> shorter(size(schema, keyword, 0)).ifPresent(most -> all.add(Shape.of(ObjectRule.ofSize(0, most))));
      case "maxProperties" -> all.add(Shape.of(ObjectRule.ofSize(size(schema, keyword, 0) + 1, ObjectRule.UNBOUNDED)));
      case "properties" -> members(schema, keyword).forEach(entry -> all.add(Shape.of(ObjectRule
          .property(entry.getKey(), terms.of(entry.getValue(), true)).and(ObjectRule.requiring(Set.of(entry.getKey()))))));
      case "required" -> strings(schema, keyword, value).forEach(name -> all.add(Shape.of(ObjectRule.property(name, nothing()))));
      case "patternProperties", "additionalProperties", "propertyNames", "unevaluatedProperties" -> {
        if (!(value.isBoolean() && value.booleanValue())) {
          all.add(Shape.of(ObjectRule.unheld(unheld)));
        }
      }
      case "$ref", "$dynamicRef", "$recursiveRef" -> all.addAll(reference(schema, keyword, true));
      case "allOf" -> list(schema, keyword).forEach(part -> all.addAll(terms.shapes(part, true)));
      case "anyOf" -> all.addAll(none(schema, list(schema, keyword)));
      case "oneOf" -> {
        List<JsonNode> cases = list(schema, keyword);
        all.addAll(none(schema, cases));
        for (int i = 0; i < cases.size(); i++) {
          for (int j = 0; j < i; j++) {
            all.addAll(terms.and(terms.shapes(cases.get(i), false), terms.shapes(cases.get(j), false), schema));
          }
        }
      }
      case "not" -> all.addAll(terms.shapes(value, false));
      case "if" -> all.addAll(conditional(schema, "then", "else", true));
      case "dependentRequired", "dependentSchemas", "dependencies" -> {
        for (Map.Entry<String, JsonNode> entry : members(schema, keyword)) {
          Shape there = Shape.of(ObjectRule.requiring(Set.of(entry.getKey())));
          if (entry.getValue().isArray()) {
            strings(schema, keyword, entry.getValue())
                .forEach(name -> all.add(there.and(Shape.of(ObjectRule.property(name, nothing())))));
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

  private static java.util.Optional<Long> shorter(long length) {
    return length == 0 ? java.util.Optional.empty() : java.util.Optional.of(length - 1);
  }

  private List<Shape> none(JsonNode schema, List<JsonNode> ways) {
    List<Shape> all = List.of(Shape.ANYTHING);
    for (JsonNode way : ways) {
      all = terms.and(all, terms.shapes(way, true), schema);
    }
    return all;
  }

  private Shape otherTypes(JsonNode schema) {
    Shape types = types(schema);
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
    NumberRange range = number(schema).range();
    boolean lower = keyword.toLowerCase(java.util.Locale.ROOT).contains("min");
    if (lower && range.low() != null) {
      all.add(Shape.of(NumberRule.within(new NumberRange(true, true, null, false, range.low(), !range.lowOpen()))));
    } else if (!lower && range.high() != null) {
      all.add(Shape.of(NumberRule.within(new NumberRange(true, true, range.high(), !range.highOpen(), null, false))));
    }
  }

  private List<Shape> exceptConstants(Iterable<JsonNode> values, RefusedSchemaException unheld) {
    boolean nulls = true;
    int booleans = 3;
    boolean array = false;
    boolean object = false;
    Set<String> strings = new LinkedHashSet<>();
    Set<BigDecimal> numbers = new java.util.TreeSet<>();
    for (JsonNode value : values) {
      nulls &= !value.isNull();
      array |= value.isArray();
      object |= value.isObject();
      if (value.isBoolean()) {
        booleans &= value.booleanValue() ? 1 : 2;
      } else if (value.isString()) {
        strings.add(value.stringValue());
      } else if (value.isNumber()) {
        numbers.add(value.decimalValue());
      }
    }
    List<Shape> all = new ArrayList<>();
    all.add(new Shape(nulls, booleans, numbers.isEmpty() ? NumberRule.ANY : null,
        strings.isEmpty() ? StringRule.ANY : StringRule.except(strings),
        array ? ArrayRule.unheld(unheld) : ArrayRule.ANY, object ? ObjectRule.unheld(unheld) : ObjectRule.ANY));
    BigDecimal last = null;
    for (BigDecimal number : numbers) {
      all.add(Shape.of(NumberRule.within(new NumberRange(true, true, last, true, number, true))));
      last = number;
    }
    if (last != null) {
      all.add(Shape.of(NumberRule.within(new NumberRange(true, true, last, true, null, false))));
    }
    return all;
  }
}
