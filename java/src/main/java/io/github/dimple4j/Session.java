package io.github.dimple4j;

import io.github.dimple4j.arguments.Elements;
import io.github.dimple4j.arguments.WholeText;
import io.github.dimple4j.core.CoreSession;
import io.github.dimple4j.core.SessionFigures;
import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Flow;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;

/**
 * A prompt with its response: what one prefill serves. Any number of decodings may follow each other on it.
 *
 * <p>A session serves one thread at a time; a call while another thread is inside throws {@link SessionStateException} and harms
 * nothing. Only {@link #cancel} and {@link #close} may come from any thread at any time. Interrupting the thread inside stops a call
 * that runs the model as {@link #cancel} does, at its next layer; the thread's interrupt status stays set. Sessions of one model are
 * independent of each other. Closing the model does not end its sessions. A session that nobody closes is freed some time after it became
 * unreachable.
 */
public final class Session implements AutoCloseable {
  private final SessionHandle handle;
  private final Cleaner.Cleanable cleanable;
  private final ModelInfo model;
  private final Vocabulary vocabulary;
  private final int[] prompt;
  private final int imageTokens;
  private final Response response; // null without one
  private final CanvasSequence canvases;

  private final boolean constrained;
  private DecodingRun run; // the latest decoding; null before the first. Touched by the session's user only

  /**
   * @param canvasLength positions that are decoded at a time; 0 without a response
   * @param structure what the response is held to; null: nothing
   */
  Session(SessionHandle handle, ModelInfo model, Vocabulary vocabulary, int[] prompt, int imageTokens, Response response,
      int canvasLength, HeldStructure structure) {
    this.handle = handle;
    this.cleanable = Engine.CLEANER.register(this, handle::close);
    this.model = model;
    this.vocabulary = vocabulary;
    this.prompt = prompt;
    this.imageTokens = imageTokens;
    this.response = response;
    this.canvases = new CanvasSequence(handle, canvasLength, response == null ? new int[0] : response.tokens(), structure);
    this.constrained = structure != null;
  }

  /**
   * The prompt as the model reads it, image placeholders expanded.
   *
   * @return a copy of the token ids
   */
  public int[] promptTokens() {
    return prompt.clone();
  }

  /**
   * The number of positions of the response, at most: of all its canvases ({@link SessionBuilder#canvasLength}).
   *
   * @return at least 1, or 0 for a session without response
   */
  public int responseLength() {
    return response == null ? 0 : response.length();
  }

  /**
   * Runs the vision tower over the prompt's pictures and the first pass over prompt and response. Does nothing the second time; a
   * decoding does it when it was not called.
   *
   * @throws SessionStateException if the session has no response, or another thread is inside it
   * @throws CancelledException after {@link #cancel}, or when the thread is interrupted
   * @throws ClosedException if the session is closed
   * @throws DimpleException if memory is short
   */
  public void prefill() {
    use(() -> handle.work(core -> {
      core.prefill();
      return null;
    }));
  }

  /**
   * Decodes the response from its beginning.
   *
   * @param decoding how, and when it ends
   * @return the response as it stands at the end
   * @throws SessionStateException if the session has no response, or another thread is inside it
   * @throws NoTokenizerException if the decoding has stop strings and the model has no tokenizer
   * @throws CancelledException after {@link #cancel}, or when the thread is interrupted; what was revealed until then is in
   *     {@link #generation}
   * @throws ClosedException if the session is closed, also by another thread meanwhile
   * @throws DimpleException if memory is short
   */
  public Generation decode(Decoding decoding) {
    Objects.requireNonNull(decoding, "decoding");
    return decodeAll(decoding, null);
  }

  /**
   * Decodes the response from its beginning by a way of your own.
   *
   * @param decoding settings of the candidates, its blocks if it has any, and when it ends
   * @param decoder decides what each iteration reveals
   * @return the response as it stands at the end
   * @throws UnsupportedException for {@link Algorithm#WINO}, {@link Algorithm#TOKEN_EDITING}, {@link Pipeline#FAST_DLLM_V2} and
   *     {@link Pipeline#DIFFUSION_GEMMA}, which decide by themselves
   * @throws InvalidArgumentException if the decoder reveals what is not masked, or what is no token or does not fit the structure
   * @throws DimpleException as {@link #decode(Decoding)} does
   */
  public Generation decode(Decoding decoding, Decoder decoder) {
    Objects.requireNonNull(decoding, "decoding");
    return decodeAll(decoding, Objects.requireNonNull(decoder, "decoder"));
  }

