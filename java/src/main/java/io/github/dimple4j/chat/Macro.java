package io.github.dimple4j.chat;

import io.github.dimple4j.chat.Expression.Evaluated;
import io.github.dimple4j.chat.Values.Tuple;
import io.github.dimple4j.chat.Values.Undefined;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A function that a template defines: its value is what its body writes. It sees the names where it is defined, as they are when it is
 * called.
 *
 * @param definition its parameters and its body
 * @param scopes the scopes around the definition, innermost first
 */
record Macro(Definition definition, List<Map<String, Object>> scopes) implements TemplateFunction {
  /** A parameter; {@code otherwise} may be null. */
  record Parameter(String name, Expression otherwise) {}

  /**
   * What a template says of a macro, or of what is within {@code call}.
   *
   * @param name its name
   * @param parameters in order
   * @param body what it writes
   * @param takesMore whether the body reads {@code varargs}: further positional arguments
   * @param takesNamed whether the body reads {@code kwargs}: further named arguments
   * @param takesCaller whether the body reads {@code caller}
   */
  record Definition(String name, List<Parameter> parameters, List<Statement> body, boolean takesMore, boolean takesNamed,
      boolean takesCaller) {}

  @Override
  public String name() {
    return definition.name();
  }

  @Override
  public Object call(Evaluated arguments, Rendering rendering) {
    List<Map<String, Object>> outer = rendering.enterScopesOf(scopes);
    bind(arguments, rendering);
    String text = rendering.capture(() -> Statement.runAll(definition.body(), rendering));
    rendering.restoreScopes(outer);
    return text;
  }

  private void bind(Evaluated arguments, Rendering rendering) {
    List<Parameter> parameters = definition.parameters();
    List<Object> positional = arguments.positional();
    Map<String, Object> named = new LinkedHashMap<>(arguments.named());
    Object caller = definition.takesCaller() && parameters.stream().noneMatch(p -> p.name().equals("caller"))
        ? named.remove("caller") : null;
    List<Parameter> left = new ArrayList<>();
    for (int i = 0; i < parameters.size(); i++) {
      String name = parameters.get(i).name();
      if (i < positional.size() && named.containsKey(name)) {
        throw rendering.error("'" + name() + "' gets its argument '" + name + "' twice");
      }
      Object given = i < positional.size() ? positional.get(i) : named.remove(name);
      if (given == null) {
        left.add(parameters.get(i));
      }
      rendering.assign(name, given != null ? given : new Undefined(name));
    }
    for (Parameter parameter : left) { // a default sees all parameters, and no names outside that are spelled alike
      if (parameter.otherwise() != null) {
        rendering.assign(parameter.name(), rendering.evaluate(parameter.otherwise()));
      }
    }
    if (definition.takesCaller() && parameters.stream().noneMatch(p -> p.name().equals("caller"))) {
      rendering.assign("caller", caller == null ? new Undefined("caller") : caller);
    }
    if (definition.takesMore()) {
      rendering.assign("varargs", new Tuple(positional.subList(Math.min(parameters.size(), positional.size()), positional.size())));
    } else if (positional.size() > parameters.size()) {
      throw rendering.error("'" + name() + "' takes " + parameters.size() + " arguments, not " + positional.size());
    }
    if (definition.takesNamed()) {
      rendering.assign("kwargs", named);
    } else if (!named.isEmpty()) {
      throw rendering.error("'" + name() + "' has no argument '" + named.keySet().iterator().next() + "'");
    }
  }
}
