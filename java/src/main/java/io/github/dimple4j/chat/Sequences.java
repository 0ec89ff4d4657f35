package io.github.dimple4j.chat;

import io.github.dimple4j.chat.Expression.Evaluated;
import io.github.dimple4j.chat.Values.Iteration;
import io.github.dimple4j.chat.Values.Tuple;
import io.github.dimple4j.chat.Values.Undefined;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;

/** Filters of sequences that look into their elements. */
final class Sequences {
  private Sequences() {}

  /** {@code select}, {@code reject}: by a test, or by truth. {@code selectattr}, {@code rejectattr}: by those of an attribute. */
  static Object choose(Object value, Evaluated arguments, boolean byAttribute, boolean wanted, Rendering rendering) {
    if (!Values.truth(value)) {
      return new Iteration(List.of()); // whatever it is
    }
    List<Object> positional = arguments.positional();
    int first = byAttribute ? 1 : 0;
    if (positional.size() < first) {
      throw rendering.error("an attribute to select by is missing");
    }
    UnaryOperator<Object> part = byAttribute ? attribute(positional.getFirst(), null, rendering) : UnaryOperator.identity();
    String test = positional.size() > first ? Builtins.string(positional.get(first), "select", rendering) : null;
    Evaluated rest = test == null ? null : new Evaluated(positional.subList(first + 1, positional.size()), arguments.named());
    List<Object> chosen = new ArrayList<>();
    for (Object element : Operations.elements(value, rendering)) {
      rendering.enter();
      Object tested = part.apply(element);
      boolean holds = test == null ? Values.truth(tested) : Builtins.test(test, tested, rest, rendering);
      if (holds == wanted) {
        chosen.add(element);
      }
      rendering.leave();
    }
    return new Iteration(chosen);
  }

  /** {@code map}: an attribute of each element, or what a filter makes of it. */
  static Object map(Object value, Evaluated arguments, Rendering rendering) {
    if (!Values.truth(value)) {
      return new Iteration(List.of()); // whatever it is
    }
    UnaryOperator<Object> change;
    if (arguments.positional().isEmpty()) {
      Object otherwise = arguments.named().get("default");
      if (!arguments.named().containsKey("attribute")) {
        throw rendering.error("map needs a filter or an attribute");
      }
      change = attribute(arguments.named().get("attribute"), otherwise, rendering);
    } else {
      String filter = Builtins.string(arguments.positional().getFirst(), "map", rendering);
      Evaluated rest = new Evaluated(arguments.positional().subList(1, arguments.positional().size()), arguments.named());
      change = element -> Builtins.filter(filter, element, rest, rendering);
    }
    List<Object> changed = new ArrayList<>();
    for (Object element : Operations.elements(value, rendering)) {
      rendering.enter();
      changed.add(change.apply(element));
      rendering.leave();
    }
    return new Iteration(changed);
  }

  /** An attribute by its name or number, or a path of these with dots between them. */
  private static UnaryOperator<Object> attribute(Object path, Object otherwise, Rendering rendering) {
    Object[] steps = path instanceof String text
        ? Arrays.stream(text.split("\\.", -1)).map(step -> step.matches("\\d{1,9}") ? (Object) Long.valueOf(step) : step).toArray()
        : new Object[] {path};
    return element -> {
      Object value = element;
      for (Object step : steps) {
        value = Operations.subscript(value, step, rendering);
        if (otherwise != null && value instanceof Undefined) {
          value = otherwise;
        }
      }
      return value;
    };
  }

  /** What elements are compared by: the attribute that is asked for, texts without their case unless it counts. */
  private static UnaryOperator<Object> key(Object path, boolean caseSensitive, Rendering rendering) {
    UnaryOperator<Object> part = path == Values.NONE ? UnaryOperator.identity() : attribute(path, null, rendering);
    return element -> {
      Object value = part.apply(element);
      return !caseSensitive && value instanceof String text ? LetterCase.lower(text) : value;
    };
  }

  private static Comparator<Object> order(Rendering rendering) {
    return (a, b) -> {
      rendering.enter();
      rendering.leave();
      return Operations.order("<", a, b, rendering);
    };
  }

  static Object sort(Object value, Evaluated arguments, Rendering rendering) {
    boolean reverse = Values.truth(arguments.get(0, "reverse", false));
    UnaryOperator<Object> part = sortKey(arguments, rendering);
    Comparator<Object> order = order(rendering);
    return sorted(Operations.elements(value, rendering), part, reverse ? order.reversed() : order);
  }

