package io.github.dimple4j;

import io.github.dimple4j.chat.ChatTemplate;
import io.github.dimple4j.core.Core;
import io.github.dimple4j.core.CoreModel;
import io.github.dimple4j.core.CoreProvider;
import io.github.dimple4j.core.FileName;
import io.github.dimple4j.core.Finding;
import io.github.dimple4j.core.Grid;
import io.github.dimple4j.core.Metadata;
import io.github.dimple4j.core.ModelFacts;
import io.github.dimple4j.tokenizer.ModelTokenizer;
import io.github.dimple4j.tokenizer.Tokenizer;
import io.github.dimple4j.tokenizer.TokenizerData;
import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.net.URI;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.stream.Stream;

/**
 * A loaded model. Immutable and thread-safe: any number of threads may use it and make sessions of it.
 *
 * <p>Closing it is idempotent and may be done by any thread at any time: sessions of it go on, and its memory goes with the last
 * of them. Every other call on a closed model throws {@link ClosedException}. A model that nobody closes is freed some time
 * after it became unreachable.
 */
public final class DimpleModel implements AutoCloseable {
  private final ModelHandle handle;
  private final Cleaner.Cleanable owner;
  private final ModelInfo info;
  private final ModelText text;
  private final Constraints constraints;
  private volatile boolean closed;

  private DimpleModel(ModelHandle handle, Optional<ModelTokenizer> tokenizer) {
    this.handle = handle;
    this.owner = Engine.CLEANER.register(this, handle::release);
    this.info = handle.call(DimpleModel::readInfo);
    this.text = new ModelText(handle, tokenizer);
    this.constraints = new Constraints(handle, info, text);
    handle.beforeFree(constraints::free);
  }

  /**
   * Loads a GGUF file with the default options.
   *
   * @param file the model; it stays mapped into memory and must not be changed until the model and its sessions are closed
   * @return the model
   * @throws ModelFileException if the file cannot be read or is malformed
   * @throws UnsupportedException if this library does not run what is in it, or not all of it: see {@link ModelOptions#ignoreUnknown()}
   * @throws LibraryException if the native library is not found
   * @throws DimpleException if memory is short
   */
  public static DimpleModel load(Path file) {
    return load(file, ModelOptions.builder().build());
  }

  /**
   * Fetches a model file into the user's own {@link ModelStore}, unless it is there: {@code DimpleModel.load(DimpleModel.fetch(address, hash))}.
   *
   * @param source http or https
   * @param sha256 what the file's SHA-256 is, in hexadecimal
   * @return the file, for {@link #load(Path)}
   * @throws InvalidArgumentException if the address or the hash is none
   * @throws FetchException if the file cannot be had, is no GGUF file, or has another hash
   * @throws CancelledException if the thread is interrupted
   */
  public static Path fetch(URI source, String sha256) {
    return ModelStore.standard().fetch(source, sha256);
  }

  /**
   * Loads a GGUF file.
   *
   * @param file the model; it stays mapped into memory and must not be changed until the model and its sessions are closed
   * @param options backend, second file, threads, and what to do with what is unknown
   * @return the model
   * @throws ModelFileException if a file cannot be read or is malformed
   * @throws UnsupportedException if this library does not run what is in it, or not all of it: see {@link ModelOptions#ignoreUnknown()}
   * @throws InvalidArgumentException if an option is out of range, there is no such backend here, a tokenizer is given to a file that has one or
   *     has fewer tokens, or a file's name cannot be handed to the core: a
   *     file inside an archive, or a name beyond ASCII in a Java machine whose locale is not UTF-8
   * @throws LibraryException if the native library is not found
   * @throws DimpleException if memory is short
   */
  public static DimpleModel load(Path file, ModelOptions options) {
    Objects.requireNonNull(file, "file");
    Objects.requireNonNull(options, "options");
    return load(Engine.call(Core::instance), file, options);
  }

  /** Loads a file with a given core. */
  static DimpleModel load(Core core, Path file, ModelOptions options) {
    long start = System.nanoTime();
    String path = Engine.call(() -> FileName.of(file)), mmproj = Engine.call(() -> options.mmproj().map(FileName::of).orElse(null));
    CoreModel loaded = loaded(() -> core.load(path, options.backend().orElse(null), mmproj, options.threads(), options.ignoreUnknown(),
        options.unpacked(), options.deviceLayers(), options.weightMemory(), options.packCache()));
    var model = new DimpleModel(new ModelHandle(loaded, options.batchSteps(), options.threads()), options.tokenizer());
    model.checkTokenizer(file, options);
    Core.log(CoreProvider.Level.DEBUG, () -> "loaded %s: %s on %s, %s MiB of weights, %s MiB left in the file, %s ms".formatted(file,
        model.info.architecture(), model.info.backend(), model.info.weightSize() >> 20, model.info.unpackedSize() >> 20, (System.nanoTime() - start) / 1_000_000), null);
    String note = Engine.call(loaded::facts).packCacheNote();
    if (!note.isEmpty()) {
      Core.log(CoreProvider.Level.WARNING, () -> note, null);
    }
    return model;
  }

