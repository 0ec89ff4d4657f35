package io.github.dimple4j.chat;

import io.github.dimple4j.chat.Expression.Evaluated;
import io.github.dimple4j.chat.Values.Namespace;
import io.github.dimple4j.chat.Values.Tuple;
import io.github.dimple4j.chat.Values.Undefined;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.LongStream;

/** Functions, methods, filters and tests. */
final class Builtins {
  private static final int LONGEST_RANGE = 100_000;

  private Builtins() {}

  static Object call(String name, Evaluated arguments, Rendering rendering) {
    return switch (name) {
      case "raise_exception" -> throw rendering.error(Values.text(arguments.get(0, "message", "the template refuses the conversation"), rendering));
      case "namespace" -> new Namespace(new LinkedHashMap<>(arguments.named()));
      case "range" -> range(arguments, rendering);
      default -> throw rendering.error(rendering.lookup(name) instanceof Undefined
          ? "unsupported function '" + name + "'" : "'" + name + "' is no function");
    };
  }

  private static Object range(Evaluated arguments, Rendering rendering) {
    int count = arguments.positional().size();
    long[] bounds = new long[count];
    for (int i = 0; i < count; i++) {
      bounds[i] = integer(arguments.positional().get(i), "range", rendering);
    }
    if (count < 1 || count > 3 || count == 3 && bounds[2] == 0) {
      throw rendering.error("range needs one to three integers, the third not 0");
    }
    long from = count == 1 ? 0 : bounds[0];
    long to = count == 1 ? bounds[0] : bounds[1];
    long step = count == 3 ? bounds[2] : 1;
    double length = Math.max(0, Math.ceil(((double) to - from) / step));
    if (length > LONGEST_RANGE) {
      throw rendering.error("a range of more than " + LONGEST_RANGE + " numbers");
    }
    return LongStream.range(0, (long) length).mapToObj(i -> (Object) (from + i * step)).toList();
  }

  static Object method(Object value, String name, Evaluated arguments, Rendering rendering) {
    return switch (value) {
      case Undefined u -> throw Operations.undefined(u, rendering);
      case String text -> textMethod(text, name, arguments, rendering);
      case Map<?, ?> map -> mapMethod(map, name, arguments, rendering);
      default -> throw noMethod(value, name, rendering);
    };
  }

  private static ChatTemplateException noMethod(Object value, String name, Rendering rendering) {
    return rendering.error("unsupported method '" + name + "' of a " + Values.typeName(value));
  }

  private static Object textMethod(String text, String name, Evaluated arguments, Rendering rendering) {
    return switch (name) {
      case "strip" -> strip(text, arguments.get(0, "chars", Values.NONE), true, true, rendering);
      case "lstrip" -> strip(text, arguments.get(0, "chars", Values.NONE), true, false, rendering);
      case "rstrip" -> strip(text, arguments.get(0, "chars", Values.NONE), false, true, rendering);
      case "startswith" -> anyOf(arguments.get(0, "prefix", Values.NONE), name, rendering).stream().anyMatch(text::startsWith);
      case "endswith" -> anyOf(arguments.get(0, "suffix", Values.NONE), name, rendering).stream().anyMatch(text::endsWith);
      case "upper" -> text.toUpperCase(Locale.ROOT);
      case "lower" -> text.toLowerCase(Locale.ROOT);
      case "capitalize" -> capitalize(text);
      case "replace" -> replace(text, arguments, rendering);
      case "split" -> split(text, arguments, rendering);
      case "join" -> join(Operations.elements(arguments.get(0, "iterable", Values.NONE), rendering), text, rendering);
      default -> throw noMethod(text, name, rendering);
    };
  }

  private static Object mapMethod(Map<?, ?> map, String name, Evaluated arguments, Rendering rendering) {
    return switch (name) {
      case "items" -> items(map);
      case "keys" -> List.copyOf(map.keySet());
      case "values" -> map.values().stream().map(Values::of).toList();
      case "get" -> {
        Object key = arguments.get(0, "key", Values.NONE);
        yield map.containsKey(key) ? Values.of(map.get(key)) : arguments.get(1, "default", Values.NONE);
      }
      default -> throw noMethod(map, name, rendering);
    };
  }

