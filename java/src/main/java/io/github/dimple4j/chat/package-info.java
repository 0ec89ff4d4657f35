/**
 * Chat templates: what turns a conversation into the prompt text a model was trained on.
 *
 * <p>Model files carry their template as a Jinja program under {@code tokenizer.chat_template}.
 * {@link io.github.dimple4j.chat.ChatTemplate} runs the subset of Jinja that these programs use.
 */
package io.github.dimple4j.chat;