  /** Of the options that the model decides about the message has Java's name. */
  private static CoreModel loaded(Supplier<CoreModel> loading) {
    try {
      return Engine.call(loading);
    } catch (InvalidArgumentException e) {
      throw e.getMessage().startsWith("device_layers ") ? new InvalidArgumentException(e.getMessage().replaceFirst("device_layers", "deviceLayers")) : e;
    }
  }

  /** A tokenizer that was given is for a file without one, has no more tokens than the model, and masks with the same one. */
  private void checkTokenizer(Path file, ModelOptions options) {
    if (options.tokenizer().isEmpty()) {
      return;
    }
    TokenizerData data = options.tokenizer().get().data();
    int tokens = data.tokens().size();
    int mask = info.maskTokenId().orElse(data.maskId());
    String wrong = text.fileHasTokenizer() ? "has a tokenizer of its own, so that none can be given"
        : tokens > info.vocabSize() ? "has " + info.vocabSize() + " tokens, and the tokenizer given " + tokens
        : data.maskId() >= 0 && data.maskId() != mask ? "has the mask token " + mask + ", and the tokenizer given " + data.maskId() : null;
    if (wrong != null) {
      close();
      throw new InvalidArgumentException(file + " " + wrong);
    }
  }

  /**
   * What the processor offers and which kernels that selects, for logs.
   *
   * @return one line, e.g. {@code "x86-64: avx512-vnni (selected), avx2, plain"}
   * @throws LibraryException if the native library is not found
   */
  public static String cpuDescription() {
    return Engine.call(() -> Core.instance().cpuDescription());
  }

  /**
   * How many threads a setting such as {@link ModelOptions#threads()} or {@link SessionBuilder#threads} stands for.
   *
   * @param threads 0: one per processor that this process may use
   * @return at least 1
   * @throws InvalidArgumentException if it is negative, or more than there can be
   * @throws LibraryException if the native library is not found
   */
  public static int threadCount(int threads) {
    return Engine.call(() -> Core.instance().resolveThreads(threads));
  }

  /**
   * Facts about the model.
   *
   * @return the facts
   * @throws ClosedException if the model is closed
   */
  public ModelInfo info() {
    return call(core -> info);
  }

  /**
   * What the sessions' steps have shared so far, see {@link ModelOptions.Builder#batchSteps}.
   *
   * @return figures, all 0 where nothing is shared
   * @throws ClosedException if the model is closed
   */
  public BatchedSteps batchedSteps() {
    return call(core -> handle.batchedSteps());
  }

  /**
   * Looks a metadata key of the file up.
   *
   * @param key for example {@code general.name}
   * @return its value, if the file has the key: {@link Long} for all integers (64-bit unsigned ones above {@link Long#MAX_VALUE} as
   *     {@link java.math.BigInteger}), {@link Double}, {@link Boolean}, {@link String}, or an unmodifiable {@link List} of one of them
   * @throws ClosedException if the model is closed
   */
  public Optional<Object> metadata(String key) {
    Objects.requireNonNull(key, "key");
    boolean none = key.indexOf('\0') >= 0; // which would end it for the core
    return call(core -> none ? Optional.empty() : core.metadata(key).map(Metadata::value));
  }

  /**
   * How the model is decoded where nobody says otherwise: by the pipeline that the file names ({@code diffusion.pipeline}), with its authors'
   * settings where it {@linkplain Pipeline#countsFromPrompt counts blocks from the prompt} or is {@link Pipeline#DIFFUSION_GEMMA},
   * {@link Pipeline#RND1}, {@link Pipeline#STABLE_DIFFCODER}, {@link Pipeline#DREAMON}, {@link Pipeline#LLADA_V}, {@link Pipeline#LAVIDA} or
   * {@link Pipeline#LAVIDA_DREAM}, or else by the {@linkplain Decoding#defaults defaults}. Settings of
   * {@link Pipeline#DIFFUSION_GEMMA} and {@link Pipeline#SDAR} that the file has ({@code diffusion.eb_max_steps} and the like, {@code diffusion.tail_repeats}) go before.
   *
   * @return settings, to be changed through {@link Decoding#toBuilder}
   * @throws ClosedException if the model is closed
   */
  public Decoding decoding() {
    return pipeline().map(this::usual).orElseGet(Decoding::defaults);
  }

