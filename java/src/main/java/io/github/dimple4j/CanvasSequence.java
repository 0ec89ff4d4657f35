package io.github.dimple4j;

import io.github.dimple4j.core.AlternativeResult;
import io.github.dimple4j.core.CandidateResult;
import io.github.dimple4j.core.CoreSession;
import io.github.dimple4j.core.SessionFigures;
import io.github.dimple4j.core.StepResult;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.SortedMap;
import java.util.stream.IntStream;

/**
 * The canvases that a response is filled in, one after the other: all of the response in one, or each behind what those before it hold,
 * which is prompt then. Makes one decoding of the core's decodings, a canvas each: positions count from the beginning of the response,
 * iterations and passes from the first canvas on. To be used inside {@link SessionHandle#use}.
 */
final class CanvasSequence {
  private final SessionHandle handle;
  private final int length;
  private final int[] initial;
  private final HeldStructure structure; // null: none

  private Decoding decoding;
  private int first; // position of the canvas under way
  private int opened; // and of the one that the core decodes
  private StepResult latest; // counted from the first canvas on; null before the first step

  // What the canvases before this one took.
  private int iterations;
  private int forwardPasses;
  private long prefill;
  private long steps;

  /**
   * @param length of a canvas; the last one takes what is left
   * @param initial the whole response; empty without one
   * @param structure what it is held to; null: nothing
   */
  CanvasSequence(SessionHandle handle, int length, int[] initial, HeldStructure structure) {
    this.handle = handle;
    this.length = length;
    this.initial = initial;
    this.structure = structure;
  }

  /** Gives the core the canvas that begins at a position; the answer so far is there. */
  void set(int position) {
    handle.run(core -> core.setResponse(slice(initial, position)));
    if (structure != null) {
      structure.hold(handle, Arrays.copyOfRange(initial, end(position), initial.length));
    }
  }

  /** Begins a decoding with the first canvas. */
  void begin(Decoding settings) {
    if (settings.pipeline().changesLength() && length < initial.length) {
      throw new UnsupportedException("pipeline " + settings.pipeline().label() + " changes the length of a response, which has to be one canvas then");
    }
    if (opened > 0) {
      handle.run(core -> core.setAnswer(new int[0]));
      set(0);
      opened = 0;
    }
    handle.run(core -> core.begin(settings(settings, 0)));
    setOwnBias(settings);
    decoding = settings;
    first = 0;
    latest = null;
    iterations = forwardPasses = 0;
    prefill = steps = 0;
  }

  private Map<String, Number> settings(Decoding given, int position) {
    Map<String, Number> settings = new HashMap<>(given.settings(Math.max(1, end(position) - position)));
    settings.put("seed", given.seed() + (length == 0 ? 0 : position / length)); // no canvas repeats another's draws
    return settings;
  }

  private int end(int position) {
    return Math.min(initial.length, position + length);
  }

  private int[] slice(int[] response, int position) {
    return Arrays.copyOfRange(response, position, end(position));
  }

  int first() {
    return first;
  }

  /** The position behind the canvas under way. */
  int end() {
    return end(first);
  }

  /** Whether another canvas can follow. */
  boolean hasNext() {
    return end() < initial.length;
  }

  /** Goes to the next canvas; the core does with the next step. */
  void next() {
    first = end();
    iterations = latest.iteration() + 1;
    forwardPasses = latest.forwardPasses();
  }

  /** One iteration. {@code tokens} are those of the response so far. */
  StepResult step(int[] tokens) {
    openDue(tokens);
    latest = whole(handle.step(), tokens);
    return latest;
  }

  /** What an iteration has to choose from, once the canvas under way is open. */
  CandidateResult look() {
    CandidateResult found = handle.work(CoreSession::look);
    return new CandidateResult(iterations + found.iteration(), shifted(found.positions(), first), found.tokens(), found.confidence(),
        found.logProbability(), found.nanoseconds());
  }

