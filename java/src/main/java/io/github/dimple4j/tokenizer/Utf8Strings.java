package io.github.dimple4j.tokenizer;

import io.github.dimple4j.arguments.Elements;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/**
 * An immutable list of UTF-8 strings held as one byte array and offsets into it. A vocabulary of 150,000 tokens takes two arrays
 * this way instead of 300,000 objects. Thread-safe.
 */
public final class Utf8Strings {
  private static final VarHandle LONG = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

  final byte[] bytes;
  private final int[] starts;
  private final int[] ends;

  private Utf8Strings(byte[] bytes, int[] starts, int[] ends) {
    this.bytes = bytes;
    this.starts = starts;
    this.ends = ends;
  }

  /**
   * Reads the layout in which GGUF stores an array of strings: for each one a little-endian 64-bit length and its bytes.
   *
   * @param data the elements one after the other; kept, so the caller must not change it
   * @param count number of strings
   * @return the list
   * @throws TokenizerException if the lengths do not fit {@code data}
   */
  public static Utf8Strings ofLengthPrefixed(byte[] data, int count) {
    Objects.requireNonNull(data, "data");
    if (count < 0 || (long) count * Long.BYTES > data.length) {
      throw new TokenizerException(count + " strings cannot fit into " + data.length + " bytes");
    }
    int[] starts = new int[count];
    int[] ends = new int[count];
    int position = 0;
    for (int i = 0; i < count; i++) {
      if (data.length - position < Long.BYTES) {
        throw new TokenizerException("string " + i + " of " + count + " lies behind the end of its array");
      }
      long length = (long) LONG.get(data, position);
      position += Long.BYTES;
      if (length < 0 || length > data.length - position) {
        throw new TokenizerException("string " + i + " of " + count + " has the length " + Long.toUnsignedString(length)
            + ", but " + (data.length - position) + " bytes are left");
      }
      starts[i] = position;
      position += (int) length;
      ends[i] = position;
    }
    return new Utf8Strings(data, starts, ends);
  }

  /**
   * Encodes strings.
   *
   * @param strings any strings
   * @return the list
   */
  public static Utf8Strings of(List<String> strings) {
    byte[][] encoded = Elements.of(strings, "strings").stream().map(s -> s.getBytes(StandardCharsets.UTF_8)).toArray(byte[][]::new);
    byte[] bytes = new byte[Arrays.stream(encoded).mapToInt(b -> b.length).sum()];
    int[] starts = new int[encoded.length];
    int[] ends = new int[encoded.length];
    int position = 0;
    for (int i = 0; i < encoded.length; i++) {
      starts[i] = position;
      System.arraycopy(encoded[i], 0, bytes, position, encoded[i].length);
      position += encoded[i].length;
      ends[i] = position;
    }
    return new Utf8Strings(bytes, starts, ends);
  }

  /**
   * Returns the number of strings.
   *
   * @return the number of strings
   */
  public int size() {
    return starts.length;
  }

  /**
   * Decodes one string.
   *
   * @param index from 0
   * @return the string; malformed UTF-8 becomes U+FFFD
   */
  public String get(int index) {
    return new String(bytes, starts[index], ends[index] - starts[index], StandardCharsets.UTF_8);
  }

  /** The first {@code count} of them. */
  Utf8Strings first(int count) {
    return new Utf8Strings(bytes, Arrays.copyOf(starts, count), Arrays.copyOf(ends, count));
  }

  int start(int index) {
    return starts[index];
  }

  int end(int index) {
    return ends[index];
  }

  /**
   * How many there are, for logs.
   *
   * @return for example {@code "Utf8Strings[152064]"}
   */
  @Override
  public String toString() {
    return "Utf8Strings[" + size() + "]";
  }
}
