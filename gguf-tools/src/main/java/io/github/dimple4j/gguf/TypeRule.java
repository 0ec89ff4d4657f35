package io.github.dimple4j.gguf;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Which type a tensor gets when a file of a type is asked for. */
final class TypeRule {
  private static final int QUANTIZATION_VERSION = 2;

  private TypeRule() {}

  /** The type of a tensor of a file whose matrices are to be {@code asked}. */
  static TensorType choose(TensorType asked, String name, List<Long> dimensions) {
    if (dimensions.size() == 1) {
      return TensorType.F32; // norms and biases: small, and the kernels add them as floats
    }
    if (asked.isQuantized() && isVision(name) || isFallback(asked, name, dimensions)) {
      return TensorType.F16;
    }
    return asked;
  }

  /** Whether a matrix cannot take the type asked for because its rows do not divide into blocks. */
  static boolean isFallback(TensorType asked, String name, List<Long> dimensions) {
    return dimensions.size() > 1 && dimensions.getFirst() % asked.blockLength() != 0 && !isVision(name);
  }

  /** The keys that tell a file's type. */
  static Map<String, MetadataValue> metadata(TensorType type) {
    Map<String, MetadataValue> keys = new LinkedHashMap<>();
    keys.put("general.file_type", MetadataValue.uint32(type.fileType()));
    if (type.isQuantized()) {
      keys.put("general.quantization_version", MetadataValue.uint32(QUANTIZATION_VERSION));
    }
    return keys;
  }

  private static boolean isVision(String name) {
    return name.startsWith("v.") || name.startsWith("mm.");
  }
}
