package io.github.dimple4j.structure.regex;

import io.github.dimple4j.structure.automaton.CodePoints;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** Sets of characters that have a name. */
final class CharacterClasses {
  static final CodePoints DIGITS = CodePoints.range('0', '9');
  static final CodePoints WORD = DIGITS.or(CodePoints.range('a', 'z')).or(CodePoints.range('A', 'Z')).or(CodePoints.of("_"));
  static final CodePoints ASCII_SPACE = CodePoints.of(" \t\n\u000B\f\r");
  /** ECMA-262, WhiteSpace and LineTerminator, and what Python and Java count besides. */
  static final CodePoints ANY_SPACE = ASCII_SPACE.or(CodePoints.of("\u0085\u00A0\u1680\u2028\u2029\u202F\u205F\u3000\uFEFF"))
      .or(CodePoints.range(0x2000, 0x200A)).or(CodePoints.range(0x1C, 0x1F)).or(CodePoints.of("\u180E"));
  static final CodePoints LINE_ENDS = CodePoints.of("\n\r\u0085\u2028\u2029");
  static final CodePoints NEWLINE = CodePoints.of("\n");

  private static final Map<String, CodePoints> PROPERTIES = new ConcurrentHashMap<>();

  /** General categories by their short names, as ECMA-262 and UnicodeData.txt have them. */
  private static final Map<String, Integer> CATEGORIES = Map.ofEntries(Map.entry("Lu", (int) Character.UPPERCASE_LETTER),
      Map.entry("Ll", (int) Character.LOWERCASE_LETTER), Map.entry("Lt", (int) Character.TITLECASE_LETTER),
      Map.entry("Lm", (int) Character.MODIFIER_LETTER), Map.entry("Lo", (int) Character.OTHER_LETTER),
      Map.entry("Mn", (int) Character.NON_SPACING_MARK), Map.entry("Me", (int) Character.ENCLOSING_MARK),
      Map.entry("Mc", (int) Character.COMBINING_SPACING_MARK), Map.entry("Nd", (int) Character.DECIMAL_DIGIT_NUMBER),
      Map.entry("Nl", (int) Character.LETTER_NUMBER), Map.entry("No", (int) Character.OTHER_NUMBER),
      Map.entry("Zs", (int) Character.SPACE_SEPARATOR), Map.entry("Zl", (int) Character.LINE_SEPARATOR),
      Map.entry("Zp", (int) Character.PARAGRAPH_SEPARATOR), Map.entry("Cc", (int) Character.CONTROL),
      Map.entry("Cf", (int) Character.FORMAT), Map.entry("Pd", (int) Character.DASH_PUNCTUATION),
      Map.entry("Ps", (int) Character.START_PUNCTUATION), Map.entry("Pe", (int) Character.END_PUNCTUATION),
      Map.entry("Pc", (int) Character.CONNECTOR_PUNCTUATION), Map.entry("Po", (int) Character.OTHER_PUNCTUATION),
      Map.entry("Pi", (int) Character.INITIAL_QUOTE_PUNCTUATION), Map.entry("Pf", (int) Character.FINAL_QUOTE_PUNCTUATION),
      Map.entry("Sm", (int) Character.MATH_SYMBOL), Map.entry("Sc", (int) Character.CURRENCY_SYMBOL),
      Map.entry("Sk", (int) Character.MODIFIER_SYMBOL), Map.entry("So", (int) Character.OTHER_SYMBOL));

  private CharacterClasses() {}

  /** {@code \p{name}}, or null if it is not known. */
  static CodePoints property(String name) {
    return PROPERTIES.computeIfAbsent(name, CharacterClasses::find);
  }

  private static CodePoints find(String name) {
    String value = name.substring(name.indexOf('=') + 1);
    String key = name.contains("=") ? name.substring(0, name.indexOf('=')) : "";
    if (key.equals("Script") || key.equals("sc")) {
      return script(value);
    }
    return switch (value) {
      case "Alphabetic", "Alpha" -> CodePoints.where(Character::isAlphabetic);
      case "Any" -> CodePoints.ALL;
      case "ASCII" -> CodePoints.range(0, 0x7F);
      case "Letter" -> category("L");
      case "Number" -> category("N");
      case "Punctuation", "punct" -> category("P");
      case "Symbol" -> category("S");
      case "Mark" -> category("M");
      case "Separator" -> category("Z");
      case "Uppercase_Letter" -> category("Lu");
      case "Lowercase_Letter" -> category("Ll");
      case "Decimal_Number" -> category("Nd");
      default -> category(value);
    };
  }

  private static CodePoints category(String name) {
    if (name.length() == 1 && "LMNZPS".contains(name)) {
      return CodePoints.where(point -> CATEGORIES.entrySet().stream()
          .anyMatch(entry -> entry.getKey().startsWith(name) && entry.getValue() == Character.getType(point)));
    }
    Integer type = CATEGORIES.get(name);
    return type == null ? null : CodePoints.where(point -> Character.getType(point) == type);
  }

  private static CodePoints script(String name) {
    try {
      Character.UnicodeScript script = Character.UnicodeScript.forName(name.toUpperCase(Locale.ROOT));
      return CodePoints.where(point -> Character.UnicodeScript.of(point) == script);
    } catch (IllegalArgumentException unknown) {
      return null;
    }
  }
}
