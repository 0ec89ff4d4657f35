package io.github.dimple4j.structure.regex;

import io.github.dimple4j.structure.automaton.CodePoints;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Pattern;

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
      Map.entry("Cf", (int) Character.FORMAT), Map.entry("Cn", (int) Character.UNASSIGNED),
      Map.entry("Co", (int) Character.PRIVATE_USE), Map.entry("Cs", (int) Character.SURROGATE), Map.entry("Pd", (int) Character.DASH_PUNCTUATION),
      Map.entry("Ps", (int) Character.START_PUNCTUATION), Map.entry("Pe", (int) Character.END_PUNCTUATION),
      Map.entry("Pc", (int) Character.CONNECTOR_PUNCTUATION), Map.entry("Po", (int) Character.OTHER_PUNCTUATION),
      Map.entry("Pi", (int) Character.INITIAL_QUOTE_PUNCTUATION), Map.entry("Pf", (int) Character.FINAL_QUOTE_PUNCTUATION),
      Map.entry("Sm", (int) Character.MATH_SYMBOL), Map.entry("Sc", (int) Character.CURRENCY_SYMBOL),
      Map.entry("Sk", (int) Character.MODIFIER_SYMBOL), Map.entry("So", (int) Character.OTHER_SYMBOL));

  /** Their long names, and the two others of PropertyValueAliases.txt. */
  private static final Map<String, String> LONG_NAMES = Map.ofEntries(Map.entry("Cased_Letter", "LC"), Map.entry("Uppercase_Letter", "Lu"),
      Map.entry("Lowercase_Letter", "Ll"), Map.entry("Titlecase_Letter", "Lt"), Map.entry("Modifier_Letter", "Lm"), Map.entry("Other_Letter", "Lo"),
      Map.entry("Nonspacing_Mark", "Mn"), Map.entry("Enclosing_Mark", "Me"), Map.entry("Spacing_Mark", "Mc"), Map.entry("Decimal_Number", "Nd"),
      Map.entry("Letter_Number", "Nl"), Map.entry("Other_Number", "No"), Map.entry("Space_Separator", "Zs"), Map.entry("Line_Separator", "Zl"),
      Map.entry("Paragraph_Separator", "Zp"), Map.entry("Control", "Cc"), Map.entry("Format", "Cf"), Map.entry("Private_Use", "Co"),
      Map.entry("Surrogate", "Cs"), Map.entry("Unassigned", "Cn"), Map.entry("Dash_Punctuation", "Pd"), Map.entry("Open_Punctuation", "Ps"),
      Map.entry("Close_Punctuation", "Pe"), Map.entry("Connector_Punctuation", "Pc"), Map.entry("Other_Punctuation", "Po"),
      Map.entry("Initial_Punctuation", "Pi"), Map.entry("Final_Punctuation", "Pf"), Map.entry("Math_Symbol", "Sm"),
      Map.entry("Currency_Symbol", "Sc"), Map.entry("Modifier_Symbol", "Sk"), Map.entry("Other_Symbol", "So"), Map.entry("Letter", "L"),
      Map.entry("Mark", "M"), Map.entry("Number", "N"), Map.entry("Separator", "Z"), Map.entry("Punctuation", "P"), Map.entry("Symbol", "S"),
      Map.entry("Other", "C"), Map.entry("Combining_Mark", "M"), Map.entry("punct", "P"), Map.entry("digit", "Nd"), Map.entry("cntrl", "Cc"));

  private static final Pattern SCRIPT = Pattern.compile("[A-Z][a-z]+(?:_[A-Z][a-z]+)*");

  private CharacterClasses() {}

  /** {@code \p{name}}, or null if it is not known. */
  static CodePoints property(String name) {
    return PROPERTIES.computeIfAbsent(name, CharacterClasses::find);
  }

  private static CodePoints find(String name) {
    int equals = name.indexOf('=');
    String value = name.substring(equals + 1);
    String key = equals < 0 ? "" : name.substring(0, equals);
    return switch (key) {
      case "" -> equals < 0 ? lone(name) : null;
      case "General_Category", "gc" -> category(value);
      case "Script", "sc" -> script(value);
      default -> null;
    };
  }

  /** A name that stands by itself: a property that is there or not, or a category. */
  private static CodePoints lone(String name) {
    return switch (name) {
      case "Alphabetic", "Alpha" -> CodePoints.where(Character::isAlphabetic);
      case "Any" -> CodePoints.ALL;
      case "ASCII" -> CodePoints.range(0, 0x7F);
      default -> category(name);
    };
  }

  private static CodePoints category(String name) {
    String code = LONG_NAMES.getOrDefault(name, name);
    if (code.equals("LC")) {
      return category("Lu").or(category("Ll")).or(category("Lt"));
    }
    boolean several = code.length() == 1 && "LMNZPSC".contains(code);
    int types = CATEGORIES.entrySet().stream().filter(entry -> several ? entry.getKey().startsWith(code) : entry.getKey().equals(code))
        .mapToInt(entry -> 1 << entry.getValue()).sum();
    return types == 0 ? null : CodePoints.where(point -> (types >> Character.getType(point) & 1) != 0);
  }

  /** Names are spelled with capitals as Unicode has them, in which Java's enumeration is not particular. */
  private static CodePoints script(String name) {
    if (!name.equals("SignWriting") && !SCRIPT.matcher(name).matches() || name.equals("Signwriting")) {
      return null;
    }
    try {
      Character.UnicodeScript script = Character.UnicodeScript.forName(name.toUpperCase(Locale.ROOT));
      return CodePoints.where(point -> Character.UnicodeScript.of(point) == script);
    } catch (IllegalArgumentException unknown) {
      return null;
    }
  }
}