  /** Of each position that the last look offered. */
  AlternativeResult alternatives(int positions, int count) {
    return handle.work(core -> core.alternatives(positions, count));
  }

  /** The rest of an iteration, which reveals positions in ascending order. {@code response} is what it was before. */
  StepResult reveal(int[] positions, int[] tokens, int[] response) {
    try {
      latest = whole(handle.call(core -> core.reveal(shifted(positions, -first), tokens)), response);
      return latest;
    } catch (InvalidArgumentException e) {
      throw first == 0 ? e : new InvalidArgumentException("in the canvas that begins at position " + first + ": " + e.getMessage());
    }
  }

  /** Fills what is masked of the canvas under way as the structure has it. {@code tokens} are those of the response so far. */
  StepResult complete(int[] tokens) {
    openDue(tokens);
    latest = whole(handle.call(CoreSession::complete), tokens);
    return latest;
  }

  /** Opens the canvas under way in the core, if it is not; says whether it was not. {@code tokens} are those of the response so far. */
  boolean openDue(int[] tokens) {
    boolean due = opened < first;
    if (due) {
      open(tokens);
    }
    return due;
  }

  /** May be repeated after a failure. */
  private void open(int[] tokens) {
    SessionFigures figures = handle.call(CoreSession::figures);
    handle.run(core -> core.setAnswer(Arrays.copyOf(tokens, first)));
    prefill += figures.prefill();
    steps += figures.steps();
    set(first);
    handle.run(core -> core.begin(settings(decoding, first)));
    setOwnBias(decoding);
    opened = first;
  }

  /** The core takes a bias back when a decoding begins. */
  private void setOwnBias(Decoding settings) {
    if (!settings.logitBias().isEmpty()) {
      setBias(settings.logitBias());
    }
  }

  /** What is added to the logits from the next iteration on, until another canvas is opened. */
  void setBias(SortedMap<Integer, Float> bias) {
    int[] tokens = bias.keySet().stream().mapToInt(Integer::intValue).toArray();
    float[] values = new float[tokens.length];
    for (int i = 0; i < tokens.length; i++) {
      values[i] = bias.get(tokens[i]);
    }
    handle.run(core -> core.setBias(tokens, values));
  }

  /** The core's step in terms of the whole response. */
  private StepResult whole(StepResult step, int[] tokens) {
    if (first == 0) {
      return step;
    }
    int[] canvas = Arrays.copyOf(tokens, end());
    System.arraycopy(step.canvas(), 0, canvas, first, step.canvas().length);
    return new StepResult(iterations + step.iteration(), step.done(), step.remaining(), shifted(step.revealed(), first), step.confidence(),
        step.logProbability(), canvas, forwardPasses + step.forwardPasses(), step.nanoseconds(), shifted(step.remasked(), first),
        step.block(), first + step.settled(), origins(step.origins()));
  }

  /** Where positions were, those of the canvases before among them; empty where none moved. */
  private int[] origins(int[] inCanvas) {
    return inCanvas.length == 0 ? inCanvas
        : IntStream.concat(IntStream.range(0, first), IntStream.of(inCanvas).map(origin -> origin < 0 ? origin : first + origin)).toArray();
  }

  private static int[] shifted(int[] positions, int by) {
    return by == 0 ? positions : Arrays.stream(positions).map(position -> position + by).toArray();
  }

  /** Leaves positions from there on out of the decoding under way. */
  void shorten(int position) {
    handle.run(core -> core.shorten(position - first));
  }

  /** Where the time went, of all canvases. */
  Timings timings() {
    SessionFigures latest = handle.call(CoreSession::figures);
    return new Timings(Duration.ofNanos(latest.vision()), Duration.ofNanos(prefill + latest.prefill()),
        Duration.ofNanos(steps + latest.steps()));
  }

  /** How many rows a pass of the core has behind those of the prompt. */
  int rows() {
    return end(opened);
  }
}
