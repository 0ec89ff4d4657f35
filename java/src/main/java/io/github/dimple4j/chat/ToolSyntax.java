package io.github.dimple4j.chat;

import io.github.dimple4j.InvalidArgumentException;
import io.github.dimple4j.structure.ByteAutomaton;
import io.github.dimple4j.structure.Piece;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;

/**
 * How a model is told of tools, and how it calls one. A chat template that knows tools has a way of its own, which is found out by having it
 * write calls; the model was trained on it. Of any other template the tools are described in the system message, and a call is a line
 * {@code <tool_call>}, a line {@code {"name": "NAME", "arguments": {...}}} and {@code </tool_call>}.
 *
 * <p>An answer held to {@link #answer} is a text, or one call of one of the tools with arguments that fit its schema, whatever the model.
 * Immutable; any thread.
 */
public final class ToolSyntax {
  private static final String NAME = "probedFunction";
  private static final String KEY = "probedArgument";
  private static final String VALUE = "probed value";
  private static final String SAID = "probed answer";
  private static final ToolSyntax OWN = new ToolSyntax(false, "<tool_call>\n{\"name\": \"", "\", \"arguments\": ", "}\n</tool_call>");

  private final boolean ofTemplate;
  private final String beforeName;
  private final String beforeArguments;
  private final String end;
  private final String mark; // what a call begins with, and no text does

  private ToolSyntax(boolean ofTemplate, String beforeName, String beforeArguments, String end) {
    this.ofTemplate = ofTemplate;
    this.beforeName = beforeName;
    this.beforeArguments = beforeArguments;
    this.end = end;
    this.mark = beforeName.lines().findFirst().orElseThrow();
  }

  /** What a template writes around the name and the arguments of a call, if it knows tools and writes arguments as JSON. */
  static ToolSyntax of(ChatTemplate template) {
    try {
      return Optional.ofNullable(probe(template)).orElse(OWN);
    } catch (ChatTemplateException e) {
      return OWN; // knows no tools, or not such a conversation
    }
  }

  private static ToolSyntax probe(ChatTemplate template) {
    List<Tool> tools = List.of(new Tool(NAME, "", "{\"properties\": {\"" + KEY + "\": {\"type\": \"string\"}}}"));
    ToolCall call = new ToolCall(NAME, "{\"" + KEY + "\": \"" + VALUE + "\"}");
    ChatMessage question = ChatMessage.of("user", "a");
    String asked = write(template, tools, true, question).stripTrailing();
    if (!asked.contains(NAME)) {
      return null;
    }
    String said = write(template, tools, false, question, ChatMessage.of("assistant", SAID));
    // More turns behind it: some templates write the last one otherwise.
    String called = write(template, tools, false, question, ChatMessage.calling("", List.of(call)),
        ChatMessage.result(NAME, "c"), ChatMessage.of("assistant", SAID), ChatMessage.of("user", "b"));
    if (!called.startsWith(asked) || !said.contains(SAID)) {
      return null;
    }
    String turnEnd = said.substring(said.indexOf(SAID) + SAID.length()).strip();
    String turn = called.substring(asked.length());
    int name = turn.indexOf(NAME);
    int key = turn.indexOf('"' + KEY + '"', Math.max(name, 0));
    int arguments = turn.lastIndexOf('{', Math.max(key, 0));
    int value = turn.indexOf('"' + VALUE + '"', Math.max(key, 0));
    if (name <= 0 || arguments < name + NAME.length() || value < 0 || turnEnd.isEmpty()) {
      return null;
    }
    int behind = turn.indexOf('}', value) + 1;
    int over = turn.indexOf(turnEnd, behind);
    if (behind == 0 || over < 0 || !turn.substring(arguments, behind).replace(" ", "").equals(call.arguments().replace(" ", ""))) {
      return null;
    }
    String beforeName = turn.substring(0, name).stripLeading();
    return beforeName.isEmpty() ? null : new ToolSyntax(true, beforeName, turn.substring(name + NAME.length(), arguments),
        turn.substring(behind, over).stripTrailing());
  }

  private static String write(ChatTemplate template, List<Tool> tools, boolean generation, ChatMessage... messages) {
    return template.write(List.of(messages), tools, generation, Map.of("bos_token", "<bos>", "eos_token", "<eos>")).text();
  }

  /**
   * Tells whether it is the template's own.
   *
   * @return false if the tools are described in the system message
   */
  public boolean ofTemplate() {
    return ofTemplate;
  }

  /**
   * A call as the model writes it.
   *
   * @param call the call
   * @return its text
   */
  public String write(ToolCall call) {
    Objects.requireNonNull(call, "call");
    return beforeName + call.name() + beforeArguments + call.arguments() + end;
  }

  /**
   * Answers that are a call, or any text that does not begin as one, for {@link io.github.dimple4j.Template#of}.
   *
   * @param tools those that can be called, at least one, each of another name
   * @param choice whether it may be a text
   * @return the piece
   * @throws InvalidArgumentException if there are no tools, or two have one name
   */
  public Piece answer(List<Tool> tools, ToolChoice choice) {
    Objects.requireNonNull(tools, "tools");
    Objects.requireNonNull(choice, "choice");
    Piece call = call(tools);
    return choice == ToolChoice.REQUIRED ? call : Piece.either(call, Piece.pattern(textPattern()));
  }

