package io.github.dimple4j.cli;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * Arguments on Windows. Java's launcher asks the system for the command line in its code page, where a letter that this has not comes as '?' or as
 * another one that looks like it ('l' for a Polish one), and nothing tells. The system keeps the line in UTF-16: arguments are taken from there where it has
 * anything beyond ASCII.
 */
final class WindowsArguments {
  /** The longest there is, in UTF-16, with its end. */
  private static final int MOST_CHARACTERS = 32_768;

  private static final Pattern BEYOND_ASCII = Pattern.compile("[^\\x00-\\x7f]+");

  private WindowsArguments() {}

  /** The command line of this process as the system has it; empty where it may not be asked for. */
  @SuppressWarnings("restricted") // a call of the system
  static Optional<String> commandLine() {
    try {
      MemorySegment function = SymbolLookup.libraryLookup("kernel32", Arena.global()).find("GetCommandLineW").orElseThrow();
      MemorySegment line = (MemorySegment) Linker.nativeLinker().downcallHandle(function, FunctionDescriptor.of(ValueLayout.ADDRESS)).invokeExact();
      return Optional.of(text(line.reinterpret(MOST_CHARACTERS * ValueLayout.JAVA_CHAR.byteSize())));
    } catch (Throwable e) { // no native access: the core cannot be called either, and says so
      return Optional.empty();
    }
  }

  /** UTF-16 up to its end, halves of pairs as they are. */
  static String text(MemorySegment line) {
    StringBuilder text = new StringBuilder();
    for (long i = 0; i < MOST_CHARACTERS; i++) {
      char c = line.getAtIndex(ValueLayout.JAVA_CHAR_UNALIGNED, i);
      if (c == 0) {
        break;
      }
      text.append(c);
    }
    return text.toString();
  }

  /**
   * The arguments that were given where Java has decoded these from that line. Empty: the two do not belong together, as where Java has put names of
   * files in the place of a pattern.
   */
  static Optional<String[]> given(String[] decoded, String line) {
    if (isAscii(line)) {
      return Optional.of(decoded);
    }
    List<String> words = split(line);
    int archive = words.indexOf("-jar");
    List<String> given = archive < 0 ? words : words.subList(Math.min(archive + 2, words.size()), words.size());
    if (archive >= 0 && given.stream().allMatch(WindowsArguments::isAscii)) {
      return Optional.of(decoded);
    }
    if (archive < 0 && given.size() > decoded.length) {
      given = given.subList(given.size() - decoded.length, given.size());
    }
    boolean same = given.size() == decoded.length;
    for (int i = 0; same && i < decoded.length; i++) {
      same = mayBecome(given.get(i), decoded[i]);
    }
    return same ? Optional.of(given.toArray(String[]::new)) : Optional.empty();
  }

  private static boolean isAscii(String text) {
    return text.chars().allMatch(c -> c < 128);
  }

  /** Whether a code page may make this of an argument: ASCII stays, and what is beyond becomes anything. */
  private static boolean mayBecome(String given, String decoded) {
    String[] kept = BEYOND_ASCII.split(given, -1);
    return Pattern.compile(String.join(".*", Arrays.stream(kept).map(Pattern::quote).toList()), Pattern.DOTALL).matcher(decoded).matches();
  }

  /** A command line taken apart as Microsoft's C library does it: the program's name, then arguments. */
  static List<String> split(String line) {
    List<String> words = new ArrayList<>();
    int i = 0;
    boolean quoted = false;
    StringBuilder word = new StringBuilder();
    for (; i < line.length() && (quoted || !isBlank(line.charAt(i))); i++) { // in a name, backslashes are nothing else
      if (line.charAt(i) == '"') {
        quoted = !quoted;
      } else {
        word.append(line.charAt(i));
      }
    }
    words.add(word.toString());
    while (true) {
      while (i < line.length() && isBlank(line.charAt(i))) {
        i++;
      }
      if (i == line.length()) {
        return words;
      }
      word.setLength(0);
      i = readWord(line, i, word);
      words.add(word.toString());
    }
  }

  private static boolean isBlank(char c) {
    return c == ' ' || c == '\t';
  }

  /** Backslashes are special in front of a quotation mark alone; two marks within a quotation are one. Returns where the word ends. */
  private static int readWord(String line, int start, StringBuilder word) {
    boolean quoted = false;
    int i = start;
    while (i < line.length() && (quoted || !isBlank(line.charAt(i)))) {
      int first = i;
      while (i < line.length() && line.charAt(i) == '\\') {
        i++;
      }
      int backslashes = i - first;
      boolean mark = i < line.length() && line.charAt(i) == '"';
      word.repeat('\\', mark ? backslashes / 2 : backslashes);
      if (mark && backslashes % 2 == 1) {
        word.append('"');
        i++;
      } else if (mark && quoted && i + 1 < line.length() && line.charAt(i + 1) == '"') {
        word.append('"');
        i += 2;
      } else if (mark) {
        quoted = !quoted;
        i++;
      } else if (backslashes == 0) {
        word.append(line.charAt(i++));
      }
    }
    return i;
  }
}
