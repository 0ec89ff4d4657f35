package io.github.dimple4j.tokenizer;

import io.github.dimple4j.InvalidArgumentException;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.PriorityQueue;
import java.util.regex.Matcher;
import java.util.stream.IntStream;

/**
 * Byte-level byte-pair encoding (Sennrich et al., arXiv 1508.07909; over bytes as in GPT-2). Text is cut at added tokens, normalised,
 * split into words ({@link PreTokenizer}), and in each word the neighbouring pair with the lowest rank is merged, the leftmost one of
 * equals, until no pair can be.
 *
 * <p>Decoding what was encoded gives the same text in the rule's normal form. Unpaired surrogates, which no UTF-8 text can hold, are
 * encoded as U+FFFD. Immutable and thread-safe.
 */
public final class Tokenizer {
  private static final int UNKNOWN = 2;
  private static final int CONTROL = 3;
  private static final int USER_DEFINED = 4;
  private static final int UNUSED = 5;
  private static final BitSet NOTHING = new BitSet();

  private final TokenTable tokens;
  private final MergeTable merges;
  private final PreTokenizer rule;
  private final boolean nfc;
  private final AddedTokens literal = new AddedTokens(); // matched in text as it is
  private final AddedTokens normalized = new AddedTokens(); // matched in normalized text
  private final BitSet control;
  private final TokenizerData data;

  private Tokenizer(TokenizerData data) {
    this.data = data;
    if (!"gpt2".equals(data.model())) {
      throw new TokenizerException(data.model() == null
          ? "tokenizer.ggml.model is missing; expected \"gpt2\""
          : "tokenizer.ggml.model = \"" + data.model() + "\" is not supported; expected \"gpt2\" (byte-level byte-pair encoding)");
    }
    rule = PreTokenizer.named(data.pre());
    nfc = data.nfc() == null ? rule.nfc() : data.nfc();
    if (data.tokenTypes() != null && data.tokenTypes().length != data.tokens().size()) {
      throw new TokenizerException("tokenizer.ggml.token_type has " + data.tokenTypes().length + " entries, tokenizer.ggml.tokens "
          + data.tokens().size());
    }
    tokens = new TokenTable(data.tokens());
    merges = readMerges(data.merges(), tokens);
    checkId("bos_token_id", data.bosId());
    checkId("eos_token_id", data.eosId());
    checkId("padding_token_id", data.padId());
    checkId("mask_token_id", data.maskId());
    control = controlTokens();
    readAddedTokens();
  }

