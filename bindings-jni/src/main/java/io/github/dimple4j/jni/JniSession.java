package io.github.dimple4j.jni;

import io.github.dimple4j.core.AlternativeResult;
import io.github.dimple4j.core.CandidateResult;
import io.github.dimple4j.core.CoreConstraint;
import io.github.dimple4j.core.CoreException;
import io.github.dimple4j.core.CoreSession;
import io.github.dimple4j.core.Rgb;
import io.github.dimple4j.core.SessionFigures;
import io.github.dimple4j.core.StepResult;
import io.github.dimple4j.jni.Structs.Candidates;
import io.github.dimple4j.jni.Structs.Step;
import io.github.dimple4j.jni.Structs.Timings;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Map;

/** A {@code dimple_session}. */
final class JniSession implements CoreSession {
  private final long session;

  JniSession(long session) {
    this.session = session;
  }

  long session() {
    return session;
  }

  @Override
  public void setPrompt(int[] tokens, List<Rgb> pictures) {
    try (Memory memory = new Memory()) {
      JniCore.check(Shim.dimple_session_set_prompt(session, memory.of(tokens), tokens.length, JniModel.images(pictures, memory),
          pictures.size()));
    }
  }

  @Override
  public void setResponse(int[] tokens) {
    try (Memory memory = new Memory()) {
      JniCore.check(Shim.dimple_session_set_response(session, memory.of(tokens), tokens.length));
    }
  }

  @Override
  public void setAnswer(int[] tokens) {
    try (Memory memory = new Memory()) {
      JniCore.check(Shim.dimple_session_set_answer(session, memory.of(tokens), tokens.length));
    }
  }

  @Override
  public void setConstraint(CoreConstraint constraint, int[] later) {
    long handle = ((JniVocabulary.JniConstraint) constraint).constraint();
    try (Memory memory = new Memory()) {
      JniCore.check(Shim.dimple_session_set_constraint_part(session, handle, memory.of(later), later.length));
    }
  }

  @Override
  public void prefill() {
    JniCore.check(Shim.dimple_session_prefill(session));
  }

  @Override
  public void begin(Map<String, Number> settings) {
    try (Memory memory = new Memory()) {
      JniCore.check(Shim.dimple_session_begin(session, JniCore.decoding(settings, memory)));
    }
  }

  /** A native function that fills in a {@code dimple_step}. */
  private interface StepFunction {
    int fill(long session, ByteBuffer step);
  }

  @Override
  public StepResult step() {
    return step(Shim::dimple_session_step);
  }

  @Override
  public StepResult complete() {
    return step(Shim::dimple_session_complete);
  }

  @Override
  public CandidateResult look() {
    try (Memory memory = new Memory()) {
      ByteBuffer found = memory.allocate(Candidates.SIZEOF);
      JniCore.check(Shim.dimple_session_look(session, found));
      int count = Candidates.COUNT.integer(found);
      return new CandidateResult(Candidates.ITERATION.integer(found), Memory.ints(Candidates.POSITIONS.number(found), count),
          Memory.ints(Candidates.TOKENS.number(found), count), Memory.floats(Candidates.CONFIDENCE.number(found), count),
          Memory.floats(Candidates.LOG_PROBABILITY.number(found), count), Candidates.NANOSECONDS.number(found));
    }
  }

  @Override
  public AlternativeResult alternatives(int candidates, int count) {
    try (Memory memory = new Memory()) {
      AlternativeResult found = new AlternativeResult(new int[candidates * count], new float[candidates * count]);
      ByteBuffer tokens = memory.of(found.tokens());
      ByteBuffer likely = memory.of(found.logProbability());
      JniCore.check(Shim.dimple_session_alternatives(session, count, tokens, likely));
      tokens.asIntBuffer().get(found.tokens());
      likely.asFloatBuffer().get(found.logProbability());
      return found;
    }
  }

  @Override
  public StepResult reveal(int[] positions, int[] tokens) {
    try (Memory memory = new Memory()) {
      ByteBuffer at = memory.of(positions);
      ByteBuffer ids = memory.of(tokens);
      return step((handle, step) -> Shim.dimple_session_reveal(handle, at, ids, positions.length, step));
    }
  }

  @Override
  public void setBias(int[] tokens, float[] values) {
    try (Memory memory = new Memory()) {
      JniCore.check(Shim.dimple_session_set_bias(session, memory.of(tokens), memory.of(values), tokens.length));
    }
  }

  private StepResult step(StepFunction function) {
    try (Memory memory = new Memory()) {
      ByteBuffer step = memory.allocate(Step.SIZEOF);
      JniCore.check(function.fill(session, step));
      return result(step);
    }
  }

