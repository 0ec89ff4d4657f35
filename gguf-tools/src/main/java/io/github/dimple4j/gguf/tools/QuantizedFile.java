package io.github.dimple4j.gguf.tools;

import io.github.dimple4j.gguf.TensorType;
import java.util.List;
import java.util.OptionalDouble;

/**
 * What a quantization made of a file, or with a dry run would make of it.
 *
 * @param architecture {@code general.architecture}
 * @param tensors how many tensors it has
 * @param parameters elements of all of them
 * @param sizeBefore bytes of all tensors in the source
 * @param sizeAfter bytes of all tensors in the target
 * @param types totals of each type in the target, in the order of {@link TensorType}
 * @param fallbacks matrices whose rows do not divide into the blocks of the type wanted, and what they are instead
 */
public record QuantizedFile(String architecture, int tensors, long parameters, long sizeBefore, long sizeAfter, List<TypeTotal> types,
    List<TypeFallback> fallbacks) {

  /** Copies the lists. */
  public QuantizedFile {
    types = List.copyOf(types);
    fallbacks = List.copyOf(fallbacks);
  }

  /**
   * The tensors of one type.
   *
   * @param type in the target
   * @param tensors how many there are
   * @param weights their elements
   * @param bytes their size
   * @param rmse root of the mean squared difference to the source's weights; empty after a dry run
   * @param relativeError {@code rmse} over the root mean square of the source's weights; empty after a dry run
   */
  public record TypeTotal(TensorType type, int tensors, long weights, long bytes, OptionalDouble rmse, OptionalDouble relativeError) {}
}
