package io.github.dimple4j.gguf;

import java.util.Locale;
import java.util.Optional;

/** GGUF's metadata value types; the ordinal is the number in the file. */
public enum MetadataType {
  /** Unsigned byte. */
  UINT8(1),
  /** Signed byte. */
  INT8(1),
  /** Unsigned 16-bit integer. */
  UINT16(2),
  /** Signed 16-bit integer. */
  INT16(2),
  /** Unsigned 32-bit integer. */
  UINT32(4),
  /** Signed 32-bit integer. */
  INT32(4),
  /** IEEE single precision. */
  FLOAT32(4),
  /** One byte, 0 or 1. */
  BOOL(1),
  /** A 64-bit length and as many bytes of UTF-8. */
  STRING(8),
  /** An element type, a 64-bit count and the elements. */
  ARRAY(12),
  /** Unsigned 64-bit integer. */
  UINT64(8),
  /** Signed 64-bit integer. */
  INT64(8),
  /** IEEE double precision. */
  FLOAT64(8);

  private static final MetadataType[] ALL = values();

  private final int size;

  MetadataType(int size) {
    this.size = size;
  }

  /** Bytes of a scalar; for STRING and ARRAY of an empty one. */
  int size() {
    return size;
  }

  /** Whether it is a value of this type, as {@link MetadataValue} has them; of an array its elements say. */
  boolean holds(Object value) {
    return switch (this) {
      case STRING -> value instanceof String;
      case BOOL -> value instanceof Boolean;
      case FLOAT32 -> value instanceof Float;
      case FLOAT64 -> value instanceof Double;
      case UINT8, UINT16, UINT32 -> value instanceof Long number && number >>> Byte.SIZE * size == 0;
      case INT8, INT16, INT32 -> value instanceof Long number && number >> Byte.SIZE * size - 1 == number >> Long.SIZE - 1;
      case UINT64, INT64 -> value instanceof Long;
      case ARRAY -> true;
    };
  }

  static Optional<MetadataType> of(long number) {
    return number >= 0 && number < ALL.length ? Optional.of(ALL[(int) number]) : Optional.empty();
  }

  /**
   * The type's name.
   *
   * @return lower case, e.g. {@code uint32}
   */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
