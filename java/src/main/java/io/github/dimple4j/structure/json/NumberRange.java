package io.github.dimple4j.structure.json;

import java.math.BigDecimal;

/**
 * Bounds of a number.
 *
 * @param integers whether whole numbers are meant
 * @param fractions whether the others are meant
 * @param low the least, or null
 * @param lowOpen whether {@code low} itself is left out
 * @param high the greatest, or null
 * @param highOpen whether {@code high} itself is left out
 */
public record NumberRange(boolean integers, boolean fractions, BigDecimal low, boolean lowOpen, BigDecimal high, boolean highOpen) {
  /** Digits before or behind the point beyond which no automaton spells a number: a double has up to 309 before it and 1074 behind. */
  public static final int MOST_DIGITS = 2000;

  /** Every number. */
  public static final NumberRange ANY = new NumberRange(true, true, null, false, null, false);
  /** Every whole number. */
  public static final NumberRange INTEGERS = new NumberRange(true, false, null, false, null, false);
  /** No number. */
  public static final NumberRange NOTHING = new NumberRange(false, false, null, false, null, false);

  /** Whether a number has at most {@link #MOST_DIGITS} on both sides: one of an exponent of a thousand million takes no memory, its digits all. */
  public static boolean canBeSpelled(BigDecimal value) {
    return Math.abs((long) value.scale()) <= MOST_DIGITS && value.precision() <= MOST_DIGITS;
  }

  /** The numbers in both. */
  public NumberRange and(NumberRange other) {
    BigDecimal least = low;
    boolean leastOpen = lowOpen;
    if (other.low != null && (least == null || other.low.compareTo(least) >= 0)) {
      leastOpen = other.lowOpen || least != null && other.low.compareTo(least) == 0 && lowOpen;
      least = other.low;
    }
    BigDecimal most = high;
    boolean mostOpen = highOpen;
    if (other.high != null && (most == null || other.high.compareTo(most) <= 0)) {
      mostOpen = other.highOpen || most != null && other.high.compareTo(most) == 0 && highOpen;
      most = other.high;
    }
    return new NumberRange(integers && other.integers, fractions && other.fractions, least, leastOpen, most, mostOpen);
  }

  /** Whether a number is within. */
  public boolean contains(BigDecimal value) {
    boolean whole = value.signum() == 0 || value.stripTrailingZeros().scale() <= 0;
    return (whole ? integers : fractions) && (low == null || value.compareTo(low) >= (lowOpen ? 1 : 0))
        && (high == null || value.compareTo(high) <= (highOpen ? -1 : 0));
  }

  /** Whether no number is within. */
  public boolean isEmpty() {
    if (!integers && !fractions) {
      return true;
    }
    if (low == null || high == null) {
      return false;
    }
    if (!fractions) {
      BigDecimal least = low.setScale(0, java.math.RoundingMode.CEILING);
      least = lowOpen && least.compareTo(low) == 0 ? least.add(BigDecimal.ONE) : least;
      return least.compareTo(high) > (highOpen ? -1 : 0);
    }
    int order = low.compareTo(high);
    return order > 0 || order == 0 && (lowOpen || highOpen || !contains(low));
  }
}
