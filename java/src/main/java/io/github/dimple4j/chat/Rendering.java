package io.github.dimple4j.chat;

import io.github.dimple4j.chat.Values.Markup;
import io.github.dimple4j.chat.Values.Undefined;
import io.github.dimple4j.chat.Values.View;
import java.time.Clock;
import java.time.LocalDateTime;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** One run of a template: its names, its output, and how much it has done of what it may do. For one thread. */
final class Rendering {
  private static final int MOST_VISITS = 2_000_000;
  private static final int DEEPEST = 400;
  private static final int LONGEST = 1 << 22;
  private static final int MOST_MADE = 1 << 26;
  private static final long MOST_READ = 1L << 30;
  private static final long ELEMENT = 4; // characters that take as long
  private static final long SEARCHED = 16; // characters that are compared in the time of one
  private static final long MOST_KEPT = 1L << 27;
  private static final long PIECE = 16; // characters that take as much memory
  private static final Set<String> LENGTHS = Set.of("length", "count");

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
  private long read;
  private long kept;
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
    List<Object> parts = operands.pop();
    parts.forEach(part -> read(part, expression));
    keep(value, expression);
    origins.learn(expression, parts, value);
    if (!operands.isEmpty()) {
      operands.peek().add(value);
    }
    leave();
    return value;
  }

  /** An operation may look at every character of a text and every element of a list, unless it goes to a place of it. */
  private void read(Object operand, Expression by) {
    boolean place = by instanceof Expression.Attribute || by instanceof Expression.Subscript || by instanceof Expression.Filter filter
        && LENGTHS.contains(filter.filter());
    look(switch (operand) {
      case String text -> text.length();
      case Markup markup -> markup.text().length();
      case List<?> list when !place -> ELEMENT * list.size();
      case Map<?, ?> map when !place -> ELEMENT * map.size();
      case View view when !place -> ELEMENT * view.elements().size();
      case null, default -> 0;
    });
  }

  /** A part of a text is searched for, in the worst case from each of its characters on to the part's end. */
  void search(String text, String part) {
    look((long) text.length() * part.length() / SEARCHED);
  }

  private void look(long characters) {
    read += characters;
    if (read > MOST_READ) {
      throw error("texts and lists of more than " + MOST_READ + " characters read in all");
    }
  }

  /** A new text is remembered to the end, and so are the pieces of one. */
  private void keep(Object value, Expression of) {
    if (Values.plain(value) instanceof String text && !origins.knows(text)) {
      kept += text.length();
    } else if (of instanceof Expression.MethodCall && value instanceof List<?> pieces) {
      kept += PIECE * pieces.size();
    } else if (!(of instanceof Expression.Name) && value instanceof List<?> list) {
      look(ELEMENT * list.size()); // for who said what is in it
    }
    if (kept > MOST_KEPT) {
      throw error("new texts of more than " + MOST_KEPT + " characters in all");
    }
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
