package io.github.dimple4j.chat;

import io.github.dimple4j.chat.Expression.Evaluated;
import io.github.dimple4j.chat.Values.Undefined;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.RoundingMode;
import java.util.regex.Pattern;

/** Filters and operators of numbers, as Python has them. */
final class Numbers {
  private static final String DIGITS = "\\d+(_\\d+)*";
  private static final Pattern INTEGER = Pattern.compile("[+-]?" + DIGITS);
  private static final Pattern REAL =
      Pattern.compile("[+-]?(" + DIGITS + "(\\.(" + DIGITS + ")?)?|\\." + DIGITS + ")([eE][+-]?" + DIGITS + ")?");
  private static final int MOST_DIGITS = 300;

  private Numbers() {}

  static Object integer(Object value, Evaluated arguments, Rendering rendering) {
    long base = Builtins.integer(arguments.get(1, "base", 10L), "int", rendering);
    if (base != 10) {
      return ofBase(value, base, rendering);
    }
    return switch (value) {
      case Undefined u -> throw Operations.undefined(u, rendering);
      case Long l -> l;
      case Double d -> truncated(d, rendering);
      case Boolean b -> b ? 1L : 0L;
      case String s when INTEGER.matcher(spelled(s, rendering)).matches() -> exact(spelled(s, rendering).replace("_", ""), rendering);
      case String s when REAL.matcher(spelled(s, rendering)).matches() -> truncated(parsed(s, rendering), rendering);
      default -> arguments.get(0, "default", 0L);
    };
  }

  /** A text's number as Python reads it: without white space around it, in digits of any script. */
  private static String spelled(String text, Rendering rendering) {
    StringBuilder spelled = new StringBuilder();
    Texts.strip(text, Values.NONE, true, true, rendering).codePoints()
        .forEach(c -> spelled.appendCodePoint(Character.isDigit(c) ? '0' + Character.digit(c, 10) : c));
    return spelled.toString();
  }

  private static double parsed(String text, Rendering rendering) {
    return Double.parseDouble(spelled(text, rendering).replace("_", ""));
  }

  private static Object ofBase(Object value, long base, Rendering rendering) {
    String digits = base == 2 ? "[01]{1,62}" : base == 8 ? "[0-7]{1,20}" : base == 16 ? "[0-9A-Fa-f]{1,15}" : null;
    if (digits == null || !(value instanceof String text) || !text.matches(digits)) {
      throw rendering.error("int with base " + base + " of '" + Values.text(value, rendering) + "' is not supported");
    }
    return Long.valueOf(text, (int) base);
  }

  private static Long exact(String digits, Rendering rendering) {
    try {
      return Long.valueOf(digits);
    } catch (NumberFormatException e) {
      throw rendering.error("the number " + digits + " is too large");
    }
  }

  private static Long truncated(double value, Rendering rendering) {
    if (!(Math.abs(value) < 1L << 62)) {
      throw rendering.error("the number " + value + " is too large");
    }
    return (long) value;
  }

  static Object real(Object value, Evaluated arguments, Rendering rendering) {
    return switch (value) {
      case Undefined u -> throw Operations.undefined(u, rendering);
      case Long l -> l.doubleValue();
      case Double d -> d;
      case Boolean b -> b ? 1.0 : 0.0;
      case String s when REAL.matcher(spelled(s, rendering)).matches() -> parsed(s, rendering);
      case String s when spelled(s, rendering).matches("(?i)[+-]?(inf|infinity|nan)") ->
          throw rendering.error("float of '" + s + "' is not supported");
      default -> arguments.get(0, "default", 0.0);
    };
  }

  static Object absolute(Object value, Rendering rendering) {
    return switch (value) {
      case Long l when l != Long.MIN_VALUE -> Math.abs(l);
      case Double d -> Math.abs(d);
      default -> throw rendering.error("abs of a " + Values.typeName(value));
    };
  }

  /** To so many decimal places, halves to the even digit; or up or down. */
  static Object round(Object value, Evaluated arguments, Rendering rendering) {
    long places = Builtins.integer(arguments.get(0, "precision", 0L), "round", rendering);
    Object method = arguments.get(1, "method", "common");
    if (!(value instanceof Long || value instanceof Double) || places < 0 || places > MOST_DIGITS) {
      throw rendering.error("round of a " + Values.typeName(value) + " to " + places + " places");
    }
    double number = ((Number) value).doubleValue();
    double scale = Math.pow(10, places);
    if (method.equals("ceil")) {
      return Math.ceil(number * scale) / scale;
    }
    if (method.equals("floor")) {
      return Math.floor(number * scale) / scale;
    }
    if (!method.equals("common")) {
      throw rendering.error("round has the methods common, ceil and floor");
    }
    return value instanceof Long || !Double.isFinite(number) ? value
        : (Object) Math.copySign(new BigDecimal(number).setScale((int) places, RoundingMode.HALF_EVEN).doubleValue(), number);
  }

  static Object power(Number base, Number exponent) {
    if (base instanceof Long b && exponent instanceof Long e && e >= 0) {
      if (Math.abs(b) > 1 && e > Long.SIZE) {
        throw new ArithmeticException("long overflow");
      }
      return BigInteger.valueOf(b).pow((int) (Math.abs(b) > 1 ? e : e % 2 == 0 && e > 0 ? 2 : Math.min(e, 1))).longValueExact();
    }
    if (base.doubleValue() == 0 && exponent.doubleValue() < 0) {
      throw new ArithmeticException("division by zero");
    }
    if (base.doubleValue() < 0 && exponent.doubleValue() != Math.rint(exponent.doubleValue())) {
      throw new ArithmeticException("a root of a negative number");
    }
    double power = Math.pow(base.doubleValue(), exponent.doubleValue());
    if (Double.isInfinite(power) && !Double.isInfinite(base.doubleValue()) && !Double.isInfinite(exponent.doubleValue())) {
      throw new ArithmeticException("the result is too large");
    }
    return power;
  }
}
