package io.github.dimple4j;

import io.github.dimple4j.arguments.Elements;
import io.github.dimple4j.arguments.WholeText;
import io.github.dimple4j.structure.ByteAutomaton;
import io.github.dimple4j.structure.JsonSchema;
import io.github.dimple4j.structure.Piece;
import io.github.dimple4j.structure.RecordSchema;
import io.github.dimple4j.structure.SchemaOptions;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Optional;

/**
 * What a response is to look like: a structure that always holds, or tokens that are fixed beforehand.
 *
 * <p><b>A structure</b> consists of texts and typed slots, or of a JSON Schema or a record:
 *
 * <pre>{@code
 * Template lines = Template.of("Animal: ", choice("cat", "dog"), "\nHow many: ", integer(0, 99));
 * Template object = Template.json(schema);
 * Template instance = Template.of(Animal.class);
 * }</pre>
 *
 * <p>The answer has that structure whatever the model, the algorithm and the number of iterations; parts may be of any length, left out
 * or repeated, and an answer shorter than the response ends before it. This is what an application wants that goes on with the answer.
 *
 * <p><b>A structure prior</b> fixes tokens at their positions, which the model fills in around:
 *
 * <pre>{@code
 * Template prior = Template.of("{\"animal\": \"", slot(8), "\", \"count\": ", slot(2), "}");
 * }</pre>
 *
 * <p>It says where everything stands and nothing of what comes into a slot: to steer how long the answer's parts are, to place a phrase in
 * the middle or at the end, to reproduce the paper. The result need not parse.
 *
 * <p>A slot is a number of <i>tokens</i>, not of characters: a common English word is one token, a digit is one token, rare words
 * and other scripts take several per word. An answer shorter than its slot is filled up with end-of-text tokens by models that
 * were trained so (Dimple is); {@link Generation#text()} and {@link Generation#slots()} leave these out. An answer longer
 * than its slot is cut by the model as it can.
 *
 * <p>Each text of a prior is turned into tokens on its own, so no token reaches over the border of a slot. The vocabularies in use attach a
 * blank to the word behind it; a text therefore best ends before a blank and leaves that to the slot. Control tokens
 * spelled out in a text, such as {@code <|im_end|>}, become themselves; in a structure they are text.
 *
 * <p>Immutable.
 */
public final class Template {
  /** What a structure prior consists of. */
  private sealed interface Prior permits Literal, Tokens, Slot {}

  private record Literal(String text) implements Prior {
    @Override
    public String toString() {
      return '"' + text + '"';
    }
  }

  /** Tokens given by their ids, made by {@link Template#tokens}. */
  public static final class Tokens implements Prior {
    private final int[] ids;

    private Tokens(int[] ids) {
      this.ids = ids.clone();
    }

    /**
     * The ids, for logs.
     *
     * @return for example {@code "tokens[12, 7]"}
     */
    @Override
    public String toString() {
      return "tokens" + Arrays.toString(ids);
    }
  }

  /** Positions for the model to fill, made by {@link Template#slot}. */
  public static final class Slot implements Prior {
    private final int length;

    private Slot(int length) {
      this.length = length;
    }

    /**
     * The length, for logs.
     *
     * @return for example {@code "slot(8)"}
     */
    @Override
    public String toString() {
      return "slot(" + length + ")";
    }
  }

  private final List<Prior> priors;
  private final Piece structure; // null for a prior
  private ByteAutomaton automaton;

  private Template(List<Prior> priors, Piece structure) {
    this.priors = priors;
    this.structure = structure;
  }

  /**
   * Positions for the model to fill.
   *
   * @param length how many tokens, at least 1
   * @return a slot, to be given to {@link #of}
   * @throws InvalidArgumentException if {@code length} is less than 1
   */
  public static Slot slot(int length) {
    if (length < 1) {
      throw new InvalidArgumentException("a slot of " + length + " tokens, expected at least 1");
    }
    return new Slot(length);
  }

  /**
   * Fixed tokens by their ids.
   *
   * @param ids token ids
   * @return the tokens, to be given to {@link #of}
   */
  public static Tokens tokens(int... ids) {
    Objects.requireNonNull(ids, "ids");
    return new Tokens(ids);
  }

  /**
   * Joins texts with slots. With a {@link Piece} it is a structure, otherwise a structure prior: texts alone are fixed at the beginning of the
   * response, and what follows in a longer one is free. A text that is to be all of the answer is a {@link #choice} of one.
   *
   * @param parts in the order of the response: each a {@link String}, a {@link #slot} or {@link #tokens}, or a {@link Piece}
   * @return the template
   * @throws InvalidArgumentException if there are no parts, one of them is something else, or pieces stand beside slots or tokens
   */
  public static Template of(Object... parts) {
    List<Object> given = Elements.of(parts, "parts");
    if (given.isEmpty()) {
      throw new InvalidArgumentException("a template without parts");
    }
    boolean structured = given.stream().anyMatch(Piece.class::isInstance);
    boolean prior = given.stream().anyMatch(Prior.class::isInstance);
    if (structured && prior) {
      throw new InvalidArgumentException("a template of pieces and of slot(n) or tokens(ids), whose positions are fixed: "
          + "expected one kind");
    }
    return structured ? new Template(List.of(), Piece.of(given.toArray()))
        : new Template(given.stream().map(Template::prior).toList(), null);
  }

  private static Prior prior(Object part) {
    return switch (part) {
      case String text -> new Literal(WholeText.of(text, "a text of a template"));
      case Prior prior -> prior;
      default -> throw new InvalidArgumentException("a part of a template is a " + part.getClass().getName()
          + ", expected a String, a Piece, Template.slot(n) or Template.tokens(ids)");
    };
  }

