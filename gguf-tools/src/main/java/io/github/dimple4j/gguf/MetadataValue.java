package io.github.dimple4j.gguf;

import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;

/**
 * A value of a GGUF metadata key. Immutable.
 *
 * @param type the value's type
 * @param elementType of an {@link MetadataType#ARRAY} its elements' type, otherwise {@code type}
 * @param value {@link Long} for every integer type (a UINT64 above 2^63 as the same 64 bits), {@link Float},
 *     {@link Double}, {@link Boolean}, {@link String}, or for an array the list of its elements
 */
public record MetadataValue(MetadataType type, MetadataType elementType, Object value) {

  /** Copies the list of an array. */
  public MetadataValue {
    if (value instanceof List<?> list) {
      value = List.copyOf(list);
    }
  }

  /**
   * A string.
   *
   * @param value the text
   * @return the metadata value
   */
  public static MetadataValue string(String value) {
    Objects.requireNonNull(value, "value");
    return scalar(MetadataType.STRING, value);
  }

  /**
   * An unsigned 32-bit integer.
   *
   * @param value from 0 to 2^32 - 1
   * @return the metadata value
   */
  public static MetadataValue uint32(long value) {
    return scalar(MetadataType.UINT32, value);
  }

  /**
   * A single-precision number.
   *
   * @param value rounded to it
   * @return the metadata value
   */
  public static MetadataValue float32(double value) {
    return scalar(MetadataType.FLOAT32, (float) value);
  }

  /**
   * A bool.
   *
   * @param value the value
   * @return the metadata value
   */
  public static MetadataValue bool(boolean value) {
    return scalar(MetadataType.BOOL, value);
  }

  /**
   * An array of 32-bit integers.
   *
   * @param values the elements
   * @return the metadata value
   */
  public static MetadataValue int32s(int... values) {
    Objects.requireNonNull(values, "values");
    return array(MetadataType.INT32, IntStream.of(values).mapToObj(v -> (long) v).toList());
  }

  /**
   * An array of single-precision numbers.
   *
   * @param values the elements
   * @return the metadata value
   */
  public static MetadataValue float32s(List<Float> values) {
    Objects.requireNonNull(values, "values");
    return array(MetadataType.FLOAT32, values);
  }

  /**
   * An array of strings.
   *
   * @param values the elements
   * @return the metadata value
   */
  public static MetadataValue strings(List<String> values) {
    Objects.requireNonNull(values, "values");
    return array(MetadataType.STRING, values);
  }

  /**
   * A scalar.
   *
   * @param type not {@link MetadataType#ARRAY}
   * @param value as {@link #value()} says
   * @return the metadata value
   */
  public static MetadataValue scalar(MetadataType type, Object value) {
    Objects.requireNonNull(type, "type");
    Objects.requireNonNull(value, "value");
    return new MetadataValue(type, type, value);
  }

  /**
   * An array.
   *
   * @param elementType a scalar's type
   * @param values the elements, as {@link #value()} says
   * @return the metadata value
   */
  public static MetadataValue array(MetadataType elementType, List<?> values) {
    Objects.requireNonNull(elementType, "elementType");
    Objects.requireNonNull(values, "values");
    return new MetadataValue(MetadataType.ARRAY, elementType, values);
  }

  /**
   * The elements of an array.
   *
   * @return an immutable list; a list of the value itself when it is a scalar
   */
  public List<?> elements() {
    return value instanceof List<?> list ? list : List.of(value);
  }

  /**
   * The type in words.
   *
   * @return e.g. {@code uint32} or {@code array of string}
   */
  public String typeName() {
    return type == MetadataType.ARRAY ? "array of " + elementType : type.toString();
  }
}
