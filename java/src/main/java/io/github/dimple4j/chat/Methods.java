package io.github.dimple4j.chat;

import io.github.dimple4j.chat.Expression.Evaluated;
import io.github.dimple4j.chat.Values.Markup;
import io.github.dimple4j.chat.Values.Range;
import io.github.dimple4j.chat.Values.Tuple;
import io.github.dimple4j.chat.Values.View;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.IntPredicate;

/** The methods of texts, lists and mappings; those that change a value do not exist, as in Jinja's sandbox. */
final class Methods {
  private static final Set<String> OF_TEXT = Set.of("capitalize", "casefold", "center", "count", "encode", "endswith", "expandtabs", "find",
      "format", "format_map", "index", "isalnum", "isalpha", "isascii", "isdecimal", "isdigit", "isidentifier", "islower", "isnumeric",
      "isprintable", "isspace", "istitle", "isupper", "join", "ljust", "lower", "lstrip", "maketrans", "partition", "removeprefix",
      "removesuffix", "replace", "rfind", "rindex", "rjust", "rpartition", "rsplit", "rstrip", "split", "splitlines", "startswith", "strip",
      "swapcase", "title", "translate", "upper", "zfill");
  private static final Set<String> OF_MAPPING = Set.of("copy", "fromkeys", "get", "items", "keys", "values");
  private static final Set<String> OF_LIST = Set.of("copy", "count", "index");

  private Methods() {}

  /** Whether a value has a method in Python, whether it can be called here or not. */
  static boolean has(Object value, String name) {
    return switch (value) {
      case String text -> OF_TEXT.contains(name);
      case Markup text -> OF_TEXT.contains(name);
      case Map<?, ?> map -> OF_MAPPING.contains(name);
      case Tuple tuple -> OF_LIST.contains(name) && !name.equals("copy");
      case Range range -> OF_LIST.contains(name) && !name.equals("copy");
      case List<?> list -> OF_LIST.contains(name);
      default -> false;
    };
  }

  static Object call(Object value, String name, Evaluated arguments, Rendering rendering) {
    Signature.ofMethod(name, arguments, rendering);
    return switch (value) {
      case String text -> ofText(text, name, arguments, rendering);
      case Map<?, ?> map -> ofMapping(map, name, arguments, rendering);
      case List<?> list -> ofList(list, name, arguments, rendering);
      default -> throw unsupported(value, name, rendering);
    };
  }

  static ChatTemplateException unsupported(Object value, String name, Rendering rendering) {
    return rendering.error("unsupported method '" + name + "' of a " + Values.typeName(value));
  }

  private static Object ofList(List<?> list, String name, Evaluated arguments, Rendering rendering) {
    if (name.equals("copy")) {
      return list;
    }
    if (arguments.positional().size() != 1 || !arguments.named().isEmpty()) {
      throw rendering.error("'" + name + "' of a list takes one value here");
    }
    List<Object> elements = Operations.elements(list, rendering);
    Object wanted = arguments.positional().getFirst();
    if (name.equals("count")) {
      return elements.stream().filter(element -> Values.equal(element, wanted, rendering)).count();
    }
    if (!name.equals("index")) {
      throw unsupported(list, name, rendering);
    }
    for (int i = 0; i < elements.size(); i++) {
      if (Values.equal(elements.get(i), wanted, rendering)) {
        return (long) i;
      }
    }
    throw rendering.error("'index' of what a list does not hold");
  }

  private static Object ofMapping(Map<?, ?> map, String name, Evaluated arguments, Rendering rendering) {
    return switch (name) {
      case "items" -> new View("dict_items", items(map));
      case "keys" -> new View("dict_keys", List.copyOf(map.keySet()));
      case "values" -> new View("dict_values", map.values().stream().map(Values::of).toList());
      case "get" -> {
        Object key = arguments.get(0, "key", Values.NONE);
        yield map.containsKey(key) ? Values.of(map.get(key)) : arguments.get(1, "default", Values.NONE);
      }
      case "copy" -> map;
      default -> throw unsupported(map, name, rendering);
    };
  }

  static List<Object> items(Map<?, ?> map) {
    return map.entrySet().stream().map(e -> (Object) new Tuple(List.of(e.getKey(), Values.of(e.getValue())))).toList();
  }

