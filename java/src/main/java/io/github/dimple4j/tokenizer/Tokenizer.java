package io.github.dimple4j.tokenizer;

import io.github.dimple4j.InvalidArgumentException;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.stream.IntStream;

/**
 * Byte-pair encoding (Sennrich et al., arXiv 1508.07909). Text is cut at added tokens, and what stands between them becomes tokens in one of
 * three ways, which a file calls its model:
 *
 * <ul>
 *   <li>{@code gpt2}, byte-level: text is normalised and split into words ({@link PreTokenizer}), and in each word the neighbouring pair of
 *       bytes with the lowest rank is merged, the leftmost one of equals, until no pair can be;
 *   <li>{@code gemma4}, SentencePiece's spelling: blanks become U+2581, characters are merged in the same way over whole lines, and a
 *       character that has no token becomes the tokens of its bytes;
 *   <li>{@code llama}: so spelled, too, but merged is what makes the token of the highest score ({@link SentencePieceData}).
 * </ul>
 *
 * <p>Decoding what was encoded gives the same text in the rule's normal form; of the SentencePiece kinds, U+2581 comes back as a blank, and
 * the blank that {@code llama} puts in front is there. Unpaired surrogates, which no UTF-8 text can hold, are encoded as U+FFFD. Immutable
 * and thread-safe.
 */
public final class Tokenizer {
  static final int UNKNOWN = 2;
  static final int CONTROL = 3;
  static final int USER_DEFINED = 4;
  private static final int UNUSED = 5;
  private static final String MODELS = "\"gpt2\" (byte-level byte-pair encoding), \"gemma4\" or \"llama\" (SentencePiece's)";
  private static final BitSet NOTHING = new BitSet();

  private final TokenTable tokens;
  private final Pieces pieces;
  private final AddedTokens literal = new AddedTokens(); // matched in text as it is
  private final AddedTokens normalized = new AddedTokens(); // matched in normalized text
  private final BitSet control;
  private final TokenizerData data;

  private Tokenizer(TokenizerData data) {
    this.data = data;
    tokens = new TokenTable(data.tokens());
    new TokenizerDataCheck(data, tokens).run();
    pieces = pieces(tokens, data);
    control = controlTokens();
    readAddedTokens();
  }

  private static Pieces pieces(TokenTable tokens, TokenizerData data) {
    return switch (data.model()) {
      case "gpt2" -> new ByteLevelPieces(tokens, data);
      case "gemma4" -> new RankedPieces(tokens, data);
      case "llama" -> new ScoredPieces(tokens, data);
      case null -> throw new TokenizerException("tokenizer.ggml.model is missing; expected " + MODELS);
      default -> throw new TokenizerException("tokenizer.ggml.model = \"" + data.model() + "\" is not supported; expected " + MODELS);
    };
  }

  /** What frames parts of an answer in Gemma 4's vocabulary; files of llama.cpp's converter have some of them as user-defined tokens. */
  private static final List<String> MARKUP = List.of("<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>", "<|tool_response>",
      "<tool_response|>", "<|tool>", "<tool|>", "<|\"|>", "<|turn>", "<turn|>", "<|think|>", "<|image>", "<|image|>", "<image|>");

  /** Tokens that are no text: by their type; and those that frame a text, where a file has them as user-defined ones. */
  private BitSet controlTokens() {
    BitSet ids = new BitSet();
    if (data.tokenTypes() != null) {
      IntStream named = IntStream.of(data.bosId(), data.eosId(), data.padId(), data.maskId());
      IntStream framing = IntStream.concat(named, Arrays.stream(data.endIds()));
      framing.filter(id -> id >= 0 && id < size() && data.tokenTypes()[id] == USER_DEFINED).forEach(ids::set);
      IntStream markup = data.model().equals("gemma4") ? MARKUP.stream().mapToInt(tokens::find) : IntStream.empty();
      markup.filter(id -> id >= 0 && data.tokenTypes()[id] == USER_DEFINED).forEach(ids::set);
      IntStream.range(0, size()).filter(id -> data.tokenTypes()[id] == CONTROL || data.tokenTypes()[id] == UNKNOWN).forEach(ids::set);
    }
    return ids;
  }

  private void readAddedTokens() {
    AddedTokenFlags flags = data.addedTokens();
    BitSet lstrip = bits(flags.lstrip());
    BitSet rstrip = bits(flags.rstrip());
    BitSet singleWord = bits(flags.singleWord());
    BitSet late = bits(flags.normalized());
    for (int id = 0; id < size(); id++) {
      if (isAdded(id)) {
        String spelling = late.get(id) ? pieces.normalize(tokens.spelling(id)) : tokens.spelling(id);
        (late.get(id) ? normalized : literal).add(
            new AddedTokens.Entry(spelling, id, isControl(id), lstrip.get(id), rstrip.get(id), singleWord.get(id)));
      }
    }
    literal.seal();
    normalized.seal();
  }

