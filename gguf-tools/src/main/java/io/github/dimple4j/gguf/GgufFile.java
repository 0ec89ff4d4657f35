package io.github.dimple4j.gguf;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;

/**
 * A GGUF file, version 2 or 3, little-endian. Metadata and tensor list are read and checked when it is opened: every count,
 * length, type, offset and alignment. Unlike a model that is run, a file with unknown tensor types opens. Format: ggml's
 * docs/gguf.md.
 *
 * <p>Any number of threads may read an open file.
 */
public final class GgufFile implements AutoCloseable {
  private final InputFile input;
  private final GgufHeader header;

  private GgufFile(InputFile input, GgufHeader header) {
    this.input = input;
    this.header = header;
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
    Objects.requireNonNull(path, "path");
    InputFile input = new InputFile(path);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment bytes = input.channel().map(FileChannel.MapMode.READ_ONLY, 0, input.size(), arena);
      return new GgufFile(input, GgufHeader.read(path, bytes));
    } catch (IOException | RuntimeException e) {
      input.close();
      throw e;
    }
  }

  /**
   * The file's path.
   *
   * @return as given to {@link #open}
   */
  public Path path() {
    return input.path();
  }

  /**
   * The file's size.
   *
   * @return bytes
   */
  public long fileSize() {
    return input.size();
  }

  /**
   * The format's version.
   *
   * @return 2 or 3
   */
  public int version() {
    return header.version();
  }

  /**
   * What the tensors' offsets are multiples of.
   *
   * @return bytes, a power of two
   */
  public long alignment() {
    return header.alignment();
  }

  /**
   * Where the tensors' data starts.
   *
   * @return bytes from the start of the file
   */
  public long dataStart() {
    return header.dataStart();
  }

  /**
   * All metadata.
   *
   * @return keys in the file's order; immutable
   */
  public Map<String, MetadataValue> metadata() {
    return Collections.unmodifiableMap(header.metadata());
  }

  /**
   * All tensors.
   *
   * @return in the file's order; immutable
   */
  public List<TensorInfo> tensors() {
    return List.copyOf(header.tensors().values());
  }

  /**
   * The tensor with a name.
   *
   * @param name e.g. {@code token_embd.weight}
   * @return empty if the file has none
   */
  public Optional<TensorInfo> tensor(String name) {
    return Optional.ofNullable(header.tensors().get(name));
  }

  /**
   * Reads rows of a tensor as they stand in the file.
   *
   * @param tensor one of {@link #tensors()}, of a known type
   * @param firstRow the first row wanted
   * @param target filled from its position to its limit: exactly the rows' bytes
   * @throws IOException if reading fails
   */
  public void read(TensorInfo tensor, long firstRow, ByteBuffer target) throws IOException {
    long rowSize = tensor.size() / tensor.rows();
    input.read(header.dataStart() + tensor.offset() + firstRow * rowSize, target);
  }

  /** Closes the file. May be called again. */
  @Override
  public void close() throws IOException {
    input.close();
  }

  /**
   * File and size, for logs; of a closed file, too.
   *
   * @return for example {@code "GgufFile[model.gguf, 339 tensors]"}
   */
  @Override
  public String toString() {
    return "GgufFile[" + path() + ", " + tensors().size() + " tensors]";
  }
}
