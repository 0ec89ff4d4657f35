package io.github.dimple4j.file;

import java.util.regex.Pattern;

/**
 * Text that files, arguments and servers bring, within messages and listings: none of it begins a line of its own, moves a terminal's cursor, or
 * turns around what stands behind it.
 */
public final class Printable {
  private static final Pattern BREAK = Pattern.compile("\\s*\\R\\s*");
  /** Control characters, separators of lines, and the characters that say in which direction text runs (Unicode's Bidi_Control). */
  private static final Pattern COMMAND = Pattern.compile("[\\p{Cc}\u2028\u2029\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]");

  private Printable() {}

  /**
   * As one line.
   *
   * @param text any; may be null
   * @return the text with a blank for each break of lines and a question mark for each other such character; null for null
   */
  public static String line(String text) {
    return text == null ? null : COMMAND.matcher(BREAK.matcher(text).replaceAll(" ").replace('\t', ' ')).replaceAll("?");
  }

  /**
   * Whether a character would begin a line, move the cursor or turn text around.
   *
   * @param codePoint the character
   * @return whether it is such a one
   */
  public static boolean isCommand(int codePoint) {
    return COMMAND.matcher(Character.toString(codePoint)).matches();
  }
}
