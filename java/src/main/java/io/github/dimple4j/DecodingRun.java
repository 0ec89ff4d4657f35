package io.github.dimple4j;

import io.github.dimple4j.core.StepResult;
import java.time.Duration;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * One decoding of a session: the canvas as its iterations leave it, what they took, and when it ends. To be used inside
 * {@link SessionHandle#use}.
 */
final class DecodingRun {
  private final CanvasSequence canvases;
  private final Response response;
  private final Response reading; // the response with the decoding's stop strings
  private final boolean constrained;
  private final int promptLength;
  private final Ending ending;
  private final boolean stopsEarly;
  private final boolean firm; // what is revealed stays
  private final boolean anew; // every iteration accepts anew, and what counts is settled
  private final boolean byBlock; // once its block is full
  private final Decisions decisions; // null: the core decides
  private final long most; // positions that the response may come to have; 0: it keeps its length
  private final long began = System.nanoTime();

  private Canvas canvas;
  private StepResult latest; // of the core's own iterations; null: none
  private int used; // positions that are worked on
  private int revealed;
  private int masked; // positions that are not settled, before the next iteration
  private float[] logProbabilities;
  private int iterations;
  private int forwardPasses;
  private boolean cancelled;
  private boolean exhausted;
  private boolean over;

  /** A decoding that the canvases have begun. {@code own}, which may be null, decides in the place of the core. */
  DecodingRun(CanvasSequence canvases, Response response, boolean constrained, int promptLength, Decoding decoding, Decoder own) {
    this.canvases = canvases;
    this.response = response;
    this.constrained = constrained;
    this.promptLength = promptLength;
    this.ending = decoding.ending();
    this.stopsEarly = decoding.earlyStop();
    this.firm = !decoding.algorithm().revises() && decoding.pipeline() != Pipeline.DIFFUSION_GEMMA;
    this.anew = decoding.pipeline() == Pipeline.DIFFUSION_GEMMA;
    this.byBlock = decoding.algorithm() == Algorithm.TOKEN_EDITING;
    this.most = decoding.pipeline().changesLength() ? mostPositions(response, decoding.growTo()) : 0;
    this.decisions = own == null ? null : new Decisions(canvases, own, decoding.logitBias());
    if (!decoding.stop().isEmpty()) {
      if (constrained) {
        throw new UnsupportedException("stop strings go without a structure: what is left of a text that is cut off does not fit it");
      }
      response.vocabulary().tokenizer(); // stop strings need one
    }
    this.reading = response.endingAt(ending.stops());
    this.logProbabilities = new float[response.length()];
    Arrays.fill(logProbabilities, Float.NaN);
    this.used = canvases.end();
    this.canvas = canvasOf(response.tokens());
    this.masked = canvas.remaining();
  }

  /** How many positions a response may come to have that may have so many to fill; 0: as many as there are. */
  private static long mostPositions(Response response, int growTo) {
    long masked = Arrays.stream(response.tokens()).filter(response::isMasked).count();
    return response.length() + (growTo == 0 ? 0 : growTo - masked);
  }

  /** Another decoding takes the place of this one, of which no iteration runs any more. */
  void end() {
    over = true;
  }

  /** The canvases up to the one under way. */
  private Canvas canvasOf(int[] tokens) {
    int end = canvases.end();
    Response shape = end < response.length() ? reading.first(end) : reading;
    return new Canvas(shape, Arrays.copyOf(tokens, end), firm ? end : canvases.first());
  }

  /** Whether parts of the response that end for themselves are still to come behind the canvas under way. */
  private boolean hasLaterParts() {
    return canvases.hasNext() && response.beginsBehind(canvases.end());
  }

  /** Whether the text goes on behind the canvas under way, of which nothing more is to come. */
  private boolean goesOn() {
    return hasLaterParts() ? canvas.isComplete() : canvases.hasNext() && canvas.finish() == Finish.LENGTH;
  }

  private void openNextCanvas() {
    canvases.next();
    int[] tokens = response.tokens().clone();
    System.arraycopy(canvas.tokens(), 0, tokens, 0, canvas.length());
    canvas = canvasOf(tokens);
    used = canvases.end();
    masked = canvas.remaining();
  }

  /** Runs the next iteration. */
  Step step() {
    if (over) {
      throw new SessionStateException("another decoding was begun on this session");
    }
    int length = canvas.length();
    StepResult result = runStep();
    List<Reveal> reveals = take(result);
    boolean emptied = canvas.length() == 0 && length > 0;
    Optional<List<Integer>> moved = result.origins().length > 0 || emptied ? Optional.of(list(result.origins())) : Optional.empty();
    boolean complete = !hasLaterParts() && (byBlock || anew ? canvas.isSettled() : canvas.isComplete());
    if (constrained && result.done()) {
      reveals = joined(reveals, completeCanvas());
    }
    boolean finished = result.done() || stopsEarly && complete;
    while (finished && goesOn()) {
      openNextCanvas();
      finished = canvas.remaining() == 0; // all of it is fixed
    }
    exhausted = !finished && ending.exhausted(iterations, System.nanoTime() - began);
    if (constrained && exhausted) {
      reveals = joined(reveals, complete());
    }
    if (ending.pruned() && !finished && !exhausted && !hasLaterParts() && canvas.usedLength() < used) {
      used = canvas.usedLength();
      canvases.shorten(used);
    }
    if (finished || exhausted) {
      canvas = asLast();
    }
    return new Step(result.iteration(), canvas, reveals, remaining(), finished || exhausted, forwardPasses,
        Duration.ofNanos(result.nanoseconds()), list(result.remasked()), result.block(), moved);
  }

  private static List<Integer> list(int[] numbers) {
    return numbers.length == 0 ? List.of() : Arrays.stream(numbers).boxed().toList();
  }

  private static List<Reveal> joined(List<Reveal> some, List<Reveal> others) {
    return others.isEmpty() ? some : Stream.concat(some.stream(), others.stream()).sorted(Comparator.comparingInt(Reveal::position)).toList();
  }

  /** What the structure has for the masked positions of the canvas under way. */
  private List<Reveal> completeCanvas() {
    return remaining() == 0 ? List.of() : take(canvases.complete(canvas.tokens()));
  }

  /** The same for the whole response, up to its end. */
  List<Reveal> complete() {
    List<Reveal> reveals = completeCanvas();
    while (goesOn()) {
      openNextCanvas();
      reveals = joined(reveals, completeCanvas());
    }
    return reveals;
  }

  /** Positions that are masked, or not settled where every iteration accepts anew: what is shown at these is no answer. */
  private int remaining() {
    return anew ? masked : canvas.remaining();
  }

  /** The canvas at the end of the decoding, positions that nothing was settled for as they were given. */
  private Canvas asLast() {
    return (anew && masked > 0 ? canvas.settledOver(response.tokens()) : canvas).asLast();
  }

  private StepResult runStep() {
    try {
      StepResult result = decisions == null ? canvases.step(canvas.tokens()) : decisions.step(iterations, canvas);
      cancelled = false;
      latest = decisions == null ? result : null;
      return result;
    } catch (CancelledException e) {
      cancelled = true;
      throw e;
    }
  }

  /** Takes over what an iteration of the core did. */
  private List<Reveal> take(StepResult result) {
    Canvas before = canvas;
    boolean moves = result.origins().length > 0 || result.canvas().length < canvas.length(); // of none, all went out
    canvas = moves ? canvas.moved(result.origins(), result.canvas(), result.settled()) : canvas.with(result.canvas(), result.settled());
    if (moves) {
      move(result.origins());
    }
    List<Reveal> reveals = reveals(result);
    for (Reveal reveal : reveals) { // some pipelines may reveal the mask token itself, as their authors' code does
      logProbabilities[reveal.position()] = canvas.isMasked(reveal.position()) ? Float.NaN : reveal.logProbability();
    }
    for (int position : result.remasked()) {
      logProbabilities[position] = Float.NaN;
    }
    if (anew) {
      revealed += Math.max(0, masked - result.remaining());
      masked = result.remaining();
    } else {
      for (Reveal reveal : reveals) {
        int at = moves ? result.origins()[reveal.position()] : reveal.position();
        revealed += at >= before.length() || before.isMasked(at) ? 1 : 0;
      }
      revealed -= result.remasked().length;
    }
    iterations = result.iteration() + 1;
    forwardPasses = result.forwardPasses();
    return reveals;
  }

  /** What is known of positions goes where they go. */
  private void move(int[] origins) {
    float[] moved = most > 0 ? new float[origins.length] : logProbabilities.clone(); // of later canvases, too
    for (int i = 0; i < origins.length; i++) {
      moved[i] = origins[i] < 0 ? Float.NaN : logProbabilities[origins[i]];
    }
    logProbabilities = moved;
    used = origins.length;
  }

  /** What else could have been revealed by the latest iteration. */
  Map<Integer, List<Candidate>> alternatives(int count) {
    if (over || latest == null) {
      throw new SessionStateException(decisions == null ? "no iteration of a decoding under way has been: there is nothing to list alternatives to"
          : "a decoder of one's own is given alternatives beforehand: Decoder.alternatives");
    }
    return latest.revealed().length == 0 ? Map.of() : Decisions.alternatives(canvases, latest.revealed(), count);
  }

  private static List<Reveal> reveals(StepResult result) {
    int[] at = result.revealed();
    Reveal[] reveals = new Reveal[at.length];
    for (int i = 0; i < at.length; i++) {
      reveals[i] = new Reveal(at[i], result.canvas()[at[i]], result.confidence()[i], result.logProbability()[i]);
    }
    return List.of(reveals);
  }

  /** The response as it stands. */
  Generation generation() {
    Canvas last = asLast();
    Finish finish = last.finish();
    if (finish == Finish.MASKED) {
      finish = cancelled ? Finish.CANCELLED : exhausted ? Finish.BUDGET : finish;
    }
    if (finish == Finish.LENGTH && last.length() < most) { // it could have grown, and is as long as the model wants it
      finish = Finish.END_OF_TEXT;
    }
    List<Float> probabilities = IntStream.range(0, last.length()).mapToObj(i -> logProbabilities[i]).toList();
    return new Generation(last, finish, revealed, iterations, forwardPasses, promptLength, probabilities, canvases.timings());
  }
}
