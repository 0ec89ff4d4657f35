package io.github.dimple4j;

import java.util.Arrays;
import java.util.List;

/**
 * The response at some moment: a token per position, the mask token where none is decided yet; with {@link Pipeline#DREAMON} another moment may have more
 * positions or fewer. Immutable and thread-safe; stays
 * readable after its session is closed, its text as long as the model or a session of it is open or the text was read before.
 */
public final class Canvas {
  /** How {@link #text()} shows a masked position. */
  public static final String MASK = "\u2591";

  private final Response response;
  private final int[] tokens;
  private final int settled; // so many of the first positions stay, once they are revealed

  /** A canvas whose revealed tokens stay. Takes the array over. */
  Canvas(Response response, int[] tokens) {
    this(response, tokens, tokens.length);
  }

  /** A canvas of which the first {@code settled} positions stay, once they are revealed. */
  Canvas(Response response, int[] tokens, int settled) {
    this.response = response;
    this.tokens = tokens;
    this.settled = settled;
  }

  /** The same response at another moment. */
  Canvas with(int[] others, int othersSettled) {
    return new Canvas(response, others, othersSettled);
  }

  /** The same response at another moment, when its positions have moved: where each was before, -1 for one that came in. */
  Canvas moved(int[] origins, int[] others, int othersSettled) {
    return new Canvas(response.moved(origins), others, othersSettled);
  }

  /** The positions that stay, and behind them others' tokens. */
  Canvas settledOver(int[] others) {
    int[] all = Arrays.copyOf(others, tokens.length);
    System.arraycopy(tokens, 0, all, 0, settled);
    return new Canvas(response, all, settled);
  }

  /** The same canvas at the end of its decoding. */
  Canvas asLast() {
    return new Canvas(response, tokens);
  }

  /**
   * The number of positions.
   *
   * @return the number of positions
   */
  public int length() {
    return tokens.length;
  }

  /**
   * A copy of the tokens.
   *
   * @return one id per position, the mask token where it is masked
   */
  public int[] tokens() {
    return tokens.clone();
  }

  /**
   * The token of a position.
   *
   * @param position from 0
   * @return its id, the mask token if it is masked
   * @throws IndexOutOfBoundsException if there is no such position
   */
  public int token(int position) {
    return tokens[position];
  }

  /**
   * Tells whether a position is undecided.
   *
   * @param position from 0
   * @return true if it holds the mask token
   * @throws IndexOutOfBoundsException if there is no such position
   */
  public boolean isMasked(int position) {
    return response.isMasked(tokens[position]);
  }

  /**
   * The number of undecided positions.
   *
   * @return the number of masks
   */
  public int remaining() {
    return response.masked(tokens, 0, tokens.length);
  }

  /**
   * The response as text, each masked position shown as {@link #MASK}.
   *
   * @return the text; see {@link #text(String)}
   * @throws NoTokenizerException if the model has no tokenizer
   */
  public String text() {
    return text(MASK);
  }

  /**
   * The response as text. It ends before the first end-of-text token ({@link DimpleModel#endTokenIds()}) or {@linkplain Decoding#stop()
   * stop string}; with a {@link Template} this holds for each slot by itself, and what is fixed behind the slot goes on. Control tokens are
   * left out, and so is what stands apart from the text: what the model thinks, and calls of tools ({@link Generation#thinking()},
   * {@link Generation#toolCalls()}).
   *
   * @param mask what a masked position shows as, for example {@code "_"} or nothing
   * @return the text; bytes that are no whole character become U+FFFD
   * @throws NoTokenizerException if the model has no tokenizer
   */
  public String text(String mask) {
    return String.join("", pieces(mask));
  }

  /**
   * What each position adds to the text, each masked position being {@link #MASK}.
   *
   * @return one string per position; joined they are {@link #text()}
   * @throws NoTokenizerException if the model has no tokenizer
   */
  public List<String> pieces() {
    return pieces(MASK);
  }

  /**
   * What each position adds to the text: nothing behind the end. A character made of several tokens is added by the last of them.
   *
   * @param mask what a masked position before the end adds
   * @return one string per position; joined they are {@link #text(String)}
   * @throws NoTokenizerException if the model has no tokenizer
   */
  public List<String> pieces(String mask) {
    return response.pieces(tokens, mask);
  }

  /**
   * The beginning of the text that does not change any more, good for printing while the decoding goes on: up to the first position that is
   * masked, less what may turn out to be the beginning of a stop string or of a character. The stable text of each canvas of a decoding
   * begins with that of the one before it, and that of the last one is its {@link #text()}, if the text is complete. With
   * {@link Algorithm#WINO}, which may take back what it has revealed, nothing is stable before the last one.
   *
   * @return the text, without masks
   * @throws NoTokenizerException if the model has no tokenizer
   */
  public String stableText() {
    return response.stableText(response.hide(tokens, settled));
  }

  /** What is apart from the text: what the model thinks, or calls of tools as they are spelled. */
  List<String> parts(boolean thoughts) {
    return response.parts(tokens, thoughts);
  }

  /** The texts of the slots. */
  List<String> slots() {
    return response.slots(tokens, MASK);
  }

  int[] textTokens() {
    return response.textTokens(tokens);
  }

  /** How many positions there are up to the end of the last slot. */
  int usedLength() {
    return response.usedLength(tokens);
  }

  /** Whether nothing that the text depends on is masked. */
  boolean isComplete() {
    return response.isComplete(tokens);
  }

  /** The same of what stays. */
  boolean isSettled() {
    return response.isComplete(response.hide(tokens, settled));
  }

  /** Why the text ends where it does; {@link Finish#MASKED} if it is not complete. */
  Finish finish() {
    return response.finish(tokens);
  }

  /**
   * Compares the tokens.
   *
   * @param other anything
   * @return true for a canvas with the same tokens
   */
  @Override
  public boolean equals(Object other) {
    return other instanceof Canvas canvas && Arrays.equals(tokens, canvas.tokens);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(tokens);
  }

  /**
   * The tokens, for logs.
   *
   * @return for example {@code "[12, 7, 151666]"}
   */
  @Override
  public String toString() {
    return Arrays.toString(tokens);
  }
}