  private Generation decodeAll(Decoding decoding, Decoder own) {
    return use(() -> decodeInside(decoding, own));
  }

  private Generation decodeInside(Decoding decoding, Decoder own) {
    DecodingRun begun = beginDecoding(decoding, own);
    Step step;
    do {
      step = begun.step();
    } while (!step.done());
    return begun.generation();
  }

  /**
   * Decodes on a daemon thread, which is inside the session when this returns. Cancelling the future, or completing it otherwise, as
   * {@link CompletableFuture#orTimeout} does, stops the decoding at the next layer of the model; once the thread has left the session,
   * {@link #generation} has what was revealed until then.
   *
   * @param decoding how, and when it ends
   * @return the response to come; fails as {@link #decode} does
   */
  public CompletableFuture<Generation> decodeAsync(Decoding decoding) {
    Objects.requireNonNull(decoding, "decoding");
    CompletableFuture<Generation> future = new CompletableFuture<>();
    CountDownLatch entered = new CountDownLatch(1);
    Thread worker = DaemonThread.of("dimple-decode", () -> {
      try {
        future.complete(use(() -> {
          entered.countDown();
          return decodeInside(decoding, null);
        }));
      } catch (RuntimeException | Error e) {
        future.completeExceptionally(e);
      } finally {
        entered.countDown();
      }
    });
    future.whenComplete((generation, failure) -> {
      if (Thread.currentThread() != worker) {
        worker.interrupt();
      }
    });
    worker.start();
    awaitEntry(entered);
    return future;
  }

  /** From now on the session is in use, so that no other call comes before the decoding. */
  private static void awaitEntry(CountDownLatch entered) {
    try {
      entered.await();
    } catch (InterruptedException e) { // the caller's own affair; entering does not take long
      Thread.currentThread().interrupt();
    }
  }

  /**
   * Decodes iteration by iteration: {@code for (Step step : session.steps(decoding)) ...}.
   *
   * @param decoding how
   * @return the iterations, none of which has run yet
   */
  public Steps steps(Decoding decoding) {
    return new Steps(this, Objects.requireNonNull(decoding, "decoding"), null);
  }

  /**
   * Decodes by a way of your own, iteration by iteration.
   *
   * @param decoding settings of the candidates, its blocks if it has any, and when it ends
   * @param decoder decides what each iteration reveals; see {@link #decode(Decoding, Decoder)}
   * @return the iterations, none of which has run yet
   */
  public Steps steps(Decoding decoding, Decoder decoder) {
    return new Steps(this, Objects.requireNonNull(decoding, "decoding"), Objects.requireNonNull(decoder, "decoder"));
  }

  /**
   * Decodes for a {@link Flow.Subscriber}. Each subscription begins a decoding of its own with its first request, and runs an iteration
   * only when one is asked for, on a daemon thread that ends when nothing is asked for. Cancelling the subscription interrupts a running
   * iteration at the next layer of the model and leaves the session usable; failures arrive as {@link DimpleException}s.
   *
   * @param decoding how
   * @return the iterations
   */
  public Flow.Publisher<Step> publisher(Decoding decoding) {
    Steps steps = steps(decoding);
    return subscriber -> StepSubscription.start(steps, handle, subscriber);
  }

  /**
   * Ends the latest decoding, which was interrupted or not gone on with: fills what is still masked in the way that the latest iteration
   * found best, without running the model. Only a session whose response is held to an automaton ({@link SessionBuilder#response(
   * io.github.dimple4j.structure.ByteAutomaton)}) can be completed, and it always can.
   *
   * @return the finished response
   * @throws SessionStateException if none was begun, the response is held to none, or another thread is inside the session
   * @throws ClosedException if the session is closed
   */
  public Generation complete() {
    return use(() -> {
      if (run == null) {
        throw new SessionStateException("no decoding was begun: there is nothing to complete");
      }
      if (!constrained) {
        throw new SessionStateException("the response is held to no structure: there is nothing to complete it by");
      }
      run.complete();
      return run.generation();
    });
  }

