package io.github.dimple4j.gguf.core;

import io.github.dimple4j.core.Core;
import io.github.dimple4j.core.CoreException;
import io.github.dimple4j.core.TensorFacts;
import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.TensorType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** The C core's encoding and decoding of tensor rows; there is no other implementation of the block formats. Any thread. */
public final class BlockCodec {
  private BlockCodec() {}

  /**
   * Encodes rows.
   *
   * @param floats {@code [rows x columns]}
   * @param firstRow the number of the first one in its tensor, for messages
   * @param target exactly the encoded rows' bytes
   * @throws GgufException if a float is not finite or too large for the type
   */
  public static void encode(TensorType type, MemorySegment floats, long firstRow, long rows, long columns, MemorySegment target) {
    encode(type, floats, firstRow, rows, columns, MemorySegment.NULL, target);
  }

  /**
   * Encodes rows, weighing the squared errors of the columns.
   *
   * @param floats {@code [rows x columns]}
   * @param firstRow the number of the first one in its tensor, for messages
   * @param importance {@code [columns]}, none negative, or NULL
   * @param target exactly the encoded rows' bytes
   * @throws GgufException if a float is not finite or too large for the type
   */
  public static void encode(TensorType type, MemorySegment floats, long firstRow, long rows, long columns, MemorySegment importance,
      MemorySegment target) {
    require(floats, rows * columns * Float.BYTES);
    if (!importance.equals(MemorySegment.NULL)) {
      require(importance, columns * Float.BYTES);
    }
    try {
      Core.instance().quantizeRows(type.number(), floats.asByteBuffer(), rows, columns,
          importance.equals(MemorySegment.NULL) ? null : importance.asByteBuffer(), target.asByteBuffer());
    } catch (CoreException e) { // its message counts the rows of this call
      requireFinite(floats.asSlice(0, rows * columns * Float.BYTES), firstRow, columns);
      throw new GgufException(firstRow == 0 ? e.getMessage() : "from row " + firstRow + " on: " + e.getMessage());
    }
  }

  /**
   * Refuses floats that are not finite.
   *
   * @param floats {@code [rows x columns]}
   * @param firstRow the number of the first one in its tensor
   */
  public static void requireFinite(MemorySegment floats, long firstRow, long columns) {
    if (Double.isFinite(FloatDifference.of(floats, floats).squares())) {
      return;
    }
    for (long i = 0; ; i++) {
      float value = floats.getAtIndex(ValueLayout.JAVA_FLOAT, i);
      if (!Float.isFinite(value)) {
        throw new GgufException("the weight at row " + (firstRow + i / columns) + ", column " + i % columns + " is " + value);
      }
    }
  }

  /**
   * Decodes rows.
   *
   * @param source exactly the encoded rows' bytes
   * @param floats {@code [rows x columns]}
   */
  public static void decode(TensorType type, MemorySegment source, long rows, long columns, MemorySegment floats) {
    require(floats, rows * columns * Float.BYTES);
    try {
      Core.instance().dequantizeRows(type.number(), source.asByteBuffer(), rows, columns, floats.asByteBuffer());
    } catch (CoreException e) {
      throw new GgufException(e.getMessage());
    }
  }

  /** Whether {@link #encode} writes a type. */
  public static boolean canEncode(TensorType type) {
    try {
      return Core.instance().tensorType(type.number()).filter(TensorFacts::canQuantize).isPresent();
    } catch (CoreException e) {
      throw new GgufException(e.getMessage());
    }
  }

  private static void require(MemorySegment floats, long size) {
    if (floats.byteSize() < size) {
      throw new IllegalArgumentException(floats.byteSize() + " bytes for " + size + " bytes of floats");
    }
  }
}
