package io.github.dimple4j.core;

import io.github.dimple4j.bindings.Dimple;
import io.github.dimple4j.bindings.dimple_candidates;
import io.github.dimple4j.bindings.dimple_step;
import io.github.dimple4j.bindings.dimple_timings;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Map;

/** A {@code dimple_session}. */
final class ForeignSession implements CoreSession {
  private static final boolean LITTLE = ByteOrder.nativeOrder() == ByteOrder.LITTLE_ENDIAN;
  private static final int[] NO_INTS = {};
  private static final float[] NO_FLOATS = {};

  private final MemorySegment session;
  private final MemorySegment step = dimple_step.allocate(Arena.ofAuto()); // of whoever is inside: it is copied before they leave

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
    ForeignCore.check(function.fill(session, step));
    return result(step);
  }

  /**
   * What a {@code dimple_step} of a session holds, copied. Its numbers are taken out by one copy and what they point to where there is something:
   * until Java has compiled an accessor, which takes thousands of steps, it takes some ten microseconds.
   */
  static StepResult result(MemorySegment step) {
    int[] words = new int[(int) (dimple_step.sizeof() / Integer.BYTES)];
    MemorySegment.copy(step, ValueLayout.JAVA_INT, 0, words, 0, words.length);
    int revealed = number(words, dimple_step.revealed_count$offset());
    int remasked = number(words, dimple_step.remasked_count$offset());
    int length = number(words, dimple_step.canvas_length$offset());
    boolean moved = wide(words, dimple_step.origins$offset()) != 0;
    return new StepResult(number(words, dimple_step.iteration$offset()), number(words, dimple_step.done$offset()) != 0,
        number(words, dimple_step.remaining$offset()), revealed == 0 ? NO_INTS : ints(dimple_step.revealed(step), revealed),
        revealed == 0 ? NO_FLOATS : floats(dimple_step.confidence(step), revealed),
        revealed == 0 ? NO_FLOATS : floats(dimple_step.log_probability(step), revealed), ints(dimple_step.canvas(step), length),
        number(words, dimple_step.forward_passes$offset()), wide(words, dimple_step.nanoseconds$offset()),
        remasked == 0 ? NO_INTS : ints(dimple_step.remasked(step), remasked), number(words, dimple_step.block$offset()),
        number(words, dimple_step.settled$offset()), moved ? ints(dimple_step.origins(step), length) : NO_INTS);
  }

  private static int number(int[] words, long offset) {
    return words[(int) (offset / Integer.BYTES)];
  }

  /** A number or an address of 64 bits. */
  private static long wide(int[] words, long offset) {
    int first = number(words, offset);
    int second = number(words, offset + Integer.BYTES);
    return LITTLE ? (long) second << 32 | first & 0xffffffffL : (long) first << 32 | second & 0xffffffffL;
  }

  private static float[] floats(MemorySegment pointer, int count) {
    float[] values = new float[count];
    MemorySegment.copy(pointer, ValueLayout.JAVA_FLOAT, 0, values, 0, count);
    return values;
  }

  private static int[] ints(MemorySegment pointer, int count) {
    int[] values = new int[count];
    MemorySegment.copy(pointer, ValueLayout.JAVA_INT, 0, values, 0, count);
    return values;
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
