package io.github.dimple4j.gguf.tools;

import io.github.dimple4j.gguf.TensorType;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * Random weights made directly as blocks of GGML's 32-element formats: a fixed scale, whose sign is random, before random
 * levels. Encoding random floats instead would take minutes for a large model, since the encoder searches for the best scale.
 *
 * @param scale standard deviation of the weights divided by that of the levels
 * @param middle the level that means zero; 0 where the format itself centres its levels
 * @param levelBytes bytes behind scale and minimum, in which every bit is free
 */
record RandomBlocks(float scale, float middle, int levelBytes) {

  /** Blocks of a type; null for a type whose blocks are not that simple. */
  static RandomBlocks of(TensorType type, float deviation) {
    return switch (type) {
      case Q4_0 -> new RandomBlocks(deviation / spread(16), 0, 16);
      case Q4_1 -> new RandomBlocks(deviation / spread(16), 7.5f, 16);
      case Q5_0 -> new RandomBlocks(deviation / spread(32), 0, 20);
      case Q5_1 -> new RandomBlocks(deviation / spread(32), 15.5f, 20);
      case Q8_0 -> new RandomBlocks(deviation / spread(256), 0, 32);
      default -> null;
    };
  }

  /** Fills {@code target} with the blocks from number {@code first} on. */
  void fill(CounterRandom random, long first, MemorySegment target) {
    ByteBuffer out = target.asByteBuffer().order(ByteOrder.LITTLE_ENDIAN);
    int words = (levelBytes + Long.BYTES - 1) / Long.BYTES;
    for (long block = first; out.hasRemaining(); block++) {
      long index = block * (words + 1);
      float signed = random.bits(index) < 0 ? -scale : scale;
      out.putShort(Float.floatToFloat16(signed));
      if (middle != 0) {
        out.putShort(Float.floatToFloat16(-middle * signed));
      }
      for (int word = 1; word < words; word++) {
        out.putLong(random.bits(index + word));
      }
      long last = random.bits(index + words);
      if (levelBytes % Long.BYTES == 0) {
        out.putLong(last);
      } else {
        out.putInt((int) last);
      }
    }
  }

  /** Standard deviation of a level that is evenly distributed over {@code levels} whole numbers. */
  private static float spread(int levels) {
    return (float) Math.sqrt(((double) levels * levels - 1) / 12);
  }
}
