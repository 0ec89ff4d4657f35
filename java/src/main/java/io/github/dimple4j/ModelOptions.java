package io.github.dimple4j;

import io.github.dimple4j.tokenizer.ModelTokenizer;
import java.nio.file.Path;
import java.util.Objects;
import java.util.Optional;

/**
 * How to load a model. Immutable.
 *
 * @param backend what runs the model: {@code "auto"} (also when empty: the fastest one here), {@code "cpu"}, {@code "ref"} (plain
 *     loops, slow, the oracle of the tests), or {@code "cpu-"} and an instruction set: {@code "cpu-plain"}, {@code "cpu-avx2"},
 *     {@code "cpu-avx512-vnni"}; or devices, see {@link Builder#devices}
 * @param mmproj a second GGUF file with the vision tower, for models whose own file has none
 * @param threads how many threads pack the weights while loading, and run the passes that sessions share; 0: one per processor
 * @param ignoreUnknown whether a file with keys or tensors that this library does not know, and that may change the result, is run without
 *     them; {@link ModelInfo#ignored()} lists them then. Otherwise such a file is refused
 * @param unpacked whether weights are not packed but read from the mapped file by every pass: less memory of the process's own and nothing to
 *     do while loading, but slower. Results are the same. Not beside weightMemory and packCache
 * @param batchSteps how many sessions that step at the same time, on threads of their own, run their steps as one, at most; 1: each runs
 *     its own. See {@link Builder#batchSteps}
 * @param tokenizer for a file that has none
 * @param deviceLayers how many of the layers the devices take; 0: as many as fit. See {@link Builder#deviceLayers}
 * @param weightMemory bytes that packed weights may take; 0: seven eighths of the memory that is available. See {@link Builder#weightMemory}
 * @param packCache whether packed weights are kept in a file beside the model's. See {@link Builder#packCache}
 */
