package io.github.dimple4j.structure.json;

import io.github.dimple4j.structure.automaton.Graph;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.List;

/**
 * Numbers of JSON. Numbers with a bound and whole numbers are spelled without exponent, whole numbers without fraction, and zero
 * without a sign; a number without bounds has every spelling, its exponent up to two digits, or 1 and two more. So has one whose bounds are those of
 * a double, or as far away, which all numbers of 40 digits before the point are within.
 */
final class JsonNumbers {
  private static final int UNBOUNDED = 0;
  private static final int WHOLE_DIGITS = 40;
  private static final BigDecimal BEYOND_THESE = new BigDecimal("1e240"); // 40 digits and an exponent of 199 stay below

  private final Graph graph;

  JsonNumbers(Graph graph) {
    this.graph = graph;
  }

  /** A number within the range. */
  int within(NumberRange range, int to) {
    if (range.isEmpty()) {
      return Graph.NONE;
    }
    if (range.low() == null && range.high() == null && range.integers()) {
      return range.fractions() ? spelled(UNBOUNDED, to) : graph.either(magnitude(Bound.ZERO, null, true, false, to),
          graph.symbol('-', magnitude(Bound.ABOVE_ZERO, null, true, false, to)));
    }
    boolean nearlyAll = range.low() != null && range.low().compareTo(BEYOND_THESE.negate()) <= 0 && range.high() != null
        && range.high().compareTo(BEYOND_THESE) >= 0;
    if (nearlyAll && range.integers() && range.fractions()) {
      return spelled(WHOLE_DIGITS, to);
    }
    Bound low = range.low() == null ? null : new Bound(range.low().abs(), range.lowOpen());
    Bound high = range.high() == null ? null : new Bound(range.high().abs(), range.highOpen());
    int lowSign = range.low() == null ? -1 : range.low().signum();
    int highSign = range.high() == null ? 1 : range.high().signum();
    int positive = highSign < 0 ? Graph.NONE
        : magnitude(lowSign < 0 ? Bound.ZERO : low, high, range.integers(), range.fractions(), to);
    int negative = lowSign >= 0 ? Graph.NONE
        : magnitude(highSign >= 0 ? Bound.ABOVE_ZERO : high, low, range.integers(), range.fractions(), to);
    return graph.either(positive, graph.symbol('-', negative));
  }

  /** The grammar of RFC 8259, with so many digits before the point at most. */
  private int spelled(int wholeDigits, int to) {
    int exponentDigit = graph.state();
    graph.free(exponentDigit, to);
    int two = graph.state();
    graph.edge(two, '0', '9', exponentDigit);
    graph.free(two, to);
    int hundreds = graph.state(); // behind a leading 1: up to two more digits
    graph.edge(hundreds, '0', '9', two);
    graph.free(hundreds, to);
    int exponent = graph.state();
    graph.edge(exponent, '1', '1', hundreds);
    graph.edge(exponent, '0', '0', two);
    graph.edge(exponent, '2', '9', two);
    int signed = graph.state();
    graph.edge(signed, '+', '+', exponent);
    graph.edge(signed, '-', '-', exponent);
    graph.free(signed, exponent);
    int beforeExponent = graph.state();
    graph.edge(beforeExponent, 'e', 'e', signed);
    graph.edge(beforeExponent, 'E', 'E', signed);
    graph.free(beforeExponent, to);
    int decimals = graph.state();
    graph.edge(decimals, '0', '9', decimals);
    graph.free(decimals, beforeExponent);
    int firstDecimal = graph.state();
    graph.edge(firstDecimal, '0', '9', decimals);
    int whole = graph.state();
    graph.edge(whole, '.', '.', firstDecimal);
    graph.free(whole, beforeExponent);
    int digits = whole;
    if (wholeDigits == UNBOUNDED) {
      digits = graph.state();
      graph.edge(digits, '0', '9', digits);
      graph.free(digits, whole);
    }
    for (int i = 1; i < wholeDigits; i++) {
      int more = graph.state();
      graph.edge(more, '0', '9', digits);
      graph.free(more, whole);
      digits = more;
    }
    int unsigned = graph.state();
    graph.edge(unsigned, '0', '0', whole);
    graph.edge(unsigned, '1', '9', digits);
    return graph.either(unsigned, graph.symbol('-', unsigned));
  }

