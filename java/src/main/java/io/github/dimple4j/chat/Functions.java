package io.github.dimple4j.chat;

import io.github.dimple4j.chat.Expression.Evaluated;
import io.github.dimple4j.chat.TemplateFunction.Named;
import io.github.dimple4j.chat.Values.Namespace;
import io.github.dimple4j.chat.Values.Range;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** The functions that Jinja and Hugging Face provide. */
final class Functions {
  private static final int LONGEST_RANGE = 100_000;

  private static final Map<String, TemplateFunction> NAMED = Stream.of(
      new Named("raise_exception", (arguments, rendering) -> {
        throw rendering.error(Values.text(arguments.get(0, "message", "the template refuses the conversation"), rendering));
      }),
      new Named("namespace", (arguments, rendering) -> new Namespace(attributes(mapping(arguments, rendering), rendering))),
      new Named("dict", Functions::mapping),
      new Named("range", Functions::range),
      new Named("joiner", (arguments, rendering) -> joiner(arguments.get(0, "sep", ", "))),
      new Named("strftime_now", (arguments, rendering) -> TemplateDate.format(arguments.get(0, "format", Values.NONE), rendering)))
      .collect(Collectors.toMap(Named::name, Function.identity()));

  private Functions() {}

  /** The function of a name, or null. */
  static TemplateFunction named(String name) {
    return NAMED.get(name);
  }

  private static Map<String, Object> attributes(Map<Object, Object> map, Rendering rendering) {
    Map<String, Object> attributes = new LinkedHashMap<>();
    map.forEach((key, value) -> attributes.put(Builtins.string(key, "namespace", rendering), value));
    return attributes;
  }

  private static Map<Object, Object> mapping(Evaluated arguments, Rendering rendering) {
    Map<Object, Object> map = new LinkedHashMap<>();
    for (Object from : arguments.positional()) {
      if (arguments.positional().size() > 1 || !(from instanceof Map<?, ?> entries)) {
        throw rendering.error("a mapping is made of one mapping and of named values");
      }
      entries.forEach((key, value) -> map.put(Expression.Mapping.key(key, rendering), Values.of(value)));
    }
    map.putAll(arguments.named());
    return map;
  }

  private static Object range(Evaluated arguments, Rendering rendering) {
    List<Object> bounds = arguments.positional();
    int count = bounds.size();
    if (count < 1 || count > 3 || !arguments.named().isEmpty()) {
      throw rendering.error("range needs one to three integers, the third not 0");
    }
    long from = count == 1 ? 0 : Builtins.integer(bounds.get(0), "range", rendering);
    long to = Builtins.integer(bounds.get(count == 1 ? 0 : 1), "range", rendering);
    long step = count == 3 ? Builtins.integer(bounds.get(2), "range", rendering) : 1;
    if (step == 0) {
      throw rendering.error("range needs one to three integers, the third not 0");
    }
    if (Math.ceil(((double) to - from) / step) > LONGEST_RANGE) {
      throw rendering.error("a range of more than " + LONGEST_RANGE + " numbers");
    }
    return new Range(from, to, step);
  }

  /** Gives nothing when it is called first, and the separator from then on. */
  private static TemplateFunction joiner(Object separator) {
    boolean[] used = new boolean[1];
    return new Named("joiner", (arguments, rendering) -> {
      Object value = used[0] ? separator : "";
      used[0] = true;
      return value;
    });
  }
}