  private static Object ofText(String text, String name, Evaluated arguments, Rendering rendering) {
    return switch (name) {
      case "strip" -> Texts.strip(text, arguments.get(0, "chars", Values.NONE), true, true, rendering);
      case "lstrip" -> Texts.strip(text, arguments.get(0, "chars", Values.NONE), true, false, rendering);
      case "rstrip" -> Texts.strip(text, arguments.get(0, "chars", Values.NONE), false, true, rendering);
      case "startswith" -> anyOf(arguments, name, rendering).stream().anyMatch(text::startsWith);
      case "endswith" -> anyOf(arguments, name, rendering).stream().anyMatch(text::endsWith);
      case "removeprefix" -> {
        String prefix = argument(arguments, name, rendering);
        yield text.startsWith(prefix) ? text.substring(prefix.length()) : text;
      }
      case "removesuffix" -> {
        String suffix = argument(arguments, name, rendering);
        yield text.endsWith(suffix) ? text.substring(0, text.length() - suffix.length()) : text;
      }
      case "upper" -> LetterCase.upper(text);
      case "lower" -> LetterCase.lower(text);
      case "capitalize" -> LetterCase.capitalize(text);
      case "title" -> LetterCase.title(text);
      case "replace" -> Texts.replace(text, arguments, rendering);
      case "split" -> Texts.split(text, arguments, false, rendering);
      case "rsplit" -> Texts.split(text, arguments, true, rendering);
      case "splitlines" -> splitLines(text, arguments, rendering);
      case "partition" -> partition(text, text.indexOf(separator(text, arguments, rendering)), arguments, true, rendering);
      case "rpartition" -> partition(text, text.lastIndexOf(separator(text, arguments, rendering)), arguments, false, rendering);
      case "find" -> place(text, text.indexOf(only(text, arguments, name, rendering)));
      case "rfind" -> place(text, text.lastIndexOf(only(text, arguments, name, rendering)));
      case "index" -> {
        int found = text.indexOf(only(text, arguments, name, rendering));
        if (found < 0) {
          throw rendering.error("'index' of what a text does not hold");
        }
        yield place(text, found);
      }
      case "count" -> Texts.count(text, only(text, arguments, name, rendering), rendering);
      case "join" -> Texts.join(Operations.elements(arguments.get(0, "iterable", Values.NONE), rendering), text, true, rendering);
      case "isdigit", "isdecimal", "isnumeric" -> all(text, name, c -> c >= '0' && c <= '9', rendering);
      case "isalpha" -> all(text, name, Character::isLetter, rendering);
      case "isalnum" -> all(text, name, c -> Character.isLetter(c) || c >= '0' && c <= '9', rendering);
      case "isspace" -> !text.isEmpty() && text.chars().allMatch(c -> Texts.isSpace((char) c));
      case "isupper" -> LetterCase.isUpper(text);
      case "islower" -> LetterCase.isLower(text);
      default -> throw unsupported(text, name, rendering);
    };
  }

  /** Digits and letters that are not ASCII are of more kinds than these. */
  private static boolean all(String text, String name, IntPredicate kind, Rendering rendering) {
    boolean ofNumbers = name.equals("isnumeric"); // which some letters are, all of them ideographs
    if (!name.equals("isalpha") && text.codePoints().anyMatch(c -> c > 127 && (!Character.isLetter(c) || ofNumbers && Character.isIdeographic(c)))) {
      throw rendering.error("unsupported '" + name + "' of a text that is not ASCII");
    }
    return !text.isEmpty() && text.codePoints().allMatch(kind);
  }

  private static String argument(Evaluated arguments, String name, Rendering rendering) {
    return Builtins.string(arguments.get(0, "value", Values.NONE), name, rendering);
  }

  /** The argument of a method that searches a text for it, and takes bounds, too, which are not supported. */
  private static String only(String text, Evaluated arguments, String name, Rendering rendering) {
    if (arguments.positional().size() != 1 || !arguments.named().isEmpty()) {
      throw rendering.error("'" + name + "' with bounds is not supported");
    }
    String part = argument(arguments, name, rendering);
    rendering.search(text, part);
    return part;
  }

  private static List<String> anyOf(Evaluated arguments, String name, Rendering rendering) {
    if (arguments.positional().size() != 1 || !arguments.named().isEmpty()) {
      throw rendering.error("'" + name + "' with bounds is not supported");
    }
    Object value = arguments.positional().getFirst();
    return value instanceof Tuple tuple ? tuple.stream().map(e -> Builtins.string(e, name, rendering)).toList()
        : List.of(Builtins.string(value, name, rendering));
  }

  private static Object place(String text, int found) {
    return found < 0 ? -1L : (long) text.codePointCount(0, found);
  }

  private static String separator(String text, Evaluated arguments, Rendering rendering) {
    String separator = argument(arguments, "partition", rendering);
    if (separator.isEmpty()) {
      throw rendering.error("partition by an empty separator");
    }
    rendering.search(text, separator);
    return separator;
  }

  private static Object partition(String text, int found, Evaluated arguments, boolean first, Rendering rendering) {
    String separator = separator(text, arguments, rendering);
    if (found < 0) {
      return new Tuple(first ? List.of(text, "", "") : List.of("", "", text));
    }
    return new Tuple(List.of(text.substring(0, found), separator, text.substring(found + separator.length())));
  }

  private static Object splitLines(String text, Evaluated arguments, Rendering rendering) {
    if (Values.truth(arguments.get(0, "keepends", false))) {
      throw rendering.error("splitlines with line ends is not supported");
    }
    return new ArrayList<Object>(Texts.lines(text));
  }
}
