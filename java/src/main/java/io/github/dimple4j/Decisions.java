package io.github.dimple4j;

import io.github.dimple4j.core.CandidateResult;
import io.github.dimple4j.core.CoreSession;
import io.github.dimple4j.core.StepResult;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.IntStream;

/** Iterations of one decoding that a {@link Decoder} decides on. Inside {@link SessionHandle#use}. */
final class Decisions {
  private final SessionHandle handle;
  private final Decoder decoder;
  private SortedMap<Integer, Float> bias = new TreeMap<>(); // that the core has

  Decisions(SessionHandle handle, Decoder decoder) {
    this.handle = handle;
    this.decoder = decoder;
  }

  StepResult step(int iteration, Canvas canvas) {
    setBias(decoder.bias(iteration, canvas));
    CandidateResult found = handle.work(CoreSession::look);
    List<Candidate> all = IntStream.range(0, found.positions().length).mapToObj(i ->
        new Candidate(found.positions()[i], found.tokens()[i], found.confidence()[i], found.logProbability()[i])).toList();
    List<Candidate> chosen = decoder.decide(new Candidates(iteration, canvas, all)).stream()
        .sorted(Comparator.comparingInt(Candidate::position)).toList();
    int[] positions = chosen.stream().mapToInt(Candidate::position).toArray();
    int[] tokens = chosen.stream().mapToInt(Candidate::token).toArray();
    return handle.call(core -> core.reveal(positions, tokens)).after(found.nanoseconds());
  }

  private void setBias(Map<Integer, Float> asked) {
    SortedMap<Integer, Float> wanted = new TreeMap<>(asked);
    if (wanted.equals(bias)) {
      return;
    }
    int[] tokens = wanted.keySet().stream().mapToInt(Integer::intValue).toArray();
    float[] values = new float[tokens.length];
    for (int i = 0; i < tokens.length; i++) {
      values[i] = wanted.get(tokens[i]);
    }
    handle.run(core -> core.setBias(tokens, values));
    bias = wanted;
  }
}
