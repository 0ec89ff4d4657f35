package io.github.dimple4j.chat;

/** Whether an answer may, or must, be a call of a {@link Tool}. */
public enum ToolChoice {
  /** The answer is a text or a call, as the model likes. */
  AUTO,
  /** The answer is a call. Of one particular tool, if there is only that one. */
  REQUIRED
}
