package io.github.dimple4j.structure;

import io.github.dimple4j.InvalidArgumentException;
import io.github.dimple4j.UnsupportedException;
import io.github.dimple4j.structure.automaton.Dfa;
import io.github.dimple4j.structure.automaton.Graph;
import io.github.dimple4j.structure.automaton.TooManyStatesException;
import io.github.dimple4j.structure.json.JsonText;
import io.github.dimple4j.structure.json.NumberRange;
import io.github.dimple4j.structure.json.Utf8Edges;
import io.github.dimple4j.structure.regex.Regex;
import io.github.dimple4j.structure.regex.RegexException;
import io.github.dimple4j.structure.schema.SchemaTexts;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.stream.Collectors;

/**
 * A piece of a structured response: a text, a typed slot, or pieces put together. Immutable; any thread.
 *
 * <p>Pieces have no fixed positions. What follows a piece begins where the piece ends, a token may cross the border, and one whose end
 * could be in more than one place ends where the rest fits.
 */
public abstract sealed class Piece {
  private static final int MOST_STATES = SchemaOptions.MOST_PRODUCED;
  private static final int MOST_REPEATS = 10_000;

  private Piece() {}

  /** Adds it to a graph before a state; the state before it. */
  abstract int before(Place place, int to);

  /**
   * What the piece is, for logs.
   *
   * @return for example {@code "("cat" | "dog")"}
   */
  @Override
  public abstract String toString();

  /** A graph under construction. */
  private record Place(Graph graph, JsonText json, SchemaTexts.Step step, List<Integer> slotTokens) {
    /** Makes the states from {@code from} to {@code to} exclusive a slot of so many tokens. */
    void slot(int from, int to, int tokens) {
      graph.slot(from, to, slotTokens.size());
      slotTokens.add(tokens);
    }
  }

  /** A fixed text. */
  private static final class Literal extends Piece {
    private final String text;

    Literal(String text) {
      this.text = text;
    }

    @Override
    int before(Place place, int to) {
      return place.graph.literal(text.getBytes(StandardCharsets.UTF_8), to);
    }

    @Override
    public String toString() {
      return '"' + text + '"';
    }
  }

  /** A token that is no text. */
  private static final class Token extends Piece {
    private final String spelling;
    private final byte[] bytes;

    Token(String spelling, byte[] bytes) {
      this.spelling = spelling;
      this.bytes = bytes;
    }

    @Override
    int before(Place place, int to) {
      return place.graph.literal(bytes, to);
    }

    @Override
    public String toString() {
      return "token(" + spelling + ")";
    }
  }

  /** Texts that an automaton over code points accepts, as they are. */
  private static final class Plain extends Piece {
    private final Dfa texts;
    private final int tokens;

    Plain(Dfa texts, int tokens) {
      this.texts = texts;
      this.tokens = tokens;
    }

    @Override
    int before(Place place, int to) {
      int from = place.graph.size();
      int start = new Utf8Edges(place.graph).accepted(texts, to);
      if (tokens > 0) {
        place.slot(from, place.graph.size(), tokens);
      }
      return start;
    }

    @Override
    public String toString() {
      return tokens > 0 ? "text(" + tokens + ")" : "pattern of " + texts.states() + " states";
    }
  }

  /** Any string of JSON. */
  private static final class Quoted extends Piece {
    private final int tokens;

    Quoted(int tokens) {
      this.tokens = tokens;
    }

    @Override
    int before(Place place, int to) {
      int from = place.graph.size();
      int start = new JsonText(place.graph, Spacing.COMPACT).string(to); // states of its own, which no other slot shares
      place.slot(from, start, tokens); // the quotation mark before it is no part of it
      return start;
    }

    @Override
    public String toString() {
      return "string(" + tokens + ")";
    }
  }

  private static final class Numeric extends Piece {
    private final NumberRange range;

    Numeric(NumberRange range) {
      this.range = range;
    }

    @Override
    int before(Place place, int to) {
      return place.json.number(range, to);
    }

