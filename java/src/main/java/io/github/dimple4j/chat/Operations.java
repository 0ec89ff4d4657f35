package io.github.dimple4j.chat;

import io.github.dimple4j.chat.Values.Iteration;
import io.github.dimple4j.chat.Values.Markup;
import io.github.dimple4j.chat.Values.Namespace;
import io.github.dimple4j.chat.Values.Range;
import io.github.dimple4j.chat.Values.Tuple;
import io.github.dimple4j.chat.Values.Undefined;
import io.github.dimple4j.chat.Values.View;
import java.math.BigDecimal;
import java.math.MathContext;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.LongUnaryOperator;

/** The operators of template expressions, and access to parts of values. */
final class Operations {
  /** What Python's numbers have that is no method. */
  private static final Set<String> PARTS_OF_NUMBERS = Set.of("real", "imag", "numerator", "denominator");

  private Operations() {}

  /** What a loop over a value visits. */
  static List<Object> elements(Object value, Rendering rendering) {
    rendering.make(value instanceof Iteration iteration ? iteration.all().size() : length(value, rendering));
    return switch (value) {
      case List<?> list -> list.stream().map(Values::of).toList();
      case Map<?, ?> map -> List.copyOf(map.keySet());
      case View view -> view.elements();
      case Iteration iteration -> iteration.rest();
      case Markup text -> elements(text.text(), rendering);
      case String text -> text.codePoints().mapToObj(c -> (Object) Character.toString(c)).toList();
      default -> List.of();
    };
  }

  static long length(Object value, Rendering rendering) {
    return switch (value) {
      case List<?> list -> list.size();
      case Map<?, ?> map -> map.size();
      case View view -> view.elements().size();
      case Markup text -> text.text().codePointCount(0, text.text().length());
      case String text -> text.codePointCount(0, text.length());
      case Undefined u -> 0;
      default -> throw rendering.error("a " + Values.typeName(value) + " has no length and no elements");
    };
  }

  /** {@code value.name}: methods before the elements of a mapping. */
  static Object attribute(Object value, String name, Rendering rendering) {
    return Methods.has(value, name) ? new TemplateFunction.Method(value, name) : element(value, name, rendering);
  }

  private static Object element(Object value, String name, Rendering rendering) {
    return switch (value) {
      case Undefined u -> throw undefined(u, rendering);
      case Namespace namespace -> namespace.attributes().getOrDefault(name, new Undefined(name));
      case Loop loop -> loop.attribute(name);
      case Map<?, ?> map when map.containsKey(name) -> Values.of(map.get(name));
      case TemplateFunction function -> throw rendering.error("attribute '" + name + "' of '" + function.name() + "' is not supported");
      case Number n when PARTS_OF_NUMBERS.contains(name) -> throw rendering.error("attribute '" + name + "' of a number is not supported");
      case Boolean b when PARTS_OF_NUMBERS.contains(name) -> throw rendering.error("attribute '" + name + "' of a boolean is not supported");
      default -> new Undefined(name);
    };
  }

  static ChatTemplateException undefined(Undefined value, Rendering rendering) {
    return rendering.error("'" + value.name() + "' is undefined");
  }

  static Object subscript(Object value, Object key, Rendering rendering) {
    if (key instanceof String name) {
      boolean held = value instanceof Map<?, ?> map && map.containsKey(name);
      return held ? element(value, name, rendering) : attribute(value, name, rendering);
    }
    if (value instanceof Undefined u) {
      throw undefined(u, rendering);
    }
    if (value instanceof Markup) {
      throw rendering.error("an element of a safe text is not supported");
    }
    Object number = Values.number(key);
    if (value instanceof Map<?, ?> map) {
      Object wanted = number instanceof Double real && real == Math.rint(real) ? (Object) real.longValue() : number;
      return map.containsKey(wanted) ? Values.of(map.get(wanted)) : new Undefined(Values.text(key, rendering));
    }
    if (value instanceof TemplateFunction function) {
      throw rendering.error("an element of '" + function.name() + "' is not supported");
    }
    boolean indexed = value instanceof List || value instanceof String;
    if (!indexed || !(number instanceof Long index)) {
      return new Undefined(Values.text(key, rendering));
    }
    List<?> elements = value instanceof List<?> list ? list : elements(value, rendering);
    long at = index < 0 ? index + elements.size() : index;
    return at >= 0 && at < elements.size() ? Values.of(elements.get((int) at)) : new Undefined("element " + index);
  }

