package io.github.dimple4j.gguf;

import io.github.dimple4j.bindings.Dimple;
import io.github.dimple4j.bindings.dimple_tensor_type_info;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** The C core's encoding and decoding of tensor rows; there is no other implementation of the block formats. Any thread. */
final class BlockCodec {
  private BlockCodec() {}

  /**
   * Encodes rows.
   *
   * @param floats {@code [rows x columns]}, all finite
   * @param target exactly the encoded rows' bytes
   */
  static void encode(TensorType type, MemorySegment floats, long rows, long columns, MemorySegment target) {
    encode(type, floats, rows, columns, MemorySegment.NULL, target);
  }

  /**
   * Encodes rows, weighing the squared errors of the columns.
   *
   * @param floats {@code [rows x columns]}, all finite
   * @param importance {@code [columns]}, none negative, or NULL
   * @param target exactly the encoded rows' bytes
   */
  static void encode(TensorType type, MemorySegment floats, long rows, long columns, MemorySegment importance, MemorySegment target) {
    require(floats, rows * columns * Float.BYTES);
    if (!importance.equals(MemorySegment.NULL)) {
      require(importance, columns * Float.BYTES);
    }
    check(Dimple.dimple_quantize_rows(type.number(), floats, rows, columns, importance, target, target.byteSize()));
  }

  /**
   * Decodes rows.
   *
   * @param source exactly the encoded rows' bytes
   * @param floats {@code [rows x columns]}
   */
  static void decode(TensorType type, MemorySegment source, long rows, long columns, MemorySegment floats) {
    require(floats, rows * columns * Float.BYTES);
    check(Dimple.dimple_dequantize_rows(type.number(), source, source.byteSize(), rows, columns, floats));
  }

  /** Whether {@link #encode} writes a type. */
  static boolean canEncode(TensorType type) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment info = dimple_tensor_type_info.allocate(arena);
      return Dimple.dimple_tensor_type_get_info(type.number(), info) == Dimple.DIMPLE_OK()
          && dimple_tensor_type_info.can_quantize(info) != 0;
    }
  }

  private static void require(MemorySegment floats, long size) {
    if (floats.byteSize() < size) {
      throw new IllegalArgumentException(floats.byteSize() + " bytes for " + size + " bytes of floats");
    }
  }

  private static void check(int status) {
    if (status != Dimple.DIMPLE_OK()) {
      throw new GgufException(Dimple.dimple_last_error().getString(0));
    }
  }
}
