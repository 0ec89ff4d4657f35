package io.github.dimple4j.gguf.tools;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;

/**
 * Random numbers that follow from a key and an index, so that any part of a tensor can be made by any thread. The mixing
 * function is that of SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
 */
final class CounterRandom {
  private static final long GOLDEN_GAMMA = 0x9E3779B97F4A7C15L;

  private final long key;

  CounterRandom(long seed, String name) {
    this.key = mix(mix(seed) + name.hashCode());
  }

  /** 64 random bits. */
  long bits(long index) {
    return mix(key + (index + 1) * GOLDEN_GAMMA);
  }

  /**
   * Fills in evenly distributed floats.
   *
   * @param first the index of the first one
   * @param floats room for {@code count} of them
   */
  void uniform(long first, long count, float center, float deviation, MemorySegment floats) {
    // A signed 16-bit number divided by 2^15 is even over [-1, 1), whose standard deviation is 1 / sqrt(3).
    float scale = deviation * (float) Math.sqrt(3) / (1 << 15);
    FloatBuffer out = floats.asByteBuffer().order(ByteOrder.nativeOrder()).asFloatBuffer();
    for (long i = first; i < first + count; i++) {
      out.put((short) (bits(i >> 2) >> 16 * (i & 3)) * scale + center);
    }
  }

  private static long mix(long z) {
    z = (z ^ z >>> 30) * 0xBF58476D1CE4E5B9L;
    z = (z ^ z >>> 27) * 0x94D049BB133111EBL;
    return z ^ z >>> 31;
  }
}
