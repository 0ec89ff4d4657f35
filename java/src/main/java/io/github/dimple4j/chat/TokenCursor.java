package io.github.dimple4j.chat;

import io.github.dimple4j.chat.Lexer.Kind;
import io.github.dimple4j.chat.Lexer.Token;
import java.util.List;

/** A place in a template's tokens, and how deep what begins there is nested. */
final class TokenCursor {
  private static final int DEEPEST = 100;

  private final List<Token> tokens;
  private int at;
  private int depth;

  TokenCursor(List<Token> tokens) {
    this.tokens = tokens;
  }

  Token peek() {
    return tokens.get(at);
  }

  /** The token behind {@link #peek}; there is one unless that is the end. */
  Token second() {
    return tokens.get(at + 1);
  }

  /** How many tokens are passed. */
  int position() {
    return at;
  }

  /** Whether a name stands among the tokens from a position to here. */
  boolean named(String name, int from) {
    return tokens.subList(from, at).stream().anyMatch(token -> token.is(Kind.NAME, name));
  }

  /** Passes a token; the end is never passed. */
  Token next() {
    Token token = tokens.get(at);
    if (token.kind() != Kind.END) {
      at++;
    }
    return token;
  }

  /** Passes an operator if it comes next. */
  boolean take(String operator) {
    boolean found = peek().is(Kind.OPERATOR, operator);
    at += found ? 1 : 0;
    return found;
  }

  /** Passes a word of the language if it comes next. */
  boolean takeName(String name) {
    boolean found = peek().is(Kind.NAME, name);
    at += found ? 1 : 0;
    return found;
  }

  void require(String operator) {
    if (!take(operator)) {
      throw error("expected '" + operator + "', found " + peek());
    }
  }

  void expect(Kind kind) {
    if (peek().kind() != kind) {
      throw error("unexpected " + peek());
    }
    next();
  }

  String name() {
    Token token = next();
    if (token.kind() != Kind.NAME) {
      throw Lexer.error(token.line(), "expected a name, found " + token);
    }
    return token.text();
  }

  /** Begins something that may hold others of its kind: the parser's own recursion is bounded. */
  void enter() {
    if (++depth > DEEPEST) {
      throw error("nested more than " + DEEPEST + " deep");
    }
  }

  void leave() {
    depth--;
  }

  /** An error at the line of the next token. */
  ChatTemplateException error(String message) {
    return Lexer.error(peek().line(), message);
  }
}