  /** Tokens that are no text: by their type; and those that frame a text, where a file has them as user-defined ones. */
  private BitSet controlTokens() {
    BitSet ids = new BitSet();
    if (data.tokenTypes() != null) {
      IntStream named = IntStream.of(data.bosId(), data.eosId(), data.padId(), data.maskId());
      IntStream framing = IntStream.concat(named, Arrays.stream(data.endIds()));
      framing.filter(id -> id >= 0 && id < size() && data.tokenTypes()[id] == USER_DEFINED).forEach(ids::set);
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
        String spelling = late.get(id) ? normalize(tokens.spelling(id)) : tokens.spelling(id);
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

  private static MergeTable readMerges(Utf8Strings lines, TokenTable tokens) {
    MergeTable table = new MergeTable(lines.size());
    byte[] bytes = lines.bytes;
    byte[] joined = new byte[64];
    for (int rank = 0; rank < lines.size(); rank++) {
      int start = lines.start(rank);
      int end = lines.end(rank);
      int space = start + 1; // the space itself is spelled otherwise in the alphabet, so the first one separates
      while (space < end && bytes[space] != ' ') {
        space++;
      }
      if (space >= end - 1) {
        throw new TokenizerException("tokenizer.ggml.merges[" + rank + "] = \"" + lines.get(rank) + "\" is not a pair of tokens");
      }
      int length = end - start - 1;
      if (joined.length < length) {
        joined = new byte[2 * length];
      }
      System.arraycopy(bytes, start, joined, 0, space - start);
      System.arraycopy(bytes, space + 1, joined, space - start, end - space - 1);
      int left = tokens.find(bytes, start, space);
      int right = tokens.find(bytes, space + 1, end);
      int merged = tokens.find(joined, 0, length);
      // A merge of tokens that the vocabulary lacks can never apply; trimmed vocabularies have such merges, and llama.cpp loads them.
      if (left >= 0 && right >= 0 && merged >= 0) {
        table.add(left, right, rank, merged);
      }
    }
    return table;
  }

  private void checkId(String key, int id) {
    if (id < -1 || id >= size()) {
      throw new TokenizerException("tokenizer.ggml." + key + " = " + id + " is outside the vocabulary of " + size() + " tokens");
    }
  }

  /**
   * Encodes text. Added tokens spelled out in it, such as {@code <|im_end|>}, become themselves.
   *
   * @param text any text
   * @return token ids
   * @throws TokenizerException if the vocabulary lacks a token for one of the bytes
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
   * @throws TokenizerException if the vocabulary lacks a token for one of the bytes
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
   * @throws TokenizerException if the vocabulary lacks a token for one of the bytes
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
   * @throws TokenizerException if the vocabulary lacks a token for one of the bytes
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

  private String normalize(String text) {
    return nfc ? PreTokenizer.toNfc(text) : text;
  }

  /** Cuts once more, at the tokens that are matched in normalized text. */
  private void encodeNormalized(String piece, BitSet plain, IntStream.Builder ids) {
    String text = normalize(piece);
    BitSet marks = plain;
    if (!plain.isEmpty() && !text.equals(piece)) { // where its characters went is not known
      marks = new BitSet();
      marks.set(0, text.length());
    }
    cut(text, normalized, marks, ids, (start, end) -> encodeWords(text.substring(start, end), ids));
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
    while (position < text.length()) {
      AddedTokens.Match match = added.isEmpty() ? null : added.find(text, position, rule);
      int end = match == null ? text.length() : match.start();
      if (end > position) {
        between.encode(position, end);
      }
      if (match == null) {
        break;
      }
      ids.add(match.id());
      position = match.end();
    }
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

  private void encodeWords(String text, IntStream.Builder ids) {
    Matcher words = rule.words(text);
    while (words.find()) {
      encodeWord(text.substring(words.start(), words.end()).getBytes(StandardCharsets.UTF_8), ids);
    }
  }

  /** A pair of neighbours that can be merged: the entry of the table, and the position of the left one. */
  private record Candidate(long entry, int left, int right) implements Comparable<Candidate> {
    @Override
    public int compareTo(Candidate other) {
      int byRank = Integer.compare(MergeTable.rank(entry), MergeTable.rank(other.entry));
      return byRank != 0 ? byRank : Integer.compare(left, other.left);
    }
  }

  /** Merges the bytes of one word. Symbols form a linked list; merged ones leave it and keep the id -1. */
  private void encodeWord(byte[] word, IntStream.Builder out) {
    int n = word.length;
    int[] id = new int[n];
    int[] next = new int[n];
    int[] previous = new int[n];
    for (int i = 0; i < n; i++) {
      id[i] = tokens.ofByte(word[i] & 0xFF);
      next[i] = i + 1;
      previous[i] = i - 1;
      if (id[i] < 0) {
        throw new TokenizerException(String.format("the vocabulary has no token for the byte 0x%02X", word[i]));
      }
    }
    PriorityQueue<Candidate> queue = new PriorityQueue<>();
    for (int i = 0; i + 1 < n; i++) {
      offer(queue, id, i, i + 1);
    }
    for (Candidate c = queue.poll(); c != null; c = queue.poll()) {
      int left = c.left;
      int right = c.right;
      boolean current = id[left] >= 0 && next[left] == right && merges.find(id[left], id[right]) == c.entry;
      if (!current) {
        continue; // one of the two was merged since
      }
      id[left] = MergeTable.merged(c.entry);
      id[right] = -1;
      next[left] = next[right];
      if (next[left] < n) {
        previous[next[left]] = left;
        offer(queue, id, left, next[left]);
      }
      if (previous[left] >= 0) {
        offer(queue, id, previous[left], left);
      }
    }
    for (int i = 0; i < n; i = next[i]) {
      out.add(id[i]);
    }
  }

  private void offer(PriorityQueue<Candidate> queue, int[] id, int left, int right) {
    long entry = merges.find(id[left], id[right]);
    if (entry != MergeTable.NONE) {
      queue.add(new Candidate(entry, left, right));
    }
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
   */
  public String decode(int[] ids, int from, int to, boolean showControl) {
    Objects.requireNonNull(ids, "ids");
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
    return isAdded(id) ? tokens.rawBytes(id) : tokens.bytes(id);
  }

  /**
   * Returns a token as the vocabulary spells it, with bytes in GPT-2's printable alphabet ({@code "Ġthe"}).
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
