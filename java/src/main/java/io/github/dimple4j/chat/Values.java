package io.github.dimple4j.chat;

import java.math.BigDecimal;
import java.util.AbstractList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * What template values mean. Jinja takes its rules from Python: a value is a String, {@link Markup}, Long, Double, Boolean, {@link #NONE},
 * {@link Undefined}, List, {@link Tuple}, {@link Range}, {@link View}, {@link Iteration}, Map keyed by String or Long, {@link Namespace},
 * {@link Loop} or {@link TemplateFunction}.
 */
final class Values {
  /** Python's None. */
  static final Object NONE = new Object();

  /** Kinds of characters that Python spells by their number where it writes a text in quotes; a blank is none of them. */
  private static final Set<Integer> NOT_PRINTABLE = Stream.of(Character.CONTROL, Character.FORMAT, Character.SURROGATE,
      Character.PRIVATE_USE, Character.UNASSIGNED, Character.LINE_SEPARATOR, Character.PARAGRAPH_SEPARATOR, Character.SPACE_SEPARATOR)
      .map(Byte::intValue).collect(Collectors.toSet());

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

  /** What {@code range()} makes: a list that is written as what made it. */
  static final class Range extends AbstractList<Object> {
    private final long from;
    private final long to;
    private final long step;

    Range(long from, long to, long step) {
      this.from = from;
      this.to = to;
      this.step = step;
    }

    @Override
    public Object get(int index) {
      Objects.checkIndex(index, size());
      return from + index * step;
    }

    @Override
    public int size() {
      return (int) Math.max(0, Math.ceil(((double) to - from) / step));
    }

    @Override
    public String toString() {
      return "range(" + from + ", " + to + (step == 1 ? "" : ", " + step) + ")";
    }
  }

  /** What {@code items()}, {@code keys()} or {@code values()} of a mapping gives: elements without numbers. */
  record View(String kind, List<Object> elements) {}

  /** Elements that can be visited once: what filters such as {@code map} and {@code select} give. It is true even if it is empty. */
  static final class Iteration {
    private final List<Object> elements;
    private int next;

    Iteration(List<Object> elements) {
      this.elements = elements;
    }

    /** The elements that were not visited yet. */
    List<Object> rest() {
      List<Object> rest = elements.subList(next, elements.size());
      next = elements.size();
      return rest;
    }

    /** The next element, or {@code otherwise}. */
    Object next(Object otherwise) {
      return next < elements.size() ? elements.get(next++) : otherwise;
    }

    List<Object> all() {
      return elements;
    }
  }

  /** A text that filter {@code safe} made: a text that is added to it has its signs of HTML escaped. */
  record Markup(String text) {}

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
      case View view -> !view.elements().isEmpty();
      case Markup m -> !m.text().isEmpty();
      case Undefined u -> false;
      default -> value != NONE;
    };
  }

  static boolean equal(Object first, Object second, Rendering rendering) {
    rendering.enter();
    Object a = plain(first);
    Object b = plain(second);
    if (a instanceof View && b instanceof View) {
      throw rendering.error("views of mappings cannot be compared");
    }
    boolean same = sameNumbers(a, b) || switch (a) {
      case Undefined left -> b instanceof Undefined;
      case List<?> left -> b instanceof List<?> right && left.size() == right.size() && sameKind(left, right)
          && IntStream.range(0, left.size()).allMatch(i -> equal(of(left.get(i)), of(right.get(i)), rendering));
      case Map<?, ?> left -> b instanceof Map<?, ?> right && left.keySet().equals(right.keySet())
          && left.keySet().stream().allMatch(k -> equal(of(left.get(k)), of(right.get(k)), rendering));
      default -> a.equals(b);
    };
    rendering.leave();
    return same;
  }

  static boolean sameKind(List<?> a, List<?> b) {
    return a instanceof Tuple == b instanceof Tuple && a instanceof Range == b instanceof Range;
  }

  /** A safe text as a text. */
  static Object plain(Object value) {
    return value instanceof Markup markup ? markup.text() : value;
  }

  private static boolean sameNumbers(Object a, Object b) {
    Integer order = a instanceof String ? null : compare(a, b);
    return order != null && order == 0;
  }

  /** Booleans count as 0 and 1. */
  static Object number(Object value) {
    return value instanceof Boolean b ? (Object) (b ? 1L : 0L) : value;
  }

  /** The order of two numbers or two texts, or null if there is none between them. */
  static Integer compare(Object a, Object b) {
    Object left = number(plain(a));
    Object right = number(plain(b));
    if (left instanceof Long l && right instanceof Long r) {
      return l.compareTo(r);
    }
    if (left instanceof Number l && right instanceof Number r) {
      return l.doubleValue() < r.doubleValue() ? -1 : l.doubleValue() > r.doubleValue() ? 1 : 0;
    }
    return left instanceof String l && right instanceof String r ? (Integer) compareTexts(l, r) : null;
  }

  /** By code points, where Java's own order is by UTF-16 units. */
  private static int compareTexts(String a, String b) {
    int at = 0;
    while (at < a.length() && at < b.length()) {
      int left = a.codePointAt(at);
      int right = b.codePointAt(at);
      if (left != right) {
        return Integer.compare(left, right);
      }
      at += Character.charCount(left);
    }
    return Integer.compare(a.length(), b.length());
  }

  /** Python's name of the type, for messages. */
  static String typeName(Object value) {
    return switch (value) {
      case Boolean b -> "boolean";
      case String s -> "string";
      case Markup m -> "safe string";
      case Range r -> "range";
      case View v -> v.kind();
      case Iteration i -> "generator";
      case Loop l -> "loop";
      case TemplateFunction f -> "function";
      case Long l -> "integer";
      case Double d -> "float";
      case Tuple t -> "tuple";
      case List<?> list -> "list";
      case Map<?, ?> map -> "mapping";
      case Undefined u -> "undefined value";
      case Namespace n -> "namespace";
      default -> "none";
    };
  }

  /** What {@code {{ value }}} writes: Python's {@code str}. */
  static String text(Object value, Rendering rendering) {
    return switch (value) {
      case String s -> s;
      case Markup m -> m.text();
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
      case Range range -> out.append(range);
      case View view -> {
        out.append(view.kind()).append('(');
        represent(view.elements(), rendering, out);
        out.append(')');
      }
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
          represent(e.getKey(), rendering, out);
          out.append(": ");
          represent(of(e.getValue()), rendering, out);
        }
        out.append('}');
      }
      case Undefined u -> out.append("Undefined");
      case Macro macro -> {
        out.append("<Macro ");
        quote(macro.name(), out);
        out.append('>');
      }
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
          } else if (c != ' ' && NOT_PRINTABLE.contains(Character.getType(c))) {
            out.append(String.format(c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c));
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
}
