package io.github.dimple4j.chat;

import java.math.BigDecimal;
import java.util.AbstractList;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * What template values mean. Jinja takes its rules from Python: a value is a String, Long, Double, Boolean, {@link #NONE}, {@link Undefined},
 * List, {@link Tuple}, string-keyed Map or {@link Namespace}.
 */
final class Values {
  /** Python's None. */
  static final Object NONE = new Object();

  /** The value of a name or attribute that does not exist: empty in output and false in conditions, but nothing can be done with it. */
  record Undefined(String name) {}

  /** A list that Python would write in parentheses. */
  static final class Tuple extends AbstractList<Object> {
    private final List<Object> elements;

    Tuple(List<?> elements) {
      this.elements = List.copyOf(elements);
    }

    @Override
    public Object get(int index) {
      return elements.get(index);
    }

    @Override
    public int size() {
      return elements.size();
    }
  }

  /** What {@code namespace()} makes: the one thing whose attributes can be set. */
  record Namespace(Map<String, Object> attributes) {}

  private Values() {}

  /** A value from outside, as the template sees it. */
  static Object of(Object value) {
    return switch (value) {
      case null -> NONE;
      case Integer i -> i.longValue();
      case Float f -> f.doubleValue();
      default -> value;
    };
  }

  static boolean truth(Object value) {
    return switch (value) {
      case Boolean b -> b;
      case String s -> !s.isEmpty();
      case Long l -> l != 0;
      case Double d -> d != 0;
      case List<?> list -> !list.isEmpty();
      case Map<?, ?> map -> !map.isEmpty();
      case Undefined u -> false;
      default -> value != NONE;
    };
  }

  static boolean equal(Object a, Object b, Rendering rendering) {
    rendering.enter();
    boolean same = sameNumbers(a, b) || switch (a) {
      case Undefined left -> b instanceof Undefined;
      case List<?> left -> b instanceof List<?> right && left instanceof Tuple == right instanceof Tuple && left.size() == right.size()
          && IntStream.range(0, left.size()).allMatch(i -> equal(of(left.get(i)), of(right.get(i)), rendering));
      case Map<?, ?> left -> b instanceof Map<?, ?> right && left.keySet().equals(right.keySet())
          && left.keySet().stream().allMatch(k -> equal(of(left.get(k)), of(right.get(k)), rendering));
      default -> a.equals(b);
    };
    rendering.leave();
    return same;
  }

  private static boolean sameNumbers(Object a, Object b) {
    Integer order = a instanceof String ? null : compare(a, b);
    return order != null && order == 0;
  }

  /** Booleans count as 0 and 1. */
  private static Object number(Object value) {
    return value instanceof Boolean b ? (Object) (b ? 1L : 0L) : value;
  }

  /** The order of two numbers or two texts, or null if there is none between them. */
  static Integer compare(Object a, Object b) {
    Object left = number(a);
    Object right = number(b);
    if (left instanceof Long l && right instanceof Long r) {
      return l.compareTo(r);
    }
    if (left instanceof Number l && right instanceof Number r) {
      return l.doubleValue() < r.doubleValue() ? -1 : l.doubleValue() > r.doubleValue() ? 1 : 0;
    }
    return left instanceof String l && right instanceof String r ? (Integer) l.compareTo(r) : null;
  }

  /** Python's name of the type, for messages. */
  static String typeName(Object value) {
    return switch (value) {
      case Boolean b -> "boolean";
      case String s -> "string";
      case Long l -> "integer";
      case Double d -> "float";
      case Tuple t -> "tuple";
      case List<?> list -> "list";
      case Map<?, ?> map -> "mapping";
      case Undefined u -> "undefined value";
      case Namespace n -> "namespace";
      default -> value == NONE ? "none" : "function";
    };
  }

  /** What {@code {{ value }}} writes: Python's {@code str}. */
  static String text(Object value, Rendering rendering) {
    return switch (value) {
      case String s -> s;
      case Undefined u -> "";
      default -> {
        StringBuilder out = new StringBuilder();
        represent(value, rendering, out);
        yield out.toString();
      }
    };
  }

  /** Python's {@code repr}. */
  private static void represent(Object value, Rendering rendering, StringBuilder out) {
    rendering.enter();
    int start = out.length();
    switch (value) {
      case Boolean b -> out.append(b ? "True" : "False");
      case Long l -> out.append(l);
      case Double d -> out.append(real(d));
      case String s -> quote(s, out);
      case List<?> list -> {
        out.append(list instanceof Tuple ? '(' : '[');
        for (int i = 0; i < list.size(); i++) {
          out.append(i == 0 ? "" : ", ");
          represent(of(list.get(i)), rendering, out);
        }
        out.append(list instanceof Tuple ? list.size() == 1 ? ",)" : ")" : "]");
      }
      case Map<?, ?> map -> {
        out.append('{');
        for (Map.Entry<?, ?> e : map.entrySet()) {
          out.append(out.length() == start + 1 ? "" : ", ");
          quote(e.getKey().toString(), out);
          out.append(": ");
          represent(of(e.getValue()), rendering, out);
        }
        out.append('}');
      }
      case Undefined u -> out.append("Undefined");
      default -> {
        if (value != NONE) {
          throw rendering.error("a " + typeName(value) + " cannot be written");
        }
        out.append("None");
      }
    }
    rendering.make(out.length() - start);
    rendering.leave();
  }

  private static void quote(String text, StringBuilder out) {
    char quote = text.indexOf('\'') >= 0 && text.indexOf('"') < 0 ? '"' : '\'';
    out.append(quote);
    text.codePoints().forEach(c -> {
      switch (c) {
        case '\n' -> out.append("\\n");
        case '\r' -> out.append("\\r");
        case '\t' -> out.append("\\t");
        case '\\' -> out.append("\\\\");
        default -> {
          if (c == quote) {
            out.append('\\').append(quote);
          } else if (c < ' ' || c >= 0x7F && c <= 0xA0 || c == 0xAD) {
            out.append(String.format("\\x%02x", c));
          } else {
            out.appendCodePoint(c);
          }
        }
      }
    });
    out.append(quote);
  }

  /** Python's shortest form: decimal for exponents from -4 to 15, otherwise with an exponent. */
  static String real(double value) {
    if (!Double.isFinite(value)) {
      return Double.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
    }
    if (value == 0) {
      return 1 / value < 0 ? "-0.0" : "0.0";
    }
    BigDecimal shortest = new BigDecimal(Double.toString(value)).stripTrailingZeros();
    int exponent = shortest.precision() - shortest.scale() - 1;
    if (exponent >= -4 && exponent < 16) {
      String plain = shortest.toPlainString();
      return plain.indexOf('.') < 0 ? plain + ".0" : plain;
    }
    BigDecimal mantissa = shortest.movePointLeft(exponent).stripTrailingZeros();
    return mantissa.toPlainString() + "e" + (exponent < 0 ? "-" : "+") + (Math.abs(exponent) < 10 ? "0" : "") + Math.abs(exponent);
  }

  /** JSON as {@code json.dumps(value, ensure_ascii=False, indent=indent)} writes it; {@code indent} null: on one line. */
  static void json(Object value, Integer indent, int level, Rendering rendering, StringBuilder out) {
    rendering.enter();
    int start = out.length();
    switch (value) {
      case String s -> jsonText(s, out);
      case Boolean b -> out.append(b);
      case Long l -> out.append(l);
      case Double d -> out.append(d.isNaN() ? "NaN" : d.isInfinite() ? (d > 0 ? "Infinity" : "-Infinity") : real(d));
      case List<?> list -> {
        out.append('[');
        for (int i = 0; i < list.size(); i++) {
          separate(i, indent, level + 1, out);
          json(of(list.get(i)), indent, level + 1, rendering, out);
        }
        close(list.isEmpty(), ']', indent, level, out);
      }
      case Map<?, ?> map -> {
        out.append('{');
        int i = 0;
        for (Map.Entry<?, ?> e : map.entrySet()) {
          separate(i++, indent, level + 1, out);
          jsonText(e.getKey().toString(), out);
          out.append(": ");
          json(of(e.getValue()), indent, level + 1, rendering, out);
        }
        close(map.isEmpty(), '}', indent, level, out);
      }
      default -> {
        if (value != NONE) {
          throw rendering.error("a " + typeName(value) + " cannot be written as JSON");
        }
        out.append("null");
      }
    }
    rendering.make(out.length() - start);
    rendering.leave();
  }

  private static void separate(int index, Integer indent, int level, StringBuilder out) {
    if (indent == null) {
      out.append(index == 0 ? "" : ", ");
    } else {
      out.append(index == 0 ? "\n" : ",\n").append(" ".repeat(indent * level));
    }
  }

  private static void close(boolean empty, char bracket, Integer indent, int level, StringBuilder out) {
    if (indent != null && !empty) {
      out.append('\n').append(" ".repeat(indent * level));
    }
    out.append(bracket);
  }

  private static void jsonText(String text, StringBuilder out) {
    out.append('"');
    for (char c : text.toCharArray()) {
      switch (c) {
        case '"' -> out.append("\\\"");
        case '\\' -> out.append("\\\\");
        case '\n' -> out.append("\\n");
        case '\r' -> out.append("\\r");
        case '\t' -> out.append("\\t");
        case '\b' -> out.append("\\b");
        case '\f' -> out.append("\\f");
        default -> out.append(c < ' ' ? String.format("\\u%04x", (int) c) : String.valueOf(c));
      }
    }
    out.append('"');
  }

  /** White space as Python's {@code str.isspace} has it. */
  static boolean isSpace(char c) {
    return Character.isWhitespace(c) || Character.isSpaceChar(c) || c == '\u0085';
  }
}
