package io.github.dimple4j.chat;

import io.github.dimple4j.DimpleException;

/** A chat template is malformed, uses something outside the supported subset of Jinja, or refused the conversation. */
public class ChatTemplateException extends DimpleException {
  private static final long serialVersionUID = 1L;

  /**
   * Creates the exception.
   *
   * @param message one line that names the template's line and what was wrong there
   */
  public ChatTemplateException(String message) {
    super(message);
  }
}
