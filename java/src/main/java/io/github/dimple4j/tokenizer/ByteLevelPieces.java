package io.github.dimple4j.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.stream.IntStream;

/** Byte-level byte-pair encoding as in GPT-2: words, in each of them bytes, which are merged. */
final class ByteLevelPieces implements Pieces {
  private final TokenTable tokens;
  private final MergeTable merges;
  private final PreTokenizer rule;
  private final boolean nfc;
  private final int[] byteIds;

  ByteLevelPieces(TokenTable tokens, TokenizerData data) {
    this.tokens = tokens;
    rule = PreTokenizer.named(data.pre());
    nfc = data.nfc() == null ? rule.nfc() : data.nfc();
    merges = MergeTable.read(data.merges(), tokens, id -> true);
    byteIds = IntStream.range(0, 256).map(b -> tokens.find(ByteAlphabet.spelling(b))).toArray();
  }

  @Override
  public String normalize(String text) {
    return nfc ? PreTokenizer.toNfc(text) : text;
  }

  @Override
  public boolean keepsPlaces() {
    return !nfc;
  }

  @Override
  public void encode(String text, IntStream.Builder ids) {
    Matcher words = rule.words(text);
    while (words.find()) {
      byte[] word = text.substring(words.start(), words.end()).getBytes(StandardCharsets.UTF_8);
      PairMerger.merge(merges, symbols(word), ids);
    }
  }

  private int[] symbols(byte[] word) {
    int[] symbols = new int[word.length];
    for (int i = 0; i < word.length; i++) {
      symbols[i] = byteIds[word[i] & 0xFF];
      if (symbols[i] < 0) {
        throw new TokenizerException(String.format("the vocabulary has no token for the byte 0x%02X", word[i]));
      }
    }
    return symbols;
  }

  /** What a token spelled in the alphabet stands for. A spelling with a character outside of it stands for itself. */
  @Override
  public byte[] bytes(int id) {
    byte[] bytes = ByteAlphabet.bytes(tokens.spelling(id));
    return bytes == null ? tokens.rawBytes(id) : bytes;
  }

  @Override
  public byte[] addedBytes(int id) {
    return tokens.rawBytes(id);
  }
}
