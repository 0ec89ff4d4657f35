package io.github.dimple4j.fuzz;

import java.util.Arrays;
import java.util.List;
import java.util.Random;

/**
 * Makes inputs of known ones by a few changes of the kinds that find most: bits, bytes, numbers at the edges of their range, pieces cut out,
 * doubled, or taken from another input. The same seed makes the same inputs.
 */
final class Mutator {
  private static final long[] EDGES = {0, 1, 127, 128, 255, 256, 32767, 65535, Integer.MAX_VALUE, 1L << 31, 0xffff_ffffL, Long.MAX_VALUE, -1};
  private static final int PIECE = 24;

  private final List<byte[]> seeds;
  private final List<byte[]> words;
  private final Random random;

  /**
   * @param seeds inputs to start from, at least one
   * @param words what is put in now and then: the words of a format; may be empty
   */
  Mutator(List<byte[]> seeds, List<byte[]> words, long seed) {
    this.seeds = seeds;
    this.words = words;
    this.random = new Random(seed);
  }

  byte[] next() {
    byte[] input = any(seeds).clone();
    for (int changes = 1 + random.nextInt(5); changes > 0; changes--) {
      input = change(input);
    }
    return input;
  }

  private byte[] any(List<byte[]> list) {
    return list.get(random.nextInt(list.size()));
  }

  private byte[] change(byte[] input) {
    if (input.length == 0) {
      return any(seeds).clone();
    }
    int at = random.nextInt(input.length);
    int end = Math.min(input.length, at + 1 + random.nextInt(PIECE));
    switch (random.nextInt(9)) {
      case 0 -> input[at] ^= (byte) (1 << random.nextInt(8));
      case 1 -> input[at] = (byte) random.nextInt();
      case 2 -> {
        long edge = EDGES[random.nextInt(EDGES.length)];
        for (int i = at; i < Math.min(end, at + 8); i++) {
          input[i] = (byte) (edge >> 8 * (i - at));
        }
      }
      case 3 -> {
        return splice(input, at, end, new byte[0]);
      }
      case 4 -> {
        return random.nextInt(6) == 0 ? Arrays.copyOf(input, at) : splice(input, at, at, Arrays.copyOfRange(input, at, end));
      }
      case 5 -> {
        byte[] other = any(seeds);
        int from = other.length == 0 ? 0 : random.nextInt(other.length);
        return splice(input, at, end, Arrays.copyOfRange(other, from, Math.min(other.length, from + 1 + random.nextInt(PIECE))));
      }
      case 6 -> {
        return words.isEmpty() ? input : splice(input, at, random.nextBoolean() ? at : end, any(words));
      }
      case 7 -> {
        byte[] many = new byte[1 + random.nextInt(random.nextInt(20) == 0 ? 20_000 : 30)];
        Arrays.fill(many, input[at]);
        return splice(input, at, at, many);
      }
      default -> {
        byte[] some = new byte[end - at];
        random.nextBytes(some);
        return splice(input, at, at, some);
      }
    }
    return input;
  }

  private static byte[] splice(byte[] input, int from, int to, byte[] piece) {
    byte[] spliced = new byte[input.length - (to - from) + piece.length];
    System.arraycopy(input, 0, spliced, 0, from);
    System.arraycopy(piece, 0, spliced, from, piece.length);
    System.arraycopy(input, to, spliced, from + piece.length, input.length - to);
    return spliced;
  }
}
