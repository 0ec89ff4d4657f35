package io.github.dimple4j.chat;

import io.github.dimple4j.chat.Values.Undefined;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
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
  private StringBuilder output = new StringBuilder();
  private int line = 1;
  private int visits;
  private long made;
  private int depth;

  Rendering(Map<String, ?> globals) {
    this.globals = globals;
    scopes.push(new HashMap<>());
  }

  String text() {
    return output.toString();
  }

  void at(int statementLine) {
    line = statementLine;
  }

  ChatTemplateException error(String message) {
    return Lexer.error(line, message);
  }

  Object evaluate(Expression expression) {
    enter();
    Object value = expression.evaluate(this);
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

  void write(Object value) {
    String text = Values.text(value, this);
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
    output = new StringBuilder();
    body.run();
    String text = output.toString();
    output = outer;
    make(text.length());
    return text;
  }

  Object lookup(String name) {
    for (Map<String, Object> scope : scopes) {
      if (scope.containsKey(name)) {
        return scope.get(name);
      }
    }
    return globals.containsKey(name) ? Values.of(globals.get(name)) : new Undefined(name);
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
}
