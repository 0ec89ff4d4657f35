package io.github.dimple4j;

import io.github.dimple4j.bindings.Dimple;
import io.github.dimple4j.bindings.dimple_metadata;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * One key of a model file and its value, copied out of the file.
 *
 * @param type GGUF's value type, {@code DIMPLE_METADATA_*}
 * @param elementType of an array its elements' type, otherwise equal to {@code type}
 * @param count elements of an array, otherwise 1
 * @param data little-endian; laid out as {@code dimple_metadata.data}
 */
record Metadata(String key, int type, int elementType, int count, byte[] data) {
  static Optional<Metadata> find(MemorySegment model, String key) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment value = dimple_metadata.allocate(arena);
      return read(Dimple.dimple_model_find_metadata(model, arena.allocateFrom(key), value), value);
    }
  }

  static List<String> keys(MemorySegment model) {
    List<String> keys = new ArrayList<>();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment value = dimple_metadata.allocate(arena);
      while (true) {
        int status = Dimple.dimple_model_get_metadata(model, keys.size(), value);
        if (status == Dimple.DIMPLE_ERROR_NOT_FOUND()) {
          return List.copyOf(keys);
        }
        Native.check(status);
        keys.add(key(value));
      }
    }
  }

  private static Optional<Metadata> read(int status, MemorySegment value) {
    if (status == Dimple.DIMPLE_ERROR_NOT_FOUND()) {
      return Optional.empty();
    }
    Native.check(status);
    String key = key(value);
    long size = dimple_metadata.size(value);
    if (size < 0 || size > Integer.MAX_VALUE - 8) {
      throw new ModelFileException(key + " has " + Long.toUnsignedString(size) + " bytes, too many for a Java array");
    }
    byte[] data = dimple_metadata.data(value).asSlice(0, size).toArray(ValueLayout.JAVA_BYTE);
    return Optional.of(new Metadata(key, dimple_metadata.type(value), dimple_metadata.element_type(value),
        (int) dimple_metadata.count(value), data)); // an element has at least one byte, so the count fits too
  }

  private static String key(MemorySegment value) {
    byte[] bytes = dimple_metadata.key(value).asSlice(0, dimple_metadata.key_size(value)).toArray(ValueLayout.JAVA_BYTE);
    return new String(bytes, StandardCharsets.UTF_8);
  }

  boolean isArrayOf(int element) {
    return type == Dimple.DIMPLE_METADATA_ARRAY() && elementType == element;
  }

  boolean isString() {
    return type == Dimple.DIMPLE_METADATA_STRING();
  }

  String string() {
    return new String(data, StandardCharsets.UTF_8);
  }

  /** The value as {@link DimpleModel#metadata} hands it out. */
  Object value() {
    ByteBuffer in = ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN);
    if (isString()) {
      return string();
    } else if (type != Dimple.DIMPLE_METADATA_ARRAY()) {
      return scalar(type, in);
    }
    List<Object> elements = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      elements.add(elementType == Dimple.DIMPLE_METADATA_STRING() ? next(in) : scalar(elementType, in));
    }
    return List.copyOf(elements);
  }

  private static String next(ByteBuffer in) {
    byte[] bytes = new byte[(int) in.getLong()];
    in.get(bytes);
    return new String(bytes, StandardCharsets.UTF_8);
  }

  /** The numbers are those of the GGUF specification. */
  private static Object scalar(int type, ByteBuffer in) {
    return switch (type) {
      case 0 -> in.get() & 0xFFL;
      case 1 -> (long) in.get();
      case 2 -> in.getShort() & 0xFFFFL;
      case 3 -> (long) in.getShort();
      case 4 -> in.getInt() & 0xFFFFFFFFL;
      case 5 -> (long) in.getInt();
      case 6 -> (double) in.getFloat();
      case 7 -> in.get() != 0;
      case 10 -> unsigned(in.getLong());
      case 11 -> in.getLong();
      case 12 -> in.getDouble();
      default -> throw new ModelFileException("unknown metadata type " + type);
    };
  }

  private static Object unsigned(long bits) {
    return bits >= 0 ? (Object) bits : new BigInteger(Long.toUnsignedString(bits));
  }
}