  private static Object items(Map<?, ?> map) {
    return map.entrySet().stream().map(e -> (Object) new Tuple(List.of(e.getKey(), Values.of(e.getValue())))).toList();
  }

  static Object filter(String name, Object value, Evaluated arguments, Rendering rendering) {
    return switch (name) {
      case "trim" -> strip(Values.text(value, rendering), arguments.get(0, "chars", Values.NONE), true, true, rendering);
      case "upper" -> Values.text(value, rendering).toUpperCase(Locale.ROOT);
      case "lower" -> Values.text(value, rendering).toLowerCase(Locale.ROOT);
      case "capitalize" -> capitalize(Values.text(value, rendering));
      case "string" -> Values.text(value, rendering);
      case "safe" -> value;
      case "replace" -> replace(Values.text(value, rendering), arguments, rendering);
      case "length", "count" -> Operations.length(value, rendering);
      case "first" -> Operations.elements(value, rendering).stream().findFirst().orElseGet(() -> new Undefined("first"));
      case "last" -> {
        List<Object> elements = Operations.elements(value, rendering);
        yield elements.isEmpty() ? new Undefined("last") : elements.getLast();
      }
      case "list" -> Operations.elements(value, rendering);
      case "reverse" -> reverse(value, rendering);
      case "join" -> join(Operations.elements(value, rendering), Values.text(arguments.get(0, "d", ""), rendering), rendering);
      case "items" -> switch (value) {
        case Map<?, ?> map -> items(map);
        case Undefined u -> List.of();
        default -> throw rendering.error("items of a " + Values.typeName(value));
      };
      case "default", "d" -> {
        boolean emptyToo = Values.truth(arguments.get(1, "boolean", false));
        yield value instanceof Undefined || emptyToo && !Values.truth(value) ? arguments.get(0, "default_value", "") : value;
      }
      case "int" -> toInteger(value, arguments);
      case "tojson" -> toJson(value, arguments, rendering);
      default -> throw rendering.error("unsupported filter '" + name + "'");
    };
  }

  private static Object reverse(Object value, Rendering rendering) {
    if (value instanceof String text) {
      return new StringBuilder(text).reverse().toString();
    }
    return Operations.elements(value, rendering).reversed();
  }

  private static String toJson(Object value, Evaluated arguments, Rendering rendering) {
    Object indent = arguments.get(1, "indent", Values.NONE);
    for (String name : arguments.named().keySet()) {
      if (!name.equals("indent") && !name.equals("ensure_ascii")) {
        throw rendering.error("unsupported argument '" + name + "' of tojson");
      }
    }
    if (Values.truth(arguments.get(0, "ensure_ascii", false))) {
      throw rendering.error("tojson with ensure_ascii is not supported");
    }
    Integer spaces = indent == Values.NONE ? null : Math.clamp(integer(indent, "indent", rendering), 0, 64);
    StringBuilder out = new StringBuilder();
    Values.json(value, spaces, 0, rendering, out);
    return out.toString();
  }

  private static Object toInteger(Object value, Evaluated arguments) {
    return switch (value) {
      case Long l -> l;
      case Double d -> d.longValue();
      case Boolean b -> b ? 1L : 0L;
      case String s when s.strip().matches("[+-]?\\d{1,18}") -> Long.valueOf(s.strip());
      default -> arguments.get(0, "default", 0L);
    };
  }

  static boolean test(String name, Object value, Evaluated arguments, Rendering rendering) {
    return switch (name) {
      case "defined" -> !(value instanceof Undefined);
      case "undefined" -> value instanceof Undefined;
      case "none" -> value == Values.NONE;
      case "boolean" -> value instanceof Boolean;
      case "true" -> Boolean.TRUE.equals(value);
      case "false" -> Boolean.FALSE.equals(value);
      case "string" -> value instanceof String;
      case "integer" -> value instanceof Long;
      case "float" -> value instanceof Double;
      case "number" -> value instanceof Number || value instanceof Boolean;
      case "mapping" -> value instanceof Map;
      case "iterable" -> value instanceof List || value instanceof Map || value instanceof String || value instanceof Undefined;
      case "sequence" -> value instanceof List || value instanceof Map || value instanceof String || value instanceof Undefined;
      case "even" -> integer(value, "even", rendering) % 2 == 0;
      case "odd" -> integer(value, "odd", rendering) % 2 != 0;
      case "divisibleby" -> Values.equal(0L,
          Operations.binary("%", value, arguments.get(0, "num", Values.NONE), rendering), rendering);
      case "eq", "equalto" -> Values.equal(value, arguments.get(0, "other", Values.NONE), rendering);
      case "ne" -> !Values.equal(value, arguments.get(0, "other", Values.NONE), rendering);
      case "in" -> Operations.contains(arguments.get(0, "seq", Values.NONE), value, rendering);
      default -> throw rendering.error("unsupported test '" + name + "'");
    };
  }

