package io.github.dimple4j.chat;

import io.github.dimple4j.InvalidArgumentException;
import io.github.dimple4j.arguments.Elements;
import io.github.dimple4j.structure.ByteAutomaton;
import io.github.dimple4j.structure.Piece;
import io.github.dimple4j.structure.SchemaOptions.KeyOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;

/**
 * How a model is told of tools, and how it calls them. A chat template that knows tools has a way of its own, which is found out by having it
 * write calls, as JSON between texts or in {@link CallNotation}; the model was trained on it. Of any other template the tools are described in the
 * system message, and a call is a line {@code <tool_call>}, a line {@code {"name": "NAME", "arguments": {...}}} and {@code </tool_call>}.
 *
 * <p>An answer held to {@link #answer} is a text, or one call of one of the tools with arguments that fit its schema, or several where these are
 * asked for, whatever the model. In {@link CallNotation} a call stands between control tokens, which no text spells, and a thought between
 * {@code <|channel>} and {@code <channel|>} may come before the answer; {@link io.github.dimple4j.Generation#toolCalls(ToolSyntax)} reads any kind.
 * Immutable; any thread.
 */
public final class ToolSyntax {
  private static final String NAME = "probedFunction";
  private static final String SECOND = "otherProbedFunction";
  private static final String KEY = "probedArgument";
  private static final String VALUE = "probed value";
  private static final String SAID = "probed answer";
  private static final String ANYTHING = "[^]*";
  private static final ToolSyntax OWN = new ToolSyntax(false, "<tool_call>\n{\"name\": \"", "\", \"arguments\": ", "}\n</tool_call>",
      "}\n</tool_call>\n<tool_call>\n{\"name\": \"");

  private final boolean ofTemplate;
  private final String beforeName;
  private final String beforeArguments;
  private final String end;
  private final String between; // the arguments of a call and the name of the next; null: there is one only
  private final String mark; // what a call begins with, and no text does
  private final KeyOrder marked; // of the arguments of calls in CallNotation; null: calls are JSON

  private ToolSyntax(boolean ofTemplate, String beforeName, String beforeArguments, String end, String between) {
    this(ofTemplate, beforeName, beforeArguments, end, between, null);
  }

  private ToolSyntax(boolean ofTemplate, String beforeName, String beforeArguments, String end, String between, KeyOrder marked) {
    this.marked = marked;
    this.ofTemplate = ofTemplate;
    this.beforeName = beforeName;
    this.beforeArguments = beforeArguments;
    this.end = end;
    this.between = between;
    this.mark = beforeName.lines().findFirst().orElseThrow();
  }

