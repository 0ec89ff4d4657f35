package io.github.dimple4j.jni;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/**
 * A field of a C struct that lies in a direct buffer.
 *
 * @param name as in C
 * @param kind what it is
 * @param offset bytes from the struct's start
 */
record Field(String name, Kind kind, int offset) {
  /** What a field may be; TEXT is an array of characters that ends with a NUL. */
  enum Kind { INT, LONG, FLOAT, ADDRESS, TEXT }

  int integer(ByteBuffer struct) {
    return struct.getInt(offset);
  }

  boolean flag(ByteBuffer struct) {
    return integer(struct) != 0;
  }

  /** A number of 64 bits, or an address. */
  long number(ByteBuffer struct) {
    return struct.getLong(offset);
  }

  /** The text of an array. */
  String text(ByteBuffer struct) {
    byte[] bytes = new byte[struct.capacity() - offset];
    struct.duplicate().position(offset).get(bytes);
    int length = 0;
    while (bytes[length] != 0) {
      length++;
    }
    return new String(bytes, 0, length, StandardCharsets.UTF_8);
  }

  void set(ByteBuffer struct, int value) {
    struct.putInt(offset, value);
  }

  /** Sets a number of 64 bits, or an address. */
  void set(ByteBuffer struct, long value) {
    struct.putLong(offset, value);
  }

  /** The number that it is. */
  Number value(ByteBuffer struct) {
    return switch (kind) {
      case INT -> (Number) struct.getInt(offset);
      case LONG -> (Number) struct.getLong(offset);
      case FLOAT -> (Number) struct.getFloat(offset);
      case ADDRESS, TEXT -> throw new IllegalArgumentException(name + " is no number");
    };
  }

  /** Sets it to a number. */
  void set(ByteBuffer struct, Number value) {
    switch (kind) {
      case INT -> struct.putInt(offset, value.intValue());
      case LONG -> struct.putLong(offset, value.longValue());
      case FLOAT -> struct.putFloat(offset, value.floatValue());
      case ADDRESS, TEXT -> throw new IllegalArgumentException(name + " is no number");
    }
  }
}
