package io.github.dimple4j;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/**
 * A response some of whose tokens are fixed beforehand (a structure prior), which the model fills in around:
 *
 * <pre>{@code
 * Template.of("{\"animal\": \"", slot(8), "\", \"count\": ", slot(2), "}")
 * }</pre>
 *
 * <p>A slot is a number of <i>tokens</i>, not of characters: a common English word is one token, a digit is one token, rare words
 * and other scripts take several per word. An answer shorter than its slot is filled up with end-of-text tokens by models that
 * were trained so (Dimple is); {@link Generation#text()} and {@link Generation#slots()} leave these out. An answer longer
 * than its slot is cut by the model as it can.
 *
 * <p>Each text is turned into tokens on its own, so no token reaches over the border of a slot. The vocabularies in use attach a
 * blank to the word behind it; a text therefore best ends before a blank and leaves that to the slot. Control tokens
 * spelled out in a text, such as {@code <|im_end|>}, become themselves.
 *
 * <p>Immutable.
 */
public final class Template {
  /** What a template consists of. */
  private sealed interface Piece permits Literal, Tokens, Slot {}

  private record Literal(String text) implements Piece {}

  /** Tokens given by their ids, made by {@link Template#tokens}. */
  public static final class Tokens implements Piece {
    private final int[] ids;

    private Tokens(int[] ids) {
      this.ids = ids.clone();
    }
  }

  /** Positions for the model to fill, made by {@link Template#slot}. */
  public static final class Slot implements Piece {
    private final int length;

    private Slot(int length) {
      this.length = length;
    }
  }

  private final List<Piece> pieces;

  private Template(List<Piece> pieces) {
    this.pieces = pieces;
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
   * Joins fixed texts and slots.
   *
   * @param parts in the order of the response: each a {@link String}, a {@link #slot}, or {@link #tokens}
   * @return the template
   * @throws InvalidArgumentException if there are no parts, or one of them is something else
   */
  public static Template of(Object... parts) {
    List<Object> given = Elements.of(parts, "parts");
    if (given.isEmpty()) {
      throw new InvalidArgumentException("a template without parts");
    }
    return new Template(given.stream().map(Template::piece).toList());
  }

  private static Piece piece(Object part) {
    return switch (part) {
      case String text -> new Literal(text);
      case Piece piece -> piece;
      default -> throw new InvalidArgumentException("a part of a template is a " + part.getClass().getName()
          + ", expected a String, Template.slot(n) or Template.tokens(ids)");
    };
  }

  /** What the model has to fill; texts come on top. */
  long slotTokens() {
    return pieces.stream().mapToLong(piece -> piece instanceof Slot slot ? slot.length : 0).sum();
  }

  /** Lays the template out as a response; positions behind its end, up to {@code length}, are one more slot. */
  Response layOut(Vocabulary vocabulary, int length) {
    int[] tokens = new int[0];
    List<Response.Segment> segments = new ArrayList<>();
    for (Piece piece : pieces) {
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
}
