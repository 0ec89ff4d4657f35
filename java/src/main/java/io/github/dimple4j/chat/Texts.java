package io.github.dimple4j.chat;

import io.github.dimple4j.chat.Expression.Evaluated;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntPredicate;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** What filters and methods do with texts, as Python does it. */
final class Texts {
  private static final Pattern LINE_END = Pattern.compile("\r\n|[\n\r\u000B\f\u001C\u001D\u001E\u0085\u2028\u2029]");

  private static final int MOST_INDENT = 1024;

  private Texts() {}

  /** White space as Python's {@code str.isspace} has it. */
  static boolean isSpace(char c) {
    return Character.isWhitespace(c) || Character.isSpaceChar(c) || c == '\u0085';
  }

  static String strip(String text, Object characters, boolean left, boolean right, Rendering rendering) {
    String set = characters == Values.NONE ? null : Builtins.string(characters, "strip", rendering);
    IntPredicate drops = c -> set == null ? c <= Character.MAX_VALUE && isSpace((char) c) : set.indexOf(c) >= 0;
    int start = 0;
    int end = text.length();
    while (left && start < end && drops.test(text.codePointAt(start))) {
      start += Character.charCount(text.codePointAt(start));
    }
    while (right && end > start && drops.test(text.codePointBefore(end))) {
      end -= Character.charCount(text.codePointBefore(end));
    }
    return text.substring(start, end);
  }

  /** Pieces between line ends; behind the last one is none. */
  static List<String> lines(String text) {
    List<String> lines = new ArrayList<>(Arrays.asList(LINE_END.split(text, -1)));
    if (lines.getLast().isEmpty()) {
      lines.removeLast();
    }
    return lines;
  }

  /** Spaces or a text in front of each line but the first one and empty ones. */
  static String indent(String text, Evaluated arguments, Rendering rendering) {
    Object width = arguments.get(0, "width", 4L);
    boolean first = Values.truth(arguments.get(1, "first", false));
    boolean blank = Values.truth(arguments.get(2, "blank", false));
    if (width instanceof Long count && count > MOST_INDENT) {
      throw rendering.error("indent by more than " + MOST_INDENT);
    }
    String by = width instanceof String given ? given : " ".repeat((int) Math.max(0, Builtins.integer(width, "indent", rendering)));
    List<String> lines = lines(text + "\n");
    rendering.make((long) lines.size() * (by.length() + 1) + text.length());
    StringBuilder out = new StringBuilder(first ? by : "");
    for (int i = 0; i < lines.size(); i++) {
      out.append(i == 0 ? "" : "\n").append(i > 0 && (blank || !lines.get(i).isEmpty()) ? by : "").append(lines.get(i));
    }
    return out.toString();
  }

  static long count(String text, String part, Rendering rendering) {
    if (part.isEmpty()) {
      throw rendering.error("count of an empty text");
    }
    rendering.search(text, part);
    long count = 0;
    for (int at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length())) {
      count++;
    }
    return count;
  }

  static String replace(String text, Evaluated arguments, Rendering rendering) {
    String old = Builtins.string(arguments.get(0, "old", Values.NONE), "replace", rendering);
    String replacement = Builtins.string(arguments.get(1, "new", Values.NONE), "replace", rendering);
    Object count = arguments.get(2, "count", Values.NONE);
    long most = count == Values.NONE ? -1 : Builtins.integer(count, "replace", rendering);
    long longest = text.length() + (text.length() / Math.max(1, old.length()) + 1L) * replacement.length();
    rendering.make(longest);
    rendering.search(text, old);
    if (old.isEmpty()) {
      if (most >= 0) {
        throw rendering.error("replace of an empty text with a count is not supported");
      }
      return replacement + text.codePoints().mapToObj(c -> Character.toString(c) + replacement).collect(Collectors.joining());
    }
    if (most < 0) {
      return text.replace(old, replacement);
    }
    StringBuilder out = new StringBuilder();
    int from = 0;
    for (int at = text.indexOf(old); at >= 0 && most-- > 0; at = text.indexOf(old, from)) {
      out.append(text, from, at).append(replacement);
      from = at + old.length();
    }
    return out.append(text, from, text.length()).toString();
  }

  /** By a separator, or by white space, at most so many times, from the left or from the right. */
  static Object split(String text, Evaluated arguments, boolean fromRight, Rendering rendering) {
    Object separator = arguments.get(0, "sep", Values.NONE);
    long limit = Builtins.integer(arguments.get(1, "maxsplit", -1L), "split", rendering);
    long most = limit < 0 ? Long.MAX_VALUE : limit;
    if (separator == Values.NONE) {
      return fromRight && limit >= 0 ? wordsFromRight(text, most) : words(text, most);
    }
    String by = Builtins.string(separator, "split", rendering);
    if (by.isEmpty()) {
      throw rendering.error("split by an empty separator");
    }
    rendering.search(text, by);
    List<Object> parts = new ArrayList<>();
    if (fromRight) {
      int end = text.length();
      for (int at = text.lastIndexOf(by); at >= 0 && parts.size() < most; at = at == 0 ? -1 : text.lastIndexOf(by, at - by.length())) {
        parts.add(text.substring(at + by.length(), end));
        end = at;
        if (at < by.length()) {
          break;
        }
      }
      parts.add(text.substring(0, end));
      return parts.reversed();
    }
    int start = 0;
    for (int at = text.indexOf(by); at >= 0 && parts.size() < most; at = text.indexOf(by, start)) {
      parts.add(text.substring(start, at));
      start = at + by.length();
    }
    parts.add(text.substring(start));
    return parts;
  }

  private static List<Object> words(String text, long most) {
    List<Object> parts = new ArrayList<>();
    int at = 0;
    while (true) {
      while (at < text.length() && isSpace(text.charAt(at))) {
        at++;
      }
      if (at == text.length()) {
        return parts;
      }
      int end = parts.size() == most ? text.length() : at;
      while (end < text.length() && !isSpace(text.charAt(end))) {
        end++;
      }
      parts.add(text.substring(at, end));
      at = end;
    }
  }

  private static List<Object> wordsFromRight(String text, long most) {
    List<Object> parts = new ArrayList<>();
    int end = text.length();
    while (true) {
      while (end > 0 && isSpace(text.charAt(end - 1))) {
        end--;
      }
      if (end == 0) {
        return parts.reversed();
      }
      int at = parts.size() == most ? 0 : end;
      while (at > 0 && !isSpace(text.charAt(at - 1))) {
        at--;
      }
      parts.add(text.substring(at, end));
      end = at;
    }
  }

  /** The elements' texts with a separator between them; a method insists that they are texts. */
  static String join(List<Object> elements, String separator, boolean textsOnly, Rendering rendering) {
    String[] texts = elements.stream().map(e -> textsOnly ? Builtins.string(e, "join", rendering) : Values.text(e, rendering))
        .toArray(String[]::new);
    rendering.make(Arrays.stream(texts).mapToLong(t -> (long) t.length() + separator.length()).sum());
    return String.join(separator, texts);
  }

  /** As HTML: what Jinja does to a text that is added to a safe one. */
  static String escape(String text) {
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("'", "&#39;").replace("\"", "&#34;");
  }
}
