package io.github.dimple4j.chat;

import io.github.dimple4j.chat.Expression.Evaluated;
import io.github.dimple4j.chat.Values.Undefined;
import java.util.List;

/** What {@code loop} tells about a round of a loop. */
final class Loop {
  private final List<Object> items;
  private int index;
  private List<Object> changed; // what loop.changed() was asked last

  Loop(List<Object> items) {
    this.items = items;
  }

  void round(int newIndex) {
    index = newIndex;
  }

  Object attribute(String name) {
    int count = items.size();
    return switch (name) {
      case "index" -> index + 1L;
      case "index0" -> (long) index;
      case "revindex" -> (long) count - index;
      case "revindex0" -> count - index - 1L;
      case "first" -> index == 0;
      case "last" -> index == count - 1;
      case "length" -> (long) count;
      case "depth" -> 1L; // of recursive loops, which there are none of
      case "depth0" -> 0L;
      case "previtem" -> index > 0 ? items.get(index - 1) : new Undefined("loop.previtem");
      case "nextitem" -> index < count - 1 ? items.get(index + 1) : new Undefined("loop.nextitem");
      case "cycle" -> new TemplateFunction.Named("loop.cycle", this::cycle);
      case "changed" -> new TemplateFunction.Named("loop.changed", this::changed);
      default -> new Undefined("loop." + name);
    };
  }

  private Object cycle(Evaluated arguments, Rendering rendering) {
    if (arguments.positional().isEmpty() || !arguments.named().isEmpty()) {
      throw rendering.error("loop.cycle needs values without names");
    }
    return arguments.positional().get(index % arguments.positional().size());
  }

  private Object changed(Evaluated arguments, Rendering rendering) {
    if (!arguments.named().isEmpty()) {
      throw rendering.error("loop.changed takes values without names");
    }
    List<Object> values = arguments.positional();
    boolean same = changed != null && Values.equal(changed, values, rendering);
    changed = values;
    return !same;
  }
}