  /** What a {@code dimple_step} of a session holds, copied. */
  static StepResult result(ByteBuffer step) {
    int revealed = Step.REVEALED_COUNT.integer(step);
    return new StepResult(Step.ITERATION.integer(step), Step.DONE.flag(step), Step.REMAINING.integer(step),
        Memory.ints(Step.REVEALED.number(step), revealed), Memory.floats(Step.CONFIDENCE.number(step), revealed),
        Memory.floats(Step.LOG_PROBABILITY.number(step), revealed),
        Memory.ints(Step.CANVAS.number(step), Step.CANVAS_LENGTH.integer(step)), Step.FORWARD_PASSES.integer(step),
        Step.NANOSECONDS.number(step), Memory.ints(Step.REMASKED.number(step), Step.REMASKED_COUNT.integer(step)),
        Step.BLOCK.integer(step), Step.SETTLED.integer(step),
        Memory.ints(Step.ORIGINS.number(step), Step.ORIGINS.number(step) == 0 ? 0 : Step.CANVAS_LENGTH.integer(step)));
  }

  @Override
  public void shorten(int length) {
    JniCore.check(Shim.dimple_session_shorten(session, length));
  }

  @Override
  public void cancel() {
    Shim.dimple_session_cancel(session);
  }

  @Override
  public SessionFigures figures() {
    try (Memory memory = new Memory()) {
      ByteBuffer timings = memory.allocate(Timings.SIZEOF);
      JniCore.check(Shim.dimple_session_get_timings(session, timings));
      return new SessionFigures(Timings.VISION.number(timings), Timings.PREFILL.number(timings), Timings.STEPS.number(timings),
          Timings.KV_BYTES.number(timings), Timings.SCRATCH_BYTES.number(timings));
    }
  }

  /** A native function that fills a matrix. */
  private interface MatrixFunction {
    int fill(long session, ByteBuffer target, long count);
  }

  @Override
  public float[][] logits(int positions, int vocabulary) {
    return matrix(positions, vocabulary, Shim::dimple_session_get_logits);
  }

  @Override
  public float[][] imageFeatures(int tokens, int width) {
    return matrix(tokens, width, Shim::dimple_session_get_image_features);
  }

  @Override
  public int takePrefix(CoreSession from) {
    try (Memory memory = new Memory()) {
      ByteBuffer rows = memory.allocate(Integer.BYTES);
      JniCore.check(Shim.dimple_session_take_prefix(session, ((JniSession) from).session, rows));
      return rows.getInt(0);
    }
  }

  @Override
  public void setImageFeatures(float[] features) {
    try (Memory memory = new Memory()) {
      JniCore.check(Shim.dimple_session_set_image_features(session, memory.of(features), features.length));
    }
  }

  private float[][] matrix(int rows, int columns, MatrixFunction function) {
    try (Memory memory = new Memory()) {
      long count = (long) rows * columns;
      ByteBuffer target = memory.allocate(count, Float.BYTES);
      JniCore.check(function.fill(session, target, count));
      return Memory.matrix(target, rows, columns);
    } catch (OutOfMemoryError e) {
      throw new CoreException(CoreException.Kind.MEMORY, "not enough memory for " + rows + " x " + columns + " numbers", e);
    }
  }

  @Override
  public float[] score(int[] response, int[] targets, float guidanceScale) {
    try (Memory memory = new Memory()) {
      ByteBuffer scores = memory.allocate(response.length, Float.BYTES);
      JniCore.check(Shim.dimple_session_score(session, memory.of(response), memory.of(targets), response.length, guidanceScale, scores));
      float[] values = new float[response.length];
      scores.asFloatBuffer().get(values);
      return values;
    }
  }

  @Override
  public byte[] scoreMasks(int length, int rows, long seed, int round) {
    try (Memory memory = new Memory()) {
      ByteBuffer masks = memory.allocate((long) Math.max(0, length) * Math.max(0, rows), 1);
      JniCore.check(Shim.dimple_score_masks(length, rows, seed, round, masks));
      byte[] values = new byte[masks.capacity()];
      masks.get(values);
      return values;
    }
  }

  @Override
  public void replayDraws(int[] kinds, int[] lengths, double[] values) {
    try (Memory memory = new Memory()) {
      JniCore.check(Shim.dimple_session_replay_draws(session, memory.of(kinds), memory.of(lengths), kinds.length, memory.of(values),
          values.length));
    }
  }

  @Override
  public void free() {
    Shim.dimple_session_free(session);
  }
}