  private static long integer(Object value, String where, Rendering rendering) {
    if (!(value instanceof Long number)) {
      throw rendering.error(where + " needs an integer, not a " + Values.typeName(value));
    }
    return number;
  }

  private static String string(Object value, String where, Rendering rendering) {
    if (!(value instanceof String text)) {
      throw rendering.error(where + " needs a string, not a " + Values.typeName(value));
    }
    return text;
  }

  private static List<String> anyOf(Object value, String where, Rendering rendering) {
    return value instanceof Tuple tuple ? tuple.stream().map(e -> string(e, where, rendering)).toList()
        : List.of(string(value, where, rendering));
  }

  private static String strip(String text, Object characters, boolean left, boolean right, Rendering rendering) {
    String set = characters == Values.NONE ? null : string(characters, "strip", rendering);
    Function<Character, Boolean> drops = c -> set == null ? Values.isSpace(c) : set.indexOf(c) >= 0;
    int start = 0;
    int end = text.length();
    while (left && start < end && drops.apply(text.charAt(start))) {
      start++;
    }
    while (right && end > start && drops.apply(text.charAt(end - 1))) {
      end--;
    }
    return text.substring(start, end);
  }

  private static String capitalize(String text) {
    if (text.isEmpty()) {
      return text;
    }
    int first = Character.charCount(text.codePointAt(0));
    return text.substring(0, first).toUpperCase(Locale.ROOT) + text.substring(first).toLowerCase(Locale.ROOT);
  }

  private static String replace(String text, Evaluated arguments, Rendering rendering) {
    String old = string(arguments.get(0, "old", Values.NONE), "replace", rendering);
    String replacement = string(arguments.get(1, "new", Values.NONE), "replace", rendering);
    Object count = arguments.get(2, "count", Values.NONE);
    if (count != Values.NONE) {
      throw rendering.error("replace with a count is not supported");
    }
    long longest = text.length() + (text.length() / Math.max(1, old.length()) + 1L) * replacement.length();
    rendering.make(longest);
    return text.replace(old, replacement);
  }

  private static Object split(String text, Evaluated arguments, Rendering rendering) {
    Object separator = arguments.get(0, "sep", Values.NONE);
    if (arguments.positional().size() > 1 || arguments.named().containsKey("maxsplit")) {
      throw rendering.error("split with a limit is not supported");
    }
    List<Object> parts = new ArrayList<>();
    if (separator == Values.NONE) {
      int start = 0;
      for (int i = 0; i <= text.length(); i++) {
        if (i == text.length() || Values.isSpace(text.charAt(i))) {
          if (i > start) {
            parts.add(text.substring(start, i));
          }
          start = i + 1;
        }
      }
      return parts;
    }
    String by = string(separator, "split", rendering);
    if (by.isEmpty()) {
      throw rendering.error("split by an empty separator");
    }
    int start = 0;
    for (int at = text.indexOf(by); at >= 0; at = text.indexOf(by, start)) {
      parts.add(text.substring(start, at));
      start = at + by.length();
    }
    parts.add(text.substring(start));
    return parts;
  }

  private static String join(List<Object> elements, String separator, Rendering rendering) {
    String[] texts = elements.stream().map(e -> Values.text(e, rendering)).toArray(String[]::new);
    rendering.make(Arrays.stream(texts).mapToLong(t -> (long) t.length() + separator.length()).sum());
    return String.join(separator, texts);
  }
}
