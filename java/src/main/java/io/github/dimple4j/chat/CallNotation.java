package io.github.dimple4j.chat;

import io.github.dimple4j.InvalidArgumentException;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * How Gemma 4 and DiffusionGemma write a call of a tool, between the tokens {@code <|tool_call>} and {@code <tool_call|>}:
 * {@code call:NAME{city:<|"|>Rome<|"|>,days:3,units:{metric:true}}}.
 *
 * <p>Names of arguments stand bare if they are of ASCII letters, digits, {@code _} and {@code -} (others are read so, too, and in quotes); other names and
 * strings stand between {@code <|"|>}, which is a token and so nothing that a string can hold; numbers, {@code true}, {@code false}, {@code null}, lists
 * and objects are JSON's.
 */
public final class CallNotation {
  static final String QUOTE = "<|\"|>";
  static final String THOUGHT_START = "<|channel>";
  static final String THOUGHT_END = "<channel|>";
  static final String START = "<|tool_call>";
  static final String END = "<tool_call|>";
  static final String CALL = "call:";
  private static final String BARE = "[A-Za-z0-9_-]+";
  private static final int DEEPEST = 64;

  private final String text;
  private int at;

  private CallNotation(String text) {
    this.text = text;
  }

  /**
   * Writes a call.
   *
   * @param call the call
   * @return what stands between the tokens
   */
  public static String write(ToolCall call) {
    Objects.requireNonNull(call, "call");
    StringBuilder out = new StringBuilder(CALL).append(call.name());
    write(JsonText.read(call.arguments(), "arguments"), out);
    return out.toString();
  }

  private static void write(JsonNode value, StringBuilder out) {
    String separator = "";
    if (value.isObject()) {
      out.append('{');
      for (Map.Entry<String, JsonNode> entry : value.properties()) {
        String name = entry.getKey();
        out.append(separator).append(name.matches(BARE) ? name : QUOTE + name + QUOTE).append(':');
        write(entry.getValue(), out);
        separator = ",";
      }
      out.append('}');
    } else if (value.isArray()) {
      out.append('[');
      for (JsonNode element : value) {
        out.append(separator);
        write(element, out);
        separator = ",";
      }
      out.append(']');
    } else {
      out.append(value.isString() ? QUOTE + value.stringValue() + QUOTE : value.toString());
    }
  }

  /**
   * Reads a call.
   *
   * @param text what stands between the tokens, control tokens as they are spelled
   * @return the call; empty if it is none, such as one that was cut off
   */
  public static Optional<ToolCall> read(String text) {
    CallNotation notation = new CallNotation(Objects.requireNonNull(text, "text").strip());
    try {
      return notation.call();
    } catch (InvalidArgumentException e) { // a name that no tool can have
      return Optional.empty();
    }
  }

  private Optional<ToolCall> call() {
    int brace = text.indexOf('{');
    if (!text.startsWith(CALL) || brace < 0) {
      return Optional.empty();
    }
    at = brace;
    JsonNode arguments = value(0);
    return arguments == null || at != text.length() ? Optional.empty()
        : Optional.of(new ToolCall(text.substring(CALL.length(), brace).strip(), arguments.toString()));
  }

  /** The value that begins here, or null if there is none. */
  private JsonNode value(int depth) {
    skipBlanks();
    if (depth > DEEPEST || at >= text.length()) {
      return null;
    }
    if (text.startsWith(QUOTE, at)) {
      String string = quoted();
      return string == null ? null : JsonNodeFactory.instance.stringNode(string);
    }
    return switch (text.charAt(at)) {
      case '{' -> object(depth);
      case '[' -> array(depth);
      default -> plain();
    };
  }

  private String quoted() {
    int start = at + QUOTE.length();
    int end = text.indexOf(QUOTE, start);
    at = end < 0 ? text.length() : end + QUOTE.length();
    return end < 0 ? null : text.substring(start, end);
  }

  private JsonNode object(int depth) {
    ObjectNode object = JsonNodeFactory.instance.objectNode();
    at++;
    skipBlanks();
    while (!taken('}')) {
      String key = key();
      JsonNode value = key == null ? null : value(depth + 1);
      if (value == null || object.has(key)) {
        return null;
      }
      object.set(key, value);
      skipBlanks();
      if (!taken(',') && !(at < text.length() && text.charAt(at) == '}')) {
        return null;
      }
      skipBlanks();
    }
    return object;
  }

  /** A name and the colon behind it. */
  private String key() {
    String key;
    if (text.startsWith(QUOTE, at)) {
      key = quoted();
      skipBlanks();
      return key != null && taken(':') ? key : null;
    }
    int colon = text.indexOf(':', at);
    key = colon < 0 ? "" : text.substring(at, colon).strip();
    if (key.length() > 1 && key.startsWith("\"") && key.endsWith("\"")) {
      key = key.substring(1, key.length() - 1);
    }
    if (key.isEmpty() || key.chars().anyMatch(c -> "{}[],<>\"".indexOf(c) >= 0)) {
      return null;
    }
    at = colon + 1;
    return key;
  }

  private JsonNode array(int depth) {
    ArrayNode array = JsonNodeFactory.instance.arrayNode();
    at++;
    skipBlanks();
    while (!taken(']')) {
      JsonNode value = value(depth + 1);
      if (value == null) {
        return null;
      }
      array.add(value);
      skipBlanks();
      if (!taken(',') && !(at < text.length() && text.charAt(at) == ']')) {
        return null;
      }
      skipBlanks();
    }
    return array;
  }

  /** A number, true, false, null, or a string in JSON's quotes. */
  private JsonNode plain() {
    int end = at;
    if (text.charAt(at) == '"') {
      end++;
      while (end < text.length() && text.charAt(end) != '"') {
        end += text.charAt(end) == '\\' ? 2 : 1;
      }
      end++;
    } else {
      while (end < text.length() && ",]}".indexOf(text.charAt(end)) < 0) {
        end++;
      }
    }
    if (end > text.length()) {
      return null;
    }
    try {
      JsonNode value = JsonText.read(text.substring(at, end), "an argument");
      at = end;
      return value;
    } catch (InvalidArgumentException e) {
      return null;
    }
  }

  private boolean taken(char expected) {
    boolean there = at < text.length() && text.charAt(at) == expected;
    at += there ? 1 : 0;
    return there;
  }

  private void skipBlanks() {
    while (at < text.length() && Character.isWhitespace(text.charAt(at))) {
      at++;
    }
  }

  /**
   * What is read, for logs.
   *
   * @return the text
   */
  @Override
  public String toString() {
    return "CallNotation[" + text + "]";
  }
}