  private static BitSet bits(int[] ids) {
    BitSet set = new BitSet();
    Arrays.stream(ids).filter(id -> id >= 0).forEach(set::set);
    return set;
  }

  /**
   * Builds a tokenizer. Takes a tenth of a second or two for 150,000 merges.
   *
   * @param data the arrays of a model file
   * @return the tokenizer
   * @throws TokenizerException if the algorithm or the rule is not known, or the arrays contradict each other
   */
  public static Tokenizer of(TokenizerData data) {
    Objects.requireNonNull(data, "data");
    return new Tokenizer(data);
  }

  /**
   * Encodes text. Added tokens spelled out in it, such as {@code <|im_end|>}, become themselves.
   *
   * @param text any text
   * @return token ids
   * @throws TokenizerException if the vocabulary lacks a token for a part of the text
   */
  public int[] encode(String text) {
    Objects.requireNonNull(text, "text");
    return encodeMarked(text, NOTHING);
  }

  /**
   * Encodes text in which the spelling of a control token is text like any other; user-defined tokens are still matched.
   *
   * @param text any text
   * @return token ids
   * @throws TokenizerException if the vocabulary lacks a token for a part of the text
   */
  public int[] encodeOrdinary(String text) {
    Objects.requireNonNull(text, "text");
    BitSet plain = new BitSet();
    plain.set(0, text.length());
    return encodeMarked(text, plain);
  }

  /**
   * Encodes a prompt: as {@link #encode}, with the begin-of-text token in front where the file asks for it
   * ({@code tokenizer.ggml.add_bos_token}) and the text does not bring it.
   *
   * @param text any text
   * @return token ids
   * @throws TokenizerException if the vocabulary lacks a token for a part of the text
   */
  public int[] encodePrompt(String text) {
    Objects.requireNonNull(text, "text");
    return encodePrompt(text, NOTHING);
  }

  /**
   * Encodes a prompt parts of which are text whatever they spell, such as what a user wrote: a control token counts where no character of
   * it is marked. Otherwise the marks change nothing: words and their tokens reach over them.
   *
   * @param text any text
   * @param plain the indices of the characters (UTF-16) that cannot be of a control token
   * @return token ids
   * @throws TokenizerException if the vocabulary lacks a token for a part of the text
   */
  public int[] encodePrompt(String text, BitSet plain) {
    Objects.requireNonNull(text, "text");
    Objects.requireNonNull(plain, "plain");
    int[] ids = encodeMarked(text, plain);
    if (!data.addBos() || data.bosId() < 0 || ids.length > 0 && ids[0] == data.bosId()) {
      return ids;
    }
    return IntStream.concat(IntStream.of(data.bosId()), Arrays.stream(ids)).toArray();
  }

  private int[] encodeMarked(String source, BitSet plain) {
    String text = withoutUnpairedSurrogates(source);
    IntStream.Builder ids = IntStream.builder();
    cut(text, literal, plain, ids, (start, end) -> encodeNormalized(text.substring(start, end), plain.get(start, end), ids));
    return ids.build().toArray();
  }

  /** Cuts once more, at the tokens that are matched in normalized text. */
  private void encodeNormalized(String piece, BitSet plain, IntStream.Builder ids) {
    String text = pieces.normalize(piece);
    BitSet marks = plain;
    if (!plain.isEmpty() && !pieces.keepsPlaces() && !text.equals(piece)) { // where its characters went is not known
      marks = new BitSet();
      marks.set(0, text.length());
    }
    cut(text, normalized, marks, ids, (start, end) -> pieces.encode(text.substring(start, end), ids));
  }

  /** What stands between added tokens. */
  private interface Piece {
    void encode(int start, int end);
  }

  private static void cut(String text, AddedTokens added, BitSet plain, IntStream.Builder ids, Piece between) {
    AddedTokens.ControlRule rule = (start, end) -> {
      int next = plain.nextSetBit(start);
      return next < 0 || next >= end;
    };
    int position = 0;
    for (AddedTokens.Match match = first(text, added, 0, 0, rule); match != null; match = first(text, added, match.spelled(), position, rule)) {
      if (match.start() > position) {
        between.encode(position, match.start());
      }
      if (match.end() > match.start()) {
        ids.add(match.id());
      }
      position = match.end(); // white space that went with a token can be another one all the same
    }
    if (position < text.length()) {
      between.encode(position, text.length());
    }
  }

  private static AddedTokens.Match first(String text, AddedTokens added, int from, int bound, AddedTokens.ControlRule rule) {
    return added.isEmpty() ? null : added.find(text, from, bound, rule);
  }

  private static String withoutUnpairedSurrogates(String text) {
    StringBuilder fixed = null;
    for (int i = 0; i < text.length(); i++) {
      if (Character.isSurrogate(text.charAt(i))) {
        if (Character.isSurrogatePair(text.charAt(i), i + 1 < text.length() ? text.charAt(i + 1) : 0)) {
          i++;
        } else {
          fixed = fixed == null ? new StringBuilder(text) : fixed;
          fixed.setCharAt(i, '\uFFFD');
        }
      }
    }
    return fixed == null ? text : fixed.toString();
  }

