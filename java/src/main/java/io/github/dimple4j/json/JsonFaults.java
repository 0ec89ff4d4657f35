package io.github.dimple4j.json;

import java.util.HashSet;
import java.util.Set;

/** Finds what is wrong with a text that is not JSON, by the grammar of RFC 8259: the first fault, in words, with its line and column. */
final class JsonFaults {
  private static final int MOST_SHOWN = 24;
  private static final long MOST_EXPONENT = 2_000_000_000;

  private final String text;
  private final int longestNumber;
  private int at;

  private JsonFaults(String text, int longestNumber) {
    this.text = text;
    this.longestNumber = longestNumber;
  }

  /** Of a text that was not read; a fault that the grammar does not have is none that can be named. */
  static String find(String text, int longestNumber) {
    JsonFaults faults = new JsonFaults(text, longestNumber);
    try {
      faults.value(1);
      faults.blanks();
      return faults.at == text.length() ? "is beyond what is read here"
          : faults.placed("goes on with " + faults.shown() + " behind the value", faults.at);
    } catch (Fault fault) {
      return fault.getMessage();
    }
  }

  /** The first fault. */
  private static final class Fault extends Exception {
    private static final long serialVersionUID = 1;

    Fault(String message) {
      super(message, null, false, false);
    }
  }

  private String placed(String what, int position) {
    String before = text.substring(0, position);
    long line = before.chars().filter(c -> c == '\n').count() + 1;
    int column = before.codePointCount(before.lastIndexOf('\n') + 1, position) + 1;
    return "line " + line + ", column " + column + ": " + what;
  }

  private Fault fault(String what, int position) {
    return new Fault(placed(what, position));
  }

  private Fault expected(String what) {
    return fault((at < text.length() ? shown() : "ends too early") + ", expected " + what, at);
  }

  /** What stands here: a word, or a character. */
  private String shown() {
    int end = at;
    while (end < text.length() && end - at < MOST_SHOWN && (Character.isLetterOrDigit(text.charAt(end)) || "+-._".indexOf(text.charAt(end)) >= 0)) {
      end++;
    }
    return quoted(end > at ? text.substring(at, end) : Character.toString(text.codePointAt(at)));
  }

  /** Between quotation marks, what cannot be seen by its number. */
  private static String quoted(String piece) {
    StringBuilder out = new StringBuilder("'");
    piece.codePoints().limit(MOST_SHOWN).forEach(c -> {
      out.append(isSeen(c) ? Character.toString(c) : String.format("U+%04X", c));
    });
    return out.append(piece.codePointCount(0, piece.length()) > MOST_SHOWN ? "...'" : "'").toString();
  }

  private static boolean isSeen(int c) {
    int type = Character.getType(c);
    return c == ' ' || type != Character.UNASSIGNED && type != Character.CONTROL && type != Character.FORMAT && type != Character.SURROGATE
        && type != Character.SPACE_SEPARATOR && type != Character.LINE_SEPARATOR && type != Character.PARAGRAPH_SEPARATOR;
  }

  private void blanks() {
    while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) {
      at++;
    }
  }

  private boolean take(char c) {
    boolean there = at < text.length() && text.charAt(at) == c;
    at += there ? 1 : 0;
    return there;
  }

  private void value(int depth) throws Fault {
    blanks();
    char next = at < text.length() ? text.charAt(at) : 0;
    if (next == '{' || next == '[') {
      if (depth > StrictJson.DEEPEST) {
        throw fault("objects and lists lie within each other more than " + StrictJson.DEEPEST + " deep", at);
      }
      at++;
      if (next == '{') {
        object(depth);
      } else {
        list(depth);
      }
    } else if (next == '"') {
      string();
    } else if (next == '-' || next >= '0' && next <= '9') {
      number();
    } else {
      word();
    }
  }

  private void word() throws Fault {
    for (String word : new String[] {"true", "false", "null"}) {
      int end = at + word.length();
      if (text.startsWith(word, at) && (end == text.length() || !Character.isLetterOrDigit(text.charAt(end)))) {
        at = end;
        return;
      }
    }
    throw expected("a value");
  }

  private void list(int depth) throws Fault {
    blanks();
    if (take(']')) {
      return;
    }
    do {
      value(depth + 1);
      blanks();
    } while (take(','));
    if (!take(']')) {
      throw expected("',' or ']'");
    }
  }

  private void object(int depth) throws Fault {
    Set<String> keys = new HashSet<>();
    blanks();
    if (take('}')) {
      return;
    }
    do {
      blanks();
      int start = at;
      if (at == text.length() || text.charAt(at) != '"') {
        throw expected("a key in double quotation marks");
      }
      String key = string();
      if (!keys.add(key)) {
        throw fault("the key " + quoted(key) + " is given twice", start);
      }
      blanks();
      if (!take(':')) {
        throw expected("':'");
      }
      value(depth + 1);
      blanks();
    } while (take(','));
    if (!take('}')) {
      throw expected("',' or '}'");
    }
  }

  private String string() throws Fault {
    StringBuilder out = new StringBuilder();
    int start = at++;
    while (!take('"')) {
      if (at == text.length()) {
        throw fault("the text that begins here does not end", start);
      }
      char c = text.charAt(at);
      if (c < ' ') {
        throw fault(String.format("the control character U+%04X within a text, expected \\u%04x", (int) c, (int) c), at);
      }
      at++;
      out.append(c == '\\' ? escaped() : c);
    }
    return out.toString();
  }

  /** Behind a backslash. */
  private char escaped() throws Fault {
    int kind = at < text.length() ? "\"\\/bfnrtu".indexOf(text.charAt(at)) : -1;
    if (kind < 0) {
      throw expected("behind a backslash one of \" \\ / b f n r t u");
    }
    at++;
    if (kind < 8) {
      return "\"\\/\b\f\n\r\t".charAt(kind);
    }
    int code = 0;
    for (int i = 0; i < 4; i++, at++) {
      int digit = at < text.length() && text.charAt(at) < 128 ? Character.digit(text.charAt(at), 16) : -1;
      if (digit < 0) {
        throw expected("four hexadecimal digits behind \\u");
      }
      code = 16 * code + digit;
    }
    return (char) code;
  }

  private void number() throws Fault {
    int start = at;
    take('-');
    boolean zero = take('0');
    if (zero && isDigit()) {
      throw fault("the number " + quoted(text.substring(start, Math.min(text.length(), start + MOST_SHOWN))) + " begins with 0", start);
    }
    if (!zero) {
      digits();
    }
    if (take('.')) {
      digits();
    }
    long exponent = 0;
    if (take('e') || take('E')) {
      if (!take('+')) {
        take('-');
      }
      int first = at;
      digits();
      String written = text.substring(first, at).replaceFirst("^0+(?=.)", "");
      exponent = written.length() > 10 ? Long.MAX_VALUE : Long.parseLong(written);
    }
    if (at - start > longestNumber) {
      throw fault("a number of " + (at - start) + " characters, more than the " + longestNumber + " that are read", start);
    }
    if (exponent > MOST_EXPONENT) {
      throw fault("the number " + quoted(text.substring(start, at)) + " has an exponent beyond all bounds", start);
    }
    if (at < text.length() && Character.isLetterOrDigit(text.charAt(at))) {
      throw expected("the end of the number");
    }
  }

  private boolean isDigit() {
    return at < text.length() && text.charAt(at) >= '0' && text.charAt(at) <= '9';
  }

  private void digits() throws Fault {
    if (!isDigit()) {
      throw expected("a digit");
    }
    while (isDigit()) {
      at++;
    }
  }
}
