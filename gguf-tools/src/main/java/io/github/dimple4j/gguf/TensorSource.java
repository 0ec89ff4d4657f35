package io.github.dimple4j.gguf;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * A tensor of a GGUF file and where a checkpoint has its elements: element {@code i} is the checkpoint tensor's element
 * {@code first + i / run * stride + i % run}.
 *
 * @param name in the GGUF file
 * @param dimensions in the GGUF file, fastest first
 * @param checkpointName in the checkpoint
 * @param checkpointShape in the checkpoint, slowest first
 * @param first the first element's index
 * @param run elements that follow one another in the checkpoint
 * @param stride from one run's start to the next one's
 */
record TensorSource(String name, List<Long> dimensions, String checkpointName, List<Long> checkpointShape, long first, long run,
    long stride) {

  /** All of a checkpoint tensor; {@code shape} is the checkpoint's, e.g. {@code [rows, columns]}. */
  static TensorSource whole(String name, String checkpointName, long... shape) {
    List<Long> checkpointShape = list(shape);
    List<Long> dimensions = new ArrayList<>(checkpointShape);
    Collections.reverse(dimensions);
    long elements = product(checkpointShape);
    return new TensorSource(name, List.copyOf(dimensions), checkpointName, checkpointShape, 0, elements, elements);
  }

  /** The {@code part}-th of {@code parts} equal groups of rows of a checkpoint tensor {@code [rows, columns]} or {@code [rows]}. */
  static TensorSource rows(String name, String checkpointName, int part, int parts, long... shape) {
    List<Long> dimensions = new ArrayList<>();
    for (int i = shape.length - 1; i > 0; i--) {
      dimensions.add(shape[i]);
    }
    dimensions.add(shape[0] / parts);
    long elements = product(dimensions);
    return new TensorSource(name, List.copyOf(dimensions), checkpointName, list(shape), part * elements, elements, elements);
  }

  /** Index {@code at} of the dimension {@code axis} (slowest first) of a checkpoint tensor, which loses that dimension. */
  static TensorSource slice(String name, String checkpointName, int axis, int at, long... shape) {
    List<Long> dimensions = new ArrayList<>();
    long run = 1;
    for (int i = shape.length - 1; i >= 0; i--) {
      if (i != axis) {
        dimensions.add(shape[i]);
      }
      if (i > axis) {
        run *= shape[i];
      }
    }
    return new TensorSource(name, List.copyOf(dimensions), checkpointName, list(shape), at * run, run, run * shape[axis]);
  }

  long elements() {
    return product(dimensions);
  }

  private static List<Long> list(long... values) {
    List<Long> result = new ArrayList<>(values.length);
    for (long value : values) {
      result.add(value);
    }
    return List.copyOf(result);
  }

  private static long product(List<Long> values) {
    return values.stream().reduce(1L, Math::multiplyExact);
  }
}
