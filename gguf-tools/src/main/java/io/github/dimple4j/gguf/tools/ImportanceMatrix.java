package io.github.dimple4j.gguf.tools;

import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.GgufFile;
import io.github.dimple4j.gguf.InputFile;
import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.TensorInfo;
import io.github.dimple4j.gguf.core.TensorRows;
import java.io.IOException;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * How much each column of a matrix matters: the mean square of what it is multiplied with, measured by llama.cpp's
 * llama-imatrix. Reads its GGUF files (tensors {@code NAME.in_sum2} and {@code NAME.counts}) and its older .dat files. Immutable.
 */
final class ImportanceMatrix {
  private static final byte[] GGUF_MAGIC = {'G', 'G', 'U', 'F'};
  private static final String SUMS = ".in_sum2";
  private static final String COUNTS = ".counts";

  private final Path path;
  private final Map<String, float[]> entries = new LinkedHashMap<>();
  private Optional<String> dataset = Optional.empty();
  private long chunks;

  private ImportanceMatrix(Path path) {
    this.path = path;
  }

  static ImportanceMatrix read(Path path) throws IOException {
    ImportanceMatrix matrix = new ImportanceMatrix(path);
    if (isGguf(path)) {
      matrix.readGguf();
    } else {
      matrix.readLegacy();
    }
    if (matrix.entries.isEmpty()) {
      throw new GgufException(path + " holds no importance of any tensor; expected a file of llama-imatrix");
    }
    matrix.entries.forEach(matrix::check);
    return matrix;
  }

  /** Whether it knows any of these tensors; an importance matrix of another model does not. */
  boolean knowsAny(List<TensorInfo> tensors) {
    return tensors.stream().anyMatch(tensor -> entries.containsKey(tensor.name()));
  }

  /**
   * The importance of a tensor's columns.
   *
   * @return {@code [matrices x columns]}, a stack of experts having a row for each; empty if nothing is known of the tensor
   */
  Optional<float[]> of(TensorInfo tensor) {
    float[] values = entries.get(tensor.name());
    if (values == null) {
      return Optional.empty();
    }
    long matrices = tensor.dimensions().size() > 2 ? tensor.dimensions().get(2) : 1;
    if (values.length != matrices * tensor.columns()) {
      throw new GgufException(path + ": the importance of tensor " + tensor.name() + " has " + values.length + " values; expected "
          + matrices * tensor.columns());
    }
    return Optional.of(values);
  }

  /** llama.cpp's keys, which say in the quantized file what it was made with. */
  Map<String, MetadataValue> metadata() {
    Map<String, MetadataValue> keys = new LinkedHashMap<>();
    keys.put("quantize.imatrix.file", MetadataValue.string(path.toString()));
    dataset.ifPresent(name -> keys.put("quantize.imatrix.dataset", MetadataValue.string(name)));
    keys.put("quantize.imatrix.entries_count", MetadataValue.uint32(entries.size()));
    if (chunks > 0) {
      keys.put("quantize.imatrix.chunks_count", MetadataValue.uint32(chunks));
    }
    return keys;
  }

  private static boolean isGguf(Path path) throws IOException {
    try (InputFile file = new InputFile(path)) {
      ByteBuffer magic = ByteBuffer.allocate((int) Math.min(file.size(), GGUF_MAGIC.length));
      file.read(0, magic);
      return Arrays.equals(magic.array(), GGUF_MAGIC);
    }
  }

  private void readGguf() throws IOException {
    try (GgufFile file = GgufFile.open(path)) {
      for (TensorInfo sums : file.tensors()) {
        if (sums.name().endsWith(SUMS)) {
          String name = sums.name().substring(0, sums.name().length() - SUMS.length());
          TensorInfo counts = file.tensor(name + COUNTS)
              .orElseThrow(() -> new GgufException(path + ": tensor " + name + COUNTS + " is missing"));
          entries.put(name, means(file, sums, counts));
        }
      }
      MetadataValue datasets = file.metadata().get("imatrix.datasets");
      dataset = datasets == null ? Optional.empty() : datasets.elements().stream().map(String::valueOf).findFirst();
      chunks = file.metadata().get("imatrix.chunk_count") instanceof MetadataValue count && count.value() instanceof Long number
          ? number : 0;
    }
  }

  /** Sums of squares over counts; an expert that never ran has all columns equal. */
  private float[] means(GgufFile file, TensorInfo sums, TensorInfo counts) throws IOException {
    if (counts.elements() != sums.rows() || sums.elements() > Integer.MAX_VALUE - 8) {
      throw new GgufException(path + ": tensors " + sums.name() + " " + sums.shape() + " and " + counts.name() + " " + counts.shape()
          + " do not fit; expected a count per row");
    }
    float[] values = TensorRows.read(file, sums, 0, (int) sums.rows());
    float[] times = TensorRows.read(file, counts, 0, (int) counts.rows());
    int columns = (int) sums.columns();
    for (int i = 0; i < values.length; i++) {
      float count = times[i / columns];
      values[i] = count > 0 ? values[i] / count : 1;
    }
    return values;
  }

  /** Little-endian: a count of entries, each a name, a number of calls, a count of values and the values; then the data set. */
  private void readLegacy() throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(path)).order(ByteOrder.LITTLE_ENDIAN);
    try {
      int count = bytes.getInt();
      for (int i = 0; i < count; i++) {
        String name = legacyText(bytes);
        int calls = bytes.getInt();
        float[] values = new float[legacyCount(bytes, Float.BYTES)];
        bytes.asFloatBuffer().get(values);
        bytes.position(bytes.position() + values.length * Float.BYTES);
        for (int j = 0; j < values.length && calls > 1; j++) {
          values[j] /= calls;
        }
        entries.put(name, values);
      }
      if (bytes.hasRemaining()) {
        chunks = bytes.getInt();
        dataset = Optional.of(legacyText(bytes));
      }
    } catch (BufferUnderflowException e) {
      throw new GgufException(path + " is no importance matrix, or is cut: it ends at byte " + bytes.position()
          + " within what it says it holds", e);
    }
  }

  private String legacyText(ByteBuffer bytes) {
    byte[] text = new byte[legacyCount(bytes, 1)];
    bytes.get(text);
    return new String(text, StandardCharsets.UTF_8);
  }

  /** A count of things of {@code size} bytes that are there. */
  private static int legacyCount(ByteBuffer bytes, int size) {
    int count = bytes.getInt();
    if (count < 0 || count > bytes.remaining() / size) {
      throw new BufferUnderflowException();
    }
    return count;
  }

  private void check(String name, float[] values) {
    for (int i = 0; i < values.length; i++) {
      if (!Float.isFinite(values[i]) || values[i] < 0) {
        throw new GgufException(path + ": the importance of column " + i + " of tensor " + name + " is " + values[i]
            + "; expected a finite number of at least 0");
      }
    }
  }
}
