package io.github.dimple4j.gguf.tools;

import io.github.dimple4j.gguf.GgufFile;
import io.github.dimple4j.gguf.TensorInfo;
import io.github.dimple4j.gguf.TensorType;
import io.github.dimple4j.gguf.core.BlockCodec;
import java.io.IOException;
import java.lang.foreign.MemorySegment;

/**
 * Makes rows of one type from a tensor's of another, and measures what is lost.
 *
 * @param source where {@code from} is
 * @param from the tensor as it stands there
 * @param type what it becomes
 * @param importance of the columns, a row for each matrix of a stack: {@code [matrices x columns]}; or NULL
 * @param errors hears of every row
 */
record RowQuantizer(GgufFile source, TensorInfo from, TensorType type, MemorySegment importance, RoundingErrors errors)
    implements TensorStream.Producer {

  @Override
  public void produce(long row, long rows, MemorySegment encoded, TensorStream.WorkArea area) throws IOException {
    TensorType current = from.type().orElseThrow();
    boolean copy = current == type;
    long columns = from.columns();
    long count = rows * columns;
    MemorySegment bytes = copy ? encoded : area.bytes(current.rowSize(columns) * rows);
    source.read(from, row, bytes.asByteBuffer());
    MemorySegment floats = area.floats(2 * count); // the source's weights, then the target's
    MemorySegment original = floats.asSlice(0, count * Float.BYTES);
    MemorySegment decoded = floats.asSlice(count * Float.BYTES);
    BlockCodec.decode(current, bytes, rows, columns, original);
    if (copy) {
      BlockCodec.requireFinite(original, row, columns);
      errors.add(type, original, original);
      return;
    }
    encode(original, row, rows, encoded);
    BlockCodec.decode(type, encoded, rows, columns, decoded);
    errors.add(type, original, decoded);
  }

  /** One matrix of a stack at a time: each has an importance of its own. */
  private void encode(MemorySegment original, long row, long rows, MemorySegment encoded) {
    long columns = from.columns();
    long matrixRows = from.dimensions().get(1);
    for (long done = 0; done < rows;) {
      long index = (row + done) / matrixRows;
      long part = Math.min(rows - done, (index + 1) * matrixRows - row - done);
      MemorySegment weights = importance.equals(MemorySegment.NULL) ? importance
          : importance.asSlice(index * columns * Float.BYTES, columns * Float.BYTES);
      BlockCodec.encode(type, original.asSlice(done * columns * Float.BYTES), row + done, part, columns, weights,
          encoded.asSlice(done * type.rowSize(columns), part * type.rowSize(columns)));
      done += part;
    }
  }
}