  /**
   * Of each position that the latest iteration revealed, the last one of a decoding too, the most probable tokens: in the model's own distribution
   * in that iteration, whatever structure, bias, temperature and filters did. Runs the model's last layer once more. To be called between iterations
   * ({@link #steps}); a position that was revealed because only one token could stand there has none.
   *
   * @param count how many, 1 to 64
   * @return by position, the best first, with their probability as confidence
   * @throws InvalidArgumentException if there are not so many
   * @throws SessionStateException if no iteration has been, the model was asked for something else since, the decoding is that of a {@link Decoder}, which has
   *     alternatives of its own, or another thread is inside the session
   * @throws CancelledException after {@link #cancel}, or when the thread is interrupted
   * @throws ClosedException if the session is closed
   */
  public Map<Integer, List<Candidate>> alternatives(int count) {
    if (count < 1 || count > Decisions.MOST_ALTERNATIVES) {
      throw new InvalidArgumentException(count + " alternatives, expected 1 to " + Decisions.MOST_ALTERNATIVES);
    }
    return use(() -> {
      if (run == null) {
        throw new SessionStateException("no decoding was begun: there is nothing to list alternatives to");
      }
      return run.alternatives(count);
    });
  }

  /**
   * The latest decoding as it stands, finished or not.
   *
   * @return the response so far and its figures
   * @throws SessionStateException if none was begun, or another thread is inside the session
   * @throws ClosedException if the session is closed
   */
  public Generation generation() {
    return use(() -> {
      if (run == null) {
        throw new SessionStateException("no decoding was begun");
      }
      return run.generation();
    });
  }

  /**
   * Makes the call that is running in this session fail with {@link CancelledException} at the next layer of the model, or else the next
   * call that runs the model. The session remains usable. Does nothing on a closed session. May be called by any thread at any time.
   */
  public void cancel() {
    handle.cancel();
  }

  /**
   * Raw logits of one full pass over prompt and undecoded response, as the model gives them, before any shift by one
   * ({@link ModelInfo#shiftLogits}). Does not disturb a decoding. Of a response in several canvases: behind those that were filled, the one
   * under way.
   *
   * @return one row per position of prompt and response, one logit per token id
   * @throws SessionStateException if another thread is inside the session
   * @throws CancelledException after {@link #cancel}, or when the thread is interrupted
   * @throws ClosedException if the session is closed
   * @throws DimpleException if memory is short
   */
  public float[][] logits() {
    return use(() -> handle.work(session -> session.logits(prompt.length + canvases.rows(), model.vocabSize())));
  }

  /**
   * The projected features of the prompt's pictures, which take the place of the placeholders' embeddings.
   *
   * @return one row of {@link ModelInfo#embeddingLength} numbers per image token, pictures in order, tokens row by row
   * @throws SessionStateException if another thread is inside the session
   * @throws CancelledException after {@link #cancel}, or when the thread is interrupted
   * @throws ClosedException if the session is closed
   * @throws DimpleException if memory is short
   */
  public float[][] imageFeatures() {
    return use(() -> handle.work(session -> session.imageFeatures(imageTokens, model.embeddingLength())));
  }

