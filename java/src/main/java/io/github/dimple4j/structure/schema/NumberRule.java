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
 * @param unheld what cannot be held of the rule, or null
 */
record NumberRule(NumberRange range, List<BigDecimal> only, List<BigDecimal> divisors, RefusedSchemaException unheld) {
  static final NumberRule ANY = new NumberRule(NumberRange.ANY, null, List.of(), null);

  static NumberRule within(NumberRange range) {
    return new NumberRule(range, null, List.of(), null);
  }

  NumberRule and(NumberRule other) {
    List<BigDecimal> both = only == null ? other.only : only;
    if (only != null && other.only != null) {
      both = only.stream().filter(value -> other.only.stream().anyMatch(same -> same.compareTo(value) == 0)).toList();
    }
    List<BigDecimal> all = new ArrayList<>(divisors);
    other.divisors.stream().filter(divisor -> !all.contains(divisor)).forEach(all::add);
    return new NumberRule(range.and(other.range), both, all, unheld == null ? other.unheld : unheld);
  }

  boolean isEmpty() {
    return range.isEmpty() || only != null && values().isEmpty();
  }

  /** Of {@link #only} those that fit. */
  List<BigDecimal> values() {
    return only.stream().filter(value -> range.contains(value)
        && divisors.stream().allMatch(divisor -> value.remainder(divisor).signum() == 0))
        .toList();
  }
}
