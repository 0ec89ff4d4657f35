package io.github.dimple4j.gguf.architecture;

import java.util.ArrayList;
import java.util.List;
import java.util.function.LongUnaryOperator;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

/**
 * A tensor of a GGUF file and where a checkpoint has its elements: in runs of {@code run} elements that follow one another,
 * the n-th of which starts at the checkpoint tensor's element {@code start(n)}. Several checkpoint tensors have an equal share of the
 * elements, one after the other, and their runs are numbered each from 0.
 *
 * @param name in the GGUF file
 * @param dimensions in the GGUF file, fastest first
 * @param checkpointNames in the checkpoint
 * @param checkpointShape of each of them in the checkpoint, slowest first
 * @param run elements per run
 * @param start from the number of a run to its first element; of a constant, which has no checkpoint tensors, to the bits of a number
 */
public record TensorSource(String name, List<Long> dimensions, List<String> checkpointNames, List<Long> checkpointShape, long run,
    LongUnaryOperator start) {

  /** All of a checkpoint tensor; {@code shape} is the checkpoint's, e.g. {@code [rows, columns]}. */
  static TensorSource whole(String name, String checkpointName, long... shape) {
    return rows(name, checkpointName, 0, 1, shape);
  }

  /** The {@code part}-th of {@code parts} equal groups of rows of a checkpoint tensor {@code [rows, columns]} or {@code [rows]}. */
  static TensorSource rows(String name, String checkpointName, int part, int parts, long... shape) {
    long[] group = shape.clone();
    group[0] /= parts;
    List<Long> dimensions = list(group).reversed();
    long elements = product(dimensions);
    return new TensorSource(name, dimensions, List.of(checkpointName), list(shape), elements, n -> part * elements);
  }

  /** Index {@code at} of the dimension {@code axis} (slowest first) of a checkpoint tensor, which loses that dimension. */
  static TensorSource slice(String name, String checkpointName, int axis, int at, long... shape) {
    List<Long> dimensions = new ArrayList<>(list(shape));
    dimensions.remove(axis);
    long run = product(list(shape).subList(axis + 1, shape.length));
    return new TensorSource(name, List.copyOf(dimensions.reversed()), List.of(checkpointName), list(shape), run,
        n -> (n * shape[axis] + at) * run);
  }

  /**
   * A query or key matrix {@code [rows, columns]} for rotary embeddings of neighbouring elements. The checkpoint rotates element
   * i of a head with element i + size / 2; GGUF's {@code llada}, as LLaMA, has such pairs next to each other.
   */
  static TensorSource interleaved(String name, String checkpointName, int headSize, long rows, long columns) {
    return new TensorSource(name, List.of(columns, rows), List.of(checkpointName), List.of(rows, columns), columns, row -> {
      long inHead = row % headSize;
      return (row - inHead + inHead % 2 * (headSize / 2) + inHead / 2) * columns;
    });
  }

  /** As many matrices {@code [rows, columns]} as there are experts; {@code format} makes the names of their numbers. */
  static TensorSource bank(String name, String format, int experts, long rows, long columns) {
    List<String> names = IntStream.range(0, experts).mapToObj(format::formatted).toList();
    return new TensorSource(name, List.of(columns, rows, (long) experts), names, List.of(rows, columns), rows * columns, run -> 0);
  }

  /** One number, without dimensions in the checkpoint. */
  static TensorSource scalar(String name, String checkpointName) {
    return new TensorSource(name, List.of(1L), List.of(checkpointName), List.of(), 1, run -> 0);
  }

  /** A matrix over square patches whose pixels have their channels together, as the kernel of a convolution, channel by channel. */
  static TensorSource channelsFirst(String name, String checkpointName, long rows, int side, int channels) {
    long area = (long) side * side;
    return new TensorSource(name, List.of((long) side, (long) side, (long) channels, rows), List.of(checkpointName), List.of(rows, channels * area), 1,
        n -> n / (channels * area) * channels * area + n % area * channels + n / area % channels);
  }

  /** Numbers that no checkpoint has: they follow from its configuration. */
  static TensorSource constant(String name, float... values) {
    float[] copy = values.clone();
    return new TensorSource(name, List.of((long) copy.length), List.of(), List.of(), 1, n -> Float.floatToRawIntBits(copy[(int) n]));
  }

  /** Whether this is a {@linkplain #value constant}. */
  public boolean isConstant() {
    return checkpointNames.isEmpty();
  }

  /** Element {@code index} of a constant. */
  public float value(long index) {
    return Float.intBitsToFloat((int) start.applyAsLong(index));
  }

  /** The same under other names in the checkpoint. */
  TensorSource named(UnaryOperator<String> naming) {
    return new TensorSource(name, dimensions, checkpointNames.stream().map(naming).toList(), checkpointShape, run, start);
  }

  /** Adds a matrix {@code [rows, columns]} and its bias {@code [rows]}. */
  static void addLinear(List<TensorSource> list, String to, String from, long rows, long columns) {
    list.add(whole(to + ".weight", from + ".weight", rows, columns));
    list.add(whole(to + ".bias", from + ".bias", rows));
  }

  public long elements() {
    return product(dimensions);
  }

  /** Runs of each of the checkpoint tensors. */
  public long runsEach() {
    return elements() / run / checkpointNames.size();
  }

  private static List<Long> list(long... values) {
    return LongStream.of(values).boxed().toList();
  }

  private static long product(List<Long> values) {
    return values.stream().reduce(1L, Math::multiplyExact);
  }
}