  /**
   * Takes over from another session what its first pass made of the tokens that both prompts begin with, so that the first pass of this one runs the
   * others alone. That goes where a position sees its block and those before it ({@link Pipeline#seesBlocks}): of whole blocks, and not of the prompt's last one;
   * pictures in them have to have equal features, for which the vision tower runs now unless they were given ({@link #setImageFeatures}); of
   * {@link Pipeline#DIFFUSION_GEMMA}, where a picture's tokens see each other, what is before the first picture, and
   * without pictures the answer's canvases but for the last; of models on devices ({@link Device}) nothing.
   * All else is as without it, to the bit. The other session is only read. It holds for decodings in the pipeline and with
   * the block length of its latest one; others compute all of the prompt.
   *
   * @param from a session of the same model and with the same kind of cache that has decoded
   * @return how many tokens; 0 if there is nothing to be shared, which is no error
   * @throws InvalidArgumentException if it is this session, or one of another model
   * @throws SessionStateException if the first pass ran already, there is no response, or another thread is inside one of the two
   * @throws CancelledException after {@link #cancel}, or when the thread is interrupted
   * @throws ClosedException if one of them is closed
   * @throws DimpleException if memory is short
   */
  public int takePrefix(Session from) {
    if (Objects.requireNonNull(from, "from") == this) {
      throw new InvalidArgumentException("a session takes nothing over from itself");
    }
    return from.use(() -> use(() -> from.handle.call(theirs -> handle.work(mine -> mine.takePrefix(theirs)))));
  }

  /**
   * Gives the projected features of the prompt's pictures, as {@link #imageFeatures()} of any session of the model gave them for the same
   * pictures: the vision tower does not run, and all else is as if it had, to the bit. Of several pictures those of each may come from
   * elsewhere. Ends a decoding under way, and the first pass is run anew.
   *
   * @param features one row of {@link ModelInfo#embeddingLength} finite numbers per image token, pictures in order, tokens row by row
   * @throws InvalidArgumentException if there are more or fewer rows or numbers, or one is not finite
   * @throws SessionStateException if another thread is inside the session
   * @throws ClosedException if the session is closed
   * @throws DimpleException if memory is short
   */
  public void setImageFeatures(float[][] features) {
    Elements.of(features, "features");
    int width = model.embeddingLength();
    if (features.length != imageTokens) {
      throw new InvalidArgumentException("features of " + features.length + " image tokens, expected " + imageTokens);
    }
    float[] all = new float[Math.multiplyExact(imageTokens, width)];
    for (int i = 0; i < imageTokens; i++) {
      if (features[i].length != width) {
        throw new InvalidArgumentException("features of " + features[i].length + " numbers for image token " + i + ", expected " + width);
      }
      System.arraycopy(features[i], 0, all, i * width, width);
    }
    use(() -> {
      handle.run(core -> core.setImageFeatures(all));
      if (run != null) {
        run.end();
      }
      return null;
    });
  }

  /**
   * How likely the model finds an answer. It is scored as a whole response, which has as many positions as it has tokens; the session's own
   * response does not matter, and a decoding is not disturbed.
   *
   * @param answer token ids; to score its end, too, with an end-of-text token as the last
   * @param scoring how
   * @return the score
   * @throws InvalidArgumentException if the answer is empty or has a token that the model has not
   * @throws ContextLimitException if prompt and answer do not fit the context
   * @throws UnsupportedException if the model names no mask token
   * @throws SessionStateException if another thread is inside the session
   * @throws CancelledException after {@link #cancel}, or when the thread is interrupted
   * @throws ClosedException if the session is closed
   * @throws DimpleException if memory is short
   */
  public Score score(int[] answer, Scoring scoring) {
    int[] tokens = Objects.requireNonNull(answer, "answer").clone();
    Objects.requireNonNull(scoring, "scoring");
    return use(() -> new Scorer(handle, model, vocabulary.mask(), tokens).score(scoring));
  }

  /**
   * How likely the model finds an answer.
   *
   * @param answer the text, whatever it spells
   * @param scoring how
   * @return the score
   * @throws NoTokenizerException if the model has no tokenizer
   * @throws InvalidArgumentException if it is empty, or has half of a surrogate pair
   * @throws DimpleException as {@link #score(int[], Scoring)} does
   */
  public Score score(String answer, Scoring scoring) {
    Objects.requireNonNull(answer, "answer");
    Objects.requireNonNull(scoring, "scoring");
    return score(vocabulary.tokenizer().encodeOrdinary(WholeText.of(answer, "an answer")), scoring);
  }