  /** A bound of a number that is not negative: its digits before and behind the point. */
  private record Bound(String whole, String decimals, boolean open) {
    static final Bound ZERO = new Bound(BigDecimal.ZERO, false);
    static final Bound ABOVE_ZERO = new Bound(BigDecimal.ZERO, true);

    Bound(BigDecimal value, boolean open) {
      this(digits(value)[0], digits(value)[1], open);
    }

    private static String[] digits(BigDecimal value) {
      String plain = value.signum() == 0 ? "0" : value.stripTrailingZeros().toPlainString();
      int point = plain.indexOf('.');
      return point < 0 ? new String[] {plain, ""} : new String[] {plain.substring(0, point), plain.substring(point + 1)};
    }
  }

  /**
   * A number without sign between two bounds, {@code high} perhaps null. Digits are read while they are those of a bound; behind the
   * first that is not, that bound holds.
   */
  private int magnitude(Bound low, Bound high, boolean integers, boolean fractions, int to) {
    Digits digits = new Digits(low, high, integers, fractions, to);
    int longest = high == null ? low.whole.length() + 1 : high.whole.length();
    int[] ways = new int[Math.max(0, longest - low.whole.length() + 1)];
    for (int i = 0; i < ways.length; i++) {
      int length = low.whole.length() + i;
      boolean tightLow = length == low.whole.length();
      boolean tightHigh = high != null && length == high.whole.length();
      ways[i] = high == null && i == ways.length - 1 ? digits.longer(length) : digits.whole(length, 0, tightLow, tightHigh);
    }
    return graph.either(ways);
  }

  /** The digits of one number; states are shared between its lengths. */
  private final class Digits {
    private final Bound low;
    private final Bound high;
    private final boolean integers;
    private final boolean fractions;
    private final int to;
    private final int anyDecimals;
    private final List<Integer> loose = new ArrayList<>();
    private int freeDecimals = Graph.NONE;
    private int freeNonZeroDecimals = Graph.NONE;

    Digits(Bound low, Bound high, boolean integers, boolean fractions, int to) {
      this.low = low;
      this.high = high;
      this.integers = integers;
      this.fractions = fractions;
      this.to = to;
      this.anyDecimals = decimals(0, false, false, false);
    }

    /** At least {@code length} digits, without further bounds. */
    int longer(int length) {
      int loop = graph.state();
      graph.edge(loop, '0', '9', loop);
      graph.free(loop, anyDecimals);
      int state = loop;
      for (int i = 1; i < length; i++) {
        int before = graph.state();
        graph.edge(before, '0', '9', state);
        state = before;
      }
      int first = graph.state();
      graph.edge(first, '1', '9', state);
      return first;
    }

    /** Whole part of {@code length} digits from {@code position} on. */
    int whole(int length, int position, boolean tightLow, boolean tightHigh) {
      if (position > 0 && position < length && !tightLow && !tightHigh) {
        return looseDigits(length - position);
      }
      if (position == length) {
        if (!tightLow && !tightHigh) {
          return anyDecimals;
        }
        return decimals(0, tightLow, tightHigh, false);
      }
      int least = tightLow ? low.whole.charAt(position) : position == 0 && length > 1 ? '1' : '0';
      int most = tightHigh ? high.whole.charAt(position) : '9';
      int state = graph.state();
      boolean some = false;
      for (int digit = least; digit <= most; digit++) {
        boolean stillLow = tightLow && digit == least;
        boolean stillHigh = tightHigh && digit == most;
        int last = stillLow || stillHigh ? digit : tightHigh ? most - 1 : most; // alike, up to the next bound
        int behind = whole(length, position + 1, stillLow, stillHigh);
        if (behind != Graph.NONE) {
          graph.edge(state, digit, last, behind);
          some = true;
        }
        digit = last;
      }
      return some ? state : Graph.NONE;
    }

