package io.github.dimple4j.gguf.tools;

import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.TensorType;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;

/**
 * What a file can be quantized to: one tensor type for all matrices, or one of llama.cpp's mixtures, which give the matrices that
 * suffer most a larger type. Names and numbers ({@code llama_ftype}) are llama.cpp's.
 */
public enum Quantization {
  /** All matrices F32. */
  F32(TensorType.F32, 0),
  /** All matrices F16. */
  F16(TensorType.F16, 1),
  /** All matrices BF16. */
  BF16(TensorType.BF16, 32),
  /** 4.5 bits per weight. */
  Q4_0(TensorType.Q4_0, 2),
  /** 5 bits per weight. */
  Q4_1(TensorType.Q4_1, 3),
  /** 5.5 bits per weight. */
  Q5_0(TensorType.Q5_0, 8),
  /** 6 bits per weight. */
  Q5_1(TensorType.Q5_1, 9),
  /** 8.5 bits per weight. */
  Q8_0(TensorType.Q8_0, 7),
  /** 2.6 bits per weight, attention values and outputs and the way down at 3.4 and more. */
  Q2_K(TensorType.Q2_K, 10),
  /** 3.4 bits per weight. */
  Q3_K_S(TensorType.Q3_K, 11),
  /** 3.4 bits per weight; attention values and outputs and the way down at 4.5 and more. */
  Q3_K_M(TensorType.Q3_K, 12),
  /** 3.4 bits per weight; attention values and outputs and the way down at 5.5. */
  Q3_K_L(TensorType.Q3_K, 13),
  /** 4.5 bits per weight, a few matrices at 5.5. */
  Q4_K_S(TensorType.Q4_K, 14),
  /** 4.5 bits per weight; attention values and the way down of about half of the layers at 6.6. */
  Q4_K_M(TensorType.Q4_K, 15),
  /** 5.5 bits per weight. */
  Q5_K_S(TensorType.Q5_K, 16),
  /** 5.5 bits per weight; attention values and the way down of about half of the layers at 6.6. */
  Q5_K_M(TensorType.Q5_K, 17),
  /** 6.6 bits per weight. */
  Q6_K(TensorType.Q6_K, 18),
  /** 4.5 bits per weight, non-linear levels. */
  IQ4_NL(TensorType.IQ4_NL, 25),
  /** 4.25 bits per weight, non-linear levels. */
  IQ4_XS(TensorType.IQ4_XS, 30);

  /** Says how GGML's block formats are laid out. */
  static final String VERSION_KEY = "general.quantization_version";
  /** As they are today. */
  static final int VERSION = 2;

  private static final Map<String, Quantization> SHORT_NAMES = Map.of("Q3_K", Q3_K_M, "Q4_K", Q4_K_M, "Q5_K", Q5_K_M);

  private final TensorType base;
  private final int fileType;

  Quantization(TensorType base, int fileType) {
    this.base = base;
    this.fileType = fileType;
  }

  /**
   * The type of most matrices.
   *
   * @return what is not made larger has this type
   */
  public TensorType base() {
    return base;
  }

  /**
   * What {@code general.file_type} says of a file that was made with this.
   *
   * @return {@code llama_ftype}
   */
  public int fileType() {
    return fileType;
  }

  /** The keys that say what a file was made with. */
  Map<String, MetadataValue> metadata() {
    Map<String, MetadataValue> keys = new LinkedHashMap<>();
    keys.put("general.file_type", MetadataValue.uint32(fileType));
    if (base.isQuantized()) {
      keys.put(VERSION_KEY, MetadataValue.uint32(VERSION));
    }
    return keys;
  }

  /**
   * What a file is called whose matrices all have one type. llama.cpp has no name of its own for one that is all Q3_K, Q4_K or Q5_K:
   * the _S mixtures come nearest.
   */
  static Quantization ofPure(TensorType type) {
    return Arrays.stream(values()).filter(quantization -> quantization.base == type).findFirst().orElseThrow();
  }

  /**
   * The quantization with a name, in any case; {@code q3_k}, {@code q4_k} and {@code q5_k} are the _M mixtures.
   *
   * @param name e.g. {@code q4_k_m}
   * @return empty for a name that is not listed here
   */
  public static Optional<Quantization> of(String name) {
    Objects.requireNonNull(name, "name");
    String upper = name.toUpperCase(Locale.ROOT);
    if (SHORT_NAMES.containsKey(upper)) {
      return Optional.of(SHORT_NAMES.get(upper));
    }
    for (Quantization quantization : values()) {
      if (quantization.name().equals(upper)) {
        return Optional.of(quantization);
      }
    }
    return Optional.empty();
  }

  /**
   * The name as in file names and on the command line.
   *
   * @return lower case, e.g. {@code q4_k_m}
   */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
