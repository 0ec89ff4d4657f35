package io.github.dimple4j.gguf.tools;

import io.github.dimple4j.gguf.TensorType;
import io.github.dimple4j.gguf.core.FloatDifference;
import java.lang.foreign.MemorySegment;
import java.util.EnumMap;
import java.util.Map;

/** Rounding errors of the weights of each type, added up by any number of threads. */
final class RoundingErrors {
  private record Sums(FloatDifference difference, long count) {
    static final Sums NONE = new Sums(FloatDifference.NONE, 0);

    Sums plus(Sums other) {
      return new Sums(difference.plus(other.difference), count + other.count);
    }
  }

  private final Map<TensorType, Sums> sums = new EnumMap<>(TensorType.class);

  /** Adds weights that have become some of {@code type}: floats, the same number of both. */
  void add(TensorType type, MemorySegment original, MemorySegment decoded) {
    Sums chunk = new Sums(FloatDifference.of(original, decoded), original.byteSize() / Float.BYTES);
    synchronized (this) {
      sums.merge(type, chunk, Sums::plus);
    }
  }

  /** Root of the mean squared error. */
  synchronized double rmse(TensorType type) {
    Sums of = sums.getOrDefault(type, Sums.NONE);
    return of.difference.rmse(of.count);
  }

  /** {@link #rmse} over the root mean square of the weights. */
  synchronized double relative(TensorType type) {
    return sums.getOrDefault(type, Sums.NONE).difference.relative();
  }
}