  /** By several attributes where commas separate them. Keys are lists even of one: what is equal in them need have no order. */
  private static UnaryOperator<Object> sortKey(Evaluated arguments, Rendering rendering) {
    boolean caseSensitive = Values.truth(arguments.get(1, "case_sensitive", false));
    Object path = arguments.get(2, "attribute", Values.NONE);
    List<UnaryOperator<Object>> parts = new ArrayList<>();
    if (path instanceof String text) {
      for (String one : text.split(",", -1)) {
        parts.add(key(one, caseSensitive, rendering));
      }
    } else {
      parts.add(key(path, caseSensitive, rendering));
    }
    return element -> new Tuple(parts.stream().map(part -> part.apply(element)).toList());
  }

  private static List<Object> sorted(List<Object> elements, UnaryOperator<Object> part, Comparator<Object> order) {
    record Keyed(Object key, Object element) {}
    List<Keyed> keyed = new ArrayList<>(elements.stream().map(element -> new Keyed(part.apply(element), element)).toList());
    keyed.sort(Comparator.comparing(Keyed::key, order)); // stable, as Python's, also in reverse
    return new ArrayList<>(keyed.stream().map(Keyed::element).toList());
  }

  /** A mapping's items, by their keys or their values. */
  static Object sortItems(Object value, Evaluated arguments, Rendering rendering) {
    if (!(value instanceof Map<?, ?> map)) {
      throw rendering.error("dictsort of a " + Values.typeName(value));
    }
    boolean caseSensitive = Values.truth(arguments.get(0, "case_sensitive", false));
    Object by = arguments.get(1, "by", "key");
    boolean reverse = Values.truth(arguments.get(2, "reverse", false));
    if (!by.equals("key") && !by.equals("value")) {
      throw rendering.error("dictsort is by key or by value");
    }
    UnaryOperator<Object> plain = key(Values.NONE, caseSensitive, rendering);
    Comparator<Object> order = order(rendering);
    int part = by.equals("key") ? 0 : 1;
    return sorted(Methods.items(map), item -> plain.apply(((Tuple) item).get(part)), reverse ? order.reversed() : order);
  }

  static Object unique(Object value, Evaluated arguments, Rendering rendering) {
    boolean caseSensitive = Values.truth(arguments.get(0, "case_sensitive", false));
    UnaryOperator<Object> part = key(arguments.get(1, "attribute", Values.NONE), caseSensitive, rendering);
    List<Object> keys = new ArrayList<>();
    List<Object> first = new ArrayList<>();
    for (Object element : Operations.elements(value, rendering)) {
      Object key = part.apply(element);
      if (key instanceof Map || key instanceof List && !(key instanceof Tuple)) {
        throw rendering.error("unique of a " + Values.typeName(key));
      }
      if (keys.stream().noneMatch(known -> Values.equal(known, key, rendering))) {
        keys.add(key);
        first.add(element);
      }
    }
    return new Iteration(first);
  }

  /** {@code min} and {@code max}. */
  static Object extreme(Object value, Evaluated arguments, boolean largest, Rendering rendering) {
    boolean caseSensitive = Values.truth(arguments.get(0, "case_sensitive", false));
    UnaryOperator<Object> part = key(arguments.get(1, "attribute", Values.NONE), caseSensitive, rendering);
    Comparator<Object> order = order(rendering);
    Object best = new Undefined("no element");
    Object bestKey = null;
    for (Object element : Operations.elements(value, rendering)) {
      Object key = part.apply(element);
      if (bestKey == null || (largest ? order.compare(bestKey, key) < 0 : order.compare(key, bestKey) < 0)) {
        best = element;
        bestKey = key;
      }
    }
    return best;
  }

  static Object sum(Object value, Evaluated arguments, Rendering rendering) {
    Object path = arguments.get(0, "attribute", Values.NONE);
    UnaryOperator<Object> part = path == Values.NONE ? UnaryOperator.identity() : attribute(path, null, rendering);
    Object sum = arguments.get(1, "start", 0L);
    if (Values.plain(sum) instanceof String) {
      throw rendering.error("sum of texts"); // Python has join for them
    }
    for (Object element : Operations.elements(value, rendering)) {
      sum = Operations.binary("+", sum, part.apply(element), rendering);
    }
    return sum;
  }
}
