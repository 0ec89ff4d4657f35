package io.github.dimple4j;

import io.github.dimple4j.bindings.Dimple;
import io.github.dimple4j.bindings.dimple_image_grid;
import io.github.dimple4j.bindings.dimple_model_info;
import io.github.dimple4j.bindings.dimple_model_options;
import io.github.dimple4j.chat.ChatTemplate;
import io.github.dimple4j.tokenizer.Tokenizer;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.nio.file.FileSystems;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Function;

/**
 * A loaded model. Immutable and thread-safe: any number of threads may use it and make sessions of it.
 *
 * <p>Closing it is idempotent and may be done by any thread at any time: sessions of it go on, and its memory goes with the last
 * of them. Every other call on a closed model throws {@link ClosedException}. A model that nobody closes is freed some time
 * after it became unreachable.
 */
public final class DimpleModel implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger("io.github.dimple4j");

  private final ModelHandle handle;
  private final Cleaner.Cleanable owner;
  private final ModelInfo info;
  private final ModelText text;
  private volatile boolean closed;

  private DimpleModel(ModelHandle handle) {
    this.handle = handle;
    this.owner = Native.CLEANER.register(this, handle::release);
    this.info = handle.call(DimpleModel::readInfo);
    this.text = new ModelText(handle);
  }

  /**
   * Loads a GGUF file with the default options.
   *
   * @param file the model; it stays mapped into memory and must not be changed until the model and its sessions are closed
   * @return the model
   * @throws ModelFileException if the file cannot be read or is malformed
   * @throws UnsupportedException if this library does not run what is in it
   * @throws LibraryException if the native library is not found
   * @throws DimpleException if memory is short
   */
  public static DimpleModel load(Path file) {
    return load(file, ModelOptions.builder().build());
  }

  /**
   * Loads a GGUF file.
   *
   * @param file the model; it stays mapped into memory and must not be changed until the model and its sessions are closed
   * @param options backend, second file, threads
   * @return the model
   * @throws ModelFileException if a file cannot be read or is malformed
   * @throws UnsupportedException if this library does not run what is in it
   * @throws InvalidArgumentException if an option is out of range or there is no such backend here
   * @throws LibraryException if the native library is not found
   * @throws DimpleException if memory is short
   */
  public static DimpleModel load(Path file, ModelOptions options) {
    Native.load();
    long start = System.nanoTime();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment nativeOptions = dimple_model_options.allocate(arena);
      dimple_model_options.backend(nativeOptions, options.backend().map(arena::allocateFrom).orElse(MemorySegment.NULL));
      dimple_model_options.mmproj_path(nativeOptions, options.mmproj().map(path -> name(path, arena)).orElse(MemorySegment.NULL));
      dimple_model_options.threads(nativeOptions, options.threads());
      MemorySegment pointer = arena.allocate(ValueLayout.ADDRESS);
      Native.check(Dimple.dimple_model_load(name(file, arena), nativeOptions, pointer));
      var model = new DimpleModel(new ModelHandle(pointer.get(ValueLayout.ADDRESS, 0)));
      LOG.log(System.Logger.Level.DEBUG, () -> "loaded %s: %s on %s, %d MiB of weights, %d ms".formatted(file, model.info.architecture(),
          model.info.backend(), model.info.weightSize() >> 20, (System.nanoTime() - start) / 1_000_000));
      return model;
    }
  }

  /** A path for the native library, which knows the default file system only. */
  private static MemorySegment name(Path file, Arena arena) {
    if (file.getFileSystem() != FileSystems.getDefault()) {
      throw new InvalidArgumentException(file + ": is inside " + file.getFileSystem() + "; a model has to be a file of its own");
    }
    return arena.allocateFrom(file.toString());
  }

  /**
   * What the processor offers and which kernels that selects, for logs.
   *
   * @return one line, e.g. {@code "x86-64: avx512-vnni (selected), avx2, plain"}
   * @throws LibraryException if the native library is not found
   */
  public static String cpuDescription() {
    Native.load();
    return Dimple.dimple_cpu_description().getString(0);
  }

  /**
   * Facts about the model.
   *
   * @return the facts
   * @throws ClosedException if the model is closed
   */
  public ModelInfo info() {
    return call(pointer -> info);
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
    return call(pointer -> Metadata.find(pointer, key).map(Metadata::value));
  }

  /**
   * The metadata keys of the file.
   *
   * @return all keys in file order
   * @throws ClosedException if the model is closed
   */
  public List<String> metadataKeys() {
    return call(Metadata::keys);
  }

  /**
   * Tells whether the file has a tokenizer. Without one, prompts are given as token ids, and responses read as such.
   *
   * @return true if it does
   * @throws ClosedException if the model is closed
   */
  public boolean hasTokenizer() {
    return call(pointer -> text.hasTokenizer());
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
    return call(pointer -> text.tokenizer());
  }

  /**
   * The file's chat template, or ChatML where it names none.
   *
   * @return the template
   * @throws io.github.dimple4j.chat.ChatTemplateException if it uses what this library does not understand
   * @throws ClosedException if the model is closed
   */
  public ChatTemplate chatTemplate() {
    return call(pointer -> text.chatTemplate());
  }

  /**
   * What the vision tower makes of a picture of some size.
   *
   * @param width pixels
   * @param height pixels
   * @return the grid
   * @throws InvalidArgumentException if a side is too short (below patch size times merge size) or the aspect ratio is above 200
   * @throws UnsupportedException if the model has no vision tower
   * @throws ClosedException if the model is closed
   */
  public ImageGrid imageGrid(int width, int height) {
    return call(pointer -> {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment grid = dimple_image_grid.allocate(arena);
        Native.check(Dimple.dimple_model_get_image_grid(pointer, width, height, grid));
        return new ImageGrid(dimple_image_grid.resized_width(grid), dimple_image_grid.resized_height(grid),
            dimple_image_grid.rows(grid), dimple_image_grid.columns(grid), dimple_image_grid.tokens(grid));
      }
    });
  }

  /**
   * Starts a session: give it a prompt, then {@link Session.Builder#prefill()}.
   *
   * @return a builder
   * @throws ClosedException if the model is closed
   */
  public Session.Builder session() {
    return call(pointer -> new Session.Builder(this));
  }

  /** Frees the model, once its sessions are closed too. Idempotent; calls that run in other threads end undisturbed. */
  @Override
  public void close() {
    closed = true;
    owner.clean();
  }

  /** Runs a native call, during which the model lives. */
  <T> T call(Function<MemorySegment, T> body) {
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

  ModelText text() {
    return text;
  }

  private static ModelInfo readInfo(MemorySegment model) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment info = dimple_model_info.allocate(arena);
      Native.check(Dimple.dimple_model_get_info(model, info));
      return new ModelInfo(dimple_model_info.architecture(info).getString(0), dimple_model_info.backend(info).getString(0),
          dimple_model_info.vocab_size(info), dimple_model_info.context_length(info), dimple_model_info.layer_count(info),
          dimple_model_info.embedding_length(info), dimple_model_info.head_count(info), dimple_model_info.head_count_kv(info),
          dimple_model_info.head_size(info), dimple_model_info.bidirectional(info) != 0, dimple_model_info.shift_logits(info) != 0,
          token(dimple_model_info.mask_token_id(info)), token(dimple_model_info.bos_token_id(info)),
          token(dimple_model_info.eos_token_id(info)), token(dimple_model_info.pad_token_id(info)),
          token(dimple_model_info.image_token_id(info)), dimple_model_info.has_vision(info) != 0, dimple_model_info.patch_size(info),
          dimple_model_info.merge_size(info), dimple_model_info.min_pixels(info), dimple_model_info.max_pixels(info),
          dimple_model_info.parameter_count(info), dimple_model_info.file_size(info), dimple_model_info.weight_size(info),
          dimple_model_info.kv_bytes_per_token(info));
    }
  }

  private static OptionalInt token(int id) {
    return id < 0 ? OptionalInt.empty() : OptionalInt.of(id);
  }
}
