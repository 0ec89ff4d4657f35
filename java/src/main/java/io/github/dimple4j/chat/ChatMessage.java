package io.github.dimple4j.chat;

import io.github.dimple4j.arguments.Elements;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Collectors;

/**
 * One turn of a conversation.
 *
 * @param role who speaks: {@code system}, {@code user}, {@code assistant}, {@code tool}, or whatever else the template knows
 * @param parts text and pictures in order
 * @param calls calls of tools that stand behind the text; only an assistant's
 * @param tool the name of the tool whose result this is, in the role {@code tool}; otherwise empty
 * @param thoughts what the assistant thought before it said or called something, for templates that write it; otherwise empty
 */
public record ChatMessage(String role, List<ContentPart> parts, List<ToolCall> calls, String tool, String thoughts) {
  /** Copies the lists. */
  public ChatMessage {
    Objects.requireNonNull(role, "role");
    parts = Elements.of(parts, "parts");
    calls = Elements.of(calls, "calls");
    Objects.requireNonNull(tool, "tool");
    Objects.requireNonNull(thoughts, "thoughts");
  }

  /**
   * A message without thoughts.
   *
   * @param role who speaks
   * @param parts text and pictures in order
   * @param calls calls of tools that stand behind the text
   * @param tool the name of the tool whose result this is, or empty
   */
  public ChatMessage(String role, List<ContentPart> parts, List<ToolCall> calls, String tool) {
    this(role, parts, calls, tool, "");
  }

  /**
   * A message without tools.
   *
   * @param role who speaks
   * @param parts text and pictures in order
   */
  public ChatMessage(String role, List<ContentPart> parts) {
    this(role, parts, List.of(), "");
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
   * A message of the assistant that calls tools.
   *
   * @param text what it says before; may be empty
   * @param calls the calls
   * @return the message
   */
  public static ChatMessage calling(String text, List<ToolCall> calls) {
    return new ChatMessage("assistant", List.of(new ContentPart.Text(text)), calls, "");
  }

  /**
   * What a tool has returned.
   *
   * @param tool its name
   * @param text the result
   * @return the message
   */
  public static ChatMessage result(String tool, String text) {
    return new ChatMessage("tool", List.of(new ContentPart.Text(text)), List.of(), Tool.checkName(Objects.requireNonNull(tool, "tool")));
  }

  /**
   * The same message with its pictures before its texts, as models are trained to see them, if all of them stand behind. That is how many
   * clients write a question about a picture, and it says nothing of places. In any other order texts may say which picture is which, and it stays.
   *
   * @return the message
   */
  public ChatMessage picturesFirst() {
    int texts = 0;
    while (texts < parts.size() && !(parts.get(texts) instanceof ContentPart.Image)) {
      texts++;
    }
    if (!parts.subList(texts, parts.size()).stream().allMatch(ContentPart.Image.class::isInstance)) {
      return this;
    }
    List<ContentPart> turned = new ArrayList<>(parts.subList(texts, parts.size()));
    turned.addAll(parts.subList(0, texts));
    return withParts(turned);
  }

  /**
   * The same message with what was thought before it, such as {@link io.github.dimple4j.Generation#thinking()}. Templates write it where their model is to see it
   * again: usually between the calls of tools that follow one question.
   *
   * @param thoughts the text; empty for none
   * @return the message
   */
  public ChatMessage withThoughts(String thoughts) {
    return new ChatMessage(role, parts, calls, tool, thoughts);
  }

  /**
   * The same message with other content.
   *
   * @param parts text and pictures in order
   * @return the message
   */
  public ChatMessage withParts(List<ContentPart> parts) {
    return new ChatMessage(role, parts, calls, tool, thoughts);
  }

  /** The messages as templates see them. Calls are numbered, and each result has the number of the first call of its tool without one. */
  static List<Map<String, Object>> toTemplateValues(List<ChatMessage> messages, Origins origins) {
    return toTemplateValues(messages, origins, false);
  }

  /**
   * The same, for templates that read results as a list in the message that called ({@code tool_responses}, as Gemma's) where
   * {@code inCalls} says so: a result is a mapping if it is the JSON text of one, otherwise the text.
   */
  static List<Map<String, Object>> toTemplateValues(List<ChatMessage> messages, Origins origins, boolean inCalls) {
    List<Map<String, Object>> values = new ArrayList<>();
    List<Map.Entry<String, String>> open = new ArrayList<>(); // names and numbers of calls
    int calls = 0;
    for (ChatMessage message : messages) {
      if (inCalls && !message.tool.isEmpty() && !values.isEmpty() && values.getLast().containsKey("tool_calls")) {
        Map<String, Object> response = new LinkedHashMap<>();
        response.put("name", message.tool);
        response.put("response", JsonText.mappingOrText(plainText(message.parts)));
        @SuppressWarnings("unchecked")
        List<Object> responses = (List<Object>) values.getLast().computeIfAbsent("tool_responses", key -> new ArrayList<>());
        responses.add(origins.allSaid(response));
        continue;
      }
      Map<String, Object> value = message.toTemplateValue(origins);
      List<Object> called = new ArrayList<>();
      for (ToolCall call : message.calls) {
        String id = String.format(Locale.ROOT, "call%05d", calls++); // nine letters and digits, as templates of Mistral ask for
        open.add(Map.entry(call.name(), id));
        Map<String, Object> function = new LinkedHashMap<>();
        function.put("name", call.name());
        function.put("arguments", call.values());
        called.add(origins.allSaid(new LinkedHashMap<>(Map.of("type", "function", "id", id, "function", function))));
      }
      if (!called.isEmpty()) {
        value.put("tool_calls", called);
      }
      if (!message.tool.isEmpty()) {
        value.put("name", origins.allSaid(message.tool));
        Map.Entry<String, String> answered = open.stream().filter(call -> call.getKey().equals(message.tool)).findFirst().orElse(null);
        value.put("tool_call_id", answered == null ? String.format(Locale.ROOT, "call%05d", calls++) : answered.getValue());
        open.remove(answered);
      }
      values.add(value);
    }
    return values;
  }

  private static String plainText(List<ContentPart> parts) {
    return parts.stream().map(part -> switch (part) {
      case ContentPart.Text text -> text.text();
      case ContentPart.Markup markup -> markup.text();
      case ContentPart.Image image -> "";
    }).collect(Collectors.joining());
  }

  /**
   * The message as templates see it. Without pictures the content is a string, which every template takes; with pictures it is the list
   * of parts that the templates of vision models walk through.
   */
  private Map<String, Object> toTemplateValue(Origins origins) {
    Map<String, Object> value = new LinkedHashMap<>();
    value.put("role", role);
    if (parts.stream().anyMatch(ContentPart.Image.class::isInstance)) {
      value.put("content", parts.stream().map(part -> toTemplateValue(part, origins)).toList());
    } else {
      value.put("content", text(parts, origins));
    }
    if (!thoughts.isEmpty()) { // by either of the names that servers and templates have for it
      value.put("reasoning_content", origins.allSaid(thoughts));
      value.put("reasoning", origins.allSaid(thoughts));
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
