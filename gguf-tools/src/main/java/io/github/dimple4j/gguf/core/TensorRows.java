package io.github.dimple4j.gguf.core;

import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.GgufFile;
import io.github.dimple4j.gguf.TensorInfo;
import io.github.dimple4j.gguf.TensorType;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Weights of a file as floats. Any thread. */
public final class TensorRows {
  private TensorRows() {}

  /**
   * Decodes rows of a tensor, through the C core.
   *
   * @param tensor one of {@code file}'s
   * @param firstRow the first row wanted
   * @param rows how many
   * @return {@code [rows x columns]} in row order
   * @throws GgufException if the tensor's type is unknown
   * @throws IndexOutOfBoundsException if the tensor does not have these rows
   * @throws IOException if reading fails
   */
  public static float[] read(GgufFile file, TensorInfo tensor, long firstRow, int rows) throws IOException {
    if (firstRow < 0 || rows < 1 || firstRow > tensor.rows() - rows) {
      throw new IndexOutOfBoundsException("rows " + firstRow + " to " + (firstRow + rows) + " of " + tensor.name());
    }
    TensorType type = tensor.type().orElseThrow(() -> new GgufException(file.path() + ": tensor " + tensor.name() + " is of unknown "
        + tensor.typeName()));
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment encoded = arena.allocate(rows * type.rowSize(tensor.columns()));
      file.read(tensor, firstRow, encoded.asByteBuffer());
      MemorySegment floats = arena.allocate(ValueLayout.JAVA_FLOAT, rows * tensor.columns());
      BlockCodec.decode(type, encoded, rows, tensor.columns(), floats);
      return floats.toArray(ValueLayout.JAVA_FLOAT);
    }
  }
}
