package io.github.dimple4j;

import io.github.dimple4j.bindings.Dimple;
import io.github.dimple4j.bindings.dimple_decoding;
import io.github.dimple4j.bindings.dimple_image;
import io.github.dimple4j.bindings.dimple_session_options;
import io.github.dimple4j.bindings.dimple_step;
import io.github.dimple4j.bindings.dimple_timings;
import io.github.dimple4j.chat.ChatMessage;
import io.github.dimple4j.chat.ContentPart;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.TreeMap;
import java.util.concurrent.Flow;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.stream.IntStream;

/**
 * A prompt with its response: what one prefill serves. Any number of decodings may follow each other on it.
 *
 * <p>A session serves one thread at a time; a call while another thread is inside throws {@link SessionStateException} and harms
 * nothing. Only {@link #cancel} and {@link #close} may come from any thread at any time. Sessions of one model are independent of
 * each other. Closing the model does not end its sessions. A session that nobody closes is freed some time after it became unreachable.
 */
public final class Session implements AutoCloseable {
  private final SessionHandle handle;
  private final Cleaner.Cleanable cleanable;
  private final ModelInfo model;
  private final int[] prompt;
  private final int imageTokens;
  private final Response response; // null without one

  // The decoding under way; touched by the session's user only.
  private long decodings;
  private Canvas canvas;
  private int revealed;
  private int iterations;
  private int forwardPasses;