  /**
   * Which of several answers the model finds likely, as the members of a choice: each one's probability is its likelihood divided by the
   * sum of all of them.
   *
   * @param answers texts, at least one
   * @param scoring how
   * @return the answers in their order
   * @throws InvalidArgumentException if there is none, or one is empty
   * @throws DimpleException as {@link #score(String, Scoring)} does
   */
  public List<ScoredAnswer> score(List<String> answers, Scoring scoring) {
    List<String> all = Elements.of(answers, "answers");
    Objects.requireNonNull(scoring, "scoring");
    if (all.isEmpty()) {
      throw new InvalidArgumentException("no answers, expected at least 1");
    }
    return ScoredAnswer.among(all, all.stream().map(answer -> score(answer, scoring)).toList());
  }

  /** The Monte Carlo estimate with given masks, in the place of drawn ones: a flag per token in each row. */
  Score score(int[] answer, List<boolean[]> masks, float guidanceScale) {
    return use(() -> new Scorer(handle, model, vocabulary.mask(), answer).estimate(masks, guidanceScale));
  }

  /**
   * Where the time of prefill and latest decoding went.
   *
   * @return wall times
   * @throws SessionStateException if another thread is inside the session
   * @throws ClosedException if the session is closed
   */
  public Timings timings() {
    return use(canvases::timings);
  }

  /**
   * What the session holds outside the Java heap.
   *
   * @return sizes
   * @throws SessionStateException if another thread is inside the session
   * @throws ClosedException if the session is closed
   */
  public SessionMemory memory() {
    return use(() -> {
      SessionFigures figures = handle.call(CoreSession::figures);
      return new SessionMemory(figures.kvBytes(), figures.scratchBytes());
    });
  }

  /**
   * Frees the session. Idempotent. A call that runs in another thread is interrupted and throws {@link ClosedException}; the memory
   * then goes when it has returned.
   */
  @Override
  public void close() {
    cleanable.clean();
  }

  /**
   * Conformance hook: random results recorded elsewhere replace the generator, from the next decoding on.
   *
   * @param kinds per record its kind, {@code DIMPLE_DRAW_*}
   * @param lengths per record how many of {@code values} it has
   * @param values the results, record after record
   */
  void replayDraws(int[] kinds, int[] lengths, double[] values) {
    use(() -> {
      handle.run(session -> session.replayDraws(kinds, lengths, values));
      return null;
    });
  }

  /** Gives the core the response, behind its prompt. Inside {@link SessionHandle#use}. */
  void setResponse() {
    canvases.set(0);
  }

  /** {@code calledOff}: asked before each iteration enters the session, by whatever thread asks for it. */
  Iterator<Step> begin(Decoding decoding, Decoder own, BooleanSupplier calledOff) {
    return use(calledOff, () -> new StepIterator(beginDecoding(decoding, own), calledOff));
  }

  /** The iterations of one decoding, which ends when another one begins. */
  private final class StepIterator implements Iterator<Step> {
    private final DecodingRun decoding;
    private final BooleanSupplier calledOff;
    private boolean done;

    StepIterator(DecodingRun decoding, BooleanSupplier calledOff) {
      this.decoding = decoding;
      this.calledOff = calledOff;
    }

    @Override
    public boolean hasNext() {
      return !done;
    }

    @Override
    public Step next() {
      if (done) {
        throw new NoSuchElementException("the decoding is done");
      }
      Step step = use(calledOff, decoding::step);
      done = step.done();
      return step;
    }
  }

  private DecodingRun beginDecoding(Decoding decoding, Decoder own) {
    canvases.begin(decoding);
    if (run != null) {
      run.end(); // whatever follows
    }
    run = new DecodingRun(canvases, response, constrained, prompt.length, decoding, own);
    return run;
  }

  /** Runs calls of the core as the only user of the session, which stays reachable meanwhile. */
  private <T> T use(Supplier<T> body) {
    return use(() -> false, body);
  }

  private <T> T use(BooleanSupplier calledOff, Supplier<T> body) {
    try {
      return handle.use(calledOff, body);
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  /**
   * The session's shape, for logs; of a closed session, too.
   *
   * @return for example {@code "Session[prompt of 230 tokens, response of 64, dimple on cpu-avx2]"}
   */
  @Override
  public String toString() {
    return "Session[prompt of " + prompt.length + " tokens, response of " + responseLength() + ", " + model.architecture() + " on "
        + model.backend() + "]";
  }
}
