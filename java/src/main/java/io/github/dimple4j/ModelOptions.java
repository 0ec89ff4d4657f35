package io.github.dimple4j;

import java.nio.file.Path;
import java.util.Objects;
import java.util.Optional;

/**
 * How to load a model. Immutable.
 *
 * @param backend what runs the model: {@code "auto"} (also when empty: the fastest one here), {@code "cpu"}, {@code "ref"} (plain
 *     loops, slow, the oracle of the tests), or {@code "cpu-"} and an instruction set: {@code "cpu-plain"}, {@code "cpu-avx2"},
 *     {@code "cpu-avx512-vnni"}
 * @param mmproj a second GGUF file with the vision tower, for models whose own file has none
 * @param threads how many threads pack the weights while loading; 0: one per processor
 * @param ignoreUnknown whether a file with keys or tensors that this library does not know, and that may change the result, is run without
 *     them; {@link ModelInfo#ignored()} lists them then. Otherwise such a file is refused
 * @param unpacked whether weights are not packed but read from the mapped file by every pass: less memory of the process's own and nothing to
 *     do while loading, but slower. Results are the same
 */
public record ModelOptions(Optional<String> backend, Optional<Path> mmproj, int threads, boolean ignoreUnknown, boolean unpacked) {
  /** Checks that nothing is null; the values are checked when a model is loaded with them. */
  public ModelOptions {
    Objects.requireNonNull(backend, "backend");
    Objects.requireNonNull(mmproj, "mmproj");
  }

  /**
   * Starts from the defaults: the fastest backend, no second file, one thread per processor, nothing ignored, weights packed.
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
     * Limits the threads that pack the weights.
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
     * Ends the collection.
     *
     * @return the options
     */
    public ModelOptions build() {
      return new ModelOptions(backend, mmproj, threads, ignoreUnknown, unpacked);
    }

    /**
     * The options so far, for logs.
     *
     * @return names and values
     */
    @Override
    public String toString() {
      return "ModelOptions.Builder[backend=" + backend + ", mmproj=" + mmproj + ", threads=" + threads
          + ", ignoreUnknown=" + ignoreUnknown + "]";
    }
  }
}
