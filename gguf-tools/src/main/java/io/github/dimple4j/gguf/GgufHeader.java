package io.github.dimple4j.gguf;

import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What stands before the tensors' data in a GGUF file, read and checked: metadata, and the list of the tensors and their places. */
final class GgufHeader {
  private static final int MAGIC = 0x46554747; // "GGUF", little-endian
  private static final int MAX_KEY = 65535;
  private static final int MAX_NAME = 64;
  private static final int MAX_DIMENSIONS = 4;
  private static final long DEFAULT_ALIGNMENT = 32;
  private static final long MIN_ALIGNMENT = 8;

  private final Path path;
  private final long size;
  private final Map<String, MetadataValue> metadata = new LinkedHashMap<>();
  private final Map<String, TensorInfo> tensors = new LinkedHashMap<>();
  private int version;
  private long alignment = DEFAULT_ALIGNMENT;
  private long dataStart;

  private GgufHeader(Path path, long size) {
    this.path = path;
    this.size = size;
  }

  /**
   * Reads a header.
   *
   * @param path of the file, for messages
   * @param bytes all of the file, of which only the header is touched
   */
  static GgufHeader read(Path path, MemorySegment bytes) {
    GgufHeader header = new GgufHeader(path, bytes.byteSize());
    header.read(new HeaderCursor(path, bytes));
    return header;
  }

  int version() {
    return version;
  }

  long alignment() {
    return alignment;
  }

  /** Bytes from the start of the file to the tensors' data. */
  long dataStart() {
    return dataStart;
  }

  /** In the file's order. */
  Map<String, MetadataValue> metadata() {
    return metadata;
  }

  /** By name, in the file's order. */
  Map<String, TensorInfo> tensors() {
    return tensors;
  }

  private void read(HeaderCursor cursor) {
    if (size < 4 || cursor.int32() != MAGIC) {
      throw new GgufException(path + " is not a GGUF file: it does not start with \"GGUF\"");
    }
    version = cursor.int32();
    if (version != 2 && version != 3) {
      String kind = Integer.reverseBytes(version) == 2 || Integer.reverseBytes(version) == 3 ? "big-endian" : "version " + version;
      throw new GgufException(path + " is a GGUF file of " + kind + "; expected version 2 or 3, little-endian");
    }
    long tensorCount = cursor.count("tensors", 8 + 1 + 4 + 8 + 4 + 8);
    long keyCount = cursor.count("keys", 8 + 1 + 4 + 1);
    for (long i = 0; i < keyCount; i++) {
      readKey(cursor);
    }
    readAlignment();
    for (long i = 0; i < tensorCount; i++) {
      readTensor(cursor);
    }
    dataStart = (cursor.offset() + alignment - 1) / alignment * alignment;
    checkPlaces();
  }

  private void readKey(HeaderCursor cursor) {
    long at = cursor.offset();
    String key = cursor.string();
    if (key.isEmpty() || key.length() > MAX_KEY) {
      throw cursor.malformed(at, "a metadata key is empty or longer than " + MAX_KEY + " bytes");
    }
    MetadataType type = cursor.type("key " + key);
    MetadataValue value = type == MetadataType.ARRAY ? readArray(cursor, key) : MetadataValue.scalar(type, cursor.scalar(type, key));
    if (metadata.put(key, value) != null) {
      throw cursor.malformed(at, "the key " + key + " is there twice");
    }
  }

  private MetadataValue readArray(HeaderCursor cursor, String key) {
    MetadataType elementType = cursor.type("the elements of key " + key);
    if (elementType == MetadataType.ARRAY) {
      throw new GgufException(path + ": key " + key + " is an array of arrays, which is not supported");
    }
    long count = cursor.count("elements of key " + key, elementType.size());
    List<Object> elements = new ArrayList<>((int) Math.min(count, 1 << 16));
    for (long i = 0; i < count; i++) {
      elements.add(cursor.scalar(elementType, key));
    }
    return MetadataValue.array(elementType, elements);
  }

