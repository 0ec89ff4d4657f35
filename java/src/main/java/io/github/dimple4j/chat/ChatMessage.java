package io.github.dimple4j.chat;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * One turn of a conversation.
 *
 * @param role who speaks: {@code system}, {@code user}, {@code assistant}, or whatever else the template knows
 * @param parts text and pictures in order
 */
public record ChatMessage(String role, List<ContentPart> parts) {
  /** Copies the parts. */
  public ChatMessage {
    parts = List.copyOf(parts);
  }

  /**
   * A message of text alone.
   *
   * @param role who speaks
   * @param text what is said
   * @return the message
   */
  public static ChatMessage of(String role, String text) {
    return new ChatMessage(role, List.of(new ContentPart.Text(text)));
  }

  /**
   * The message as templates see it. Without pictures the content is a string, which every template takes; with pictures it is the list
   * of parts that the templates of vision models walk through.
   */
  Map<String, Object> toTemplateValue() {
    Map<String, Object> value = new LinkedHashMap<>();
    value.put("role", role);
    if (parts.stream().anyMatch(ContentPart.Image.class::isInstance)) {
      value.put("content", parts.stream().map(ChatMessage::toTemplateValue).toList());
    } else {
      value.put("content", parts.stream().map(p -> ((ContentPart.Text) p).text()).collect(Collectors.joining()));
    }
    return value;
  }

  private static Map<String, Object> toTemplateValue(ContentPart part) {
    Map<String, Object> value = new LinkedHashMap<>();
    switch (part) {
      case ContentPart.Text text -> {
        value.put("type", "text");
        value.put("text", text.text());
      }
      case ContentPart.Image image -> value.put("type", "image");
    }
    return value;
  }
}
