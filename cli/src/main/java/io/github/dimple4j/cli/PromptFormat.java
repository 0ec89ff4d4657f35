package io.github.dimple4j.cli;

import io.github.dimple4j.SessionBuilder;
import io.github.dimple4j.Image;
import io.github.dimple4j.chat.ChatTemplate;

/**
 * How a question becomes a prompt.
 *
 * @param template the chat template; null: the model's own
 * @param raw the question is the prompt, without a template
 * @param thinking the template is told that the model shall think first
 */
record PromptFormat(ChatTemplate template, boolean raw, boolean thinking) {
  /** As the model's file has it. */
  static final PromptFormat OF_MODEL = new PromptFormat(null, false, false);

  void ask(SessionBuilder session, String system, String question, Image[] images) {
    if (raw) {
      session.prompt(question, images);
      return;
    }
    session.user(question, images).thinking(thinking);
    if (system != null) {
      session.system(system);
    }
    if (template != null) {
      session.chatTemplate(template);
    }
  }
}