  private void readAlignment() {
    MetadataValue value = metadata.get("general.alignment");
    if (value == null) {
      return;
    }
    if (!(value.value() instanceof Long bytes) || bytes < MIN_ALIGNMENT || bytes > 1 << 30 || Long.bitCount(bytes) != 1) {
      throw new GgufException(path + ": general.alignment is " + value.value() + "; expected a power of two from " + MIN_ALIGNMENT
          + " on");
    }
    alignment = bytes;
  }

  private void readTensor(HeaderCursor cursor) {
    long at = cursor.offset();
    String name = cursor.string();
    if (name.isEmpty() || name.getBytes(StandardCharsets.UTF_8).length > MAX_NAME) {
      throw cursor.malformed(at, "a tensor's name is empty or longer than " + MAX_NAME + " bytes");
    }
    int dimensionCount = cursor.int32();
    if (dimensionCount < 1 || dimensionCount > MAX_DIMENSIONS) {
      throw cursor.malformed(at, "tensor " + name + " has " + Integer.toUnsignedString(dimensionCount) + " dimensions; expected 1 to "
          + MAX_DIMENSIONS);
    }
    List<Long> dimensions = new ArrayList<>(dimensionCount);
    for (int i = 0; i < dimensionCount; i++) {
      dimensions.add(cursor.int64());
    }
    TensorInfo tensor = new TensorInfo(name, cursor.int32(), dimensions, cursor.int64());
    checkShape(tensor);
    if (tensors.put(name, tensor) != null) {
      throw cursor.malformed(at, "the tensor " + name + " is there twice");
    }
  }

  private void checkShape(TensorInfo tensor) {
    String where = path + ": tensor " + tensor.name() + ": ";
    try {
      if (tensor.dimensions().stream().anyMatch(dimension -> dimension < 1)) {
        throw new GgufException(where + "shape " + tensor.shape() + " has a dimension below 1");
      }
      int blockLength = tensor.type().map(TensorType::blockLength).orElse(1);
      if (tensor.columns() % blockLength != 0) {
        throw new GgufException(where + "rows of " + tensor.columns() + " do not divide into " + tensor.typeName() + " blocks of "
            + blockLength);
      }
      if (tensor.elements() < 1 || tensor.size() < 0) {
        throw new ArithmeticException();
      }
    } catch (ArithmeticException e) {
      throw new GgufException(where + "shape " + tensor.shape() + " is too large", e);
    }
    if (tensor.offset() < 0 || tensor.offset() % alignment != 0) {
      throw new GgufException(where + "offset " + Long.toUnsignedString(tensor.offset()) + " is not a multiple of " + alignment);
    }
  }

  /**
   * Every tensor lies within the file, and they lie one behind the other, each at the next multiple of the alignment, as GGML's
   * own reader asks: a wrong type or shape shows here. Behind a tensor of unknown type any place is right.
   */
  private void checkPlaces() {
    long room = size - dataStart;
    TensorInfo previous = null;
    for (TensorInfo tensor : tensors.values().stream().sorted(Comparator.comparingLong(TensorInfo::offset)).toList()) {
      if (tensor.offset() > room || tensor.size() > room - tensor.offset()) {
        throw new GgufException(path + ": tensor " + tensor.name() + " takes " + tensor.size() + " bytes at offset " + tensor.offset()
            + ", but there are " + Math.max(0, room) + " bytes of data; is the file cut?");
      }
      long free = previous == null ? 0 : previous.offset() + Math.max(1, previous.size());
      if (tensor.offset() < free) {
        throw new GgufException(path + ": tensors " + previous.name() + " and " + tensor.name() + " overlap");
      }
      if ((previous == null || previous.size() > 0) && tensor.offset() - free >= alignment) {
        throw new GgufException(path + ": " + (previous == null ? "no tensor" : "tensor " + previous.name()) + " ends at offset " + free
            + ", but the next one, " + tensor.name() + ", starts at " + tensor.offset() + ": type or shape is wrong");
      }
      previous = tensor;
    }
  }
}
