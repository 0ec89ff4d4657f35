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
import java.util.TreeSet;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.JsonNodeFactory;

/** Values that a schema spells out ({@code enum}, {@code const}), and all others. */
final class Constants {
  private final Terms terms;
  private final Map<JsonNode, JsonNode> schemas = new IdentityHashMap<>();

  Constants(Terms terms) {
    this.terms = terms;
  }

  /** The values themselves: scalars together, arrays and objects one by one. */
  List<Shape> of(Iterable<JsonNode> values) {
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
        numbers.add(number(value));
      } else if (value.isString()) {
        strings.add(value.stringValue());
      } else if (value.isArray()) {
        List<Term> items = new ArrayList<>();
        value.forEach(item -> items.add(constant(item)));
        all.add(Shape.of(ArrayRule.of(new ArrayRule.Items(items, null)).and(ArrayRule.ofLength(items.size(), items.size()))));
      } else {
        Map<String, Term> properties = new LinkedHashMap<>();
        value.properties().forEach(entry -> properties.put(entry.getKey(), constant(entry.getValue())));
        ObjectRule.Part part = new ObjectRule.Part(properties, List.of(), terms.nothing);
        all.add(Shape.of(new ObjectRule(List.of(part), properties.keySet(), List.of(), 0, ObjectRule.UNBOUNDED, null)));
      }
    }
    Shape scalars = new Shape(nulls, booleans,
        numbers.isEmpty() ? null : NumberRule.only(List.copyOf(numbers)),
        strings.isEmpty() ? null : StringRule.only(strings), null, null);
    if (!scalars.isNothing()) {
      all.add(scalars);
    }
    return terms.merged(all);
  }

  private Term constant(JsonNode value) {
    return terms.of(schemas.computeIfAbsent(value, any -> JsonNodeFactory.instance.objectNode().set("const", any)), false);
  }

  private static BigDecimal number(JsonNode value) {
    if (!NumberRange.canBeSpelled(value.decimalValue())) {
      throw new RefusedSchemaException("#", "a value that is a number of more than " + NumberRange.MOST_DIGITS + " digits");
    }
    return value.decimalValue();
  }

  /**
   * All values but these.
   *
   * @param unheld where arrays or objects are among them
   */
  List<Shape> except(Iterable<JsonNode> values, RefusedSchemaException unheld) {
    boolean nulls = true;
    int booleans = 3;
    boolean array = false;
    boolean object = false;
    Set<String> strings = new LinkedHashSet<>();
    Set<BigDecimal> numbers = new TreeSet<>();
    for (JsonNode value : values) {
      nulls &= !value.isNull();
      array |= value.isArray();
      object |= value.isObject();
      if (value.isBoolean()) {
        booleans &= value.booleanValue() ? 1 : 2;
      } else if (value.isString()) {
        strings.add(value.stringValue());
      } else if (value.isNumber()) {
        numbers.add(number(value));
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