  /** What a template writes around the name and the arguments of a call, if it knows tools and writes arguments as JSON or in CallNotation. */
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
    // More turns behind it: some templates write the last one otherwise.
    String called = conversation(template, tools, List.of(call));
    if (called.contains(CallNotation.START + CallNotation.write(call) + CallNotation.END)) {
      return marked(template, tools, call);
    }
    String said = write(template, tools, false, question, ChatMessage.of("assistant", SAID));
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
    String beforeArguments = turn.substring(name + NAME.length(), arguments);
    String end = turn.substring(behind, over).stripTrailing();
    return beforeName.isEmpty() ? null : new ToolSyntax(true, beforeName, beforeArguments, end,
        between(conversation(template, tools, List.of(call, new ToolCall(SECOND, call.arguments()))), turn.substring(arguments, behind), beforeArguments, end));
  }

  /** That of a template that writes calls in CallNotation: in which order arguments come, and what stands between two calls. */
  private static ToolSyntax marked(ChatTemplate template, List<Tool> tools, ToolCall call) {
    String one = CallNotation.END + CallNotation.START;
    boolean several = conversation(template, tools, List.of(call, new ToolCall(SECOND, call.arguments()))).contains(one + CallNotation.CALL + SECOND);
    boolean sorted = !conversation(template, tools, List.of(new ToolCall(NAME, "{\"b\": 1, \"a\": 2}"))).contains("{b:1,a:2}");
    return new ToolSyntax(true, CallNotation.START + CallNotation.CALL, "", CallNotation.END, several ? one + CallNotation.CALL : null,
        sorted ? KeyOrder.ALPHABETICAL : KeyOrder.SCHEMA);
  }

  /** A turn with calls, and what follows it. */
  private static String conversation(ChatTemplate template, List<Tool> tools, List<ToolCall> calls) {
    List<ChatMessage> messages = new ArrayList<>(List.of(ChatMessage.of("user", "a"), ChatMessage.calling("", calls)));
    calls.forEach(call -> messages.add(ChatMessage.result(call.name(), "c")));
    messages.addAll(List.of(ChatMessage.of("assistant", SAID), ChatMessage.of("user", "b")));
    return write(template, tools, false, messages.toArray(ChatMessage[]::new));
  }

  /** What stands between two calls with these arguments; null if the template writes one, or ends two in another way than one. */
  private static String between(String two, String arguments, String beforeArguments, String end) {
    int second = two.indexOf(SECOND);
    int first = two.lastIndexOf(arguments, second);
    return second < 0 || first < 0 || !two.startsWith(beforeArguments + arguments + end, second + SECOND.length()) ? null
        : two.substring(first + arguments.length(), second);
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
    return marked != null ? CallNotation.START + CallNotation.write(call) + CallNotation.END
        : beforeName + call.name() + beforeArguments + call.arguments() + end;
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
    return answer(tools, choice, 1);
  }

  /**
   * Answers that are calls, or any text that does not begin as one.
   *
   * @param tools those that can be called, at least one, each of another name
   * @param choice whether it may be a text
   * @param most how many calls at most, at least 1; where {@link #severalCalls} is false there is one whatever this says
   * @return the piece
   * @throws InvalidArgumentException if there are no tools, two have one name, or {@code most} is less than 1
   */
  public Piece answer(List<Tool> tools, ToolChoice choice, int most) {
    Objects.requireNonNull(tools, "tools");
    Objects.requireNonNull(choice, "choice");
    Piece call = calls(tools, most);
    return thinking(choice == ToolChoice.REQUIRED ? call : Piece.either(call, Piece.pattern(marked != null ? ANYTHING : textPattern())));
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
    return answer(tools, text, 1);
  }

  /**
   * Answers that are calls or have a given structure.
   *
   * @param tools those that can be called, at least one, each of another name
   * @param text what the answer is otherwise
   * @param most how many calls at most, at least 1; where {@link #severalCalls} is false there is one whatever this says
   * @return the piece
   * @throws InvalidArgumentException if there are no tools, two have one name, the text could begin as a call does, or {@code most} is less than 1
   */
  public Piece answer(List<Tool> tools, Piece text, int most) {
    Objects.requireNonNull(tools, "tools");
    if (marked != null) { // no text begins with a control token
      return thinking(Piece.either(calls(tools, most), Objects.requireNonNull(text, "text")));
    }
    ByteAutomaton texts = Objects.requireNonNull(text, "text").compile();
    int state = 0;
    for (byte next : mark.getBytes(StandardCharsets.UTF_8)) {
      state = state == ByteAutomaton.NONE ? state : texts.next(state, next);
    }
    if (state != ByteAutomaton.NONE) {
      throw new InvalidArgumentException("the structure admits texts that begin with " + mark + ", as calls of tools do");
    }
    return Piece.either(calls(tools, most), text);
  }

  /** What the model may think before it answers, where calls are in the notation of those that do. */
  private Piece thinking(Piece answer) {
    return marked == null ? answer
        : Piece.of(Piece.optional(Piece.token(CallNotation.THOUGHT_START), "thought\n", Piece.pattern(ANYTHING), Piece.token(CallNotation.THOUGHT_END)), answer);
  }

  private Piece calls(List<Tool> tools, int most) {
    if (most < 1) {
      throw new InvalidArgumentException(most + " calls at most, expected at least 1");
    }
    Set<String> names = new HashSet<>();
    List<Piece> calls = new ArrayList<>();
    for (Tool tool : Elements.of(tools, "tools")) {
      if (!names.add(tool.name())) {
        throw new InvalidArgumentException("two tools are called " + tool.name());
      }
      calls.add(Piece.of(tool.name() + beforeArguments, marked != null ? tool.markedArguments(marked) : tool.arguments()));
    }
    if (calls.isEmpty()) {
      throw new InvalidArgumentException("no tools, expected at least 1");
    }
    Piece call = Piece.either(calls.toArray());
    if (marked != null) {
      Piece whole = Piece.of(Piece.token(CallNotation.START), CallNotation.CALL, call, Piece.token(CallNotation.END));
      return most == 1 || between == null ? whole : Piece.list(1, most, "", whole);
    }
    return Piece.of(beforeName, most == 1 || between == null ? call : Piece.list(1, most, between, call), end);
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
   * Tells whether an answer can have several calls: a template of one's own may write one only.
   *
   * @return true if it can
   */
  public boolean severalCalls() {
    return between != null;
  }

  /**
   * Reads an answer.
   *
   * @param text an answer held to {@link #answer}; of calls in {@link CallNotation} with its control tokens as they are spelled
   * @return the call, if it is one; empty if there are several
   */
  public Optional<ToolCall> read(String text) {
    List<ToolCall> calls = readAll(text);
    return calls.size() == 1 ? Optional.of(calls.getFirst()) : Optional.empty();
  }

  /**
   * Reads an answer that may have several calls.
   *
   * @param text as for {@link #read}
   * @return the calls in their order; none if it is a text, or one of them is not complete
   */
  public List<ToolCall> readAll(String text) {
    Objects.requireNonNull(text, "text");
    if (marked != null) {
      return readMarked(text);
    }
    List<ToolCall> calls = new ArrayList<>();
    int over = text.length() - end.length();
    int name = beforeName.length();
    if (!text.startsWith(beforeName) || over < name || !text.endsWith(end)) {
      return List.of();
    }
    while (name < over) {
      int arguments = text.indexOf(beforeArguments, name);
      int next = arguments < 0 ? -1 : arguments(text, name, arguments, over, calls);
      if (next < 0) {
        return List.of(); // an unfinished one
      }
      name = next;
    }
    return List.copyOf(calls);
  }

  /** Calls one behind the other, control tokens as they are spelled. */
  private static List<ToolCall> readMarked(String text) {
    List<ToolCall> calls = new ArrayList<>();
    int at = 0;
    while (text.startsWith(CallNotation.START, at)) {
      int from = at + CallNotation.START.length();
      int end = text.indexOf(CallNotation.END, from);
      Optional<ToolCall> call = Optional.empty();
      for (; call.isEmpty() && end >= 0; end = call.isEmpty() ? text.indexOf(CallNotation.END, end + 1) : end) { // it may stand in a string
        call = CallNotation.read(text.substring(from, end));
      }
      if (call.isEmpty()) {
        return List.of();
      }
      calls.add(call.get());
      at = end + CallNotation.END.length();
    }
    return at == text.length() ? List.copyOf(calls) : List.of();
  }

  /** Adds a call whose arguments end where they are JSON and the next call, or nothing, follows. Where the next name begins; -1: there is none. */
  private int arguments(String text, int name, int before, int over, List<ToolCall> calls) {
    int from = before + beforeArguments.length();
    for (int to = from; to >= 0 && to < over;) {
      int separator = between == null ? -1 : text.indexOf(between, to);
      boolean last = separator < 0 || separator > over - between.length();
      int behind = last ? over : separator;
      try {
        calls.add(new ToolCall(text.substring(name, before), text.substring(from, behind)));
        return last ? over : separator + between.length();
      } catch (InvalidArgumentException e) {
        to = last ? -1 : separator + 1; // it stood in a string
      }
    }
    return -1;
  }

  /**
   * Tells whether calls are in {@link CallNotation}, between control tokens, and so in no text.
   *
   * @return true if {@link io.github.dimple4j.Generation#text()} does not have them
   */
  public boolean apartFromText() {
    return marked != null;
  }

  /**
   * Tells whether an answer that begins so may be a call; while it may, nothing of it is shown as text.
   *
   * @param beginning of an answer held to {@link #answer}
   * @return false if it is a text
   */
  public boolean mayBegin(String beginning) {
    Objects.requireNonNull(beginning, "beginning");
    return marked == null && (mark.startsWith(beginning) || beginning.startsWith(mark)); // calls between control tokens are in no text
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
    return new ChatMessage(message.role(), parts).withThoughts(message.thoughts());
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