    @Override
    public String toString() {
      return "number " + range;
    }
  }

  private static final class Choice extends Piece {
    private final List<Piece> ways;

    Choice(List<Piece> ways) {
      this.ways = ways;
    }

    @Override
    int before(Place place, int to) {
      return place.graph.either(ways.stream().mapToInt(way -> way.before(place, to)).toArray());
    }

    @Override
    public String toString() {
      return ways.stream().map(Piece::toString).collect(Collectors.joining(" | ", "(", ")"));
    }
  }

  private static final class Sequence extends Piece {
    private final List<Piece> pieces;

    Sequence(List<Piece> pieces) {
      this.pieces = pieces;
    }

    @Override
    int before(Place place, int to) {
      int state = to;
      for (Piece piece : pieces.reversed()) {
        state = piece.before(place, state);
      }
      return state;
    }

    @Override
    public String toString() {
      return pieces.stream().map(Piece::toString).collect(Collectors.joining(" "));
    }
  }

  private static final class Repetition extends Piece {
    private final Piece item;
    private final Piece separator;
    private final int least;
    private final int most;

    Repetition(Piece item, Piece separator, int least, int most) {
      this.item = item;
      this.separator = separator;
      this.least = least;
      this.most = most;
    }

    @Override
    int before(Place place, int to) {
      int behind = to;
      for (int i = most - 1; i >= 0; i--) {
        int start = item.before(place, behind);
        int further = i == 0 ? start : separator.before(place, start);
        behind = place.graph.either(further, i >= least ? to : Graph.NONE);
      }
      return behind;
    }

    @Override
    public String toString() {
      return "(" + item + "){" + least + "," + most + "} separated by " + separator;
    }
  }

  private static final class Json extends Piece {
    private final JsonSchema schema;
    private final SchemaOptions options;
    private final String mark; // what frames strings; null: they are JSON's

    Json(JsonSchema schema, SchemaOptions options, String mark) {
      this.schema = schema;
      this.options = options;
      this.mark = mark;
    }

    @Override
    int before(Place place, int to) {
      return new SchemaTexts(schema.root(), options, mark).before(place.graph, place.step, to);
    }

    @Override
    public String toString() {
      return (mark == null ? "json(" : "marked(") + schema + ")";
    }
  }

  /**
   * A fixed text.
   *
   * @param text plain text: a control token that is spelled in it is text
   * @return the piece
   * @throws InvalidArgumentException if it has half of a surrogate pair, which is no character
   */
  public static Piece literal(String text) {
    if (!Utf8Edges.isText(Objects.requireNonNull(text, "text"))) {
      throw new InvalidArgumentException("a literal has half of a surrogate pair, which is no character");
    }
    return new Literal(text);
  }

  /**
   * Free text: any well-formed UTF-8, nothing at all too.
   *
   * @param maxTokens tokens that it may take
   * @return the piece
   * @throws InvalidArgumentException if {@code maxTokens} is less than 1
   */
  public static Piece text(int maxTokens) {
    return new Plain(JsonText.anyText(), atLeastOne("maxTokens", maxTokens));
  }

  /**
   * A string of JSON, with its quotation marks and escapes.
   *
   * @param maxTokens tokens that it may take between the quotation marks
   * @return the piece
   * @throws InvalidArgumentException if {@code maxTokens} is less than 1
   */
  public static Piece string(int maxTokens) {
    return new Quoted(atLeastOne("maxTokens", maxTokens));
  }

  private static int atLeastOne(String name, int value) {
    if (value < 1) {
      throw new InvalidArgumentException(name + " is " + value + ", expected at least 1");
    }
    return value;
  }

  /**
   * One of several texts.
   *
   * @param texts at least one
   * @return the piece
   * @throws InvalidArgumentException if there is none
   */
  public static Piece choice(String... texts) {
    if (Objects.requireNonNull(texts, "texts").length == 0) {
      throw new InvalidArgumentException("a choice of no texts");
    }
    return new Choice(Arrays.stream(texts).map(text -> literal(Objects.requireNonNull(text, "texts"))).toList());
  }