  /**
   * Decodes token ids, leaving control tokens out.
   *
   * @param ids token ids
   * @return the text; bytes that are not UTF-8 become U+FFFD
   * @throws InvalidArgumentException if an id is outside the vocabulary
   */
  public String decode(int[] ids) {
    return decode(ids, false);
  }

  /**
   * Decodes token ids.
   *
   * @param ids token ids
   * @param showControl whether control tokens appear as they are spelled
   * @return the text; bytes that are not UTF-8 become U+FFFD
   * @throws InvalidArgumentException if an id is outside the vocabulary
   */
  public String decode(int[] ids, boolean showControl) {
    Objects.requireNonNull(ids, "ids");
    return decode(ids, 0, ids.length, showControl);
  }

  /**
   * Decodes a range of token ids.
   *
   * @param ids token ids
   * @param from index of the first one
   * @param to index behind the last one
   * @param showControl whether control tokens appear as they are spelled
   * @return the text; bytes that are not UTF-8 become U+FFFD
   * @throws InvalidArgumentException if an id is outside the vocabulary
   * @throws IndexOutOfBoundsException if these are no indices of it
   */
  public String decode(int[] ids, int from, int to, boolean showControl) {
    Objects.checkFromToIndex(from, to, Objects.requireNonNull(ids, "ids").length);
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    for (int i = from; i < to; i++) {
      if (showControl || !isControl(ids[i])) {
        bytes.writeBytes(tokenBytes(ids[i]));
      }
    }
    return bytes.toString(StandardCharsets.UTF_8);
  }

  /**
   * Starts decoding of ids that come one after the other.
   *
   * @param showControl whether control tokens appear as they are spelled
   * @return a decoder for one stream
   */
  public StreamingDecoder streamingDecoder(boolean showControl) {
    return new StreamingDecoder(this, showControl);
  }

  /**
   * Returns the bytes a token stands for; they need not be whole characters.
   *
   * @param id a token id
   * @return its bytes
   * @throws InvalidArgumentException if the id is outside the vocabulary
   */
  public byte[] tokenBytes(int id) {
    requireId(id);
    return isAdded(id) ? pieces.addedBytes(id) : pieces.bytes(id);
  }

  /**
   * Returns a token as the vocabulary spells it: with bytes in GPT-2's printable alphabet ({@code "Ġthe"}), or in SentencePiece's way
   * ({@code "▁the"}, {@code "<0x0A>"}).
   *
   * @param id a token id
   * @return its spelling
   * @throws InvalidArgumentException if the id is outside the vocabulary
   */
  public String token(int id) {
    requireId(id);
    return tokens.spelling(id);
  }

  /**
   * Finds a token.
   *
   * @param token as the vocabulary spells it
   * @return its id, or empty
   */
  public OptionalInt id(String token) {
    Objects.requireNonNull(token, "token");
    int id = tokens.find(token);
    return id < 0 ? OptionalInt.empty() : OptionalInt.of(id);
  }

  /**
   * Tells whether a token steers the model and is no text.
   *
   * @param id a token id
   * @return true for control tokens
   * @throws InvalidArgumentException if the id is outside the vocabulary
   */
  public boolean isControl(int id) {
    requireId(id);
    return control.get(id);
  }

  /**
   * Tells whether a token stands for text: it is no control token, and not one that the file calls unused.
   *
   * @param id a token id
   * @return true for text
   * @throws InvalidArgumentException if the id is outside the vocabulary
   */
  public boolean isText(int id) {
    return !isControl(id) && (data.tokenTypes() == null || data.tokenTypes()[id] != UNUSED);
  }

  private boolean isAdded(int id) {
    return isControl(id) || data.tokenTypes() != null && data.tokenTypes()[id] == USER_DEFINED;
  }

  private void requireId(int id) {
    if (id < 0 || id >= size()) {
      throw new InvalidArgumentException("token id " + id + " is outside the vocabulary of " + size() + " tokens");
    }
  }

  /**
   * Returns the number of tokens.
   *
   * @return the number of tokens
   */
  public int size() {
    return tokens.size();
  }

  /**
   * Returns the begin-of-text token.
   *
   * @return its id, or -1
   */
  public int bosId() {
    return data.bosId();
  }

  /**
   * Returns the end-of-text token.
   *
   * @return its id, or -1
   */
  public int eosId() {
    return data.eosId();
  }

  /**
   * Returns the padding token.
   *
   * @return its id, or -1
   */
  public int padId() {
    return data.padId();
  }

  /**
   * Returns the mask token.
   *
   * @return its id, or -1
   */
  public int maskId() {
    return data.maskId();
  }

  /**
   * The size of the vocabulary, for logs.
   *
   * @return for example {@code "Tokenizer[152064 tokens]"}
   */
  @Override
  public String toString() {
    return "Tokenizer[" + size() + " tokens]";
  }
}
