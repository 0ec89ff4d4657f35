package io.github.dimple4j.chat;

import io.github.dimple4j.InvalidArgumentException;
import java.util.Map;
import java.util.Objects;
import tools.jackson.databind.node.ObjectNode;

/**
 * A call of a {@link Tool}. Immutable; any thread.
 *
 * @param name of the tool
 * @param arguments the JSON text of an object
 */
public record ToolCall(String name, String arguments) {
  /**
   * Checks the values.
   *
   * @throws InvalidArgumentException if no tool can be called so, or the arguments are not the JSON text of an object
   */
  public ToolCall {
    Tool.checkName(name);
    read(name, Objects.requireNonNull(arguments, "arguments"));
  }

  private static ObjectNode read(String name, String arguments) {
    String what = "the arguments of a call of " + name;
    if (JsonText.read(arguments, what) instanceof ObjectNode object) {
      return object;
    }
    throw new InvalidArgumentException(what + " are " + arguments + ", expected a JSON object");
  }

  /** The arguments as templates see them. */
  Map<?, ?> values() {
    return (Map<?, ?>) JsonText.value(read(name, arguments));
  }
}
