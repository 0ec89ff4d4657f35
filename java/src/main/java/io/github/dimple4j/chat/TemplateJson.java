package io.github.dimple4j.chat;

import io.github.dimple4j.chat.Expression.Evaluated;
import io.github.dimple4j.chat.Values.Markup;
import io.github.dimple4j.chat.Values.Range;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** JSON as Python's {@code json.dumps} writes it, with the arguments of Hugging Face's filter {@code tojson}. For one thread. */
final class TemplateJson {
  private static final Set<String> ARGUMENTS = Set.of("ensure_ascii", "indent", "separators", "sort_keys");
  private static final int MOST_INDENT = 64;

  private final boolean ascii;
  private final Integer indent; // null: all on one line
  private final String between; // elements
  private final String afterKey;
  private final boolean sorted;
  private final Rendering rendering;
  private final StringBuilder out = new StringBuilder();

  private TemplateJson(Evaluated arguments, Rendering rendering) {
    for (String name : arguments.named().keySet()) {
      if (!ARGUMENTS.contains(name)) {
        throw rendering.error("unsupported argument '" + name + "' of tojson");
      }
    }
    this.rendering = rendering;
    ascii = Values.truth(arguments.get(0, "ensure_ascii", false));
    Object spaces = arguments.get(1, "indent", Values.NONE);
    indent = spaces == Values.NONE ? null : Math.clamp(Builtins.integer(spaces, "indent", rendering), 0, MOST_INDENT + 1);
    if (indent != null && indent > MOST_INDENT) {
      throw rendering.error("indent by more than " + MOST_INDENT);
    }
    Object separators = arguments.get(2, "separators", Values.NONE);
    if (separators == Values.NONE) {
      between = indent == null ? ", " : ",";
      afterKey = ": ";
    } else if (separators instanceof List<?> two && two.size() == 2) {
      between = Builtins.string(two.get(0), "separators", rendering);
      afterKey = Builtins.string(two.get(1), "separators", rendering);
    } else {
      throw rendering.error("separators of tojson are two texts");
    }
    sorted = Values.truth(arguments.get(3, "sort_keys", false));
  }

  static String write(Object value, Evaluated arguments, Rendering rendering) {
    TemplateJson json = new TemplateJson(arguments, rendering);
    json.value(value, 0);
    return json.out.toString();
  }

  private void value(Object value, int level) {
    rendering.enter();
    int start = out.length();
    switch (value) {
      case String s -> text(s);
      case Markup m -> text(m.text());
      case Boolean b -> out.append(b);
      case Long l -> out.append(l);
      case Double d -> out.append(d.isNaN() ? "NaN" : d.isInfinite() ? (d > 0 ? "Infinity" : "-Infinity") : Values.real(d));
      case Range range -> throw notJson(range);
      case List<?> list -> {
        out.append('[');
        for (int i = 0; i < list.size(); i++) {
          separate(i, level + 1);
          value(Values.of(list.get(i)), level + 1);
        }
        close(list.isEmpty(), ']', level);
      }
      case Map<?, ?> map -> mapping(map, level);
      default -> {
        if (value != Values.NONE) {
          throw notJson(value);
        }
        out.append("null");
      }
    }
    rendering.make(out.length() - start);
    rendering.leave();
  }

  private ChatTemplateException notJson(Object value) {
    return rendering.error("a " + Values.typeName(value) + " cannot be written as JSON");
  }

  private void mapping(Map<?, ?> map, int level) {
    List<Map.Entry<?, ?>> entries = new ArrayList<>(map.entrySet());
    if (sorted) {
      entries.sort(Comparator.comparing(Map.Entry::getKey, (a, b) -> Operations.order("<", a, b, rendering)));
    }
    out.append('{');
    for (int i = 0; i < entries.size(); i++) {
      separate(i, level + 1);
      text(entries.get(i).getKey().toString());
      out.append(afterKey);
      value(Values.of(entries.get(i).getValue()), level + 1);
    }
    close(map.isEmpty(), '}', level);
  }

  private void separate(int index, int level) {
    out.append(index == 0 ? "" : between);
    if (indent != null) {
      out.append('\n').append(" ".repeat(indent * level));
    }
  }

  private void close(boolean empty, char bracket, int level) {
    if (indent != null && !empty) {
      out.append('\n').append(" ".repeat(indent * level));
    }
    out.append(bracket);
  }

  private void text(String text) {
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
        default -> out.append(c < ' ' || ascii && c > '~' ? String.format("\\u%04x", (int) c) : String.valueOf(c));
      }
    }
    out.append('"');
  }
}
