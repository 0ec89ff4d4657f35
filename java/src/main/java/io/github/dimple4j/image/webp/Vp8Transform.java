package io.github.dimple4j.image.webp;

/** The inverse transforms (RFC 6386, section 14). */
final class Vp8Transform {
  private static final int SINE = 35468; // sqrt(2) * sin(pi / 8) * 2^16
  private static final int COSINE = 20091; // (sqrt(2) * cos(pi / 8) - 1) * 2^16

  private Vp8Transform() {}

  /** The Walsh-Hadamard transform: the DC coefficients of the 16 blocks of luminance. */
  static void secondOrder(int[] in, int[] to) {
    int[] work = new int[16];
    for (int i = 0; i < 4; i++) {
      int a = in[i] + in[12 + i];
      int b = in[4 + i] + in[8 + i];
      int c = in[4 + i] - in[8 + i];
      int d = in[i] - in[12 + i];
      work[i] = a + b;
      work[4 + i] = c + d;
      work[8 + i] = a - b;
      work[12 + i] = d - c;
    }
    for (int i = 0; i < 4; i++) {
      int a = work[4 * i] + work[4 * i + 3] + 3;
      int b = work[4 * i + 1] + work[4 * i + 2];
      int c = work[4 * i + 1] - work[4 * i + 2];
      int d = work[4 * i] - work[4 * i + 3] + 3;
      to[64 * i] = a + b >> 3;
      to[64 * i + 16] = c + d >> 3;
      to[64 * i + 32] = a - b >> 3;
      to[64 * i + 48] = d - c >> 3;
    }
  }

  /** Adds the inverse cosine transform of a block to the prediction. */
  static void add(int[] in, int at, Vp8Plane plane, int position) {
    if (isZero(in, at)) {
      return;
    }
    int[] work = new int[16];
    for (int i = 0; i < 4; i++) {
      int second = in[at + 4 + i];
      int fourth = in[at + 12 + i];
      int a = in[at + i] + in[at + 8 + i];
      int b = in[at + i] - in[at + 8 + i];
      int c = sine(second) - cosine(fourth);
      int d = cosine(second) + sine(fourth);
      work[i] = a + d;
      work[4 + i] = b + c;
      work[8 + i] = b - c;
      work[12 + i] = a - d;
    }
    for (int i = 0; i < 4; i++) {
      int second = work[4 * i + 1];
      int fourth = work[4 * i + 3];
      int a = work[4 * i] + work[4 * i + 2] + 4;
      int b = work[4 * i] - work[4 * i + 2] + 4;
      int c = sine(second) - cosine(fourth);
      int d = cosine(second) + sine(fourth);
      int to = position + i * plane.stride;
      put(plane, to, a + d);
      put(plane, to + 1, b + c);
      put(plane, to + 2, b - c);
      put(plane, to + 3, a - d);
    }
  }

  private static boolean isZero(int[] in, int at) {
    int any = 0;
    for (int i = 0; i < 16; i++) {
      any |= in[at + i];
    }
    return any == 0;
  }

  private static int sine(int value) {
    return value * SINE >> 16;
  }

  private static int cosine(int value) {
    return (value * COSINE >> 16) + value;
  }

  private static void put(Vp8Plane plane, int position, int difference) {
    plane.samples[position] = (byte) Math.clamp(plane.sample(position) + (difference >> 3), 0, 255);
  }
}
