package io.github.dimple4j.image.jpeg;

/**
 * The inverse cosine transform of 8 x 8 coefficients, with the operations of Loeffler, Ligtenberg and Moschytz ("Practical fast 1-D DCT
 * algorithms with 11 multiplications", ICASSP 1989) in integers. Constants have 13 bits behind the point; between columns and rows 2 bits
 * are kept: the numbers of libjpeg's accurate integer method, whose results these are.
 */
final class JpegInverseTransform {
  private static final int BITS = 13;
  private static final int KEPT = 2;

  private static final int C0_298 = 2446; // sqrt(2) * (-c1 + c3 + c5 - c7), cK = cos(K pi / 16), times 2^13
  private static final int C0_390 = 3196; // sqrt(2) * (c3 - c5)
  private static final int C0_541 = 4433; // sqrt(2) * c6
  private static final int C0_765 = 6270; // sqrt(2) * (c2 - c6)
  private static final int C0_899 = 7373; // sqrt(2) * (c3 - c7)
  private static final int C1_175 = 9633; // sqrt(2) * c3
  private static final int C1_501 = 12299; // sqrt(2) * (c1 + c3 - c5 - c7)
  private static final int C1_847 = 15137; // sqrt(2) * (c2 + c6)
  private static final int C1_961 = 16069; // sqrt(2) * (c3 + c5)
  private static final int C2_053 = 16819; // sqrt(2) * (c1 + c3 - c5 + c7)
  private static final int C2_562 = 20995; // sqrt(2) * (c1 + c3)
  private static final int C3_072 = 25172; // sqrt(2) * (c1 + c3 + c5 - c7)

  private final int[] work = new int[64];

  /** Dequantizes and transforms the block at column x and row y of a component and puts it into its samples. */
  void block(short[] coefficients, int at, JpegComponent component, int x, int y) {
    int[] quantization = component.quantization;
    for (int i = 0; i < 64; i++) {
      work[i] = coefficients[at + i] * quantization[i];
    }
    for (int column = 0; column < 8; column++) {
      pass(column, 8, BITS - KEPT);
    }
    byte[] samples = component.samples;
    for (int row = 0; row < 8; row++) {
      pass(8 * row, 1, BITS + KEPT + 3);
      int to = (8 * y + row) * component.stride + 8 * x;
      for (int i = 0; i < 8; i++) {
        samples[to + i] = (byte) Math.clamp(work[8 * row + i] + 128, 0, 255);
      }
    }
  }

  /** Eight numbers in place, from a point on at the given distance; results are divided by 2^shift and rounded. */
  private void pass(int at, int step, int shift) {
    int in0 = work[at];
    int in1 = work[at + step];
    int in2 = work[at + 2 * step];
    int in3 = work[at + 3 * step];
    int in4 = work[at + 4 * step];
    int in5 = work[at + 5 * step];
    int in6 = work[at + 6 * step];
    int in7 = work[at + 7 * step];

    int turned = (in2 + in6) * C0_541;
    int even2 = turned - in6 * C1_847;
    int even3 = turned + in2 * C0_765;
    int round = 1 << (shift - 1);
    int even0 = ((in0 + in4) << BITS) + round;
    int even1 = ((in0 - in4) << BITS) + round;

    int z5 = (in7 + in3 + in5 + in1) * C1_175;
    int z3 = z5 - (in7 + in3) * C1_961;
    int z4 = z5 - (in5 + in1) * C0_390;
    int z1 = -(in7 + in1) * C0_899;
    int z2 = -(in5 + in3) * C2_562;
    int odd0 = in7 * C0_298 + z1 + z3;
    int odd1 = in5 * C2_053 + z2 + z4;
    int odd2 = in3 * C3_072 + z2 + z3;
    int odd3 = in1 * C1_501 + z1 + z4;

    work[at] = even0 + even3 + odd3 >> shift;
    work[at + 7 * step] = even0 + even3 - odd3 >> shift;
    work[at + step] = even1 + even2 + odd2 >> shift;
    work[at + 6 * step] = even1 + even2 - odd2 >> shift;
    work[at + 2 * step] = even1 - even2 + odd1 >> shift;
    work[at + 5 * step] = even1 - even2 - odd1 >> shift;
    work[at + 3 * step] = even0 - even3 + odd0 >> shift;
    work[at + 4 * step] = even0 - even3 - odd0 >> shift;
  }
}
