package io.github.dimple4j.chat;

import io.github.dimple4j.chat.Expression.Evaluated;
import io.github.dimple4j.chat.Values.Iteration;
import io.github.dimple4j.chat.Values.Markup;
import io.github.dimple4j.chat.Values.Undefined;
import io.github.dimple4j.chat.Values.View;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Filters and tests. */
final class Builtins {
  private Builtins() {}

  static Object filter(String name, Object value, Evaluated arguments, Rendering rendering) {
    Signature.ofFilter(name, arguments, rendering);
    if (value instanceof Markup markup) {
      return ofMarkup(name, markup, arguments, rendering);
    }
    return switch (name) {
      case "trim" -> Texts.strip(Values.text(value, rendering), arguments.get(0, "chars", Values.NONE), true, true, rendering);
      case "upper" -> LetterCase.upper(Values.text(value, rendering));
      case "lower" -> LetterCase.lower(Values.text(value, rendering));
      case "capitalize" -> LetterCase.capitalize(Values.text(value, rendering));
      case "title" -> LetterCase.titleWords(Values.text(value, rendering));
      case "indent" -> Texts.indent(string(value, name, rendering), arguments, rendering);
      case "string" -> Values.text(value, rendering);
      case "safe" -> new Markup(Values.text(value, rendering));
      case "escape", "e" -> new Markup(Texts.escape(Values.text(value, rendering)));
      case "replace" -> Texts.replace(Values.text(value, rendering), arguments, rendering);
      case "length", "count" -> Operations.length(value, rendering);
      case "first" -> value instanceof Iteration iteration ? iteration.next(new Undefined("first"))
          : Operations.elements(value, rendering).stream().findFirst().orElseGet(() -> new Undefined("first"));
      case "last" -> {
        if (value instanceof Iteration) {
          throw rendering.error("the last of a generator is not known");
        }
        List<Object> elements = Operations.elements(value, rendering);
        yield elements.isEmpty() ? new Undefined("last") : elements.getLast();
      }
      case "list" -> new ArrayList<>(Operations.elements(value, rendering));
      case "reverse" -> reverse(value, rendering);
      case "join" -> join(value, arguments, rendering);
      case "items" -> switch (value) {
        case Map<?, ?> map -> new Iteration(Methods.items(map));
        case Undefined u -> new Iteration(List.of());
        default -> throw rendering.error("items of a " + Values.typeName(value));
      };
      case "map" -> Sequences.map(value, arguments, rendering);
      case "select" -> Sequences.choose(value, arguments, false, true, rendering);
      case "reject" -> Sequences.choose(value, arguments, false, false, rendering);
      case "selectattr" -> Sequences.choose(value, arguments, true, true, rendering);
      case "rejectattr" -> Sequences.choose(value, arguments, true, false, rendering);
      case "sort" -> Sequences.sort(value, arguments, rendering);
      case "dictsort" -> Sequences.sortItems(value, arguments, rendering);
      case "unique" -> Sequences.unique(value, arguments, rendering);
      case "min" -> Sequences.extreme(value, arguments, false, rendering);
      case "max" -> Sequences.extreme(value, arguments, true, rendering);
      case "sum" -> Sequences.sum(value, arguments, rendering);
      case "default", "d" -> {
        boolean emptyToo = Values.truth(arguments.get(1, "boolean", false));
        yield value instanceof Undefined || emptyToo && !Values.truth(value) ? arguments.get(0, "default_value", "") : value;
      }
      case "int" -> Numbers.integer(value, arguments, rendering);
      case "float" -> Numbers.real(value, arguments, rendering);
      case "abs" -> Numbers.absolute(value, rendering);
      case "round" -> Numbers.round(value, arguments, rendering);
      case "tojson" -> TemplateJson.write(value, arguments, rendering);
      default -> throw rendering.error("unsupported filter '" + name + "'");
    };
  }

