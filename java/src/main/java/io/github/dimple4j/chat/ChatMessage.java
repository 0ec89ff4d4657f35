package io.github.dimple4j.chat;

import java.util.BitSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * One turn of a conversation.
 *
 * @param role who speaks: {@code system}, {@code user}, {@code assistant}, or whatever else the template knows
 * @param parts text and pictures in order
 */
public record ChatMessage(String role, List<ContentPart> parts) {
  /** Copies the parts. */
  public ChatMessage {
    Objects.requireNonNull(role, "role");
    parts = List.copyOf(Objects.requireNonNull(parts, "parts"));
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
  Map<String, Object> toTemplateValue(Origins origins) {
    Map<String, Object> value = new LinkedHashMap<>();
    value.put("role", role);
    if (parts.stream().anyMatch(ContentPart.Image.class::isInstance)) {
      value.put("content", parts.stream().map(part -> toTemplateValue(part, origins)).toList());
    } else {
      value.put("content", text(parts, origins));
    }
    return value;
  }

  private static Map<String, Object> toTemplateValue(ContentPart part, Origins origins) {
    Map<String, Object> value = new LinkedHashMap<>();
    if (part instanceof ContentPart.Image) {
      value.put("type", "image");
    } else {
      value.put("type", "text");
      value.put("text", text(List.of(part), origins));
    }
    return value;
  }

  /** The text of parts without pictures, marked where it is what somebody said. */
  private static String text(List<ContentPart> parts, Origins origins) {
    StringBuilder joined = new StringBuilder();
    BitSet said = new BitSet();
    for (ContentPart part : parts) {
      switch (part) {
        case ContentPart.Text text -> {
          said.set(joined.length(), joined.length() + text.text().length());
          joined.append(text.text());
        }
        case ContentPart.Markup markup -> joined.append(markup.text());
        case ContentPart.Image image -> throw new IllegalArgumentException("a picture is no text");
      }
    }
    return origins.said(joined.toString(), said);
  }
}
