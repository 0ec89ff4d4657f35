package io.github.dimple4j.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;

/**
 * What vocabularies in SentencePiece's spelling have in common: a blank is U+2581, tokens are spelled in UTF-8, and the bytes of a character
 * that the vocabulary lacks are tokens of their own, {@code <0xE4>}.
 */
abstract class SentencePieces implements Pieces {
  private static final char BLANK = '\u2581';
  private static final byte[] BLANK_BYTES = String.valueOf(BLANK).getBytes(StandardCharsets.UTF_8);

  final TokenTable tokens;
  /** Which tokens text can become: none that steer, and none that stand for bytes. */
  final IntPredicate isPiece;
  private final int[] byteIds = new int[256];
  private final byte[] byteOf; // of a token, where isByte
  private final boolean[] isByte;
  private final int unknown;

  /**
   * @param types of the tokens, or null
   * @param unknown the token of what has no other; negative: none
   */
  SentencePieces(TokenTable tokens, int[] types, int unknown) {
    this.tokens = tokens;
    this.unknown = unknown;
    byteOf = new byte[tokens.size()];
    isByte = new boolean[tokens.size()];
    for (int b = 0; b < 256; b++) {
      int id = tokens.find(String.format("<0x%02X>", b));
      boolean added = id >= 0 && types != null && (types[id] == Tokenizer.CONTROL || types[id] == Tokenizer.USER_DEFINED);
      byteIds[b] = added ? TokenTable.NONE : id;
      if (byteIds[b] >= 0) {
        byteOf[id] = (byte) b;
        isByte[id] = true;
      }
    }
    isPiece = id -> !isByte[id] && (types == null || types[id] != Tokenizer.CONTROL && types[id] != Tokenizer.UNKNOWN);
  }

  @Override
  public String normalize(String text) {
    return text.replace(' ', BLANK);
  }

  @Override
  public boolean keepsPlaces() {
    return true;
  }

  /** The token of one character, or {@link TokenTable#NONE}. */
  final int piece(byte[] utf8, int start, int end) {
    int id = tokens.find(utf8, start, end);
    return id >= 0 && isPiece.test(id) ? id : TokenTable.NONE;
  }

  /** Adds the tokens of a character's bytes; if the vocabulary lacks one of those, too, the unknown token. */
  final void addBytes(byte[] utf8, int start, int end, IntStream.Builder ids) {
    for (int i = start; i < end; i++) {
      if (byteIds[utf8[i] & 0xFF] < 0) {
        if (unknown < 0) {
          throw new TokenizerException(String.format("the vocabulary has no token for \"%s\", none for the byte 0x%02X, and none for what is unknown",
              new String(utf8, start, end - start, StandardCharsets.UTF_8), utf8[i]));
        }
        ids.add(unknown);
        return;
      }
    }
    for (int i = start; i < end; i++) {
      ids.add(byteIds[utf8[i] & 0xFF]);
    }
  }

  /** Where the character that begins at {@code start} ends. */
  static int characterEnd(byte[] utf8, int start) {
    int end = start + 1;
    while (end < utf8.length && (utf8[end] & 0xC0) == 0x80) {
      end++;
    }
    return end;
  }

  @Override
  public final byte[] bytes(int id) {
    return isByte[id] ? new byte[] {byteOf[id]} : addedBytes(id);
  }

  /** The spelling with blanks. */
  @Override
  public final byte[] addedBytes(int id) {
    byte[] spelling = tokens.rawBytes(id);
    int length = 0;
    for (int i = 0; i < spelling.length; ) {
      boolean blank = Arrays.equals(spelling, i, Math.min(spelling.length, i + BLANK_BYTES.length), BLANK_BYTES, 0, BLANK_BYTES.length);
      spelling[length++] = blank ? (byte) ' ' : spelling[i];
      i += blank ? BLANK_BYTES.length : 1;
    }
    return Arrays.copyOf(spelling, length);
  }
}
