package io.github.dimple4j.structure.regex;

import io.github.dimple4j.structure.automaton.CodePoints;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;

/**
 * Recursive descent over ECMA-262's Pattern with {@code u} (22.2.1). What its Annex B makes of an expression without {@code u} is refused: there
 * {@code [a-\d]} has three members, {@code \_} is a letter and a brace without bounds one, and other dialects read some of that in other ways.
 */
final class RegexParser {
  private static final int MOST_REPEATS = 100_000;
  private static final int DEEPEST = 200; // groups within each other, as StrictJson has it of lists
  private static final int CLASS = -1;
  private static final int NOT_THERE = -2; // a bound, told apart from UNBOUNDED
  private static final int MOST_SHOWN = 1000;
  private static final String SYNTAX = "^$\\.*+?()[]{}|/"; // what a backslash may stand before for itself

  /**
   * What it may not with {@code u}, and what people put one before all the same: no dialect that takes it reads anything else. With {@code <}, {@code >},
   * {@code `} and {@code '} some have ends of words and of texts.
   */
  private static final String HARMLESS = " !\"#%&,-:;=@~";

  private final String text;
  private final int[] points;
  private final Set<String> names = new HashSet<>(); // of groups
  private boolean wide;
  private int position;
  private int depth; // of groups
  private int latest; // code point of the latest character; CLASS: it was a class of them

  RegexParser(String text, boolean wide) {
    this.text = text;
    this.points = text.codePoints().toArray();
    this.wide = wide;
  }

  Expression parse() {
    Expression whole = choice();
    if (position < points.length) {
      throw wrong("a ) without its (");
    }
    return whole;
  }

  private RegexException wrong(String what) {
    String shown = text.length() > MOST_SHOWN ? text.substring(0, text.offsetByCodePoints(0, MOST_SHOWN / 2)) + "..." : text;
    return new RegexException(what + " at character " + position + " of the regular expression " + shown);
  }

  private boolean at(int point) {
    return position < points.length && points[position] == point;
  }

  private boolean at(String ahead) {
    for (int i = 0; i < ahead.length(); i++) {
      if (position + i >= points.length || points[position + i] != ahead.charAt(i)) {
        return false;
      }
    }
    return true;
  }

  private boolean take(int point) {
    boolean there = at(point);
    position += there ? 1 : 0;
    return there;
  }

  private boolean take(String ahead) {
    boolean there = at(ahead);
    position += there ? ahead.length() : 0;
    return there;
  }

  private int next() {
    if (position >= points.length) {
      throw wrong("an unexpected end");
    }
    return points[position++];
  }

  private Expression choice() {
    List<Expression> ways = new ArrayList<>();
    do {
      ways.add(sequence());
    } while (take('|'));
    return ways.size() == 1 ? ways.getFirst() : new Expression.Choice(ways);
  }

  private Expression sequence() {
    List<Expression> parts = new ArrayList<>();
    while (position < points.length && !at('|') && !at(')')) {
      parts.add(term());
    }
    return parts.size() == 1 ? parts.getFirst() : new Expression.Sequence(parts);
  }

  private Expression term() {
    if (take('^')) {
      return new Expression.Start();
    }
    if (take('$')) {
      return new Expression.End();
    }
    if (at("(?=") || at("(?!") || at("(?<=") || at("(?<!")) {
      throw wrong("lookaround");
    }
    if (at("\\b") || at("\\B")) {
      throw wrong("a word boundary");
    }
    return quantified(atom());
  }

  private Expression quantified(Expression atom) {
    int least;
    int most;
    if (take('*')) {
      least = 0;
      most = Expression.Repetition.UNBOUNDED;
    } else if (take('+')) {
      least = 1;
      most = Expression.Repetition.UNBOUNDED;
    } else if (take('?')) {
      least = 0;
      most = 1;
    } else {
      int[] bounds = braces();
      if (bounds == null) {
        return atom;
      }
      least = bounds[0];
      most = bounds[1];
    }
    take('?'); // lazy: the same texts match
    return new Expression.Repetition(atom, least, most);
  }

