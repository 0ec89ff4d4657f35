package io.github.dimple4j.gguf;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/** A position in the file that moves only over bytes that are there. */
final class HeaderCursor {
  private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final Path path;
  private final MemorySegment bytes;
  private long offset;

  /** Starts at the first byte; {@code path} is for messages. */
  HeaderCursor(Path path, MemorySegment bytes) {
    this.path = path;
    this.bytes = bytes;
  }

  /** Bytes from the start of the file. */
  long offset() {
    return offset;
  }

  private long advance(long count) {
    if (count < 0 || count > bytes.byteSize() - offset) {
      throw malformed(offset, "the file ends within its header");
    }
    long at = offset;
    offset += count;
    return at;
  }

  int int32() {
    return bytes.get(INT, advance(Integer.BYTES));
  }

  long int64() {
    return bytes.get(LONG, advance(Long.BYTES));
  }

  /** A count of things that take at least {@code least} bytes each. */
  long count(String what, long least) {
    long at = offset;
    long count = int64();
    if (count < 0 || count > (bytes.byteSize() - offset) / least) {
      throw malformed(at, Long.toUnsignedString(count) + " " + what + " do not fit into the file");
    }
    return count;
  }

  String string() {
    long at = offset;
    long length = int64();
    if (length < 0 || length > Math.min(bytes.byteSize() - offset, Integer.MAX_VALUE - 8)) {
      throw malformed(at, "a string of " + Long.toUnsignedString(length) + " bytes does not fit into the file");
    }
    byte[] text = bytes.asSlice(advance(length), length).toArray(ValueLayout.JAVA_BYTE);
    return new String(text, StandardCharsets.UTF_8);
  }

  MetadataType type(String what) {
    int number = int32();
    return MetadataType.of(number).orElseThrow(() -> new GgufException(path + ": " + what + " has the unknown type "
        + Integer.toUnsignedString(number)));
  }

  Object scalar(MetadataType type, String key) {
    return switch (type) {
      case UINT8 -> Byte.toUnsignedLong(int8());
      case INT8 -> (long) int8();
      case UINT16 -> Short.toUnsignedLong(bytes.get(SHORT, advance(Short.BYTES)));
      case INT16 -> (long) bytes.get(SHORT, advance(Short.BYTES));
      case UINT32 -> Integer.toUnsignedLong(int32());
      case INT32 -> (long) int32();
      case UINT64, INT64 -> int64();
      case FLOAT32 -> Float.intBitsToFloat(int32());
      case FLOAT64 -> Double.longBitsToDouble(int64());
      case STRING -> string();
      case BOOL -> bool(key);
      case ARRAY -> throw new IllegalArgumentException("an array is not a scalar");
    };
  }

  private byte int8() {
    return bytes.get(ValueLayout.JAVA_BYTE, advance(1));
  }

  private boolean bool(String key) {
    byte value = int8();
    if (value != 0 && value != 1) {
      throw new GgufException(path + ": key " + key + ": a bool is " + value + "; expected 0 or 1");
    }
    return value == 1;
  }

  GgufException malformed(long at, String problem) {
    return new GgufException(path + ": at byte " + at + ": " + problem);
  }
}