  private Session(SessionHandle handle, ModelInfo model, int[] prompt, int imageTokens, Response response) {
    this.handle = handle;
    this.cleanable = Native.CLEANER.register(this, handle::close);
    this.model = model;
    this.prompt = prompt;
    this.imageTokens = imageTokens;
    this.response = response;
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
   * The number of positions of the response.
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
   * @throws CancelledException after {@link #cancel}
   * @throws ClosedException if the session is closed
   * @throws DimpleException if memory is short
   */
  public void prefill() {
    use(() -> {
      handle.call(Dimple::dimple_session_prefill);
      return null;
    });
  }

  /**
   * Decodes the response from its beginning.
   *
   * @param decoding how
   * @return the finished response
   * @throws InvalidArgumentException if a value of {@code decoding} is out of range
   * @throws SessionStateException if the session has no response, or another thread is inside it
   * @throws CancelledException after {@link #cancel}; what was revealed until then is in {@link #generation}
   * @throws ClosedException if the session is closed, also by another thread meanwhile
   * @throws DimpleException if memory is short
   */
  public Generation decode(Decoding decoding) {
    return use(() -> {
      beginNative(decoding);
      Step step;
      do {
        step = stepNative();
      } while (!step.done());
      return generationNative();
    });
  }

  /**
   * Decodes iteration by iteration: {@code for (Step step : session.steps(decoding)) ...}.
   *
   * @param decoding how
   * @return the iterations, none of which has run yet
   */
  public Steps steps(Decoding decoding) {
    return new Steps(this, Objects.requireNonNull(decoding, "decoding"));
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
   * The latest decoding as it stands, finished or not.
   *
   * @return the response so far and its figures
   * @throws SessionStateException if none was begun, or another thread is inside the session
   * @throws ClosedException if the session is closed
   */
  public Generation generation() {
    return use(() -> {
      if (canvas == null) {
        throw new SessionStateException("no decoding was begun");
      }
      return generationNative();
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
   * ({@link ModelInfo#shiftLogits}). Does not disturb a decoding.
   *
   * @return one row per position of prompt and response, one logit per token id
   * @throws SessionStateException if another thread is inside the session
   * @throws CancelledException after {@link #cancel}
   * @throws ClosedException if the session is closed
   * @throws DimpleException if memory is short
   */
  public float[][] logits() {
    return matrix(prompt.length + responseLength(), model.vocabSize(), Dimple::dimple_session_get_logits);
  }

  /**
   * The projected features of the prompt's pictures, which take the place of the placeholders' embeddings.
   *
   * @return one row of {@link ModelInfo#embeddingLength} numbers per image token, pictures in order, tokens row by row
   * @throws SessionStateException if another thread is inside the session
   * @throws CancelledException after {@link #cancel}
   * @throws ClosedException if the session is closed
   * @throws DimpleException if memory is short
   */
  public float[][] imageFeatures() {
    return matrix(imageTokens, model.embeddingLength(), Dimple::dimple_session_get_image_features);
  }

  /**
   * Where the time of prefill and latest decoding went.
   *
   * @return wall times
   * @throws SessionStateException if another thread is inside the session
   * @throws ClosedException if the session is closed
   */
  public Timings timings() {
    return use(this::timingsNative);
  }

  /**
   * What the session holds outside the Java heap.
   *
   * @return sizes
   * @throws SessionStateException if another thread is inside the session
   * @throws ClosedException if the session is closed
   */
  public SessionMemory memory() {
    return use(() -> timingsNative(timings ->
        new SessionMemory(dimple_timings.kv_bytes(timings), dimple_timings.scratch_bytes(timings))));
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
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment nativeKinds = arena.allocateFrom(ValueLayout.JAVA_INT, kinds);
        MemorySegment nativeLengths = arena.allocateFrom(ValueLayout.JAVA_INT, lengths);
        MemorySegment nativeValues = arena.allocateFrom(ValueLayout.JAVA_DOUBLE, values);
        handle.call(session -> Dimple.dimple_session_replay_draws(session, nativeKinds, nativeLengths, kinds.length, nativeValues,
            values.length));
      }
      return null;
    });
  }

  Iterator<Step> begin(Decoding decoding) {
    return use(() -> new StepIterator(beginNative(decoding)));
  }

  /** One decoding, by its number: it ends when another one begins. */
  private final class StepIterator implements Iterator<Step> {
    private final long decoding;
    private boolean done;

    StepIterator(long decoding) {
      this.decoding = decoding;
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
      Step step = use(() -> {
        if (decoding != decodings) {
          throw new SessionStateException("another decoding was begun on this session");
        }
        return stepNative();
      });
      done = step.done();
      return step;
    }
  }

  /** A native function that fills a matrix. */
  private interface MatrixFunction {
    int fill(MemorySegment session, MemorySegment target, long count);
  }

  private float[][] matrix(int rows, int columns, MatrixFunction function) {
    return use(() -> {
      try (Arena arena = Arena.ofConfined()) {
        long count = (long) rows * columns;
        MemorySegment target = arena.allocate(ValueLayout.JAVA_FLOAT, count);
        handle.call(session -> function.fill(session, target, count));
        float[][] matrix = new float[rows][columns];
        for (int row = 0; row < rows; row++) {
          MemorySegment.copy(target, ValueLayout.JAVA_FLOAT, (long) row * columns * Float.BYTES, matrix[row], 0, columns);
        }
        return matrix;
      } catch (OutOfMemoryError e) {
        throw new DimpleException("not enough memory for " + rows + " x " + columns + " numbers", e);
      }
    });
  }

  private long beginNative(Decoding decoding) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment settings = dimple_decoding.allocate(arena);
      dimple_decoding.pipeline(settings, switch (decoding.pipeline()) {
        case DIM -> Dimple.DIMPLE_PIPELINE_DIM();
        case DREAM -> Dimple.DIMPLE_PIPELINE_DREAM();
      });
      dimple_decoding.algorithm(settings, switch (decoding.algorithm()) {
        case ORIGIN -> Dimple.DIMPLE_ALGORITHM_ORIGIN();
        case ORIGIN_RATIO -> Dimple.DIMPLE_ALGORITHM_ORIGIN_RATIO();
        case AUTOREGRESSIVE -> Dimple.DIMPLE_ALGORITHM_AUTOREGRESSIVE();
        case MASKGIT_PLUS -> Dimple.DIMPLE_ALGORITHM_MASKGIT_PLUS();
        case TOPK_MARGIN -> Dimple.DIMPLE_ALGORITHM_TOPK_MARGIN();
        case ENTROPY -> Dimple.DIMPLE_ALGORITHM_ENTROPY();
      });
      dimple_decoding.steps(settings, decoding.steps().orElse(Math.max(1, responseLength())));
      dimple_decoding.top_k(settings, decoding.topK());
      dimple_decoding.original_confidence(settings, decoding.originalConfidence() ? 1 : 0);
      dimple_decoding.threshold(settings, decoding.threshold());
      dimple_decoding.temperature(settings, decoding.temperature());
      dimple_decoding.top_p(settings, decoding.topP());
      dimple_decoding.algorithm_temperature(settings, decoding.algorithmTemperature());
      dimple_decoding.epsilon(settings, decoding.epsilon());
      dimple_decoding.seed(settings, decoding.seed());
      handle.call(session -> Dimple.dimple_session_begin(session, settings));
    }
    canvas = new Canvas(response, response.tokens());
    revealed = 0;
    iterations = 0;
    forwardPasses = 0;
    return ++decodings;
  }

  private Step stepNative() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment result = dimple_step.allocate(arena);
      handle.call(session -> Dimple.dimple_session_step(session, result));
      canvas = new Canvas(response, ints(dimple_step.canvas(result), dimple_step.canvas_length(result)));
      int count = dimple_step.revealed_count(result);
      int[] positions = ints(dimple_step.revealed(result), count);
      float[] confidence = dimple_step.confidence(result).asSlice(0, (long) count * Float.BYTES).toArray(ValueLayout.JAVA_FLOAT);
      List<Reveal> reveals = IntStream.range(0, count)
          .mapToObj(i -> new Reveal(positions[i], canvas.token(positions[i]), confidence[i])).toList();
      revealed += count;
      iterations++;
      forwardPasses = dimple_step.forward_passes(result);
      return new Step(dimple_step.iteration(result), canvas, reveals, dimple_step.remaining(result), dimple_step.done(result) != 0,
          forwardPasses, Duration.ofNanos(dimple_step.nanoseconds(result)));
    }
  }

  private static int[] ints(MemorySegment pointer, int count) {
    return pointer.asSlice(0, (long) count * Integer.BYTES).toArray(ValueLayout.JAVA_INT);
  }

  private Generation generationNative() {
    return new Generation(canvas, revealed, iterations, forwardPasses, timingsNative());
  }

  private Timings timingsNative() {
    return timingsNative(timings -> new Timings(Duration.ofNanos(dimple_timings.vision(timings)),
        Duration.ofNanos(dimple_timings.prefill(timings)), Duration.ofNanos(dimple_timings.steps(timings))));
  }

  private <T> T timingsNative(Function<MemorySegment, T> reader) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment timings = dimple_timings.allocate(arena);
      handle.call(session -> Dimple.dimple_session_get_timings(session, timings));
      return reader.apply(timings);
    }
  }

