package io.github.dimple4j.chat;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Cuts a template into text and the tokens of its tags, and settles white space on the way: {@code trim_blocks}, {@code lstrip_blocks} and
 * the signs {@code -} and {@code +} of the tags, as Jinja's template designer documentation describes them under "Whitespace Control".
 */
final class Lexer {
  enum Kind { TEXT, OUTPUT_BEGIN, OUTPUT_END, BLOCK_BEGIN, BLOCK_END, NAME, STRING, INTEGER, FLOAT, OPERATOR, END }

  record Token(Kind kind, String text, int line) {
    boolean is(Kind expected, String expectedText) {
      return kind == expected && text.equals(expectedText);
    }

    @Override
    public String toString() {
      return switch (kind) {
        case END -> "end of template";
        case OUTPUT_END -> "'}}'";
        case BLOCK_END -> "'%}'";
        case TEXT, OUTPUT_BEGIN, BLOCK_BEGIN -> "end of tag";
        default -> "'" + text + "'";
      };
    }
  }

  private static final List<String> OPERATORS = List.of("**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<", ">", "=",
      "(", ")", "[", "]", "{", "}", ".", ",", ":", "|", ";");

  private static final Pattern RAW = Pattern.compile("\\s*raw\\s*(?<minus>-)?%\\}");
  private static final Pattern END_RAW = Pattern.compile("\\{%[-+]?\\s*endraw\\s*(?<sign>[-+])?%\\}");

  private final String source;
  private final List<Token> tokens = new ArrayList<>();
  private int at;
  private int line = 1;
  private boolean lineStart = true;

  Lexer(String source) {
    String unix = source.replace("\r\n", "\n").replace('\r', '\n');
    this.source = unix.endsWith("\n") ? unix.substring(0, unix.length() - 1) : unix;
  }

  List<Token> tokens() {
    while (at < source.length()) {
      int tag = nextTag();
      text(tag);
      if (tag < source.length()) {
        tag(source.charAt(tag + 1));
      }
    }
    add(Kind.END, "");
    return tokens;
  }

  private int nextTag() {
    for (int i = at; i + 1 < source.length(); i++) {
      if (source.charAt(i) == '{' && "{%#".indexOf(source.charAt(i + 1)) >= 0) {
        return i;
      }
    }
    return source.length();
  }

  /** Text from here to the tag, less the white space that the tag takes away. */
  private void text(int tag) {
    int end = tag;
    if (tag < source.length()) {
      char sign = tag + 2 < source.length() ? source.charAt(tag + 2) : 0;
      boolean block = source.charAt(tag + 1) != '{';
      if (sign == '-') {
        while (end > at && Texts.isSpace(source.charAt(end - 1))) {
          end--;
        }
      } else if (block && sign != '+') {
        int from = tag;
        while (from > at && source.charAt(from - 1) != '\n' && Texts.isSpace(source.charAt(from - 1))) {
          from--;
        }
        boolean wholeLine = from > at ? source.charAt(from - 1) == '\n' : lineStart;
        end = wholeLine ? from : tag;
      }
    }
    if (end > at) {
      add(Kind.TEXT, source.substring(at, end));
    }
    advance(tag);
    lineStart = false;
  }

  private void tag(char kind) {
    int opened = line;
    boolean signed = at + 2 < source.length() && (source.charAt(at + 2) == '-' || source.charAt(at + 2) == '+');
    advance(at + (signed ? 3 : 2));
    if (kind == '#') {
      int end = source.indexOf("#}", at);
      if (end < 0) {
        throw error(opened, "comment without '#}'");
      }
      boolean minus = end > at && source.charAt(end - 1) == '-';
      boolean plus = end > at && source.charAt(end - 1) == '+';
      advance(end + 2);
      skipAfterTag(minus, !plus);
      return;
    }
    if (kind == '%' && raw(opened)) {
      return;
    }
    add(kind == '{' ? Kind.OUTPUT_BEGIN : Kind.BLOCK_BEGIN, "");
    String closing = kind == '{' ? "}}" : "%}";
    Deque<Character> open = new ArrayDeque<>();
    while (true) {
      while (at < source.length() && Texts.isSpace(source.charAt(at))) {
        advance(at + 1);
      }
      if (at >= source.length()) {
        throw error(opened, "tag without '" + closing + "'");
      }
      if (open.isEmpty()) {
        char c = source.charAt(at);
        boolean sign = c == '-' || c == '+' && kind == '%';
        if (source.startsWith(closing, sign ? at + 1 : at)) {
          add(kind == '{' ? Kind.OUTPUT_END : Kind.BLOCK_END, "");
          advance(at + (sign ? 3 : 2));
          skipAfterTag(c == '-', kind == '%' && c != '+');
          return;
        }
      }
      token(open);
    }
  }

  /** Passes {@code raw} up to {@code endraw}, if that begins here: text, whatever it looks like. */
  private boolean raw(int opened) {
    Matcher begin = RAW.matcher(source).region(at, source.length());
    if (!begin.lookingAt()) {
      return false;
    }
    Matcher end = END_RAW.matcher(source);
    if (!end.find(begin.end())) {
      throw error(opened, "'raw' without 'endraw'");
    }
    advance(begin.end());
    lineStart = false;
    if (begin.group("minus") != null) {
      skipAfterTag(true, false);
    }
    text(Math.max(at, end.start()));
    advance(end.end());
    skipAfterTag("-".equals(end.group("sign")), !"+".equals(end.group("sign")));
    return true;
  }