  /** {@code {2}}, {@code {2,}} or {@code {2,3}}; null where there is no brace. */
  private int[] braces() {
    if (!take('{')) {
      return null;
    }
    int least = number();
    int most = least;
    if (take(',')) {
      most = at('}') ? Expression.Repetition.UNBOUNDED : number();
    }
    if (least == NOT_THERE && most > least && at('}')) {
      throw wrong("{,n}, which implementations read differently,");
    }
    if (least == NOT_THERE || most == NOT_THERE || !at('}')) {
      throw wrong("a { without its bounds");
    }
    if (most < least && most != Expression.Repetition.UNBOUNDED) {
      throw wrong("bounds out of order");
    }
    position++;
    return new int[] {least, most};
  }

  private int number() {
    int value = NOT_THERE;
    while (position < points.length && points[position] >= '0' && points[position] <= '9') {
      value = Math.max(0, value) * 10 + points[position++] - '0';
      if (value > MOST_REPEATS) {
        throw wrong("more than " + MOST_REPEATS + " repetitions");
      }
    }
    return value;
  }

  private Expression atom() {
    if (take('(')) {
      if (!take("?:") && take('?')) {
        if (!take('<')) {
          throw wrong("a group of an unknown kind");
        }
        groupName();
      }
      if (++depth > DEEPEST) {
        throw wrong("groups within each other more than " + DEEPEST + " deep");
      }
      Expression inner = choice();
      depth--;
      if (!take(')')) {
        throw wrong("a ( without its )");
      }
      return inner;
    }
    if (take('.')) {
      return new Expression.Characters(CodePoints.ALL.minus(wide ? CharacterClasses.NEWLINE : CharacterClasses.LINE_ENDS));
    }
    if (take('[')) {
      return new Expression.Characters(bracket());
    }
    if (take('\\')) {
      return new Expression.Characters(escape(false));
    }
    if (at('*') || at('+') || at('?') || at('{')) {
      throw wrong("nothing to repeat");
    }
    if (at(']') || at('}')) {
      throw wrong("a " + Character.toString(points[position]) + " without what it closes");
    }
    return new Expression.Characters(single(next()));
  }

  private void groupName() {
    StringBuilder name = new StringBuilder();
    while (!take('>')) {
      int point = next();
      if (point == '\\') {
        if (!take('u')) {
          throw wrong("an escape in a group's name");
        }
        point = unicode();
      }
      boolean letter = point == '$' || point == '_' || Character.isUnicodeIdentifierStart(point);
      boolean later = point == 0x200C || point == 0x200D || Character.isUnicodeIdentifierPart(point) && !Character.isIdentifierIgnorable(point);
      if (!letter && (name.length() == 0 || !later)) {
        throw wrong("a group's name that is none");
      }
      name.appendCodePoint(point);
    }
    if (name.length() == 0) {
      throw wrong("a group's name that is none");
    }
    if (!names.add(name.toString())) {
      throw wrong("a second group of the name " + name);
    }
  }

  private CodePoints single(int point) {
    latest = point;
    return CodePoints.range(point, point);
  }

  private CodePoints bracket() {
    boolean negated = take('^');
    wide ^= negated; // what is left out of the set is read the other way
    CodePoints set = CodePoints.NONE;
    while (!take(']')) {
      refuseOtherDialects();
      CodePoints low = member();
      int first = latest;
      refuseOtherDialects();
      if (at('-') && position + 1 < points.length && points[position + 1] != ']') {
        position++;
        member();
        if (first == CLASS || latest == CLASS) {
          throw wrong("a range from or to a class of characters, which implementations read differently,");
        }
        if (first > latest) {
          throw wrong("a range out of order");
        }
        set = set.or(CodePoints.range(first, latest));
      } else {
        set = set.or(low);
      }
    }
    wide ^= negated;
    return negated ? CodePoints.ALL.minus(set) : set;
  }

