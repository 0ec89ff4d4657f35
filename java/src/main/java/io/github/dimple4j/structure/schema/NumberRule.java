package io.github.dimple4j.structure.schema;

import io.github.dimple4j.structure.RefusedSchemaException;
import io.github.dimple4j.structure.json.NumberRange;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.List;

/**
 * What a shape says of numbers.
 *
 * @param range the bounds
 * @param only if not null, the only numbers that fit, as they are spelled, if they are in the range
 * @param divisors what they are multiples of
 * @param strangers what they are no multiples of
 * @param unheld why that cannot be held where not {@code only} these numbers fit, or null: nothing is said of multiples
 */
record NumberRule(NumberRange range, List<BigDecimal> only, List<BigDecimal> divisors, List<BigDecimal> strangers, RefusedSchemaException unheld) {
  static final NumberRule ANY = within(NumberRange.ANY);

  static NumberRule within(NumberRange range) {
    return new NumberRule(range, null, List.of(), List.of(), null);
  }

  static NumberRule only(List<BigDecimal> numbers) {
    return new NumberRule(NumberRange.ANY, numbers, List.of(), List.of(), null);
  }

  static NumberRule multiples(BigDecimal divisor, RefusedSchemaException unheld) {
    return new NumberRule(NumberRange.ANY, null, List.of(divisor), List.of(), unheld);
  }

  static NumberRule otherThanMultiples(BigDecimal divisor, RefusedSchemaException unheld) {
    return new NumberRule(NumberRange.ANY, null, List.of(), List.of(divisor), unheld);
  }

  NumberRule and(NumberRule other) {
    List<BigDecimal> both = only == null ? other.only : only;
    if (only != null && other.only != null) {
      both = only.stream().filter(value -> other.only.stream().anyMatch(same -> same.compareTo(value) == 0)).toList();
    }
    return new NumberRule(range.and(other.range), both, union(divisors, other.divisors), union(strangers, other.strangers),
        unheld == null ? other.unheld : unheld);
  }

  private static List<BigDecimal> union(List<BigDecimal> some, List<BigDecimal> others) {
    List<BigDecimal> all = new ArrayList<>(some);
    others.stream().filter(number -> !all.contains(number)).forEach(all::add);
    return all;
  }

  boolean isEmpty() {
    return range.isEmpty() || only != null && values().isEmpty();
  }

  /** Of {@link #only} those that fit. */
  List<BigDecimal> values() {
    return only.stream().filter(value -> range.contains(value) && divisors.stream().allMatch(divisor -> isMultiple(value, divisor))
        && strangers.stream().noneMatch(divisor -> isMultiple(value, divisor))).toList();
  }

  private static boolean isMultiple(BigDecimal value, BigDecimal divisor) {
    return value.remainder(divisor).signum() == 0;
  }
}