  /** Pipelines of models that were trained in blocks have settings of their own. */
  private Decoding usual(Pipeline pipeline) {
    Decoding.Builder builder = Decoding.builder().pipeline(pipeline);
    if (pipeline.countsFromPrompt() || pipeline == Pipeline.DIFFUSION_GEMMA || pipeline == Pipeline.RND1
        || pipeline == Pipeline.STABLE_DIFFCODER || pipeline == Pipeline.DREAMON || pipeline == Pipeline.LLADA_V
        || pipeline == Pipeline.LAVIDA || pipeline == Pipeline.LAVIDA_DREAM) {
      Algorithm algorithm = pipeline.usualAlgorithm();
      builder.algorithm(algorithm).threshold(pipeline.usualThreshold(algorithm)).editingThreshold(pipeline.usualEditingThreshold());
    }
    if (pipeline == Pipeline.SDAR) {
      metadata("diffusion.tail_repeats").map(Number.class::cast).ifPresent(times -> builder.tailRepeats(times.intValue()));
    }
    if (pipeline == Pipeline.DIFFUSION_GEMMA) {
      sampler("max_steps").ifPresent(steps -> builder.steps(steps.intValue()));
      sampler("t_min").ifPresent(t -> builder.tMin(t.floatValue()));
      sampler("t_max").ifPresent(t -> builder.tMax(t.floatValue()));
      sampler("entropy_bound").ifPresent(bound -> builder.gamma(bound.floatValue()));
      sampler("stability_threshold").ifPresent(iterations -> builder.stabilityThreshold(iterations.intValue()));
      sampler("confidence_threshold").ifPresent(entropy -> builder.confidenceThreshold(entropy.floatValue()));
    }
    return builder.build();
  }

  /** A setting that llama.cpp's converter may write; loading has refused what cannot be. */
  private Optional<Number> sampler(String name) {
    return metadata("diffusion.eb_" + name).map(Number.class::cast);
  }

  /** That the file names; loading has refused any that is not known. */
  private Optional<Pipeline> pipeline() {
    Optional<Pipeline> named = metadata("diffusion.pipeline").map(name -> Pipeline.of((String) name));
    return named.or(() -> metadata("diffusion.canvas_length").map(length -> Pipeline.DIFFUSION_GEMMA)); // other programs' files name none
  }

  /** How many positions a block has if a decoding counts prompt and response in blocks, by the file where it does not say; otherwise 1. */
  int countedBlock(Decoding decoding) {
    if (!decoding.pipeline().countsFromPrompt()) {
      return 1;
    }
    return decoding.blockLength() > 0 ? decoding.blockLength()
        : metadata("diffusion.block_length").map(length -> ((Number) length).intValue()).orElse(1);
  }

  /**
   * The metadata keys of the file.
   *
   * @return all keys in file order
   * @throws ClosedException if the model is closed
   */
  public List<String> metadataKeys() {
    return call(CoreModel::metadataKeys);
  }

  /**
   * Tells whether the file has a tokenizer. Without one, prompts are given as token ids, and responses read as such.
   *
   * @return true if it does
   * @throws ClosedException if the model is closed
   */
  public boolean hasTokenizer() {
    return call(core -> text.hasTokenizer());
  }

  /**
   * The file's tokenizer, built at the first call that needs text; a large vocabulary takes a few tenths of a second.
   *
   * @return the tokenizer
   * @throws NoTokenizerException if the file has none
   * @throws io.github.dimple4j.tokenizer.TokenizerException if it is of a kind this library does not run
   * @throws ClosedException if the model is closed
   */
  public Tokenizer tokenizer() {
    return call(core -> text.tokenizer());
  }

  /**
   * The tokens that end a response: llama.cpp's set of end-of-generation tokens (those that the file names as end of text, turn or message,
   * and those spelled like a known one, such as {@code <|im_end|>}), all that {@code tokenizer.ggml.eos_token_ids} lists, and padding.
   *
   * @return token ids, ascending
   * @throws ClosedException if the model is closed
   */
  public int[] endTokenIds() {
    return call(core -> text.ends().clone());
  }

  /**
   * The file's chat template, or ChatML where it names none.
   *
   * @return the template
   * @throws io.github.dimple4j.chat.ChatTemplateException if it uses what this library does not understand
   * @throws ClosedException if the model is closed
   */
  public ChatTemplate chatTemplate() {
    return call(core -> text.chatTemplate());
  }

