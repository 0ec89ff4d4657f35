package io.github.dimple4j.gguf.checkpoint;

import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.InputFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.JsonNode;

/**
 * A safetensors file: a 64-bit header length, a JSON header, and the tensors' raw little-endian data. Every length and offset
 * is checked when the file is opened. Data comes by positioned reads, not by mapping: the pages of a mapping would count as
 * this process's memory. Any number of threads may read. Format: the "Format" section of safetensors' README.
 */
public final class SafetensorsFile implements AutoCloseable {
  /** The limit of the reference implementation. */
  private static final long MAX_HEADER = 100_000_000;

  /** Element types of a checkpoint's weights, and those of integers, which are no weights. */
  public enum DataType {
    F64(8, true),
    F32(4, true),
    F16(2, true),
    BF16(2, true),
    I64(8, false),
    U64(8, false),
    I32(4, false),
    U32(4, false),
    I16(2, false),
    U16(2, false),
    I8(1, false),
    U8(1, false),
    BOOL(1, false);

    private final int size;
    private final boolean weight;

    DataType(int size, boolean weight) {
      this.size = size;
      this.weight = weight;
    }

    /** Whether weights come in it. */
    public boolean isWeight() {
      return weight;
    }

    /** Bytes of an element. */
    public int size() {
      return size;
    }
  }

  /** Shape as in the file, slowest dimension first; offset from the start of the file, in bytes. */
  public record Tensor(SafetensorsFile file, String name, DataType type, List<Long> shape, long elements, long offset) {
    private static final int COMPARED = 1 << 20; // bytes at a time

    /** Whether another tensor has the same elements, of the same type and in the same shape. */
    public boolean isSame(Tensor other) throws IOException {
      if (type != other.type || !shape.equals(other.shape)) {
        return false;
      }
      long size = elements * type.size();
      for (long at = 0; at < size; at += COMPARED) {
        ByteBuffer mine = ByteBuffer.allocate((int) Math.min(COMPARED, size - at));
        ByteBuffer theirs = ByteBuffer.allocate(mine.capacity());
        file.read(offset + at, mine);
        other.file.read(other.offset + at, theirs);
        if (!mine.clear().equals(theirs.clear())) {
          return false;
        }
      }
      return true;
    }
  }

  private final InputFile input;
  private final Path path;
  private final Map<String, Tensor> tensors = new LinkedHashMap<>();

  public SafetensorsFile(Path path) throws IOException {
    this.input = new InputFile(path);
    this.path = path;
    try {
      readHeader();
    } catch (IOException | RuntimeException e) {
      input.close();
      throw e;
    }
  }

  public Path path() {
    return path;
  }

  public Map<String, Tensor> tensors() {
    return tensors;
  }

  /** Fills {@code target} with the file's bytes from {@code offset} on. */
  public void read(long offset, ByteBuffer target) throws IOException {
    input.read(offset, target);
  }

  @Override
  public void close() throws IOException {
    input.close();
  }

  private void readHeader() throws IOException {
    long size = input.size();
    if (size < Long.BYTES) {
      throw new GgufException(path + ": " + size + " bytes are too few for a safetensors file");
    }
    ByteBuffer length = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    read(0, length);
    long headerSize = length.getLong(0);
    if (headerSize < 2 || headerSize > Math.min(MAX_HEADER, size - Long.BYTES)) {
      throw new GgufException(path + ": a header of " + Long.toUnsignedString(headerSize) + " bytes in a file of " + size
          + " bytes is not a safetensors file's");
    }
    byte[] header = new byte[(int) headerSize];
    read(Long.BYTES, ByteBuffer.wrap(header));
    long dataStart = Long.BYTES + headerSize;
    JsonNode json = Json.parse(path + " (header)", header);
    for (Map.Entry<String, JsonNode> entry : json.properties()) {
      if (!entry.getKey().equals("__metadata__")) {
        tensors.put(entry.getKey(), tensor(entry.getKey(), entry.getValue(), dataStart, size));
      }
    }
    refuseFormat(json.path("__metadata__").path("format").asString(""));
    refuseOverlaps(dataStart, size);
  }

  /** Other libraries than PyTorch keep some matrices the other way round, which no shape tells of a square one. */
  private void refuseFormat(String format) {
    if (format.equals("tf") || format.equals("flax")) {
      throw new GgufException(path + ": its weights are laid out for \"" + format + "\"; expected \"pt\"");
    }
  }

  private Tensor tensor(String name, JsonNode entry, long dataStart, long fileSize) {
    DataType type = dataType(name, entry.path("dtype").asString(""));
    List<Long> shape = new ArrayList<>();
    long elements = 1;
    if (!entry.path("shape").isArray()) {
      throw new GgufException(where(name) + "it has no \"shape\"");
    }
    for (JsonNode dimension : entry.path("shape")) {
      if (!isLong(dimension) || dimension.longValue() < 0) {
        throw new GgufException(where(name) + "shape " + entry.path("shape") + " is not a list of sizes");
      }
      shape.add(dimension.longValue());
      try {
        elements = Math.multiplyExact(elements, dimension.longValue());
      } catch (ArithmeticException e) {
        throw new GgufException(where(name) + "shape " + entry.path("shape") + " is too large", e);
      }
    }
    JsonNode offsets = entry.path("data_offsets");
    if (offsets.size() != 2 || !isLong(offsets.get(0)) || !isLong(offsets.get(1))) {
      throw new GgufException(where(name) + "\"data_offsets\" are not two numbers");
    }
    long begin = offsets.get(0).longValue();
    long end = offsets.get(1).longValue();
    if (begin < 0 || end < begin || end > fileSize - dataStart) {
      throw new GgufException(where(name) + "bytes " + begin + " to " + end + " lie outside the " + (fileSize - dataStart)
          + " bytes of data; is the file cut?");
    }
    if (elements > Long.MAX_VALUE / type.size || end - begin != elements * type.size) {
      throw new GgufException(where(name) + (end - begin) + " bytes do not hold shape " + shape + " of " + type);
    }
    return new Tensor(this, name, type, List.copyOf(shape), elements, dataStart + begin);
  }

  private static boolean isLong(JsonNode number) {
    return number.isIntegralNumber() && number.canConvertToLong();
  }

  private DataType dataType(String name, String text) {
    for (DataType type : DataType.values()) {
      if (type.name().equals(text)) {
        return type;
      }
    }
    throw new GgufException(where(name) + "element type \"" + text + "\" is not one of " + Arrays.toString(DataType.values()).replaceAll("[\\[\\]]", ""));
  }

  /** All data is of one tensor each, as the format asks: with bytes that are none's, some tensor's place is probably wrong. */
  private void refuseOverlaps(long dataStart, long fileSize) {
    long end = dataStart;
    Tensor previous = null;
    for (Tensor next : tensors.values().stream().filter(tensor -> tensor.elements > 0).sorted(Comparator.comparingLong(Tensor::offset)).toList()) {
      if (next.offset < end) {
        throw new GgufException(where(next.name) + "its data overlaps that of tensor " + previous.name);
      }
      requireUsed(end - dataStart, next.offset - dataStart);
      end = next.offset + next.elements * next.type.size;
      previous = next;
    }
    requireUsed(end - dataStart, fileSize - dataStart);
  }

  private void requireUsed(long begin, long end) {
    if (begin != end) {
      throw new GgufException(path + ": bytes " + begin + " to " + end + " of the data are no tensor's; is the file damaged?");
    }
  }

  private String where(String name) {
    return path + ": tensor " + name + ": ";
  }
}
