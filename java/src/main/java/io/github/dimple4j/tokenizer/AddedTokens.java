package io.github.dimple4j.tokenizer;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Finds the tokens that are matched as they are written, before text is split: the leftmost one, of several there the longest. The rules
 * are those of Hugging Face's tokenizers (AddedVocabulary).
 */
final class AddedTokens {
  /** A token and how it is matched. */
  record Entry(String spelling, int id, boolean control, boolean lstrip, boolean rstrip, boolean singleWord) {}

  /** Where a match lies: the token, with the white space that goes with it; {@code spelled} is where its spelling ends. */
  record Match(int start, int end, int spelled, int id) {}

  /** Where a control token may be matched. */
  interface ControlRule {
    boolean allows(int start, int end);
  }

  /** By first character, longest first. */
  private final Map<Character, List<Entry>> byFirst = new HashMap<>();

  void add(Entry entry) {
    if (!entry.spelling.isEmpty()) {
      byFirst.computeIfAbsent(entry.spelling.charAt(0), c -> new ArrayList<>()).add(entry);
    }
  }

  void seal() {
    for (List<Entry> entries : byFirst.values()) {
      entries.sort(Comparator.comparingInt((Entry e) -> -e.spelling.length()));
    }
  }

  boolean isEmpty() {
    return byFirst.isEmpty();
  }

  /**
   * The first match whose spelling begins at or after {@code from}, or null. White space before it, back to {@code bound}, may go with it: of a
   * match whose spelling is such white space that went with another one nothing may be left. A spelling that would have to be a word and is none
   * hides what begins within it.
   */
  Match find(String text, int from, int bound, ControlRule control) {
    for (int at = from; at < text.length(); at++) {
      Entry e = spelledAt(text, at, control);
      if (e == null) {
        continue;
      }
      int end = at + e.spelling.length();
      if (!e.singleWord || isWord(text, at, end)) {
        return new Match(e.lstrip ? spaceBefore(text, at, bound) : at, e.rstrip ? spaceBehind(text, end) : end, end, e.id);
      }
      at = end - 1;
    }
    return null;
  }

  /** The longest of those that are spelled here, or null. */
  private Entry spelledAt(String text, int at, ControlRule control) {
    for (Entry e : byFirst.getOrDefault(text.charAt(at), List.of())) {
      if (text.startsWith(e.spelling, at) && (!e.control || control.allows(at, at + e.spelling.length()))) {
        return e;
      }
    }
    return null;
  }

  private static boolean isWord(String text, int start, int end) {
    boolean begins = start == 0 || !isWordCharacter(text.codePointBefore(start));
    return begins && (end == text.length() || !isWordCharacter(text.codePointAt(end)));
  }

  /** Where it begins; the bound, where that lies behind it. */
  private static int spaceBefore(String text, int start, int bound) {
    int at = Math.max(start, bound);
    while (at > bound && isSpace(text.charAt(at - 1))) {
      at--;
    }
    return at;
  }

  private static int spaceBehind(String text, int end) {
    int at = end;
    while (at < text.length() && isSpace(text.charAt(at))) {
      at++;
    }
    return at;
  }

  /** What a word consists of: Unicode's UTS 18, annex C, {@code \w}. */
  private static boolean isWordCharacter(int c) {
    return Character.isAlphabetic(c) || switch (Character.getType(c)) {
      case Character.NON_SPACING_MARK, Character.ENCLOSING_MARK, Character.COMBINING_SPACING_MARK, Character.DECIMAL_DIGIT_NUMBER,
          Character.CONNECTOR_PUNCTUATION -> true;
      default -> c == 0x200C || c == 0x200D; // Join_Control
    };
  }

  /** Unicode's White_Space; all of it lies in the basic plane. */
  private static boolean isSpace(char c) {
    return c >= '\t' && c <= '\r' || c == 0x85 || Character.isSpaceChar(c);
  }
}
