package io.github.dimple4j.chat;

import io.github.dimple4j.chat.Values.Undefined;
import java.time.Clock;
import java.time.LocalDateTime;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** One run of a template: its names, its output, and how much it has done of what it may do. For one thread. */
final class Rendering {
  private static final int MOST_VISITS = 2_000_000;
  private static final int DEEPEST = 400;
  private static final int LONGEST = 1 << 22;
  private static final int MOST_MADE = 1 << 26;

  private final Map<String, ?> globals;
  /** Innermost scope first: the template's own, and one more inside each loop. */
  private final Deque<Map<String, Object>> scopes = new ArrayDeque<>();
  /** What each expression under evaluation has got from those it consists of. */
  private final Deque<List<Object>> operands = new ArrayDeque<>();
  private final Origins origins;
  private final Clock clock;
  private LocalDateTime now;
  private StringBuilder output = new StringBuilder();
  private BitSet said = new BitSet(); // of the output
  private int line = 1;
  private int visits;
  private long made;
  private int depth;

  Rendering(Map<String, ?> globals) {
    this(globals, new Origins(), Clock.systemDefaultZone());
  }

  /**
   * @param origins knows what was said; what it does not know of is the template's
   * @param clock tells the time if the template asks for it
   */
  Rendering(Map<String, ?> globals, Origins origins, Clock clock) {
    this.globals = globals;
    this.origins = origins;
    this.clock = clock;
    origins.ownAll(globals);
    scopes.push(new HashMap<>());
  }

  String text() {
    return output.toString();
  }

  /** The characters of the text that somebody said. */
  BitSet said() {
    return said;
  }

  void at(int statementLine) {
    line = statementLine;
  }

  ChatTemplateException error(String message) {
    return Lexer.error(line, message);
  }

  Object evaluate(Expression expression) {
    enter();
    operands.push(new ArrayList<>());
    Object value = expression.evaluate(this);
    origins.learn(expression, operands.pop(), value);
    if (!operands.isEmpty()) {
      operands.peek().add(value);
    }
    leave();
    return value;
  }

  /** Counts a visit to a statement, an expression or an element of a value. */
  void enter() {
    if (++visits > MOST_VISITS) {
      throw error("more than " + MOST_VISITS + " steps");
    }
    if (++depth > DEEPEST) {
      throw error("nested more than " + DEEPEST + " deep");
    }
  }

  /** Ends a visit. A failed one need not be ended: the rendering is over. */
  void leave() {
    depth--;
  }

  /** Writes text of the template's. */
  void writeOwn(String text) {
    origins.own(text);
    write(text);
  }

  void write(Object value) {
    String text = Values.text(value, this);
    origins.marks(value, text).stream().forEach(i -> said.set(output.length() + i));
    if (output.length() + text.length() > LONGEST) {
      throw error("an output of more than " + LONGEST + " characters");
    }
    output.append(text);
  }

  /** Every operation that makes a text or a list asks here first whether it may be so long, and whether so much may be made in all. */
  void make(long length) {
    made += length;
    if (length > LONGEST) {
      throw error("a text or list of more than " + LONGEST + " elements");
    }
    if (made > MOST_MADE) {
      throw error("texts and lists of more than " + MOST_MADE + " elements in all");
    }
  }

  /** Runs statements with their output kept apart. */
  String capture(Runnable body) {
    StringBuilder outer = output;
    BitSet outerSaid = said;
    output = new StringBuilder();
    said = new BitSet();
    body.run();
    String text = origins.said(output.toString(), said);
    output = outer;
    said = outerSaid;
    make(text.length());
    return text;
  }

  Object lookup(String name) {
    for (Map<String, Object> scope : scopes) {
      if (scope.containsKey(name)) {
        return scope.get(name);
      }
    }
    if (globals.containsKey(name)) {
      return Values.of(globals.get(name));
    }
    TemplateFunction function = Functions.named(name);
    if (name.equals("self")) {
      throw error("'self' is not supported");
    }
    return function == null ? new Undefined(name) : function;
  }

  /** What {@code strftime_now} tells: the first time that is asked for is that of the whole rendering. */
  LocalDateTime now() {
    now = now == null ? LocalDateTime.now(clock) : now;
    return now;
  }

  void assign(String name, Object value) {
    scopes.peek().put(name, value);
  }

  void enterScope() {
    scopes.push(new HashMap<>());
  }

  void leaveScope() {
    scopes.pop();
  }

  /** The scopes as they are now; what is assigned in them later is seen. */
  List<Map<String, Object>> scopes() {
    return List.copyOf(scopes);
  }

  /** Takes scopes of another place, with a new one inside; gives those that were in force. */
  List<Map<String, Object>> enterScopesOf(List<Map<String, Object>> others) {
    List<Map<String, Object>> own = scopes();
    restoreScopes(others);
    enterScope();
    return own;
  }

  void restoreScopes(List<Map<String, Object>> others) {
    scopes.clear();
    scopes.addAll(others);
  }
}