  /** What stands for itself here, and among other implementations for a class of characters or an intersection. */
  private void refuseOtherDialects() {
    if (at('[') && position + 1 < points.length && ":.=".indexOf(points[position + 1]) >= 0) {
      int kind = points[position + 1];
      for (int i = position + 2; i + 1 < points.length && points[i] != ']'; i++) {
        if (points[i] == kind && points[i + 1] == ']') {
          throw wrong("a class of POSIX, which implementations read differently,");
        }
      }
    }
    if (at('&') && position + 1 < points.length && points[position + 1] == '&') {
      throw wrong("&& in brackets, which implementations read differently,");
    }
    if (at('-') && position + 2 < points.length && points[position + 1] == '-' && points[position + 2] == '[') {
      throw wrong("--[ in brackets, which implementations read differently,");
    }
  }

  /** Its code point, which is half of a surrogate pair and so in no set perhaps, is {@link #latest}. */
  private CodePoints member() {
    latest = CLASS;
    return take('\\') ? escape(true) : single(next());
  }

  private CodePoints escape(boolean inBrackets) {
    int point = next();
    return switch (point) {
      case 'd' -> CharacterClasses.DIGITS;
      case 'D' -> CodePoints.ALL.minus(CharacterClasses.DIGITS);
      case 'w' -> CharacterClasses.WORD;
      case 'W' -> CodePoints.ALL.minus(CharacterClasses.WORD);
      case 's' -> wide ? CharacterClasses.ANY_SPACE : CharacterClasses.ASCII_SPACE;
      case 'S' -> CodePoints.ALL.minus(wide ? CharacterClasses.ASCII_SPACE : CharacterClasses.ANY_SPACE);
      case 't' -> single('\t');
      case 'n' -> single('\n');
      case 'r' -> single('\r');
      case 'f' -> single('\f');
      case 'v' -> single(0x0B);
      case 'x' -> single(hex(2));
      case 'u' -> single(unicode());
      case 'c' -> single(control());
      case 'p', 'P' -> property(point == 'P');
      case 'b' -> {
        if (inBrackets) {
          yield single('\b');
        }
        throw wrong("a word boundary");
      }
      case '0' -> {
        if (position < points.length && points[position] >= '0' && points[position] <= '9') {
          throw wrong("an octal escape, which implementations read differently,");
        }
        yield single(0);
      }
      default -> {
        if (point >= '1' && point <= '9' || point == 'k') {
          throw wrong("a back reference");
        }
        if (SYNTAX.indexOf(point) < 0 && HARMLESS.indexOf(point) < 0) {
          throw wrong("the unknown escape \\" + Character.toString(point));
        }
        yield single(point);
      }
    };
  }

  private int control() {
    int letter = next();
    if (!(letter >= 'a' && letter <= 'z' || letter >= 'A' && letter <= 'Z')) {
      throw wrong("an escape \\c without its letter");
    }
    return letter % 32;
  }

  private int hex(int digits) {
    int value = 0;
    for (int i = 0; i < digits; i++) {
      int digit = next();
      if (!HexFormat.isHexDigit(digit)) {
        throw wrong("an escape without its " + digits + " hexadecimal digits");
      }
      value = 16 * value + HexFormat.fromHexDigit(digit);
    }
    return value;
  }

  private int unicode() {
    if (take('{')) {
      int value = 0;
      if (at('}')) {
        throw wrong("a code point that is none");
      }
      while (!take('}')) {
        int digit = next();
        value = HexFormat.isHexDigit(digit) ? 16 * value + HexFormat.fromHexDigit(digit) : Integer.MAX_VALUE;
        if (value > Character.MAX_CODE_POINT) {
          throw wrong("a code point that is none");
        }
      }
      return value;
    }
    int first = hex(4);
    if (Character.isHighSurrogate((char) first) && take("\\u")) {
      int second = hex(4);
      if (!Character.isLowSurrogate((char) second)) {
        throw wrong("half of a surrogate pair");
      }
      return Character.toCodePoint((char) first, (char) second);
    }
    return first;
  }

  private CodePoints property(boolean negated) {
    if (!take('{')) {
      throw wrong("\\p without {name}");
    }
    StringBuilder name = new StringBuilder();
    for (int point = next(); point != '}'; point = next()) {
      name.appendCodePoint(point);
    }
    CodePoints set = CharacterClasses.property(name.toString());
    if (set == null) {
      throw wrong("the unknown property " + name);
    }
    return negated ? CodePoints.ALL.minus(set) : set;
  }
}
