package io.github.dimple4j.chat;

import io.github.dimple4j.arguments.Elements;
import java.time.Clock;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * A chat template: a Jinja program from a model file that writes a conversation as prompt text.
 *
 * <p>The subset of Jinja is what the public templates of some 140 model families use, run as Hugging Face runs them ({@code trim_blocks}
 * and {@code lstrip_blocks} on, undefined names empty, no changes of values, {@code tools} and {@code documents} none unless given):
 * <ul>
 *   <li>statements {@code for} (with {@code if}, {@code else}, unpacking, {@code break}, {@code continue} and {@code loop}),
 *       {@code if}, {@code set} (also of namespace attributes and of blocks), {@code macro}, {@code call}, {@code filter}, {@code with},
 *       {@code generation}, {@code raw}, comments, whitespace control;
 *   <li>expressions: literals, lists, tuples, dictionaries, attributes, subscripts, slices, arithmetic, comparisons, {@code in},
 *       {@code and}, {@code or}, {@code not}, {@code ~}, conditional expressions, calls with {@code *} and {@code **};
 *   <li>filters {@code abs, capitalize, count, d, default, dictsort, e, escape, first, float, indent, int, items, join, last, length, list,
 *       lower, map, max, min, reject, rejectattr, replace, reverse, round, safe, select, selectattr, sort, string, sum, title, tojson,
 *       trim, unique, upper};
 *   <li>tests {@code boolean, callable, defined, divisibleby, eq, equalto, escaped, even, false, float, ge, greaterthan, gt, in, integer,
 *       iterable, le, lessthan, lower, lt, mapping, ne, none, number, odd, sameas, sequence, string, true, undefined, upper};
 *   <li>functions {@code dict, joiner, namespace, raise_exception, range, strftime_now}; the methods of strings {@code capitalize, count,
 *       endswith, find, index, isalnum, isalpha, isdigit, islower, isspace, isupper, join, lower, lstrip, partition, removeprefix,
 *       removesuffix, replace, rfind, rpartition, rsplit, rstrip, split, splitlines, startswith, strip, title, upper}, of mappings
 *       {@code copy, get, items, keys, values} and of lists {@code copy, count, index}.
 * </ul>
 * Anything else is a {@link ChatTemplateException} that names it and its line: an unknown statement when the template is parsed, an unknown
 * filter, test or method when it is reached. Work is bounded: the number of steps, the length of every text, what is made and what is looked
 * at in all, and the depth of nesting have limits, so that no template in a file can hang or exhaust the program.
 *
 * <p>Immutable and thread-safe.
 */
public final class ChatTemplate {
  private static final int LONGEST_SOURCE = 1 << 20;

  private final List<Statement> program;
  private final boolean resultsInCalls; // it reads results of tools in the message that called them
  private final ChatTemplate ofTools; // what writes conversations with tools; null: this one
  private ToolSyntax toolSyntax; // null until it is asked for

  private ChatTemplate(List<Statement> program, boolean resultsInCalls, ChatTemplate ofTools) {
    this.program = program;
    this.resultsInCalls = resultsInCalls;
    this.ofTools = ofTools;
  }

  /**
   * Parses a template.
   *
   * @param source the program, {@code tokenizer.chat_template} of a model file
   * @return the template
   * @throws ChatTemplateException if it is malformed or uses a statement outside the subset
   */
  public static ChatTemplate parse(String source) {
    Objects.requireNonNull(source, "source");
    if (source.length() > LONGEST_SOURCE) {
      throw new ChatTemplateException("a chat template of " + source.length() + " characters; at most " + LONGEST_SOURCE + " are read");
    }
    return new ChatTemplate(StatementParser.parse(new Lexer(source).tokens()), source.contains("tool_responses"), null);
  }

  /**
   * The same for conversations without tools, and another one for those with tools: models may have a template of the name {@code tool_use}, which
   * Hugging Face's library takes wherever there are tools.
   *
   * @param template what writes conversations with tools
   * @return both
   */
  public ChatTemplate withTools(ChatTemplate template) {
    return new ChatTemplate(program, resultsInCalls, Objects.requireNonNull(template, "template"));
  }

  /**
   * The template for files without one: ChatML, as Dimple was trained with it. Messages stand between {@code <|im_start|>} with the role
   * and {@code <|im_end|>}, a picture is {@code <|vision_start|><|image_pad|><|vision_end|>}, and the system message "You are a helpful
   * assistant." goes first unless the conversation brings its own.
   *
   * @return the template
   */
  public static ChatTemplate chatMl() {
    return parse("""
        {%- if messages and messages[0].role != 'system' -%}
        {{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}
        {%- endif -%}
        {%- for message in messages -%}
          {{ '<|im_start|>' ~ message.role ~ '\\n' }}
          {%- if message.content is string -%}
            {{ message.content }}
          {%- else -%}
            {%- for part in message.content -%}
              {{ part.text if part.type == 'text' else '<|vision_start|><|image_pad|><|vision_end|>' }}
            {%- endfor -%}
          {%- endif -%}
          {{ '<|im_end|>\\n' }}
        {%- endfor -%}
        {%- if add_generation_prompt -%}
          {{ '<|im_start|>assistant\\n' }}
        {%- endif -%}
        """);
  }

