package io.github.dimple4j.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.PriorityQueue;
import java.util.stream.IntStream;

/**
 * SentencePiece's byte-pair encoding (Kudo and Richardson, arXiv 1808.06226), {@code tokenizer.ggml.model} = {@code "llama"}: of all
 * neighbours that make a token together the one with the highest score is merged, the leftmost of equals, until there is none.
 */
final class ScoredPieces extends SentencePieces {
  private final float[] scores;
  private final boolean prefix;

  ScoredPieces(TokenTable tokens, TokenizerData data) {
    super(tokens, data.tokenTypes(), data.sentencePiece().unknownId());
    scores = data.sentencePiece().scores();
    prefix = data.sentencePiece().spacePrefix();
    if (scores == null || scores.length != tokens.size()) {
      throw new TokenizerException("tokenizer.ggml.scores has " + (scores == null ? 0 : scores.length) + " entries, tokenizer.ggml.tokens "
          + tokens.size());
    }
  }

  /** A pair of neighbours that is a token: its score, where the left one starts, and how long both are, by which a stale one is known. */
  private record Candidate(float score, int left, int length) implements Comparable<Candidate> {
    @Override
    public int compareTo(Candidate other) {
      int byScore = Float.compare(other.score, score);
      return byScore != 0 ? byScore : Integer.compare(left, other.left);
    }
  }

  @Override
  public void encode(String text, IntStream.Builder ids) {
    byte[] utf8 = normalize(prefix ? " " + text : text).getBytes(StandardCharsets.UTF_8);
    int[] end = new int[utf8.length]; // of the symbol that starts there; 0: none does
    int[] previous = new int[utf8.length + 1]; // start of the symbol that ends there
    PriorityQueue<Candidate> queue = new PriorityQueue<>();
    for (int start = 0; start < utf8.length; start = end[start]) {
      end[start] = characterEnd(utf8, start);
      previous[end[start]] = start;
    }
    for (int start = 0; start < utf8.length; start = end[start]) {
      offer(queue, utf8, start, end);
    }
    for (Candidate c = queue.poll(); c != null; c = queue.poll()) {
      int left = c.left;
      int middle = end[left];
      boolean current = middle > 0 && middle < utf8.length && end[middle] == left + c.length;
      if (!current) {
        continue; // one of the two was merged since
      }
      end[left] = end[middle];
      end[middle] = 0;
      previous[end[left]] = left;
      offer(queue, utf8, left, end);
      if (left > 0) {
        offer(queue, utf8, previous[left], end);
      }
    }
    for (int start = 0; start < utf8.length; start = end[start]) {
      int id = piece(utf8, start, end[start]);
      if (id >= 0) {
        ids.add(id);
      } else {
        addBytes(utf8, start, end[start], ids);
      }
    }
  }

  private void offer(PriorityQueue<Candidate> queue, byte[] utf8, int left, int[] end) {
    int middle = end[left];
    if (middle < utf8.length) {
      int id = piece(utf8, left, end[middle]);
      if (id >= 0) {
        queue.add(new Candidate(scores[id], left, end[middle] - left));
      }
    }
  }
}
