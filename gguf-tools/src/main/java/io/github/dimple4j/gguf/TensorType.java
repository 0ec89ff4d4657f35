package io.github.dimple4j.gguf;

import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;

/**
 * GGML's tensor types that the C core reads. A row of a tensor is cut into blocks of {@link #blockLength()} elements; a
 * row's length must be a multiple of it. Numbers and sizes are those of ggml's {@code ggml.h}.
 */
public enum TensorType {
  /** IEEE single precision. */
  F32(0, 1, 4),
  /** IEEE half precision. */
  F16(1, 1, 2),
  /** 4 bits, one half-precision scale per 32 elements. */
  Q4_0(2, 32, 18),
  /** 4 bits, scale and minimum per 32 elements. */
  Q4_1(3, 32, 20),
  /** 5 bits, one scale per 32 elements. */
  Q5_0(6, 32, 22),
  /** 5 bits, scale and minimum per 32 elements. */
  Q5_1(7, 32, 24),
  /** 8 bits, one scale per 32 elements. */
  Q8_0(8, 32, 34),
  /** 2 bits in super-blocks of 256. */
  Q2_K(10, 256, 84),
  /** 3 bits in super-blocks of 256. */
  Q3_K(11, 256, 110),
  /** 4 bits in super-blocks of 256. */
  Q4_K(12, 256, 144),
  /** 5 bits in super-blocks of 256. */
  Q5_K(13, 256, 176),
  /** 6 bits in super-blocks of 256. */
  Q6_K(14, 256, 210),
  /** About 2 bits: entries of a codebook for 8 elements. Read only, as all that follow but IQ4_NL, IQ4_XS and BF16. */
  IQ2_XXS(16, 256, 66),
  /** As IQ2_XXS, with more entries and scales. */
  IQ2_XS(17, 256, 74),
  /** About 3 bits: entries of a codebook for 4 elements. */
  IQ3_XXS(18, 256, 98),
  /** About 1.6 bits: entries of a codebook for 8 elements. */
  IQ1_S(19, 256, 50),
  /** 4 bits, non-linear levels, one scale per 32 elements. */
  IQ4_NL(20, 32, 18),
  /** As IQ3_XXS, with more entries and signs of their own. */
  IQ3_S(21, 256, 110),
  /** As IQ2_XS, with more entries and signs of their own. */
  IQ2_S(22, 256, 82),
  /** 4 bits, non-linear levels, super-blocks of 256. */
  IQ4_XS(23, 256, 136),
  /** As IQ1_S, with a scale per 16 elements. */
  IQ1_M(29, 256, 56),
  /** bfloat16: the upper half of a float32. */
  BF16(30, 1, 2),
  /** Three levels, five elements in a byte. */
  TQ1_0(34, 256, 54),
  /** Three levels, four elements in a byte. */
  TQ2_0(35, 256, 66),
  /** Floating-point numbers of 4 bits, a power of two per 32 elements. */
  MXFP4(39, 32, 17),
  /** Floating-point numbers of 4 bits, a scale of 8 bits per 16 elements. */
  NVFP4(40, 64, 36);

  /** Names of ggml's other types: those that it has taken out again, and those of no weights. */
  private static final Map<Integer, String> OTHERS = Map.ofEntries(Map.entry(4, "q4_2"), Map.entry(5, "q4_3"), Map.entry(9, "q8_1"),
      Map.entry(15, "q8_k"), Map.entry(24, "i8"), Map.entry(25, "i16"), Map.entry(26, "i32"), Map.entry(27, "i64"), Map.entry(28, "f64"),
      Map.entry(31, "q4_0_4_4"), Map.entry(32, "q4_0_4_8"), Map.entry(33, "q4_0_8_8"), Map.entry(36, "iq4_nl_4_4"), Map.entry(37, "iq4_nl_4_8"),
      Map.entry(38, "iq4_nl_8_8"), Map.entry(41, "q1_0"), Map.entry(42, "q2_0"));

  private final int number;
  private final int blockLength;
  private final int blockSize;

  TensorType(int number, int blockLength, int blockSize) {
    this.number = number;
    this.blockLength = blockLength;
    this.blockSize = blockSize;
  }

  /**
   * The type's number in a GGUF file.
   *
   * @return {@code ggml_type}
   */
  public int number() {
    return number;
  }

  /**
   * Elements per block.
   *
   * @return 1, 32, 64 or 256
   */
  public int blockLength() {
    return blockLength;
  }

  /**
   * Bytes per block.
   *
   * @return at least 2
   */
  public int blockSize() {
    return blockSize;
  }

  /**
   * Whether weights of this type are rounded to a few bits per block, rather than plain floating-point numbers.
   *
   * @return true for all but F32, F16 and BF16
   */
  public boolean isQuantized() {
    return blockLength > 1;
  }

  /**
   * Bytes of a row.
   *
   * @param columns elements, a multiple of {@link #blockLength()}
   * @return bytes
   */
  public long rowSize(long columns) {
    return Math.multiplyExact(columns / blockLength, (long) blockSize);
  }

  /**
   * The type's name as in file names and on the command line.
   *
   * @return lower case, e.g. {@code q4_0}
   */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }

  /**
   * The type with a number.
   *
   * @param number {@code ggml_type}
   * @return empty for a type that is not listed here
   */
  public static Optional<TensorType> of(int number) {
    for (TensorType type : values()) {
      if (type.number == number) {
        return Optional.of(type);
      }
    }
    return Optional.empty();
  }

  /**
   * What a type is called, whether or not it is listed here.
   *
   * @param number {@code ggml_type}
   * @return e.g. {@code q4_0}, {@code q1_0 (type 41)} for one that is not read, or {@code type 99} for one that ggml has not named
   */
  static String nameOf(int number) {
    String other = OTHERS.get(number);
    return of(number).map(TensorType::toString).orElse(other == null ? "type " + number : other + " (type " + number + ")");
  }

  /**
   * The type with a name, in any case.
   *
   * @param name e.g. {@code q8_0}
   * @return empty for a name that is not listed here
   */
  public static Optional<TensorType> of(String name) {
    Objects.requireNonNull(name, "name");
    for (TensorType type : values()) {
      if (type.name().equalsIgnoreCase(name)) {
        return Optional.of(type);
      }
    }
    return Optional.empty();
  }
}
