package io.github.dimple4j;

import io.github.dimple4j.core.Core;
import java.util.Locale;
import java.util.Objects;

/**
 * What this machine does at most in a second, for speeds to be compared with. A product of a weight and an input is one multiplication and one addition.
 * Immutable.
 *
 * @param int8Products products of a weight's and an input's byte, by the instructions that quantized weights are multiplied with, on registers alone; 0
 *     where the kernels multiply them as floats
 * @param f32Products products of two floats, likewise
 * @param memoryBytes bytes read from memory that is in no cache
 */
public record MachinePeaks(long int8Products, long f32Products, long memoryBytes) {
  /**
   * Measures them, in about a second; other work on the machine makes them less.
   *
   * @param options of which the backend and the threads count
   * @return the best of seven tries each
   * @throws UnsupportedException if this build or machine has no such backend, or it cannot say
   * @throws InvalidArgumentException if there cannot be so many threads
   * @throws LibraryException if the native library is not found
   */
  public static MachinePeaks measure(ModelOptions options) {
    Objects.requireNonNull(options, "options");
    long[] peaks = Engine.call(() -> Core.instance().measurePeaks(options.backend().orElse(null), options.threads()));
    return new MachinePeaks(peaks[0], peaks[1], peaks[2]);
  }

  /**
   * A line for logs.
   *
   * @return for example {@code "int8 235.0 G products/s, f32 59.0 G products/s, memory 21.3 GB/s"}
   */
  @Override
  public String toString() {
    return String.format(Locale.ROOT, "int8 %.1f G products/s, f32 %.1f G products/s, memory %.1f GB/s", int8Products / 1e9,
        f32Products / 1e9, memoryBytes / 1e9);
  }
}
