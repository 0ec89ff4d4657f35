package io.github.dimple4j.jni;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * Memory of C for one call, which a struct may hold the address of: it all lives until this is closed, and no longer. One thread.
 */
final class Memory implements AutoCloseable {
  private final List<ByteBuffer> buffers = new ArrayList<>();

  /** So many bytes, all zero. */
  ByteBuffer allocate(int size) {
    ByteBuffer buffer = Shim.allocate(size);
    if (buffer == null) {
      throw new OutOfMemoryError("no memory for " + size + " bytes");
    }
    buffers.add(buffer);
    return buffer.order(ByteOrder.nativeOrder());
  }

  /** So many elements of so many bytes. Too many for a buffer are an OutOfMemoryError, as too many for the machine are. */
  ByteBuffer allocate(long count, int elementSize) {
    if (count > Integer.MAX_VALUE / elementSize) {
      throw new OutOfMemoryError("a buffer holds no " + count + " elements of " + elementSize + " bytes");
    }
    return allocate((int) count * elementSize);
  }

  /** Room for a pointer. */
  ByteBuffer pointer() {
    return allocate(Long.BYTES);
  }

  ByteBuffer of(byte[] values) {
    ByteBuffer buffer = allocate(values.length);
    buffer.duplicate().put(values);
    return buffer;
  }

  ByteBuffer of(int[] values) {
    ByteBuffer buffer = allocate(values.length, Integer.BYTES);
    buffer.asIntBuffer().put(values);
    return buffer;
  }

  ByteBuffer of(long[] values) {
    ByteBuffer buffer = allocate(values.length, Long.BYTES);
    buffer.asLongBuffer().put(values);
    return buffer;
  }

  ByteBuffer of(float[] values) {
    ByteBuffer buffer = allocate(values.length, Float.BYTES);
    buffer.asFloatBuffer().put(values);
    return buffer;
  }

  ByteBuffer of(double[] values) {
    ByteBuffer buffer = allocate(values.length, Double.BYTES);
    buffer.asDoubleBuffer().put(values);
    return buffer;
  }

  /** A text as C has it; null: null. A NUL in it would end it early. */
  ByteBuffer of(String text) {
    if (text == null) {
      return null;
    } else if (text.indexOf('\0') >= 0) {
      throw new IllegalArgumentException("the text has a NUL, which ends a text of C");
    }
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    ByteBuffer buffer = allocate(bytes.length + 1);
    buffer.duplicate().put(bytes);
    return buffer;
  }

  /** The bytes that the core has at an address. */
  static byte[] bytes(long address, long size) {
    byte[] bytes = new byte[Math.toIntExact(size)];
    if (bytes.length > 0) {
      Shim.bytes(address, size).get(bytes);
    }
    return bytes;
  }

  /** The numbers that the core has at an address. */
  static int[] ints(long address, int count) {
    int[] values = new int[count];
    if (count > 0) {
      Shim.bytes(address, (long) count * Integer.BYTES).order(ByteOrder.nativeOrder()).asIntBuffer().get(values);
    }
    return values;
  }

  /** The numbers that the core has at an address. */
  static float[] floats(long address, int count) {
    float[] values = new float[count];
    if (count > 0) {
      Shim.bytes(address, (long) count * Float.BYTES).order(ByteOrder.nativeOrder()).asFloatBuffer().get(values);
    }
    return values;
  }

  /** The text that the core has at an address. */
  static String text(long address) {
    return new String(bytes(address, Shim.length(address)), StandardCharsets.UTF_8);
  }

  /** Rows of floats. */
  static float[][] matrix(ByteBuffer floats, int rows, int columns) {
    float[][] matrix = new float[rows][columns];
    var values = floats.asFloatBuffer();
    for (float[] row : matrix) {
      values.get(row);
    }
    return matrix;
  }

  @Override
  public void close() {
    buffers.forEach(Shim::release);
  }
}