  /**
   * What the vision tower makes of a picture of some size.
   *
   * @param width pixels
   * @param height pixels
   * @return the grid
   * @throws InvalidArgumentException if the tower does not take such pictures (Qwen2.5-VL's: a side below patch size times merge size, or an
   *     aspect ratio above 200; Gemma 4's takes all)
   * @throws UnsupportedException if the model has no vision tower
   * @throws ClosedException if the model is closed
   */
  public ImageGrid imageGrid(int width, int height) {
    return call(core -> {
      Grid grid = core.imageGrid(width, height);
      return new ImageGrid(grid.resizedWidth(), grid.resizedHeight(), grid.rows(), grid.columns(), grid.tokens());
    });
  }

  /**
   * Asks one question, with the defaults of everything: {@link #session()} for more.
   *
   * @param text what is asked; text, whatever it spells
   * @param images pictures, which stand in front of the text
   * @return the answer
   * @throws NoTokenizerException if the model has no tokenizer
   * @throws ContextLimitException if the prompt does not fit the context
   * @throws CancelledException if the thread is interrupted
   * @throws ClosedException if the model is closed
   * @throws DimpleException as {@link SessionBuilder#open} and {@link Session#decode} do
   */
  public Generation ask(String text, Image... images) {
    try (Session session = session().user(text, images).open()) {
      return session.decode(decoding());
    }
  }

  /**
   * Starts a conversation of several turns.
   *
   * @return one without turns
   * @throws ClosedException if the model is closed
   */
  public Conversation conversation() {
    return call(core -> new Conversation(this));
  }

  /**
   * Answers many prompts, several at a time. The results come in the order of the prompts, as they are asked for: a prompt is taken from
   * its iterable when its turn to be decoded is near. A prompt that fails yields a result that says so, and the others go on. Closing the
   * stream stops what runs; a stream that is read to its end needs no closing.
   *
   * @param prompts builders of sessions, each used once
   * @param decoding how they are decoded
   * @param parallel how many sessions run at once, at least 1; each takes its memory, and all share the processors
   * @return the results, an ordered and sequential stream for one thread
   * @throws InvalidArgumentException if {@code parallel} is less than 1
   * @throws ClosedException if the model is closed
   */
  public Stream<BatchResult> batch(Iterable<SessionBuilder> prompts, Decoding decoding, int parallel) {
    Objects.requireNonNull(prompts, "prompts");
    Objects.requireNonNull(decoding, "decoding");
    return call(core -> Batch.of(Objects.requireNonNull(prompts.iterator(), "prompts.iterator()"), decoding, parallel));
  }

  /**
   * Starts a session: give it a prompt, then {@link SessionBuilder#prefill()}.
   *
   * @return a builder
   * @throws ClosedException if the model is closed
   */
  public SessionBuilder session() {
    return call(core -> new SessionBuilder(this));
  }

  /** Frees the model, once its sessions are closed too. Idempotent; calls that run in other threads end undisturbed. */
  @Override
  public void close() {
    closed = true;
    owner.clean();
  }

  /** Runs a call of the core, during which the model lives. */
  <T> T call(Function<CoreModel, T> body) {
    try {
      if (closed) {
        throw new ClosedException("the model is closed");
      }
      return handle.call(body);
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  ModelHandle handle() {
    return handle;
  }

  Constraints constraints() {
    return constraints;
  }

  ModelText text() {
    return text;
  }

  private static ModelInfo readInfo(CoreModel model) {
    ModelFacts f = model.facts();
    return new ModelInfo(f.architecture(), f.backend(), f.vocabSize(), f.contextLength(), f.layerCount(), f.embeddingLength(),
        f.headCount(), f.headCountKv(), f.headSize(), f.bidirectional(), f.shiftLogits(), token(f.maskToken()), token(f.bosToken()),
        token(f.eosToken()), token(f.padToken()), token(f.imageToken()), f.hasVision(), f.patchSize(), f.mergeSize(), f.minPixels(),
        f.maxPixels(), f.parameterCount(), f.fileSize(), f.weightSize(), f.unpackedSize(), f.kvBytesPerToken(),
        model.ignored().stream().map(Finding::name).toList());
  }

  private static OptionalInt token(int id) {
    return id < 0 ? OptionalInt.empty() : OptionalInt.of(id);
  }

  /**
   * What was loaded, for logs; of a closed model, too.
   *
   * @return for example {@code "DimpleModel[dimple on cpu-avx2, 3700000 parameters]"}
   */
  @Override
  public String toString() {
    return "DimpleModel[" + info.architecture() + " on " + info.backend() + ", " + info.parameterCount() + " parameters"
        + (closed ? ", closed]" : "]");
  }
}
