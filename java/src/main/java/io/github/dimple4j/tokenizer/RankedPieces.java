package io.github.dimple4j.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.stream.IntStream;

/**
 * Gemma 4's vocabulary, {@code tokenizer.ggml.model} = {@code "gemma4"}: characters, merged by rank over whole lines. Runs of newlines are
 * cut out of the text before and become the longest tokens there are, whatever the merges say: to the authors' tokenizer they are added
 * tokens, which files of llama.cpp's converter call normal ones.
 */
final class RankedPieces extends SentencePieces {
  private static final int LONGEST_RUN = 64;

  private final MergeTable merges;
  private final int[] newlines = new int[LONGEST_RUN + 1]; // the token of a run of so many, or NONE

  RankedPieces(TokenTable tokens, TokenizerData data) {
    super(tokens, data.tokenTypes(), data.sentencePiece().unknownId());
    merges = MergeTable.read(data.merges(), tokens, isPiece);
    byte[] run = "\n".repeat(LONGEST_RUN).getBytes(StandardCharsets.UTF_8);
    for (int length = 0; length <= LONGEST_RUN; length++) {
      newlines[length] = length == 0 ? TokenTable.NONE : piece(run, 0, length);
    }
  }

  @Override
  public void encode(String text, IntStream.Builder ids) {
    byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
    int start = 0;
    while (start < utf8.length) {
      boolean run = utf8[start] == '\n';
      int end = start + 1;
      while (end < utf8.length && (utf8[end] == '\n') == run) {
        end++;
      }
      if (run) {
        addNewlines(utf8, start, end, ids);
      } else {
        PairMerger.merge(merges, symbols(utf8, start, end), ids);
      }
      start = end;
    }
  }

  private void addNewlines(byte[] utf8, int from, int to, IntStream.Builder ids) {
    for (int start = from; start < to; ) {
      int length = Math.min(LONGEST_RUN, to - start);
      while (length > 0 && newlines[length] < 0) {
        length--;
      }
      if (length > 0) {
        ids.add(newlines[length]);
      } else {
        addBytes(utf8, start, start + 1, ids);
      }
      start += Math.max(1, length);
    }
  }

  private int[] symbols(byte[] utf8, int from, int to) {
    IntStream.Builder symbols = IntStream.builder();
    for (int start = from; start < to; ) {
      int end = characterEnd(utf8, start);
      int id = piece(utf8, start, end);
      if (id >= 0) {
        symbols.add(id);
      } else {
        addBytes(utf8, start, end, symbols);
      }
      start = end;
    }
    return symbols.build().toArray();
  }
}