  /**
   * Writes a conversation.
   *
   * @param messages the turns, oldest first
   * @param addGenerationPrompt whether the text ends where the assistant's answer begins
   * @param variables further names the template may read, such as {@code bos_token}; values are strings, booleans, numbers, null, and lists
   *     and string-keyed maps of these
   * @return the prompt text
   * @throws ChatTemplateException if the template refuses the conversation, reaches something outside the subset, or exceeds a limit
   */
  public String render(List<ChatMessage> messages, boolean addGenerationPrompt, Map<String, ?> variables) {
    return prompt(messages, addGenerationPrompt, variables).text();
  }

  /**
   * Writes a conversation, and tells what in it is the messages': their text is text, whatever it spells.
   *
   * @param messages the turns, oldest first
   * @param addGenerationPrompt whether the text ends where the assistant's answer begins
   * @param variables as for {@link #render}
   * @return the prompt, good for {@link io.github.dimple4j.tokenizer.Tokenizer#encodePrompt(String, BitSet)}
   * @throws ChatTemplateException as {@link #render} does
   */
  public ChatPrompt prompt(List<ChatMessage> messages, boolean addGenerationPrompt, Map<String, ?> variables) {
    return prompt(messages, List.of(), addGenerationPrompt, variables);
  }

  /**
   * Writes a conversation of a model that may call tools; see {@link ToolSyntax} for how it is told of them.
   *
   * @param messages the turns, oldest first
   * @param tools what may be called; may be empty
   * @param addGenerationPrompt whether the text ends where the assistant's answer begins
   * @param variables as for {@link #render}
   * @return the prompt
   * @throws ChatTemplateException as {@link #render} does
   */
  public ChatPrompt prompt(List<ChatMessage> messages, List<Tool> tools, boolean addGenerationPrompt, Map<String, ?> variables) {
    List<ChatMessage> turns = Elements.of(messages, "messages");
    List<Tool> callable = Elements.of(tools, "tools");
    Objects.requireNonNull(variables, "variables");
    boolean plain = callable.isEmpty() && turns.stream().allMatch(message -> message.calls().isEmpty() && message.tool().isEmpty());
    if (plain || toolSyntax().ofTemplate()) {
      return write(turns, callable, addGenerationPrompt, variables);
    }
    return write(toolSyntax().inText(turns, callable), List.of(), addGenerationPrompt, variables);
  }

  /**
   * Writes a conversation of a model that may call tools as the template itself does, in whatever notation: the way for models whose answers are
   * not held to a syntax of this library's, and read by {@link CallNotation}.
   *
   * @param messages the turns, oldest first
   * @param tools what may be called; may be empty
   * @param addGenerationPrompt whether the text ends where the assistant's answer begins
   * @param variables as for {@link #render}
   * @return the prompt
   * @throws ChatTemplateException as {@link #render} does
   */
  public ChatPrompt ownPrompt(List<ChatMessage> messages, List<Tool> tools, boolean addGenerationPrompt, Map<String, ?> variables) {
    Objects.requireNonNull(variables, "variables");
    return write(Elements.of(messages, "messages"), Elements.of(tools, "tools"), addGenerationPrompt, variables);
  }

  /** As the template does it. */
  ChatPrompt write(List<ChatMessage> messages, List<Tool> tools, boolean addGenerationPrompt, Map<String, ?> variables) {
    if (ofTools != null && !tools.isEmpty()) {
      return ofTools.write(messages, tools, addGenerationPrompt, variables);
    }
    Origins origins = new Origins();
    Map<String, Object> names = new HashMap<>();
    names.put("tools", null);
    names.put("documents", null);
    names.putAll(variables);
    if (!tools.isEmpty()) {
      names.put("tools", origins.allSaid(tools.stream().map(Tool::toTemplateValue).toList()));
    }
    names.put("messages", ChatMessage.toTemplateValues(messages, origins, resultsInCalls));
    names.put("add_generation_prompt", addGenerationPrompt);
    Rendering rendering = run(new Rendering(names, origins, Clock.systemDefaultZone()));
    return new ChatPrompt(rendering.text(), rendering.said());
  }

  /**
   * How a model of this template is told of tools, and calls one.
   *
   * @return the template's own way, or this library's
   */
  public synchronized ToolSyntax toolSyntax() {
    if (toolSyntax == null) {
      toolSyntax = ToolSyntax.of(this);
    }
    return toolSyntax;
  }

  String render(Map<String, ?> names) {
    return run(new Rendering(names)).text();
  }

  String render(Map<String, ?> names, Clock clock) {
    return run(new Rendering(names, new Origins(), clock)).text();
  }

  private Rendering run(Rendering rendering) {
    Statement.runAll(program, rendering);
    return rendering;
  }

  /**
   * The size of the template, for logs.
   *
   * @return for example {@code "ChatTemplate[12 statements]"}
   */
  @Override
  public String toString() {
    return "ChatTemplate[" + program.size() + " statements]";
  }
}
