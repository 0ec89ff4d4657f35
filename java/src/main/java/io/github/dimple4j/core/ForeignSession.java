package io.github.dimple4j.core;

import io.github.dimple4j.bindings.Dimple;
import io.github.dimple4j.bindings.dimple_candidates;
import io.github.dimple4j.bindings.dimple_step;
import io.github.dimple4j.bindings.dimple_timings;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Map;

/** A {@code dimple_session}. */
final class ForeignSession implements CoreSession {
  private final MemorySegment session;

  ForeignSession(MemorySegment session) {
    this.session = session;
  }

  MemorySegment session() {
    return session;
  }

  @Override
  public void setPrompt(int[] tokens, List<Rgb> pictures) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment ids = arena.allocateFrom(ValueLayout.JAVA_INT, tokens);
      ForeignCore.check(
          Dimple.dimple_session_set_prompt(session, ids, tokens.length, Foreign.images(pictures, arena), pictures.size()));
    }
  }

  @Override
  public void setResponse(int[] tokens) {
    try (Arena arena = Arena.ofConfined()) {
      ForeignCore.check(Dimple.dimple_session_set_response(session, arena.allocateFrom(ValueLayout.JAVA_INT, tokens), tokens.length));
    }
  }

  @Override
  public void setAnswer(int[] tokens) {
    try (Arena arena = Arena.ofConfined()) {
      ForeignCore.check(Dimple.dimple_session_set_answer(session, arena.allocateFrom(ValueLayout.JAVA_INT, tokens), tokens.length));
    }
  }

  @Override
  public void prefill() {
    ForeignCore.check(Dimple.dimple_session_prefill(session));
  }

  @Override
  public void begin(Map<String, Number> settings) {
    try (Arena arena = Arena.ofConfined()) {
      ForeignCore.check(Dimple.dimple_session_begin(session, ForeignCore.decoding(settings, arena)));
    }
  }

  @Override
  public void setConstraint(CoreConstraint constraint, int[] later) {
    MemorySegment handle = ((ForeignVocabulary.ForeignConstraint) constraint).constraint();
    try (Arena arena = Arena.ofConfined()) {
      ForeignCore.check(Dimple.dimple_session_set_constraint_part(session, handle, arena.allocateFrom(ValueLayout.JAVA_INT, later), later.length));
    }
  }

  /** A native function that fills in a {@code dimple_step}. */
  private interface StepFunction {
    int fill(MemorySegment session, MemorySegment step);
  }

  @Override
  public StepResult step() {
    return step(Dimple::dimple_session_step);
  }

  @Override
  public StepResult complete() {
    return step(Dimple::dimple_session_complete);
  }

  @Override
  public CandidateResult look() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment found = dimple_candidates.allocate(arena);
      ForeignCore.check(Dimple.dimple_session_look(session, found));
      int count = dimple_candidates.count(found);
      return new CandidateResult(dimple_candidates.iteration(found), ints(dimple_candidates.positions(found), count),
          ints(dimple_candidates.tokens(found), count), floats(dimple_candidates.confidence(found), count),
          floats(dimple_candidates.log_probability(found), count), dimple_candidates.nanoseconds(found));
    }
  }

  @Override
  public AlternativeResult alternatives(int candidates, int count) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment tokens = arena.allocate(ValueLayout.JAVA_INT, (long) candidates * count);
      MemorySegment likely = arena.allocate(ValueLayout.JAVA_FLOAT, (long) candidates * count);
      ForeignCore.check(Dimple.dimple_session_alternatives(session, count, tokens, likely));
      return new AlternativeResult(tokens.toArray(ValueLayout.JAVA_INT), likely.toArray(ValueLayout.JAVA_FLOAT));
    }
  }

  @Override
  public StepResult reveal(int[] positions, int[] tokens) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment at = arena.allocateFrom(ValueLayout.JAVA_INT, positions);
      MemorySegment ids = arena.allocateFrom(ValueLayout.JAVA_INT, tokens);
      return step((handle, step) -> Dimple.dimple_session_reveal(handle, at, ids, positions.length, step));
    }
  }

  @Override
  public void setBias(int[] tokens, float[] values) {
    try (Arena arena = Arena.ofConfined()) {
      ForeignCore.check(Dimple.dimple_session_set_bias(session, arena.allocateFrom(ValueLayout.JAVA_INT, tokens),
          arena.allocateFrom(ValueLayout.JAVA_FLOAT, values), tokens.length));
    }
  }

  private StepResult step(StepFunction function) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment step = dimple_step.allocate(arena);
      ForeignCore.check(function.fill(session, step));
      return result(step);
    }
  }

  /** What a {@code dimple_step} of a session holds, copied. */
  static StepResult result(MemorySegment step) {
    int revealed = dimple_step.revealed_count(step);
    return new StepResult(dimple_step.iteration(step), dimple_step.done(step) != 0, dimple_step.remaining(step),
        ints(dimple_step.revealed(step), revealed), floats(dimple_step.confidence(step), revealed),
        floats(dimple_step.log_probability(step), revealed), ints(dimple_step.canvas(step), dimple_step.canvas_length(step)),
        dimple_step.forward_passes(step), dimple_step.nanoseconds(step),
        ints(dimple_step.remasked(step), dimple_step.remasked_count(step)), dimple_step.block(step), dimple_step.settled(step),
        ints(dimple_step.origins(step), dimple_step.origins(step).equals(MemorySegment.NULL) ? 0 : dimple_step.canvas_length(step)));
  }

  private static float[] floats(MemorySegment pointer, int count) {
    return pointer.asSlice(0, (long) count * Float.BYTES).toArray(ValueLayout.JAVA_FLOAT);
  }

  private static int[] ints(MemorySegment pointer, int count) {
    return pointer.asSlice(0, (long) count * Integer.BYTES).toArray(ValueLayout.JAVA_INT);
  }

  @Override
  public void shorten(int length) {
    ForeignCore.check(Dimple.dimple_session_shorten(session, length));
  }

  @Override
  public void cancel() {
    Dimple.dimple_session_cancel(session);
  }

  @Override
  public SessionFigures figures() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment timings = dimple_timings.allocate(arena);
      ForeignCore.check(Dimple.dimple_session_get_timings(session, timings));
      return new SessionFigures(dimple_timings.vision(timings), dimple_timings.prefill(timings), dimple_timings.steps(timings),
          dimple_timings.kv_bytes(timings), dimple_timings.scratch_bytes(timings));
    }
  }

  /** A native function that fills a matrix. */
  private interface MatrixFunction {
    int fill(MemorySegment session, MemorySegment target, long count);
  }

  @Override
  public float[][] logits(int positions, int vocabulary) {
    return matrix(positions, vocabulary, Dimple::dimple_session_get_logits);
  }

  @Override
  public float[][] imageFeatures(int tokens, int width) {
    return matrix(tokens, width, Dimple::dimple_session_get_image_features);
  }

  @Override
  public int takePrefix(CoreSession from) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment rows = arena.allocate(ValueLayout.JAVA_INT);
      ForeignCore.check(Dimple.dimple_session_take_prefix(session, ((ForeignSession) from).session, rows));
      return rows.get(ValueLayout.JAVA_INT, 0);
    }
  }

  @Override
  public void setImageFeatures(float[] features) {
    try (Arena arena = Arena.ofConfined()) {
      ForeignCore.check(Dimple.dimple_session_set_image_features(session, arena.allocateFrom(ValueLayout.JAVA_FLOAT, features), features.length));
    }
  }

  private float[][] matrix(int rows, int columns, MatrixFunction function) {
    try (Arena arena = Arena.ofConfined()) {
      long count = (long) rows * columns;
      MemorySegment target = arena.allocate(ValueLayout.JAVA_FLOAT, count);
      ForeignCore.check(function.fill(session, target, count));
      return Foreign.matrix(target, rows, columns);
    } catch (OutOfMemoryError e) {
      throw new CoreException(CoreException.Kind.MEMORY, "not enough memory for " + rows + " x " + columns + " numbers", e);
    }
  }

  @Override
  public float[] score(int[] response, int[] targets, float guidanceScale) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment scores = arena.allocate(ValueLayout.JAVA_FLOAT, response.length);
      ForeignCore.check(Dimple.dimple_session_score(session, arena.allocateFrom(ValueLayout.JAVA_INT, response),
          arena.allocateFrom(ValueLayout.JAVA_INT, targets), response.length, guidanceScale, scores));
      return scores.toArray(ValueLayout.JAVA_FLOAT);
    }
  }

  @Override
  public byte[] scoreMasks(int length, int rows, long seed, int round) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment masks = arena.allocate((long) Math.max(0, length) * Math.max(0, rows));
      ForeignCore.check(Dimple.dimple_score_masks(length, rows, seed, round, masks));
      return masks.toArray(ValueLayout.JAVA_BYTE);
    }
  }

  @Override
  public void replayDraws(int[] kinds, int[] lengths, double[] values) {
    try (Arena arena = Arena.ofConfined()) {
      ForeignCore.check(Dimple.dimple_session_replay_draws(session, arena.allocateFrom(ValueLayout.JAVA_INT, kinds),
          arena.allocateFrom(ValueLayout.JAVA_INT, lengths), kinds.length, arena.allocateFrom(ValueLayout.JAVA_DOUBLE, values),
          values.length));
    }
  }

  @Override
  public void free() {
    Dimple.dimple_session_free(session);
  }
}