  /** Python's slice: negative bounds count from the end, bounds outside are pulled in. */
  static Object slice(Object value, Long start, Long stop, Long step, Rendering rendering) {
    if (value instanceof Undefined u) {
      throw undefined(u, rendering);
    }
    if (!(value instanceof List) && !(value instanceof String)) {
      throw rendering.error("cannot slice a " + Values.typeName(value));
    }
    long by = step == null ? 1 : step;
    if (by == 0) {
      throw rendering.error("a slice with step 0");
    }
    List<Object> all = elements(value, rendering);
    long low = by > 0 ? 0 : -1;
    long high = by > 0 ? all.size() : all.size() - 1;
    LongUnaryOperator clamp = i -> Math.clamp(i < 0 ? i + all.size() : i, low, high);
    long from = start == null ? (by > 0 ? low : high) : clamp.applyAsLong(start);
    long to = stop == null ? (by > 0 ? high : low) : clamp.applyAsLong(stop);
    List<Object> chosen = new ArrayList<>();
    for (long i = from; by > 0 ? i < to : i > to; i += Math.clamp(by, -all.size() - 1L, all.size() + 1L)) {
      chosen.add(all.get((int) i));
    }
    if (value instanceof String) {
      return String.join("", chosen.stream().map(String.class::cast).toList());
    }
    if (value instanceof Range) {
      throw rendering.error("a slice of a range is not supported");
    }
    return value instanceof Tuple ? new Tuple(chosen) : chosen;
  }

  static Object binary(String operator, Object left, Object right, Rendering rendering) {
    if (operator.equals("~")) {
      return concatenate(Values.text(left, rendering), Values.text(right, rendering), rendering);
    }
    for (Object operand : new Object[] {left, right}) {
      if (operand instanceof Undefined u) {
        throw undefined(u, rendering);
      }
    }
    if (operator.equals("+") && left instanceof String l && right instanceof String r) {
      return concatenate(l, r, rendering);
    }
    if (operator.equals("+") && isText(left) && isText(right)) {
      return new Markup(concatenate(escaped(left), escaped(right), rendering));
    }
    if (operator.equals("*") && (left instanceof Long || right instanceof Long) && !(left instanceof Number && right instanceof Number)) {
      return left instanceof Long times ? repeated(right, times, rendering) : repeated(left, (Long) right, rendering);
    }
    if (operator.equals("+") && left instanceof List<?> l && right instanceof List<?> r && Values.sameKind(l, r) && !(l instanceof Range)) {
      rendering.make((long) l.size() + r.size());
      List<Object> joined = new ArrayList<>(elements(l, rendering));
      joined.addAll(elements(r, rendering));
      return l instanceof Tuple ? new Tuple(joined) : joined;
    }
    try {
      if (operator.equals("**") && left instanceof Number l && right instanceof Number r) {
        return Numbers.power(l, r);
      }
      if (left instanceof Long l && right instanceof Long r) {
        return integers(operator, l, r);
      }
      if (left instanceof Number l && right instanceof Number r) {
        return reals(operator, l.doubleValue(), r.doubleValue());
      }
    } catch (ArithmeticException e) {
      throw rendering.error(operator + ": " + e.getMessage());
    }
    throw rendering.error("unsupported operands of " + operator + ": " + Values.typeName(left) + " and " + Values.typeName(right));
  }

  static Object negative(Object value, Rendering rendering) {
    return value instanceof Double real ? (Object) (-real) : binary("-", 0L, value, rendering);
  }

  private static boolean isText(Object value) {
    return value instanceof String || value instanceof Markup;
  }

  private static String escaped(Object value) {
    return value instanceof Markup markup ? markup.text() : Texts.escape((String) value);
  }

