package io.github.dimple4j;

import io.github.dimple4j.core.AlternativeResult;
import io.github.dimple4j.core.CandidateResult;
import io.github.dimple4j.core.StepResult;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.IntStream;

/** Iterations of one decoding that a {@link Decoder} decides on. Inside {@link SessionHandle#use}. */
final class Decisions {
  static final int MOST_ALTERNATIVES = 64; // as dimple.h has it

  private final CanvasSequence canvases;
  private final Decoder decoder;
  private final SortedMap<Integer, Float> always; // the decoding's own bias
  private SortedMap<Integer, Float> bias; // that the core has

  Decisions(CanvasSequence canvases, Decoder decoder, SortedMap<Integer, Float> always) {
    this.canvases = canvases;
    this.decoder = decoder;
    this.always = always;
    this.bias = always;
  }

  StepResult step(int iteration, Canvas canvas) {
    if (canvases.openDue(canvas.tokens())) {
      bias = always;
    }
    setBias(decoder.bias(iteration, canvas));
    CandidateResult found = canvases.look();
    List<Candidate> all = IntStream.range(0, found.positions().length).mapToObj(i ->
        new Candidate(found.positions()[i], found.tokens()[i], found.confidence()[i], found.logProbability()[i])).toList();
    List<Candidate> chosen = all.isEmpty() ? List.of() // a response that is fixed as a whole
        : given(decoder.decide(new Candidates(iteration, canvas, all, alternatives(found.positions()))), "decisions").stream()
            .map(one -> given(one, "a decision")).sorted(Comparator.comparingInt(Candidate::position)).toList();
    int[] positions = chosen.stream().mapToInt(Candidate::position).toArray();
    int[] tokens = chosen.stream().mapToInt(Candidate::token).toArray();
    return canvases.reveal(positions, tokens, canvas.tokens()).after(found.nanoseconds());
  }

  /** What a decoder of one's own hands over is not null: an exception of this library's says so, not one that tells of its code. */
  private static <T> T given(T value, String what) {
    if (value == null) {
      throw new InvalidArgumentException("a decoder gave null for " + what);
    }
    return value;
  }

  /** Of each position those that were asked for. */
  private Map<Integer, List<Candidate>> alternatives(int[] positions) {
    int count = decoder.alternatives();
    if (count == 0) {
      return Map.of();
    }
    if (count < 0 || count > MOST_ALTERNATIVES) {
      throw new InvalidArgumentException("a decoder wants " + count + " alternatives, expected 0 to " + MOST_ALTERNATIVES);
    }
    return alternatives(canvases, positions, count);
  }

  /** The best tokens of each of the positions that the core lists. */
  static Map<Integer, List<Candidate>> alternatives(CanvasSequence canvases, int[] positions, int count) {
    AlternativeResult found = canvases.alternatives(positions.length, count);
    Map<Integer, List<Candidate>> all = new HashMap<>();
    for (int i = 0; i < positions.length; i++) {
      int position = positions[i];
      all.put(position, IntStream.range(i * count, (i + 1) * count).filter(k -> found.tokens()[k] >= 0).mapToObj(k ->
          new Candidate(position, found.tokens()[k], (float) Math.exp(found.logProbability()[k]), found.logProbability()[k])).toList());
    }
    return all;
  }

  private void setBias(Map<Integer, Float> asked) {
    SortedMap<Integer, Float> wanted = new TreeMap<>(always);
    given(asked, "biases").forEach((token, value) -> wanted.merge(given(token, "a token of a bias"), given(value, "a bias"), Float::sum));
    if (wanted.equals(bias)) {
      return;
    }
    canvases.setBias(wanted);
    bias = wanted;
  }
}