  private void skipAfterTag(boolean all, boolean newline) {
    int start = at;
    if (all) {
      while (at < source.length() && Texts.isSpace(source.charAt(at))) {
        advance(at + 1);
      }
    } else if (newline && at < source.length() && source.charAt(at) == '\n') {
      advance(at + 1);
    }
    lineStart = at > start && source.charAt(at - 1) == '\n';
  }

  private void token(Deque<Character> open) {
    char c = source.charAt(at);
    if (Character.isJavaIdentifierStart(c) && c != '$') {
      int end = at + 1;
      while (end < source.length() && Character.isJavaIdentifierPart(source.charAt(end)) && source.charAt(end) != '$') {
        end++;
      }
      take(Kind.NAME, end);
    } else if (c >= '0' && c <= '9') {
      number();
    } else if (c == '\'' || c == '"') {
      string(c);
    } else {
      String operator = OPERATORS.stream().filter(o -> source.startsWith(o, at)).findFirst()
          .orElseThrow(() -> error(line, "unexpected character '" + c + "'"));
      switch (c) {
        case '(' -> open.push(')');
        case '[' -> open.push(']');
        case '{' -> open.push('}');
        case ')', ']', '}' -> {
          if (open.isEmpty() || open.pop() != c) {
            throw error(line, "unexpected '" + c + "'");
          }
        }
        default -> { }
      }
      take(Kind.OPERATOR, at + operator.length());
    }
  }

  private void number() {
    int end = digits(at);
    boolean real = false;
    if (end + 1 < source.length() && source.charAt(end) == '.' && Character.isDigit(source.charAt(end + 1))) {
      real = true;
      end = digits(end + 1);
    }
    if (end < source.length() && (source.charAt(end) == 'e' || source.charAt(end) == 'E')) {
      boolean signed = end + 1 < source.length() && "+-".indexOf(source.charAt(end + 1)) >= 0;
      int exponent = end + (signed ? 2 : 1);
      if (digits(exponent) > exponent) {
        real = true;
        end = digits(exponent);
      }
    }
    if (!real && source.charAt(at) == '0' && !source.substring(at, end).matches("0+")) {
      throw error(line, "a number that begins with 0");
    }
    take(real ? Kind.FLOAT : Kind.INTEGER, end);
  }

  private int digits(int from) {
    int end = from;
    while (end < source.length() && source.charAt(end) >= '0' && source.charAt(end) <= '9') {
      end++;
    }
    return end;
  }

  private void string(char quote) {
    StringBuilder value = new StringBuilder();
    int opened = line;
    int i = at + 1;
    while (i < source.length() && source.charAt(i) != quote) {
      char c = source.charAt(i++);
      if (c == '\\' && i < source.length()) {
        char escape = source.charAt(i++);
        switch (escape) {
          case 'n' -> value.append('\n');
          case 't' -> value.append('\t');
          case 'r' -> value.append('\r');
          case 'b' -> value.append('\b');
          case 'f' -> value.append('\f');
          case '\\', '\'', '"' -> value.append(escape);
          case 'a' -> value.append('\u0007');
          case 'v' -> value.append('\u000B');
          case '\n' -> { } // the line goes on
          case 'x' -> i = hexadecimal(i, 2, value);
          case 'u' -> i = hexadecimal(i, 4, value);
          case 'U' -> i = hexadecimal(i, 8, value);
          case '0', '1', '2', '3', '4', '5', '6', '7' -> i = octal(i - 1, value);
          case 'N' -> throw error(line, "unsupported escape in a text literal");
          default -> value.append(c).append(escape); // as in Python, an escape of nothing special is no escape
        }
      } else {
        value.append(c);
      }
    }
    if (i >= source.length()) {
      throw error(opened, "text without a closing quote");
    }
    add(Kind.STRING, value.toString());
    advance(i + 1);
  }

  private int hexadecimal(int from, int digits, StringBuilder value) {
    int code = 0;
    for (int i = from; i < from + digits; i++) {
      int digit = i < source.length() ? Character.digit(source.charAt(i), 16) : -1;
      if (digit < 0) {
        throw error(line, "an escape needs " + digits + " hexadecimal digits");
      }
      code = code << 4 | digit;
    }
    if (!Character.isValidCodePoint(code)) {
      throw error(line, "an escape of no character");
    }
    value.appendCodePoint(code);
    return from + digits;
  }

  /** Up to three digits. */
  private int octal(int from, StringBuilder value) {
    int code = 0;
    int i = from;
    for (; i < from + 3 && i < source.length() && Character.digit(source.charAt(i), 8) >= 0; i++) {
      code = code << 3 | Character.digit(source.charAt(i), 8);
    }
    value.append((char) code);
    return i;
  }

  private void take(Kind kind, int end) {
    add(kind, source.substring(at, end));
    advance(end);
  }

  private void add(Kind kind, String text) {
    tokens.add(new Token(kind, text, line));
  }

  private void advance(int to) {
    for (; at < to; at++) {
      if (source.charAt(at) == '\n') {
        line++;
      }
    }
  }

  static ChatTemplateException error(int line, String message) {
    return new ChatTemplateException("chat template, line " + line + ": " + message);
  }
}