    /** So many digits, whichever they are. */
    private int looseDigits(int count) {
      while (loose.size() <= count) {
        int before = loose.isEmpty() ? anyDecimals : graph.state();
        if (!loose.isEmpty()) {
          graph.edge(before, '0', '9', loose.getLast());
        }
        loose.add(before);
      }
      return loose.get(count);
    }

    /**
     * Behind the whole part, {@code position} digits behind the point.
     *
     * @param nonZero whether one of these digits is not zero
     */
    private int decimals(int position, boolean tightLow, boolean tightHigh, boolean nonZero) {
      boolean value = inRange(position, tightLow, tightHigh) && (nonZero ? fractions : integers);
      int digits = fractions ? moreDecimals(position, tightLow, tightHigh, nonZero) : Graph.NONE;
      if (position == 0) {
        digits = graph.symbol('.', digits);
      }
      return graph.either(value ? to : Graph.NONE, digits);
    }

    private int moreDecimals(int position, boolean tightLow, boolean tightHigh, boolean nonZero) {
      if (!tightLow && !tightHigh) {
        return nonZero || integers ? looseDecimals() : looseNonZeroDecimals();
      }
      boolean lowSpent = tightLow && position >= low.decimals.length();
      boolean highSpent = tightHigh && position >= high.decimals.length();
      if (lowSpent && !tightHigh) {
        // Equal to the lower bound so far: more digits do not go below it.
        if (!low.open) {
          return nonZero || integers ? looseDecimals() : looseNonZeroDecimals();
        }
        return looseNonZeroDecimals();
      }
      if (highSpent) {
        // Equal to the upper bound so far: only zeros may follow.
        boolean equal = !high.open && !(tightLow && low.open) && (nonZero || integers);
        return equal ? zeros() : Graph.NONE;
      }
      int least = tightLow && !lowSpent ? low.decimals.charAt(position) : '0';
      int most = tightHigh ? high.decimals.charAt(position) : '9';
      int state = graph.state();
      boolean some = false;
      for (int digit = least; digit <= most; digit++) {
        boolean stillLow = tightLow && digit == least;
        boolean stillHigh = tightHigh && digit == most;
        int behind = decimals(position + 1, stillLow, stillHigh, nonZero || digit != '0');
        if (behind != Graph.NONE) {
          graph.edge(state, digit, digit, behind);
          some = true;
        }
      }
      return some ? state : Graph.NONE;
    }

    /** At least one zero. */
    private int zeros() {
      int loop = graph.state();
      graph.edge(loop, '0', '0', loop);
      graph.free(loop, to);
      return graph.symbol('0', loop);
    }

    /** Any digits, at least one. */
    private int looseDecimals() {
      if (freeDecimals == Graph.NONE) {
        int loop = graph.state();
        graph.edge(loop, '0', '9', loop);
        graph.free(loop, to);
        freeDecimals = graph.state();
        graph.edge(freeDecimals, '0', '9', loop);
      }
      return freeDecimals;
    }

    /** Any digits, one of which is not zero. */
    private int looseNonZeroDecimals() {
      if (freeNonZeroDecimals == Graph.NONE) {
        int loop = graph.state();
        graph.edge(loop, '0', '9', loop);
        graph.free(loop, to);
        freeNonZeroDecimals = graph.state();
        graph.edge(freeNonZeroDecimals, '0', '0', freeNonZeroDecimals);
        graph.edge(freeNonZeroDecimals, '1', '9', loop);
      }
      return freeNonZeroDecimals;
    }

    /** Whether a number that ends here, the rest of its digits being zeros, is within the bounds. */
    private boolean inRange(int position, boolean tightLow, boolean tightHigh) {
      boolean aboveLow = !tightLow || position >= low.decimals.length() && !low.open;
      boolean belowHigh = !tightHigh || position < high.decimals.length() || !high.open;
      return aboveLow && belowHigh;
    }
  }
}
