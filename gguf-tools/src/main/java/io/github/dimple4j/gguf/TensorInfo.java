package io.github.dimple4j.gguf;

import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * A tensor as a GGUF file lists it. Immutable.
 *
 * @param name unique in its file, at most 64 bytes of UTF-8
 * @param typeNumber {@code ggml_type}; {@link #type()} knows the ones that these tools read
 * @param dimensions one to four, fastest first: {@code [columns, rows, ...]}
 * @param offset bytes from the start of the file's data section
 */
public record TensorInfo(String name, int typeNumber, List<Long> dimensions, long offset) {

  /** Copies the dimensions. */
  public TensorInfo {
    dimensions = List.copyOf(dimensions);
  }

  /**
   * The type, if these tools know it.
   *
   * @return empty for another type number
   */
  public Optional<TensorType> type() {
    return TensorType.of(typeNumber);
  }

  /**
   * The type in words.
   *
   * @return e.g. {@code q4_0}, {@code q1_0 (type 41)} for one that is not read, or {@code type 99} for an unknown one
   */
  public String typeName() {
    return TensorType.nameOf(typeNumber);
  }

  /**
   * The length of a row, the fastest dimension.
   *
   * @return at least 1
   */
  public long columns() {
    return dimensions.getFirst();
  }

  /**
   * Elements in all.
   *
   * @return product of the dimensions
   */
  public long elements() {
    long product = 1;
    for (long dimension : dimensions) {
      product = Math.multiplyExact(product, dimension);
    }
    return product;
  }

  /**
   * Rows: the product of all dimensions but the fastest.
   *
   * @return at least 1
   */
  public long rows() {
    return elements() / columns();
  }

  /**
   * Bytes in the file.
   *
   * @return 0 for an unknown type
   */
  public long size() {
    return type().map(t -> Math.multiplyExact(t.rowSize(columns()), rows())).orElse(0L);
  }

  /**
   * The shape in words.
   *
   * @return e.g. {@code [64 x 512]}, fastest dimension first
   */
  public String shape() {
    return shape(dimensions);
  }

  /**
   * Dimensions in words.
   *
   * @param dimensions fastest first
   * @return e.g. {@code [64 x 512]}
   */
  public static String shape(List<Long> dimensions) {
    Objects.requireNonNull(dimensions, "dimensions");
    return dimensions.stream().map(String::valueOf).collect(Collectors.joining(" x ", "[", "]"));
  }
}