  /**
   * One of several pieces.
   *
   * @param ways at least one, each a {@link String} or a piece
   * @return the piece
   * @throws InvalidArgumentException if there are none, or one of them is something else
   */
  public static Piece either(Object... ways) {
    if (Objects.requireNonNull(ways, "ways").length == 0) {
      throw new InvalidArgumentException("a choice of no pieces");
    }
    return new Choice(Arrays.stream(ways).map(way -> of(Objects.requireNonNull(way, "ways"))).toList());
  }

  /**
   * A whole number in decimal digits, without leading zeros.
   *
   * @param min the least
   * @param max the greatest
   * @return the piece
   * @throws InvalidArgumentException if {@code max} is less than {@code min}
   */
  public static Piece integer(long min, long max) {
    return number(true, BigDecimal.valueOf(min), BigDecimal.valueOf(max));
  }

  /**
   * A number in decimal digits, with or without fraction, without exponent.
   *
   * @param min the least
   * @param max the greatest
   * @return the piece
   * @throws InvalidArgumentException if {@code max} is less than {@code min}, or one of them has more than 2000 digits
   */
  public static Piece number(BigDecimal min, BigDecimal max) {
    return number(false, Objects.requireNonNull(min, "min"), Objects.requireNonNull(max, "max"));
  }

  private static Piece number(boolean whole, BigDecimal min, BigDecimal max) {
    if (!NumberRange.canBeSpelled(min) || !NumberRange.canBeSpelled(max)) {
      throw new InvalidArgumentException("a bound has more than " + NumberRange.MOST_DIGITS + " digits");
    }
    NumberRange range = new NumberRange(true, !whole, min, false, max, false);
    if (range.isEmpty()) {
      throw new InvalidArgumentException("no number is at least " + min + " and at most " + max);
    }
    return new Numeric(range);
  }

  /**
   * A text that matches a regular expression as a whole.
   *
   * @param regex in the dialect of ECMA-262 with {@code u}
   * @return the piece
   * @throws InvalidArgumentException if it is malformed or matches nothing
   * @throws UnsupportedException if it needs what no automaton of a reasonable size holds, such as lookaround or back references
   */
  public static Piece pattern(String regex) {
    Objects.requireNonNull(regex, "regex");
    try {
      Dfa texts = Regex.whole(regex, MOST_STATES);
      if (texts.isEmpty()) {
        throw new InvalidArgumentException("nothing matches the regular expression " + regex);
      }
      return new Plain(texts, 0);
    } catch (RegexException wrong) {
      throw new UnsupportedException(wrong.getMessage());
    } catch (TooManyStatesException tooMany) {
      throw new UnsupportedException("the regular expression " + regex + " needs more than " + tooMany.limit() + " states");
    }
  }

  /**
   * The same piece several times.
   *
   * @param min times at least
   * @param max times at most, up to 10,000
   * @param separator what stands between two of them
   * @param item a text or a piece, or several one after the other
   * @return the piece
   * @throws InvalidArgumentException if {@code min} is negative, {@code max} is less than {@code min} or 1, or too large
   */
  public static Piece list(int min, int max, String separator, Object... item) {
    Objects.requireNonNull(separator, "separator");
    Objects.requireNonNull(item, "item");
    if (min < 0 || max < Math.max(1, min) || max > MOST_REPEATS) {
      throw new InvalidArgumentException("a list of " + min + " to " + max + " items, expected 0 <= min <= max and 1 <= max <= "
          + MOST_REPEATS);
    }
    return new Repetition(of(item), literal(separator), min, max);
  }

  /**
   * Pieces that may be there or not.
   *
   * @param parts texts and pieces, one after the other
   * @return the piece
   */
  public static Piece optional(Object... parts) {
    return new Choice(List.of(literal(""), of(parts)));
  }