  /** Runs native calls as the only user of the session, which stays reachable meanwhile. */
  private <T> T use(Supplier<T> body) {
    try {
      return handle.use(body);
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  /**
   * Collects prompt, response and options of a session. The prompt is either a conversation ({@link #system}, {@link #user},
   * {@link #assistant}), a raw text ({@link #prompt}), or token ids ({@link #tokens}). For one thread.
   */
  public static final class Builder {
    private static final int DEFAULT_RESPONSE_LENGTH = 64;

    private final DimpleModel model;
    private final List<Image> images = new ArrayList<>();
    private final List<ChatMessage> messages = new ArrayList<>();
    private ChatMessage system;
    private String text;
    private int[] tokens;
    private OptionalInt responseLength = OptionalInt.empty();
    private Template template;
    private final Map<Integer, Integer> priors = new TreeMap<>();
    private boolean withoutResponse;
    private int threads;
    private int contextLength;
    private boolean prefillCache = true;

    Builder(DimpleModel model) {
      this.model = model;
    }

    /**
     * Sets the system message, which goes first. Without one the model's template may put its own.
     *
     * @param text what the model is told to be
     * @return this
     */
    public Builder system(String text) {
      system = ChatMessage.of("system", text);
      return this;
    }

    /**
     * Adds a message of the user: the pictures, then the text. What is spelled like a control token in the text, such as
     * {@code <|im_end|>}, becomes that token.
     *
     * @param text what is asked
     * @param images pictures in order
     * @return this
     */
    public Builder user(String text, Image... images) {
      Part[] parts = new Part[images.length + 1];
      System.arraycopy(images, 0, parts, 0, images.length);
      parts[images.length] = Part.text(text);
      return user(parts);
    }

    /**
     * Adds a message of the user whose texts and pictures stand in the order given.
     *
     * @param parts texts ({@link Part#text}) and pictures
     * @return this
     */
    public Builder user(Part... parts) {
      List<ContentPart> content = new ArrayList<>();
      for (Part part : parts) {
        switch (part) {
          case Text passage -> content.add(new ContentPart.Text(passage.text()));
          case Image image -> {
            content.add(new ContentPart.Image());
            images.add(image);
          }
        }
      }
      messages.add(new ChatMessage("user", content));
      return this;
    }

    /**
     * Adds an earlier answer of the model.
     *
     * @param text the answer
     * @return this
     */
    public Builder assistant(String text) {
      messages.add(ChatMessage.of("assistant", text));
      return this;
    }

    /**
     * Sets the prompt as text that goes to the model as it stands, without chat template. Control tokens are spelled out in it, and
     * {@code <|image_pad|>} once for each picture.
     *
     * @param text the prompt
     * @param images pictures in order
     * @return this
     */
    public Builder prompt(String text, Image... images) {
      this.text = Objects.requireNonNull(text, "text");
      this.images.addAll(List.of(images));
      return this;
    }

    /**
     * Sets the prompt as token ids, which go to the model as they are: each picture has as many placeholders as image tokens
     * ({@link DimpleModel#imageGrid}). Needs no tokenizer.
     *
     * @param ids token ids
     * @param images pictures in order
     * @return this
     */
    public Builder tokens(int[] ids, Image... images) {
      tokens = ids.clone();
      this.images.addAll(List.of(images));
      return this;
    }

    /**
     * Sets how many tokens the response has. Without it, it has as many as its {@link Template}, otherwise 64.
     *
     * @param tokens at least 1
     * @return this
     */
    public Builder responseLength(int tokens) {
      responseLength = OptionalInt.of(tokens);
      return this;
    }

    /**
     * Fixes parts of the response. If it is shorter than {@link #responseLength}, the model fills the rest.
     *
     * @param template texts and slots
     * @return this
     */
    public Builder response(Template template) {
      this.template = Objects.requireNonNull(template, "template");
      return this;
    }

    /**
     * Fixes one token of the response.
     *
     * @param position from 0, within the response
     * @param tokenId a token id
     * @return this
     */
    public Builder prior(int position, int tokenId) {
      priors.put(position, tokenId);
      return this;
    }

    /**
     * Makes a session of the prompt alone, good for {@link Session#logits} and {@link Session#imageFeatures} and not for decoding.
     *
     * @return this
     */
    public Builder withoutResponse() {
      withoutResponse = true;
      return this;
    }

    /**
     * Limits the threads of the session. Results do not depend on it.
     *
     * @param threads 0 (the default): one per processor
     * @return this
     */
    public Builder threads(int threads) {
      this.threads = threads;
      return this;
    }

    /**
     * Limits prompt and response together.
     *
     * @param tokens at most the model's; 0 (the default): the model's
     * @return this
     */
    public Builder contextLength(int tokens) {
      contextLength = tokens;
      return this;
    }

    /**
     * Chooses whether keys and values of the prompt are kept from the first pass (paper section 4.2). That is faster, and an
     * approximation: otherwise the prompt is computed anew in every iteration and sees the partly decoded response.
     *
     * @param keep true (the default) to keep them
     * @return this
     */
    public Builder prefillCache(boolean keep) {
      prefillCache = keep;
      return this;
    }

    /**
     * Makes the session without running the model; the first decoding then does the prefill.
     *
     * @return the session
     * @throws InvalidArgumentException if there is no prompt or more than one kind of it, a token id, length or position is out of range,
     *     pictures and placeholders disagree, or a picture does not suit the vision tower
     * @throws ContextLimitException if prompt and response do not fit the context
     * @throws UnsupportedException if there are pictures and no vision tower, or the model names no mask token
     * @throws NoTokenizerException if prompt or template are text and the model has no tokenizer
     * @throws ClosedException if the model is closed
     * @throws DimpleException if memory is short
     */
    public Session open() {
      int[] imageTokens = images.stream().mapToInt(this::tokenCount).toArray();
      int[] prompt = promptIds(imageTokens);
      ModelInfo info = model.info();
      Response response = withoutResponse ? null : response(new Vocabulary(info, model.text()::tokenizer));
      if (withoutResponse && (template != null || responseLength.isPresent() || !priors.isEmpty())) {
        throw new InvalidArgumentException("a session without response has a response length, template or prior");
      }
      SessionHandle handle = model.call(this::create);
      Session session = new Session(handle, info, prompt, IntStream.of(imageTokens).sum(), response);
      try {
        handle.use(() -> {
          setPrompt(handle, prompt);
          if (response != null) {
            setResponse(handle, response);
          }
          return null;
        });
        return session;
      } catch (RuntimeException | Error e) {
        session.close();
        throw e;
      }
    }

    /**
     * Makes the session and runs the first pass: {@link #open}, then {@link Session#prefill}.
     *
     * @return the session
     * @throws DimpleException as {@link #open} and {@link Session#prefill} do
     */
    public Session prefill() {
      Session session = open();
      try {
        session.prefill();
        return session;
      } catch (RuntimeException | Error e) {
        session.close();
        throw e;
      }
    }

    private int tokenCount(Image image) {
      try {
        return model.imageGrid(image.width(), image.height()).tokens();
      } catch (InvalidArgumentException e) {
        throw new InvalidArgumentException(image.errorPrefix() + e.getMessage());
      }
    }

    private int[] promptIds(int[] imageTokens) {
      boolean chat = system != null || !messages.isEmpty();
      if ((chat ? 1 : 0) + (text != null ? 1 : 0) + (tokens != null ? 1 : 0) != 1) {
        throw new InvalidArgumentException("a session needs one prompt: either a conversation (system, user, assistant), "
            + "or a text (prompt), or token ids (tokens)");
      }
      if (tokens != null) {
        return tokens;
      }
      int imageToken = model.info().imageTokenId().orElse(-1);
      int[] ids = chat ? model.text().encode(conversation(), images.size(), imageToken) : model.tokenizer().encodePrompt(text);
      return ModelText.expand(ids, imageToken, imageTokens);
    }

    private List<ChatMessage> conversation() {
      List<ChatMessage> conversation = new ArrayList<>(messages);
      if (system != null) {
        conversation.addFirst(system);
      }
      return conversation;
    }

    private Response response(Vocabulary vocabulary) {
      int length = responseLength.orElse(template == null ? DEFAULT_RESPONSE_LENGTH : 0);
      int context = contextLength > 0 ? contextLength : model.info().contextLength();
      long atLeast = template == null ? length : Math.max(length, template.slotTokens());
      if (atLeast > context) { // before anything of that size is allocated
        throw new ContextLimitException("a response of " + atLeast + " tokens does not fit the context of " + context);
      }
      if (length < 1 && template == null) {
        throw new InvalidArgumentException("a response of " + length + " tokens, expected at least 1");
      }
      Response response = template == null
          ? Response.ofOneSlot(vocabulary, vocabulary.masks(length)) : template.layOut(vocabulary, length);
      if (responseLength.isPresent() && response.length() != length) {
        throw new InvalidArgumentException("the template has " + response.length() + " tokens, more than the response length of " + length);
      }
      priors.forEach((position, token) -> {
        if (position < 0 || position >= response.length()) {
          throw new InvalidArgumentException("a prior at position " + position + ", expected 0 to " + (response.length() - 1));
        }
        response.tokens()[position] = token;
      });
      return response;
    }

    private SessionHandle create(MemorySegment pointer) {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment options = dimple_session_options.allocate(arena);
        dimple_session_options.threads(options, threads);
        dimple_session_options.context_length(options, contextLength);
        dimple_session_options.prefill(options, prefillCache ? 1 : 0);
        MemorySegment session = arena.allocate(ValueLayout.ADDRESS);
        Native.check(Dimple.dimple_session_create(pointer, options, session));
        model.handle().hold();
        return new SessionHandle(session.get(ValueLayout.ADDRESS, 0), model.handle());
      }
    }

    private void setPrompt(SessionHandle handle, int[] prompt) {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment ids = arena.allocateFrom(ValueLayout.JAVA_INT, prompt);
        MemorySegment pictures = dimple_image.allocateArray(images.size(), arena);
        for (int i = 0; i < images.size(); i++) {
          Image image = images.get(i);
          MemorySegment picture = dimple_image.asSlice(pictures, i);
          dimple_image.rgb(picture, arena.allocateFrom(ValueLayout.JAVA_BYTE, image.pixels()));
          dimple_image.width(picture, image.width());
          dimple_image.height(picture, image.height());
          dimple_image.row_stride(picture, 3L * image.width());
        }
        handle.call(session -> Dimple.dimple_session_set_prompt(session, ids, prompt.length, pictures, images.size()));
      }
    }

    private static void setResponse(SessionHandle handle, Response response) {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment ids = arena.allocateFrom(ValueLayout.JAVA_INT, response.tokens());
        handle.call(session -> Dimple.dimple_session_set_response(session, ids, response.length()));
      }
    }
  }
}