  /**
   * The JSON text of a value that a schema admits, its keys in the schema's order, without properties that the schema does not mention
   * where it is silent about them ({@link SchemaOptions#PRODUCING}).
   *
   * @param schema a JSON Schema
   * @return the template
   * @throws InvalidArgumentException if the text is not JSON, or no schema
   * @throws io.github.dimple4j.structure.RefusedSchemaException if the schema is not held; the message says where and why
   */
  public static Template json(String schema) {
    return json(JsonSchema.of(schema), SchemaOptions.PRODUCING);
  }

  /**
   * The JSON text of a value that a schema admits.
   *
   * @param schema the schema
   * @param options which texts are wanted
   * @return the template
   * @throws io.github.dimple4j.structure.RefusedSchemaException if the schema is not held; the message says where and why
   */
  public static Template json(JsonSchema schema, SchemaOptions options) {
    Template template = of(Piece.json(schema, options));
    template.automaton();
    return template;
  }

  /**
   * The JSON text of an instance of a record; see {@link RecordSchema}. {@link Generation#as} reads it.
   *
   * @param type the record's class
   * @return the template
   * @throws InvalidArgumentException if the class is no record, or a component has a type of which no schema can be made
   */
  public static Template of(Class<? extends Record> type) {
    Objects.requireNonNull(type, "type");
    return json(RecordSchema.of(type), SchemaOptions.PRODUCING);
  }

  /**
   * One of several texts; see {@link Piece#choice}.
   *
   * @param texts at least one
   * @return the piece
   */
  public static Piece choice(String... texts) {
    return Piece.choice(texts);
  }

  /**
   * A whole number in decimal digits; see {@link Piece#integer}.
   *
   * @param min the least
   * @param max the greatest
   * @return the piece
   */
  public static Piece integer(long min, long max) {
    return Piece.integer(min, max);
  }

  /**
   * A number in decimal digits; see {@link Piece#number}.
   *
   * @param min the least
   * @param max the greatest
   * @return the piece
   * @throws InvalidArgumentException if a bound is infinite or no number
   */
  public static Piece number(double min, double max) {
    return Piece.number(decimal(min), decimal(max));
  }

  private static BigDecimal decimal(double bound) {
    if (!Double.isFinite(bound)) {
      throw new InvalidArgumentException("a number's bound is " + bound);
    }
    return BigDecimal.valueOf(bound);
  }

  /**
   * Free text; see {@link Piece#text}.
   *
   * @param maxTokens tokens that it may take
   * @return the piece
   */
  public static Piece text(int maxTokens) {
    return Piece.text(maxTokens);
  }

  /**
   * A string of JSON with its quotation marks; see {@link Piece#string}.
   *
   * @param maxTokens tokens that it may take between them
   * @return the piece
   */
  public static Piece string(int maxTokens) {
    return Piece.string(maxTokens);
  }

  /**
   * A text that matches a regular expression as a whole; see {@link Piece#pattern}.
   *
   * @param regex in the dialect of ECMA-262 with {@code u}
   * @return the piece
   */
  public static Piece pattern(String regex) {
    return Piece.pattern(regex);
  }

  /**
   * The same piece several times; see {@link Piece#list}.
   *
   * @param min times at least
   * @param max times at most
   * @param separator what stands between two of them
   * @param item a text or a piece, or several one after the other
   * @return the piece
   */
  public static Piece list(int min, int max, String separator, Object... item) {
    return Piece.list(min, max, separator, item);
  }

  /**
   * Pieces that may be there or not; see {@link Piece#optional}.
   *
   * @param parts texts and pieces, one after the other
   * @return the piece
   */
  public static Piece optional(Object... parts) {
    return Piece.optional(parts);
  }

  /**
   * The automaton of a structure; made once.
   *
   * @return the automaton, or nothing for a structure prior
   * @throws io.github.dimple4j.structure.RefusedSchemaException if a schema in it is not held
   * @throws UnsupportedException if it needs too many states
   */
  public synchronized Optional<ByteAutomaton> automaton() {
    if (structure != null && automaton == null) {
      automaton = structure.compile();
    }
    return Optional.ofNullable(automaton);
  }

  /** What the model has to fill; texts come on top. */
  long slotTokens() {
    return priors.stream().mapToLong(piece -> piece instanceof Slot slot ? slot.length : 0).sum();
  }

  /** Lays the template out as a response; positions behind its end, up to {@code length}, are one more slot. */
  Response layOut(Vocabulary vocabulary, int length) {
    int[] tokens = new int[0];
    List<Response.Segment> segments = new ArrayList<>();
    for (Prior piece : priors) {
      int[] added = switch (piece) {
        case Literal literal -> vocabulary.tokenizer().encode(literal.text());
        case Tokens fixed -> fixed.ids;
        case Slot slot -> vocabulary.masks(slot.length);
      };
      if (added.length > 0) {
        segments.add(new Response.Segment(tokens.length, tokens.length + added.length, piece instanceof Slot));
        tokens = Arrays.copyOf(tokens, Math.addExact(tokens.length, added.length));
        System.arraycopy(added, 0, tokens, tokens.length - added.length, added.length);
      }
    }
    if (length > tokens.length) {
      int end = tokens.length;
      segments.add(new Response.Segment(end, length, true));
      tokens = Arrays.copyOf(tokens, length);
      Arrays.fill(tokens, end, length, vocabulary.mask());
    }
    return new Response(vocabulary, tokens, segments);
  }

  /**
   * The parts, for logs.
   *
   * @return for example {@code Template["{\"a\": \"", slot(8), "\"}"]}
   */
  @Override
  public String toString() {
    return "Template" + (structure == null ? priors : "[" + structure + "]");
  }
}