  /**
   * The JSON text of a value that a schema admits.
   *
   * @param schema the schema
   * @param options which texts are wanted
   * @return the piece
   */
  public static Piece json(JsonSchema schema, SchemaOptions options) {
    return new Json(Objects.requireNonNull(schema, "schema"), Objects.requireNonNull(options, "options"), null);
  }

  /**
   * The value of a schema as some models write the arguments of a call: like JSON without blanks, but strings stand as they are, without escapes,
   * between two tokens that are no text, and names of properties bare, if they consist of letters, digits, {@code _} and {@code -}. A string cannot
   * hold the spelling of that token.
   *
   * @param schema the schema
   * @param options which values are wanted; their white space is none
   * @param mark how the token is spelled, such as {@code <|"|>} of Gemma 4 ({@link io.github.dimple4j.chat.CallNotation})
   * @return the piece
   * @throws InvalidArgumentException if the spelling is empty, or has half of a surrogate pair
   */
  public static Piece marked(JsonSchema schema, SchemaOptions options, String mark) {
    ByteAutomaton.tokenBytes(mark);
    return new Json(Objects.requireNonNull(schema, "schema"), Objects.requireNonNull(options, "options"), mark);
  }

  /**
   * A token that is no text, such as one that a call of a tool begins with. With a vocabulary that has no such control token nothing fits the piece.
   *
   * @param spelling how the vocabulary spells it
   * @return the piece
   * @throws InvalidArgumentException if it is empty, or has half of a surrogate pair
   */
  public static Piece token(String spelling) {
    return new Token(spelling, ByteAutomaton.tokenBytes(spelling));
  }

  /**
   * Texts and pieces one after the other.
   *
   * @param parts each a {@link String} or a piece
   * @return the piece
   * @throws InvalidArgumentException if there are none, or one of them is something else
   */
  public static Piece of(Object... parts) {
    if (Objects.requireNonNull(parts, "parts").length == 0) {
      throw new InvalidArgumentException("a piece without parts");
    }
    List<Piece> pieces = new ArrayList<>();
    for (Object part : parts) {
      pieces.add(switch (part) {
        case String text -> literal(text);
        case Piece piece -> piece;
        case null -> throw new NullPointerException("parts");
        default -> throw new InvalidArgumentException("a part is a " + part.getClass().getName() + ", expected a String or a Piece");
      });
    }
    return pieces.size() == 1 ? pieces.getFirst() : new Sequence(pieces);
  }

  /**
   * The automaton over the bytes of responses that consist of this piece: the least one.
   *
   * @return the automaton
   * @throws RefusedSchemaException if a schema in it is not held
   * @throws UnsupportedException if it needs too many states
   */
  public ByteAutomaton compile() {
    return compile(MOST_STATES);
  }

  /**
   * The same with a limit of its own.
   *
   * @param maxStates states that the automaton may have; the core takes 65,536
   * @return the automaton
   * @throws InvalidArgumentException if {@code maxStates} is less than 1
   * @throws RefusedSchemaException if a schema in it is not held
   * @throws UnsupportedException if it needs more states
   */
  public ByteAutomaton compile(int maxStates) {
    int underWay = (int) Math.min(4L * atLeastOne("maxStates", maxStates), Integer.MAX_VALUE / 2); // before it is made the least one
    String needed = "more";
    for (SchemaTexts.Step step : SchemaTexts.Step.ALL) {
      try {
        Graph graph = new Graph(Math.min(step.states(), 2 * underWay));
        Place place = new Place(graph, new JsonText(graph, Spacing.COMPACT), step, new ArrayList<>());
        int start = before(place, graph.acceptingState());
        Dfa least = Dfa.of(graph, start, Dfa.BYTES, underWay).minimal();
        if (least.states() <= maxStates) {
          return ByteTables.of(least, place.slotTokens.stream().mapToInt(Integer::intValue).toArray());
        }
        needed = Integer.toString(least.states());
      } catch (TooManyStatesException tooMany) {
        continue; // with less of what its schemas leave open
      }
    }
    throw new UnsupportedException("the structure needs " + needed + " states, expected at most " + maxStates);
  }
}