  /** A safe text stays one where Python's class for it says so. */
  private static Object ofMarkup(String name, Markup value, Evaluated arguments, Rendering rendering) {
    return switch (name) {
      case "safe", "escape", "e" -> value;
      case "trim", "upper", "lower", "capitalize", "title", "string", "indent" ->
          new Markup((String) filter(name, value.text(), arguments, rendering));
      case "tojson", "replace", "length", "count", "int", "float", "list" -> filter(name, value.text(), arguments, rendering);
      case "default", "d" -> value.text().isEmpty() && Values.truth(arguments.get(1, "boolean", false))
          ? arguments.get(0, "default_value", "") : value;
      default -> throw rendering.error("filter '" + name + "' of a safe text is not supported");
    };
  }

  private static String join(Object value, Evaluated arguments, Rendering rendering) {
    Object attribute = arguments.get(1, "attribute", Values.NONE);
    Object elements = attribute == Values.NONE ? value
        : Sequences.map(Operations.elements(value, rendering), new Evaluated(List.of(), Map.of("attribute", attribute)), rendering);
    return Texts.join(Operations.elements(elements, rendering), Values.text(arguments.get(0, "d", ""), rendering), false, rendering);
  }

  private static Object reverse(Object value, Rendering rendering) {
    if (value instanceof String text) {
      return new StringBuilder(text).reverse().toString();
    }
    List<Object> reversed = Operations.elements(value, rendering).reversed();
    return value instanceof Iteration ? new ArrayList<>(reversed) : new Iteration(reversed);
  }

  static boolean test(String name, Object tested, Evaluated arguments, Rendering rendering) {
    Signature.ofTest(name, arguments, rendering);
    Object value = Values.plain(tested);
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
      case "iterable" -> value instanceof List || value instanceof Map || value instanceof String || value instanceof Undefined
          || value instanceof View || value instanceof Iteration || value instanceof Loop;
      case "callable" -> value instanceof TemplateFunction || value instanceof Undefined; // calling that is an error
      case "escaped" -> tested instanceof Markup;
      case "upper" -> LetterCase.isUpper(Values.text(value, rendering));
      case "lower" -> LetterCase.isLower(Values.text(value, rendering));
      case "sequence" -> value instanceof List || value instanceof Map || value instanceof String || value instanceof Undefined;
      case "even" -> integer(value, "even", rendering) % 2 == 0;
      case "odd" -> integer(value, "odd", rendering) % 2 != 0;
      case "divisibleby" -> Values.equal(0L,
          Operations.binary("%", value, arguments.get(0, "num", Values.NONE), rendering), rendering);
      case "eq", "equalto", "==" -> Values.equal(value, arguments.get(0, "other", Values.NONE), rendering);
      case "ne", "!=" -> !Values.equal(value, arguments.get(0, "other", Values.NONE), rendering);
      case "lt", "lessthan", "<" -> Operations.order("<", value, arguments.get(0, "other", Values.NONE), rendering) < 0;
      case "le", "<=" -> Operations.order("<=", value, arguments.get(0, "other", Values.NONE), rendering) <= 0;
      case "gt", "greaterthan", ">" -> Operations.order(">", value, arguments.get(0, "other", Values.NONE), rendering) > 0;
      case "ge", ">=" -> Operations.order(">=", value, arguments.get(0, "other", Values.NONE), rendering) >= 0;
      case "sameas" -> {
        Object other = arguments.get(0, "other", Values.NONE);
        if (!(other instanceof Boolean) && other != Values.NONE) {
          throw rendering.error("test 'sameas' is supported with true, false and none");
        }
        yield value.equals(other);
      }
      case "in" -> Operations.contains(arguments.get(0, "seq", Values.NONE), value, rendering);
      default -> throw rendering.error("unsupported test '" + name + "'");
    };
  }

  static long integer(Object value, String where, Rendering rendering) {
    if (!(value instanceof Long number)) {
      throw rendering.error(where + " needs an integer, not a " + Values.typeName(value));
    }
    return number;
  }

  static String string(Object value, String where, Rendering rendering) {
    if (!(value instanceof String text)) {
      throw rendering.error(where + " needs a string, not a " + Values.typeName(value));
    }
    return text;
  }
}