public record ModelOptions(Optional<String> backend, Optional<Path> mmproj, int threads, boolean ignoreUnknown, boolean unpacked,
    int batchSteps, Optional<ModelTokenizer> tokenizer, int deviceLayers, long weightMemory, boolean packCache) {
  /** The most sessions that step together. */
  private static final int MOST_STEPS = 1024;

  /**
   * Checks that nothing is null; backend, file and threads are checked when a model is loaded with them.
   *
   * @throws InvalidArgumentException if batchSteps is not 1 to 1024, deviceLayers or weightMemory is negative, or unpacked stands beside weightMemory or
   *     packCache
   */
  public ModelOptions {
    Objects.requireNonNull(backend, "backend");
    Objects.requireNonNull(mmproj, "mmproj");
    Objects.requireNonNull(tokenizer, "tokenizer");
    if (backend.isPresent() && backend.get().indexOf('\0') >= 0) { // which would end the name for the core
      throw new InvalidArgumentException("the name of a backend has a NUL");
    }
    if (batchSteps < 1 || batchSteps > MOST_STEPS) {
      throw new InvalidArgumentException("batchSteps is " + batchSteps + ", expected 1 to " + MOST_STEPS);
    }
    if (deviceLayers < 0) {
      throw new InvalidArgumentException("deviceLayers is " + deviceLayers + ", expected 0 (as many as fit) or more");
    }
    if (weightMemory < 0) {
      throw new InvalidArgumentException("weightMemory is " + weightMemory + ", expected 0 (what the machine has available) or more bytes");
    }
    if (unpacked && (weightMemory > 0 || packCache)) {
      throw new InvalidArgumentException((weightMemory > 0 ? "weightMemory" : "packCache") + " does not go with unpacked, which leaves no weights to pack");
    }
  }

  /**
   * Starts from the defaults: the fastest backend, no second file, one thread per processor, nothing ignored, weights packed, every
   * session by itself.
   *
   * @return a builder
   */
  public static Builder builder() {
    return new Builder();
  }

  /** Collects options. For one thread. */
  public static final class Builder {
    private Optional<String> backend = Optional.empty();
    private Optional<Path> mmproj = Optional.empty();
    private int threads;
    private boolean ignoreUnknown;
    private boolean unpacked;
    private Optional<ModelTokenizer> tokenizer = Optional.empty();
    private int batchSteps = 1;
    private int deviceLayers;
    private long weightMemory;
    private boolean packCache;

    private Builder() {}

    /**
     * Chooses the backend.
     *
     * @param backend see {@link ModelOptions#backend()}
     * @return this
     */
    public Builder backend(String backend) {
      this.backend = Optional.of(Objects.requireNonNull(backend, "backend"));
      return this;
    }

    /**
     * Chooses devices of <a href="https://github.com/ggml-org/ggml">GGML</a>, where {@code libdimple-ggml} and a GGML are: the model's layers are
     * shared out over them, by the memory that each has free. Devices compute with other rounding than this library's own kernels.
     *
     * @param names {@code "ggml:NAME"} with GGML's name of a device, {@code "child:ggml:NAME"} for the same in a process of its own, which a crash
     *     ends alone, {@code "rpc:HOST:PORT"} for those of a machine that serves them (GGML's rpc-server), or as the last one a backend for the
     *     layers that do not go to devices; {@link Device#list} lists them
     * @return this
     * @throws InvalidArgumentException if there are no names, or one has a comma
     */
    public Builder devices(String... names) {
      Objects.requireNonNull(names, "names");
      for (String name : names) {
        if (Objects.requireNonNull(name, "name").indexOf(',') >= 0) {
          throw new InvalidArgumentException("\"" + name + "\" is no device: it has a comma");
        }
      }
      if (names.length == 0) {
        throw new InvalidArgumentException("no devices are named");
      }
      return backend(String.join(",", names));
    }

    /**
     * Says how many of the model's layers the devices take, the first ones. The others, and what makes logits behind them, are run by the last name
     * that {@link #devices} was given, if it is no device, or by this library's own kernels. Whether what a device takes fits into its memory is
     * estimated before anything is uploaded: the weights as the file has them, keys and values of 2048 positions, and 256 MiB.
     *
     * @param layers 0: as many as fit
     * @return this
     */
    public Builder deviceLayers(int layers) {
      this.deviceLayers = layers;
      return this;
    }

    /**
     * Names the file with the vision tower.
     *
     * @param mmproj a GGUF file, llama.cpp's "mmproj"
     * @return this
     */
    public Builder mmproj(Path mmproj) {
      this.mmproj = Optional.of(Objects.requireNonNull(mmproj, "mmproj"));
      return this;
    }

    /**
     * Limits the threads that pack the weights, and that shared passes run on ({@link #batchSteps}).
     *
     * @param threads 0: one per processor
     * @return this
     */
    public Builder threads(int threads) {
      this.threads = threads;
      return this;
    }

    /**
     * Decides about files that ask for what this library does not know.
     *
     * @param ignoreUnknown see {@link ModelOptions#ignoreUnknown()}
     * @return this
     */
    public Builder ignoreUnknown(boolean ignoreUnknown) {
      this.ignoreUnknown = ignoreUnknown;
      return this;
    }

    /**
     * Decides whether weights stay in the file, for machines with little memory.
     *
     * @param unpacked see {@link ModelOptions#unpacked()}
     * @return this
     */
    public Builder unpacked(boolean unpacked) {
      this.unpacked = unpacked;
      return this;
    }

    /**
     * Limits what packed weights take. If they came to more, the experts of a mixture are left in the mapped file, those of the last layers first, as
     * few as make the rest fit: passes read them there, slower and with the same results, and {@link ModelInfo#unpackedSize()} says how much. Models
     * without experts are packed whatever it takes, and so is what devices run.
     *
     * @param bytes 0: seven eighths of what the system could give when the model is loaded, within a container's limit
     * @return this
     */
    public Builder weightMemory(long bytes) {
      this.weightMemory = bytes;
      return this;
    }

    /**
     * Keeps packed weights in a file beside the model's, {@code MODEL.gguf.BACKEND.packed}, of about their size. The first loading writes it; later ones
     * map it instead of packing, and processes share its pages. It is used if its digests agree with the model's bytes and with its own, and written
     * anew otherwise; it comes to be whole or not at all. Where it cannot be written, and on devices, weights are packed as usual, and a warning is logged.
     *
     * @param packCache false (the default): nothing is kept, and nothing is looked for
     * @return this
     */
    public Builder packCache(boolean packCache) {
      this.packCache = packCache;
      return this;
    }

    /**
     * Lets sessions of the model that step at the same time share their passes: the weights of a layer are walked once for all of them. For
     * servers, where many decode at once; a session alone is not slowed down. Nothing else changes: each session is used by a thread of
     * its own, platform or virtual, as always, and comes to the same tokens; cancelling, interrupting and closing one does not touch the
     * others, and takes effect within the iteration. A step waits for one that is under way, and for a small part of an iteration's time for
     * sessions that stepped in the one before, so that they go on together. First passes, steps of a {@link Decoder} and vision towers
     * run by themselves. Passes that are shared run on {@link ModelOptions#threads()} threads, whatever the sessions' own numbers are.
     *
     * @param sessions how many at most step together, 1 to 1024; 1: none do
     * @return this
     */
    public Builder batchSteps(int sessions) {
      this.batchSteps = sessions;
      return this;
    }

    /**
     * Gives a tokenizer to a file that has none. Its tokens are the model's first ids; what it says of ends of text counts, and its chat template
     * if the file has none. A file's own mask token stays.
     *
     * @param tokenizer what {@code TokenizerReader} of module {@code io.github.dimple4j.gguf} has read
     * @return this
     */
    public Builder tokenizer(ModelTokenizer tokenizer) {
      this.tokenizer = Optional.of(Objects.requireNonNull(tokenizer, "tokenizer"));
      return this;
    }

    /**
     * Ends the collection.
     *
     * @return the options
     * @throws InvalidArgumentException if {@code batchSteps}, {@code deviceLayers} or {@code weightMemory} is out of range, or {@code unpacked} stands
     *     beside {@code weightMemory} or {@code packCache}
     */
    public ModelOptions build() {
      return new ModelOptions(backend, mmproj, threads, ignoreUnknown, unpacked, batchSteps, tokenizer, deviceLayers, weightMemory, packCache);
    }

    /**
     * The options so far, for logs.
     *
     * @return names and values
     */
    @Override
    public String toString() {
      return "ModelOptions.Builder[backend=" + backend + ", mmproj=" + mmproj + ", threads=" + threads
          + ", ignoreUnknown=" + ignoreUnknown + ", unpacked=" + unpacked + ", batchSteps=" + batchSteps + ", tokenizer=" + tokenizer
          + ", deviceLayers=" + deviceLayers + ", weightMemory=" + weightMemory + ", packCache=" + packCache + "]";
    }
  }
}
