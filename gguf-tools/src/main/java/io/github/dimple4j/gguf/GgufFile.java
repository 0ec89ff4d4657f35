package io.github.dimple4j.gguf;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A GGUF file, version 2 or 3, little-endian. Metadata and tensor list are read and checked when it is opened: every count,
 * length, type, offset and alignment. Unlike a model that is run, a file with unknown tensor types opens. Format: ggml's
 * docs/gguf.md.
 *
 * <p>Any number of threads may read an open file.
 */
public final class GgufFile implements AutoCloseable {
  private static final int MAGIC = 0x46554747; // "GGUF", little-endian
  private static final int MAX_KEY = 65535;
  private static final int MAX_NAME = 64;
  private static final int MAX_DIMENSIONS = 4;
  private static final long DEFAULT_ALIGNMENT = 32;
  private static final long MIN_ALIGNMENT = 8;

  private final InputFile input;
  private final Path path;
  private final long size;
  private final Map<String, MetadataValue> metadata = new LinkedHashMap<>();
  private final Map<String, TensorInfo> tensors = new LinkedHashMap<>();
  private int version;
  private long alignment = DEFAULT_ALIGNMENT;
  private long dataStart;

  private GgufFile(InputFile input) {
    this.input = input;
    this.path = input.path();
    this.size = input.size();
  }

  /**
   * Opens a file and reads its metadata and tensor list.
   *
   * @param path the file
   * @return the open file
   * @throws GgufException if it is not a well-formed GGUF file
   * @throws IOException if it cannot be read
   */
  public static GgufFile open(Path path) throws IOException {
    GgufFile file = new GgufFile(new InputFile(path));
    try (Arena arena = Arena.ofConfined()) {
      Cursor cursor = file.new Cursor(file.input.channel().map(FileChannel.MapMode.READ_ONLY, 0, file.size, arena));
      file.readHeader(cursor);
      return file;
    } catch (IOException | RuntimeException e) {
      file.close();
      throw e;
    }
  }

  /**
   * The file's path.
   *
   * @return as given to {@link #open}
   */
  public Path path() {
    return path;
  }

  /**
   * The file's size.
   *
   * @return bytes
   */
  public long fileSize() {
    return size;
  }

  /**
   * The format's version.
   *
   * @return 2 or 3
   */
  public int version() {
    return version;
  }

  /**
   * What the tensors' offsets are multiples of.
   *
   * @return bytes, a power of two
   */
  public long alignment() {
    return alignment;
  }

  /**
   * Where the tensors' data starts.
   *
   * @return bytes from the start of the file
   */
  public long dataStart() {
    return dataStart;
  }

  /**
   * All metadata.
   *
   * @return keys in the file's order; immutable
   */
  public Map<String, MetadataValue> metadata() {
    return Collections.unmodifiableMap(metadata);
  }

  /**
   * All tensors.
   *
   * @return in the file's order; immutable
   */
  public List<TensorInfo> tensors() {
    return List.copyOf(tensors.values());
  }

  /**
   * The tensor with a name.
   *
   * @param name e.g. {@code token_embd.weight}
   * @return empty if the file has none
   */
  public Optional<TensorInfo> tensor(String name) {
    return Optional.ofNullable(tensors.get(name));
  }

  /**
   * Decodes rows of a tensor, through the C core.
   *
   * @param tensor one of {@link #tensors()}
   * @param firstRow the first row wanted
   * @param rows how many
   * @return {@code [rows x columns]} in row order
   * @throws GgufException if the tensor's type is unknown to the C core
   * @throws IndexOutOfBoundsException if the tensor does not have these rows
   * @throws IOException if reading fails
   */
  public float[] rows(TensorInfo tensor, long firstRow, int rows) throws IOException {
    if (firstRow < 0 || rows < 1 || firstRow > tensor.rows() - rows) {
      throw new IndexOutOfBoundsException("rows " + firstRow + " to " + (firstRow + rows) + " of " + tensor.name());
    }
    TensorType type = tensor.type().orElseThrow(() -> new GgufException(path + ": tensor " + tensor.name() + " is of unknown "
        + tensor.typeName()));
    long rowSize = type.rowSize(tensor.columns());
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment encoded = arena.allocate(rows * rowSize);
      read(tensor, firstRow, encoded);
      MemorySegment floats = arena.allocate(ValueLayout.JAVA_FLOAT, rows * tensor.columns());
      BlockCodec.decode(type, encoded, rows, tensor.columns(), floats);
      return floats.toArray(ValueLayout.JAVA_FLOAT);
    }
  }

  /** Reads rows of a tensor as they stand in the file; {@code target} has exactly their size. */
  void read(TensorInfo tensor, long firstRow, MemorySegment target) throws IOException {
    long rowSize = tensor.size() / tensor.rows();
    input.read(dataStart + tensor.offset() + firstRow * rowSize, target.asByteBuffer());
  }

  /** Closes the file. May be called again. */
  @Override
  public void close() throws IOException {
    input.close();
  }

  private void readHeader(Cursor cursor) {
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
    dataStart = (cursor.offset + alignment - 1) / alignment * alignment;
    checkPlaces();
  }

  private void readKey(Cursor cursor) {
    long at = cursor.offset;
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

  private MetadataValue readArray(Cursor cursor, String key) {
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

  private void readTensor(Cursor cursor) {
    long at = cursor.offset;
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

  /** A position in the file that moves only over bytes that are there. */
  private final class Cursor {
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final MemorySegment bytes;
    private long offset;

    private Cursor(MemorySegment bytes) {
      this.bytes = bytes;
    }

    private long advance(long count) {
      if (count < 0 || count > size - offset) {
        throw malformed(offset, "the file ends within its header");
      }
      long at = offset;
      offset += count;
      return at;
    }

    private int int32() {
      return bytes.get(INT, advance(Integer.BYTES));
    }

    private long int64() {
      return bytes.get(LONG, advance(Long.BYTES));
    }

    /** A count of things that take at least {@code least} bytes each. */
    private long count(String what, long least) {
      long at = offset;
      long count = int64();
      if (count < 0 || count > (size - offset) / least) {
        throw malformed(at, Long.toUnsignedString(count) + " " + what + " do not fit into the file");
      }
      return count;
    }

    private String string() {
      long at = offset;
      long length = int64();
      if (length < 0 || length > Math.min(size - offset, Integer.MAX_VALUE - 8)) {
        throw malformed(at, "a string of " + Long.toUnsignedString(length) + " bytes does not fit into the file");
      }
      byte[] text = bytes.asSlice(advance(length), length).toArray(ValueLayout.JAVA_BYTE);
      return new String(text, StandardCharsets.UTF_8);
    }

    private MetadataType type(String what) {
      int number = int32();
      return MetadataType.of(number).orElseThrow(() -> new GgufException(path + ": " + what + " has the unknown type "
          + Integer.toUnsignedString(number)));
    }

    private Object scalar(MetadataType type, String key) {
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

    private GgufException malformed(long at, String problem) {
      return new GgufException(path + ": at byte " + at + ": " + problem);
    }
  }
}
