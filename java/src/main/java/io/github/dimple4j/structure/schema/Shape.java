package io.github.dimple4j.structure.schema;

import io.github.dimple4j.structure.json.NumberRange;

/**
 * What a schema without alternatives says: for each type of value a rule, or that no value of the type fits. The values that fit are
 * those of all types together.
 *
 * @param nulls whether null fits
 * @param booleans 1 if {@code false} fits, plus 2 if {@code true} does
 * @param number the rule for numbers; null if none fits, as with the others
 * @param string the rule for strings
 * @param array the rule for arrays
 * @param object the rule for objects
 */
record Shape(boolean nulls, int booleans, NumberRule number, StringRule string, ArrayRule array, ObjectRule object) {
  static final Shape ANYTHING = new Shape(true, 3, NumberRule.ANY, StringRule.ANY, ArrayRule.ANY, ObjectRule.ANY);
  static final Shape NOTHING = new Shape(false, 0, null, null, null, null);

  static Shape of(NumberRule rule) {
    return new Shape(false, 0, rule, null, null, null);
  }

  static Shape of(StringRule rule) {
    return new Shape(false, 0, null, rule, null, null);
  }

  static Shape of(ArrayRule rule) {
    return new Shape(false, 0, null, null, rule, null);
  }

  static Shape of(ObjectRule rule) {
    return new Shape(false, 0, null, null, null, rule);
  }

  Shape with(ObjectRule rule) {
    return new Shape(nulls, booleans, number, string, array, rule);
  }

  /** Both hold. */
  Shape and(Shape other) {
    return new Shape(nulls && other.nulls, booleans & other.booleans,
        number == null || other.number == null ? null : number.and(other.number),
        string == null || other.string == null ? null : string.and(other.string),
        array == null || other.array == null ? null : array.and(other.array),
        object == null || other.object == null ? null : object.and(other.object));
  }

  /** Whether no type has a rule in both, so that one shape can say what they say together. */
  boolean apart(Shape other) {
    return (number == null || other.number == null) && (string == null || other.string == null) && (array == null || other.array == null)
        && (object == null || other.object == null);
  }

  /** One or the other holds; they are {@link #apart}. */
  Shape or(Shape other) {
    return new Shape(nulls || other.nulls, booleans | other.booleans, number == null ? other.number : number,
        string == null ? other.string : string, array == null ? other.array : array, object == null ? other.object : object);
  }

  /** Without the types whose rule is known to fit nothing, as far as that is seen at once. */
  Shape pruned() {
    return new Shape(nulls, booleans, number != null && number.isEmpty() ? null : number,
        string != null && string.isPlainlyEmpty() ? null : string,
        array != null && array.isPlainlyEmpty() ? null : array, object != null && object.isPlainlyEmpty() ? null : object);
  }

  boolean isNothing() {
    return !nulls && booleans == 0 && number == null && string == null && array == null && object == null;
  }

  /** The shape of one of the type names. */
  static Shape ofType(String name) {
    return switch (name) {
      case "null" -> new Shape(true, 0, null, null, null, null);
      case "boolean" -> new Shape(false, 3, null, null, null, null);
      case "number" -> of(NumberRule.ANY);
      case "integer" -> of(NumberRule.within(NumberRange.INTEGERS));
      case "string" -> of(StringRule.ANY);
      case "array" -> of(ArrayRule.ANY);
      case "object" -> of(ObjectRule.ANY);
      default -> null;
    };
  }
}
