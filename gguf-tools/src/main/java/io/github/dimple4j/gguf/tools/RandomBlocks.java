package io.github.dimple4j.gguf.tools;

import io.github.dimple4j.gguf.TensorType;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * Random weights made directly as GGML's blocks: a fixed scale, whose sign is random, and random levels. Encoding random floats instead would
 * take minutes for a large model, since the encoder searches for the best scales.
 *
 * @param scale what one level is worth
 * @param minimum what is stored as the block's minimum, in levels; 0: none, as the format itself centres its levels
 * @param factors the factors of the parts of a block of 256, as bytes; all parts have the same
 * @param levelBytes bytes of levels, in which every bit is free
 * @param levelsFirst whether the order in a block is levels, factors, scale, and not scale, minimum, factors, levels
 */
record RandomBlocks(float scale, float minimum, byte[] factors, int levelBytes, boolean levelsFirst) {
  private static final byte[] NO_FACTORS = {};

  /** A factor and a minimum's factor of 32, eight times each, in six bits: four and four whole, four and four of two nibbles and two bits each. */
  private static final byte[] Q4_K_FACTORS = {(byte) 0xa0, (byte) 0xa0, (byte) 0xa0, (byte) 0xa0, (byte) 0xa0, (byte) 0xa0, (byte) 0xa0, (byte) 0xa0, 0, 0,
      0, 0};

  private static final int Q4_K_FACTOR = 32;
  private static final int Q6_K_FACTOR = 100;

  /** Blocks of a type whose weights deviate so much from 0; null for a type whose blocks are not that simple. */
  static RandomBlocks of(TensorType type, float deviation) {
    return switch (type) {
      case Q4_0 -> new RandomBlocks(deviation / spread(16), 0, NO_FACTORS, 16, false);
      case Q4_1 -> new RandomBlocks(deviation / spread(16), -7.5f, NO_FACTORS, 16, false);
      case Q5_0 -> new RandomBlocks(deviation / spread(32), 0, NO_FACTORS, 20, false);
      case Q5_1 -> new RandomBlocks(deviation / spread(32), -15.5f, NO_FACTORS, 20, false);
      case Q8_0 -> new RandomBlocks(deviation / spread(256), 0, NO_FACTORS, 32, false);
      case Q4_K -> new RandomBlocks(deviation / spread(16) / Q4_K_FACTOR, 7.5f, Q4_K_FACTORS, 128, false);
      case Q6_K -> new RandomBlocks(deviation / spread(64) / Q6_K_FACTOR, 0, repeated(Q6_K_FACTOR, 16), 192, true);
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
      if (levelsFirst) {
        putLevels(random, index, out);
        out.put(factors);
        out.putShort(Float.floatToFloat16(signed));
        continue;
      }
      out.putShort(Float.floatToFloat16(signed));
      if (minimum != 0) {
        out.putShort(Float.floatToFloat16(minimum * signed));
      }
      out.put(factors);
      putLevels(random, index, out);
    }
  }

  private void putLevels(CounterRandom random, long index, ByteBuffer out) {
    int words = levelBytes / Long.BYTES;
    for (int word = 1; word <= words; word++) {
      out.putLong(random.bits(index + word));
    }
    if (levelBytes % Long.BYTES != 0) {
      out.putInt((int) random.bits(index + words + 1));
    }
  }

  private static byte[] repeated(int value, int count) {
    byte[] bytes = new byte[count];
    Arrays.fill(bytes, (byte) value);
    return bytes;
  }

  /** Standard deviation of a level that is evenly distributed over {@code levels} whole numbers. */
  private static float spread(int levels) {
    return (float) Math.sqrt(((double) levels * levels - 1) / 12);
  }
}
