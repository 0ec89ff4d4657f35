package io.github.dimple4j.chat;

import java.util.Locale;
import java.util.Set;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;

/** Small and large letters, as Python has them (the Unicode Standard, section 3.13). */
final class LetterCase {
  private static final String CUTS = "-\\s\u001C-\u001F\u0085\\p{Z}({\\[<"; // where Jinja's filter title cuts a text
  private static final Pattern WORD = Pattern.compile("[" + CUTS + "]+|[^" + CUTS + "]+");

  private static final char SIGMA = '\u03A3';
  /** Signs that stand within words, of which a sigma takes no note (Word_Break MidLetter, MidNumLet and Single_Quote); and kinds of them. */
  private static final String IN_WORDS = "'.:\u00B7\u0387\u055F\u05F4\u2018\u2019\u2024\u2027\uFE13\uFE52\uFE55\uFF07\uFF0E\uFF1A";
  private static final Set<Integer> UNNOTED = Set.of((int) Character.NON_SPACING_MARK, (int) Character.ENCLOSING_MARK, (int) Character.FORMAT,
      (int) Character.MODIFIER_LETTER, (int) Character.MODIFIER_SYMBOL);

  private LetterCase() {}

  /** In small letters; a sigma that ends a word has a form of its own, and Java ends words elsewhere. */
  static String lower(String text) {
    if (text.indexOf(SIGMA) < 0) {
      return text.toLowerCase(Locale.ROOT);
    }
    StringBuilder lower = new StringBuilder(text);
    for (int i = text.indexOf(SIGMA); i >= 0; i = text.indexOf(SIGMA, i + 1)) {
      lower.setCharAt(i, endsWord(text, i) ? '\u03C2' : '\u03C3');
    }
    return lower.toString().toLowerCase(Locale.ROOT);
  }

  /** Whether a letter stands in front of a place and none behind it, where others than letters are passed over. */
  private static boolean endsWord(String text, int at) {
    int before = at;
    while (before > 0 && isUnnoted(text.codePointBefore(before))) {
      before -= Character.charCount(text.codePointBefore(before));
    }
    int behind = at + 1;
    while (behind < text.length() && isUnnoted(text.codePointAt(behind))) {
      behind += Character.charCount(text.codePointAt(behind));
    }
    return before > 0 && isCased(text.codePointBefore(before)) && !(behind < text.length() && isCased(text.codePointAt(behind)));
  }

  private static boolean isUnnoted(int c) {
    return UNNOTED.contains(Character.getType(c)) || IN_WORDS.indexOf(c) >= 0;
  }

  private static boolean isCased(int c) {
    return Character.isUpperCase(c) || Character.isLowerCase(c) || Character.isTitleCase(c);
  }

  static String upper(String text) {
    return text.toUpperCase(Locale.ROOT);
  }

  static String capitalize(String text) {
    if (text.isEmpty()) {
      return text;
    }
    int first = Character.charCount(text.codePointAt(0));
    return capital(text.substring(0, first)) + lower(text).substring(lower(text.substring(0, first)).length());
  }

  /** Of one letter. */
  private static String capital(String letter) {
    String title = Character.toString(Character.toTitleCase(letter.codePointAt(0)));
    String capital = upper(letter);
    int first = Character.charCount(capital.codePointAt(0));
    if (!title.equals(letter) || first == capital.length() || Character.isTitleCase(letter.codePointAt(0))) {
      return title;
    }
    // Several letters, which Java's titles leave out.
    boolean second = letter.equals("\u0149"); // that one's large letter stands behind an apostrophe
    return second ? capital : capital.substring(0, first) + lower(capital.substring(first).replace('\u0399', '\u0345')); // an iota stays below
  }

  /** Python's method: a capital behind everything that is no letter. */
  static String title(String text) {
    StringBuilder out = new StringBuilder();
    String lower = lower(text);
    int at = 0; // in it
    boolean inWord = false;
    for (int i = 0; i < text.length(); i += Character.charCount(text.codePointAt(i))) {
      int c = text.codePointAt(i);
      String letter = Character.toString(c);
      int behind = at + lower(letter).length();
      out.append(inWord ? lower.substring(at, behind) : isCased(c) ? capital(letter) : letter);
      inWord = isCased(c);
      at = behind;
    }
    return out.toString();
  }

  /** Jinja's filter: a capital at the start and behind hyphens, white space and opening brackets. */
  static String titleWords(String text) {
    StringBuilder out = new StringBuilder();
    for (MatchResult part : WORD.matcher(text).results().toList()) {
      int first = Character.charCount(part.group().codePointAt(0));
      out.append(upper(part.group().substring(0, first))).append(lower(part.group().substring(first)));
    }
    return out.toString();
  }

  static boolean isUpper(String text) {
    return text.codePoints().anyMatch(Character::isUpperCase)
        && text.codePoints().noneMatch(c -> Character.isLowerCase(c) || Character.isTitleCase(c));
  }

  static boolean isLower(String text) {
    return text.codePoints().anyMatch(Character::isLowerCase)
        && text.codePoints().noneMatch(c -> Character.isUpperCase(c) || Character.isTitleCase(c));
  }
}