  /**
   * Answers that are a call or have a given structure.
   *
   * @param tools those that can be called, at least one, each of another name
   * @param text what the answer is otherwise
   * @return the piece
   * @throws InvalidArgumentException if there are no tools, two have one name, or the text could begin as a call does
   */
  public Piece answer(List<Tool> tools, Piece text) {
    Objects.requireNonNull(tools, "tools");
    ByteAutomaton texts = Objects.requireNonNull(text, "text").compile();
    int state = 0;
    for (byte next : mark.getBytes(StandardCharsets.UTF_8)) {
      state = state == ByteAutomaton.NONE ? state : texts.next(state, next);
    }
    if (state != ByteAutomaton.NONE) {
      throw new InvalidArgumentException("the structure admits texts that begin with " + mark + ", as calls of tools do");
    }
    return Piece.either(call(tools), text);
  }

  private Piece call(List<Tool> tools) {
    Set<String> names = new HashSet<>();
    List<Piece> calls = new ArrayList<>();
    for (Tool tool : tools) {
      if (!names.add(tool.name())) {
        throw new InvalidArgumentException("two tools are called " + tool.name());
      }
      calls.add(Piece.of(tool.name() + beforeArguments, tool.arguments(), end));
    }
    if (calls.isEmpty()) {
      throw new InvalidArgumentException("no tools, expected at least 1");
    }
    return Piece.of(beforeName, Piece.either(calls.toArray()));
  }

  /** Any text that leaves the mark before its end. */
  private String textPattern() {
    StringBuilder pattern = new StringBuilder();
    int[] points = mark.codePoints().toArray();
    for (int i = 0; i < points.length; i++) {
      String point = "\\u{" + Integer.toHexString(points[i]) + "}";
      pattern.append("(?:[^").append(point).append("][^]*").append(i + 1 < points.length ? "|" + point : "");
    }
    return pattern + ")?".repeat(points.length);
  }

  /**
   * Reads an answer.
   *
   * @param text an answer held to {@link #answer}
   * @return the call, if it is one
   */
  public Optional<ToolCall> read(String text) {
    Objects.requireNonNull(text, "text");
    int arguments = text.indexOf(beforeArguments, beforeName.length());
    int from = arguments + beforeArguments.length();
    int to = text.length() - end.length();
    if (!text.startsWith(beforeName) || arguments < 0 || to < from || !text.endsWith(end)) {
      return Optional.empty();
    }
    try {
      return Optional.of(new ToolCall(text.substring(beforeName.length(), arguments), text.substring(from, to)));
    } catch (InvalidArgumentException e) {
      return Optional.empty(); // an unfinished one
    }
  }

  /**
   * Tells whether an answer that begins so may be a call; while it may, nothing of it is shown as text.
   *
   * @param beginning of an answer held to {@link #answer}
   * @return false if it is a text
   */
  public boolean mayBegin(String beginning) {
    Objects.requireNonNull(beginning, "beginning");
    return mark.startsWith(beginning) || beginning.startsWith(mark);
  }

  /** A conversation of which the template is to know nothing of tools. */
  List<ChatMessage> inText(List<ChatMessage> messages, List<Tool> tools) {
    List<ChatMessage> plain = new ArrayList<>(messages.stream().map(this::inText).toList());
    if (!tools.isEmpty()) {
      boolean system = !plain.isEmpty() && plain.getFirst().role().equals("system");
      List<ContentPart> parts = new ArrayList<>(system ? plain.removeFirst().parts() : List.of());
      parts.add(new ContentPart.Text((system ? "\n\n" : "") + description(tools)));
      plain.addFirst(new ChatMessage("system", parts));
    }
    return plain;
  }

  private ChatMessage inText(ChatMessage message) {
    if (message.role().equals("tool")) {
      List<ContentPart> parts = new ArrayList<>(List.of(new ContentPart.Text("<tool_response>\n")));
      parts.addAll(message.parts());
      parts.add(new ContentPart.Text("\n</tool_response>"));
      return new ChatMessage("user", parts);
    } else if (message.calls().isEmpty()) {
      return message;
    }
    List<ContentPart> parts = new ArrayList<>(message.parts());
    for (ToolCall call : message.calls()) {
      boolean first = parts.stream().allMatch(part -> part instanceof ContentPart.Text text && text.text().isEmpty());
      parts.add(new ContentPart.Text((first ? "" : "\n") + write(call)));
    }
    return new ChatMessage(message.role(), parts);
  }

  private String description(List<Tool> tools) {
    StringBuilder text = new StringBuilder("You can call functions. These are there, each with a JSON Schema of its arguments:\n");
    for (Tool tool : tools) {
      text.append(tool.toJson()).append('\n');
    }
    return text.append("To call one, answer with nothing but\n").append(beforeName).append("NAME").append(beforeArguments)
        .append("ARGUMENTS").append(end).toString();
  }

  /**
   * How a call looks, for logs.
   *
   * @return the text of one
   */
  @Override
  public String toString() {
    String call = beforeName + "NAME" + beforeArguments + "ARGUMENTS" + end;
    return "ToolSyntax[" + (ofTemplate ? "of the template: " : "of this library: ") + call + "]";
  }
}
