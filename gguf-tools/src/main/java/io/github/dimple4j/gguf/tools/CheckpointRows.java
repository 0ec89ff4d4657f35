package io.github.dimple4j.gguf.tools;

import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.TensorInfo;
import io.github.dimple4j.gguf.TensorType;
import io.github.dimple4j.gguf.architecture.TensorSource;
import io.github.dimple4j.gguf.checkpoint.LoraAdapter;
import io.github.dimple4j.gguf.checkpoint.SafetensorsFile;
import io.github.dimple4j.gguf.core.BlockCodec;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Optional;

/**
 * Makes rows of a tensor from a checkpoint's weights.
 *
 * @param tensor as it is to be written
 * @param source where the checkpoint has its elements
 * @param weights the checkpoint's tensors
 * @param adapter what is added to them
 */
record CheckpointRows(TensorInfo tensor, TensorSource source, List<SafetensorsFile.Tensor> weights, Optional<LoraAdapter> adapter) implements TensorStream.Producer {

  @Override
  public void produce(long row, long rows, MemorySegment encoded, TensorStream.WorkArea area) throws IOException {
    long columns = tensor.columns();
    MemorySegment floats = area.floats(rows * columns);
    long element = row * columns;
    long end = element + rows * columns;
    long at = 0;
    while (source.isConstant() && element < end) {
      floats.setAtIndex(ValueLayout.JAVA_FLOAT, at++, source.value(element++));
    }
    while (element < end) { // one run of checkpoint elements after the other
      long inRun = element % source.run();
      long count = Math.min(end - element, source.run() - inRun);
      long run = element / source.run();
      long from = source.start().applyAsLong(run % source.runsEach()) + inRun;
      int part = (int) (run / source.runsEach());
      MemorySegment read = floats.asSlice(at * Float.BYTES, count * Float.BYTES);
      read(weights.get(part), from, count, read, area);
      adapter.ifPresent(lora -> lora.add(source.checkpointNames().get(part), from, read));
      element += count;
      at += count;
    }
    try {
      BlockCodec.encode(tensor.type().orElseThrow(), floats, row, rows, columns, encoded);
    } catch (GgufException e) {
      long wrong = row;
      while (wrong < row + rows - 1 && isEncoded(floats.asSlice((wrong - row) * columns * Float.BYTES, columns * Float.BYTES), encoded, rows)) {
        wrong++;
      }
      SafetensorsFile.Tensor from = weights.get((int) (wrong * columns / source.run() / source.runsEach()));
      throw new GgufException("from " + from.name() + " of " + from.file().path() + ": " + e.getMessage(), e);
    }
  }

  /** Of a row alone: several tensors have a share in the rows of one call. */
  private boolean isEncoded(MemorySegment row, MemorySegment encoded, long rows) {
    try {
      BlockCodec.encode(tensor.type().orElseThrow(), row, 0, 1, tensor.columns(), encoded.asSlice(0, encoded.byteSize() / rows));
      return true;
    } catch (GgufException wrong) {
      return false;
    }
  }

  /** Reads elements of a checkpoint's tensor as floats. */
  private static void read(SafetensorsFile.Tensor weights, long first, long count, MemorySegment floats, TensorStream.WorkArea area) throws IOException {
    MemorySegment bytes = area.bytes(count * weights.type().size());
    weights.file().read(weights.offset() + first * weights.type().size(), bytes.asByteBuffer());
    switch (weights.type()) {
      case F32 -> BlockCodec.decode(TensorType.F32, bytes, 1, count, floats);
      case F16 -> BlockCodec.decode(TensorType.F16, bytes, 1, count, floats);
      case BF16 -> BlockCodec.decode(TensorType.BF16, bytes, 1, count, floats);
      case F64 -> {
        ValueLayout.OfDouble layout = ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
        for (long i = 0; i < count; i++) {
          floats.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) bytes.get(layout, i * Double.BYTES));
        }
      }
      default -> throw new GgufException(weights.file().path() + ": tensor " + weights.name() + " is of integers");
    }
  }
}
