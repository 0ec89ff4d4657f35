package io.github.dimple4j.core;

import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * One key of a model file and its value, copied out of the file.
 *
 * @param key the key
 * @param type GGUF's value type by its number in the specification
 * @param elementType of an array its elements' type, otherwise equal to {@code type}
 * @param count elements of an array, otherwise 1
 * @param data little-endian; laid out as {@code dimple_metadata.data}
 */
public record Metadata(String key, int type, int elementType, int count, byte[] data) {
  private static final int UINT32 = 4;
  private static final int INT32 = 5;
  private static final int FLOAT32 = 6;
  private static final int STRING = 8;
  private static final int ARRAY = 9;

  /** Whether it is an array of strings. */
  public boolean isStringArray() {
    return type == ARRAY && elementType == STRING;
  }

  /** Whether it is an array of 32-bit integers, signed or not. */
  public boolean isIntArray() {
    return type == ARRAY && (elementType == INT32 || elementType == UINT32);
  }

  /** Whether it is an array of 32-bit floats. */
  public boolean isFloatArray() {
    return type == ARRAY && elementType == FLOAT32;
  }

  /** Whether it is a string. */
  public boolean isString() {
    return type == STRING;
  }

  /** The string that it is. */
  public String string() {
    return new String(data, StandardCharsets.UTF_8);
  }

  /** The elements of an array of 32-bit integers. */
  public int[] ints() {
    int[] integers = new int[count];
    ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN).asIntBuffer().get(integers);
    return integers;
  }

  /** The elements of an array of 32-bit floats. */
  public float[] floats() {
    float[] values = new float[count];
    ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(values);
    return values;
  }

  /** The value: a Long, BigInteger (above a long's range), Double, Boolean or String, or an unmodifiable list of one of them. */
  public Object value() {
    ByteBuffer in = ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN);
    if (isString()) {
      return string();
    } else if (type != ARRAY) {
      return scalar(type, in);
    }
    List<Object> elements = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      elements.add(elementType == STRING ? next(in) : scalar(elementType, in));
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
      case UINT32 -> in.getInt() & 0xFFFFFFFFL;
      case INT32 -> (long) in.getInt();
      case 6 -> (double) in.getFloat();
      case 7 -> in.get() != 0;
      case 10 -> unsigned(in.getLong());
      case 11 -> in.getLong();
      case 12 -> in.getDouble();
      default -> throw new CoreException(CoreException.Kind.FORMAT, "unknown metadata type " + type, null);
    };
  }

  private static Object unsigned(long bits) {
    return bits >= 0 ? (Object) bits : new BigInteger(Long.toUnsignedString(bits));
  }
}
