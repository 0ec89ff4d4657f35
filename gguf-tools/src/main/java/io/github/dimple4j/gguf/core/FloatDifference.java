package io.github.dimple4j.gguf.core;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * How far floats are from others: sums over any number of them.
 *
 * @param squaredDifferences sum of (x - y)^2
 * @param squares sum of x^2
 * @param largest largest |x - y|
 */
public record FloatDifference(double squaredDifferences, double squares, double largest) {
  public static final FloatDifference NONE = new FloatDifference(0, 0, 0);

  /** Floats that are copied out of a segment at a time: loops over arrays are fast with every compiler of the JDK, over segments not. */
  private static final int PIECE = 2048;

  /** Compares two runs of the same length. */
  public static FloatDifference of(MemorySegment first, MemorySegment second) {
    float[] x = new float[PIECE];
    float[] y = new float[PIECE];
    double squaredDifferences = 0;
    double squares = 0;
    float largest = 0;
    long count = first.byteSize() / Float.BYTES;
    for (long done = 0; done < count; done += PIECE) {
      int length = (int) Math.min(PIECE, count - done);
      MemorySegment.copy(first, ValueLayout.JAVA_FLOAT, done * Float.BYTES, x, 0, length);
      MemorySegment.copy(second, ValueLayout.JAVA_FLOAT, done * Float.BYTES, y, 0, length);
      for (int i = 0; i < length; i++) {
        double value = x[i];
        double difference = value - y[i];
        squaredDifferences += difference * difference;
        squares += value * value;
        largest = Math.max(largest, Math.abs(x[i] - y[i]));
      }
    }
    return new FloatDifference(squaredDifferences, squares, largest);
  }

  public FloatDifference plus(FloatDifference other) {
    return new FloatDifference(squaredDifferences + other.squaredDifferences, squares + other.squares, Math.max(largest, other.largest));
  }

  /** Root mean square of the differences of so many floats. */
  public double rmse(long count) {
    return Math.sqrt(squaredDifferences / Math.max(1, count));
  }

  /** Root mean square of the differences over that of the first floats. */
  public double relative() {
    return squares == 0 ? 0 : Math.sqrt(squaredDifferences / squares);
  }
}