  private static Object repeated(Object value, long times, Rendering rendering) {
    int count = Math.clamp(times, 0, 1 << 26);
    if (value instanceof String text) {
      rendering.make((long) text.length() * count);
      return text.repeat(count);
    }
    if (value instanceof List<?> list && !(list instanceof Range)) {
      rendering.make((long) Math.max(1, list.size()) * count);
      List<Object> all = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        all.addAll(elements(list, rendering));
      }
      return list instanceof Tuple ? new Tuple(all) : all;
    }
    throw rendering.error("unsupported operands of *: " + Values.typeName(value) + " and integer");
  }

  private static String concatenate(String left, String right, Rendering rendering) {
    rendering.make((long) left.length() + right.length());
    return left + right;
  }

  private static Object integers(String operator, long left, long right) {
    return switch (operator) {
      case "+" -> Math.addExact(left, right);
      case "-" -> Math.subtractExact(left, right);
      case "*" -> Math.multiplyExact(left, right);
      case "//" -> Math.floorDiv(left, right);
      case "%" -> Math.floorMod(left, right);
      default -> Math.max(Math.abs(left), Math.abs(right)) >> 53 != 0 && right != 0 ? quotient(left, right) : reals(operator, left, right);
    };
  }

  /** Of integers that are no doubles: rounded once. */
  private static double quotient(long left, long right) {
    return new BigDecimal(left).divide(new BigDecimal(right), MathContext.DECIMAL128).doubleValue();
  }

  private static Object reals(String operator, double left, double right) {
    if (right == 0 && "//%".contains(operator)) {
      throw new ArithmeticException("division by zero");
    }
    return switch (operator) {
      case "+" -> left + right;
      case "-" -> left - right;
      case "*" -> left * right;
      case "/" -> left / right;
      case "//" -> floorDivision(left, right);
      default -> remainder(left, right);
    };
  }

  /** With the sign of the divisor, exact but for one addition, as Python's. */
  private static double remainder(double left, double right) {
    double remainder = left % right;
    return remainder == 0 ? Math.copySign(0, right) : right < 0 == remainder < 0 ? remainder : remainder + right;
  }

  private static double floorDivision(double left, double right) {
    double remainder = left % right;
    double quotient = (left - remainder) / right - (remainder != 0 && right < 0 != remainder < 0 ? 1 : 0);
    if (quotient == 0) {
      return Math.copySign(0, left / right);
    }
    double floor = Math.floor(quotient);
    return quotient - floor > 0.5 ? floor + 1 : floor;
  }

  static boolean compare(String operator, Object left, Object right, Rendering rendering) {
    return switch (operator) {
      case "==" -> Values.equal(left, right, rendering);
      case "!=" -> !Values.equal(left, right, rendering);
      case "in" -> contains(right, left, rendering);
      case "not in" -> !contains(right, left, rendering);
      default -> {
        int order = order(operator, left, right, rendering);
        yield switch (operator) {
          case "<" -> order < 0;
          case "<=" -> order <= 0;
          case ">" -> order > 0;
          default -> order >= 0;
        };
      }
    };
  }

  /** The order of two values for an operator: numbers, texts, and lists of these by their first difference. */
  static int order(String operator, Object left, Object right, Rendering rendering) {
    Integer order = Values.compare(left, right);
    if (order != null) {
      return order;
    }
    if (left instanceof List<?> l && right instanceof List<?> r && Values.sameKind(l, r) && !(l instanceof Range)) {
      rendering.enter();
      for (int i = 0; i < Math.min(l.size(), r.size()); i++) {
        if (!Values.equal(Values.of(l.get(i)), Values.of(r.get(i)), rendering)) {
          int first = order(operator, Values.of(l.get(i)), Values.of(r.get(i)), rendering);
          rendering.leave();
          return first;
        }
      }
      rendering.leave();
      return Integer.compare(l.size(), r.size());
    }
    throw rendering.error("unsupported operands of " + operator + ": " + Values.typeName(left) + " and " + Values.typeName(right));
  }

  static boolean contains(Object holder, Object held, Rendering rendering) {
    Object container = Values.plain(holder);
    Object element = Values.plain(held);
    if (container instanceof String text) {
      if (!(element instanceof String part)) {
        throw rendering.error("a " + Values.typeName(element) + " cannot be in a string");
      }
      rendering.search(text, part);
      return text.contains(part);
    }
    if (container instanceof Iteration) {
      throw rendering.error("'in' of a generator is not supported");
    }
    boolean hashable = !(element instanceof Map || element instanceof View || element instanceof List && !(element instanceof Tuple));
    if (container instanceof Map && !hashable) {
      throw rendering.error("a " + Values.typeName(element) + " cannot be a key");
    }
    return elements(container, rendering).stream().anyMatch(e -> Values.equal(e, element, rendering));
  }
}
