package io.github.dimple4j.gguf;

import io.github.dimple4j.file.UnfinishedFile;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;

/**
 * Writes a GGUF v3 file: the header when it is created, then the tensors' data in their order. The data goes to a file
 * beside the target, which takes the target's name in {@link #commit()}; until then, and after any failure, nothing is
 * left under that name. A link stays a link: the file behind it is replaced. A device or a pipe stays one: the data goes into
 * it from front to back. Format: ggml's docs/gguf.md. One thread at a time.
 */
public final class GgufWriter implements AutoCloseable {
  private static final int MAGIC = 0x46554747; // "GGUF", little-endian
  private static final int VERSION = 3;
  private static final int ALIGNMENT = 32;
  private static final int MAX_NAME = 64;

  /**
   * A tensor to be written.
   *
   * @param name at most 64 bytes of UTF-8
   * @param type of which a row has whole blocks
   * @param dimensions fastest first
   */
  public record Plan(String name, TensorType type, List<Long> dimensions) {}

  private final Path target;
  private final UnfinishedFile partial; // null: into a device or a pipe
  private final FileChannel channel;
  private final List<TensorInfo> tensors;
  private final long dataStart;
  private int tensor;
  private long position; // in the data section
  private long written; // bytes of the file
  private boolean open = true;

  /**
   * Creates the file beside {@code target} and writes its header.
   *
   * @param target the finished file's name
   * @param metadata in the order they are to have; {@code general.alignment} is added
   * @param plans the tensors in their order
   * @param overwrite whether a file called {@code target} may be replaced
   * @throws GgufException when the target exists and may not be replaced, or is a directory, or a key has a value that is none of its type
   * @throws IOException if writing fails; nothing is left then
   */
  public GgufWriter(Path target, Map<String, MetadataValue> metadata, List<Plan> plans, boolean overwrite) throws IOException {
    Objects.requireNonNull(target, "target");
    Objects.requireNonNull(metadata, "metadata");
    Objects.requireNonNull(plans, "plans");
    requireWritable(target, overwrite);
    this.target = target;
    this.tensors = place(plans);
    byte[] header = header(metadata, tensors);
    this.dataStart = align(header.length);
    boolean exists = Files.exists(target);
    this.partial = exists && !Files.isRegularFile(target) ? null : partial(exists ? target.toRealPath() : target);
    this.channel = open();
    try {
      writeFully(ByteBuffer.wrap(header));
    } catch (IOException | RuntimeException e) {
      close();
      throw e;
    }
  }

  private static UnfinishedFile partial(Path place) throws IOException {
    return new UnfinishedFile(place.resolveSibling(".dimple-" + Long.toHexString(ThreadLocalRandom.current().nextLong()) + ".partial"), place);
  }

  private FileChannel open() throws IOException {
    try { // sparse, or Windows writes zeros up to the end that unfinished() gives it
      return partial == null ? FileChannel.open(target, StandardOpenOption.WRITE)
          : partial.open(path -> FileChannel.open(path, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE, StandardOpenOption.SPARSE));
    } catch (IOException e) {
      if (partial != null) {
        partial.close();
      }
      throw e instanceof FileSystemException f ? new IOException("cannot write " + target + ": " + reason(f), e) : e; // the former names a file that nobody has heard of
    }
  }

  private static String reason(FileSystemException e) {
    return e instanceof AccessDeniedException ? "access denied" : e.getReason() == null ? e.getClass().getSimpleName() : e.getReason();
  }

  /**
   * Refuses a target that cannot be written, before any work is done for it.
   *
   * @param target the finished file's name
   * @param overwrite whether a file of this name may be replaced
   * @throws GgufException if it is a directory, is in none, or exists and may not be replaced
   */
  public static void requireWritable(Path target, boolean overwrite) {
    Objects.requireNonNull(target, "target");
    Path folder = target.toAbsolutePath().getParent();
    if (target.toString().equals("-")) {
      throw new GgufException("- is no file to write: a model file cannot go to standard output (./- is a file of that name)");
    }
    if (Files.isDirectory(target)) {
      throw new GgufException(target + " is a directory");
    }
    if (folder == null || !Files.isDirectory(folder)) {
      throw new GgufException(target + ": there is no directory " + folder);
    }
    if (Files.isSymbolicLink(target) && !Files.exists(target)) {
      throw new GgufException(target + " is a link to a file that does not exist");
    }
    if (!overwrite && Files.exists(target)) {
      throw new GgufException(target + " exists already");
    }
    try {
      Files.readAttributes(target, BasicFileAttributes.class);
    } catch (NoSuchFileException e) {
      // It can be made.
    } catch (AccessDeniedException e) {
      throw new GgufException(target + ": access denied", e);
    } catch (IOException e) {
      throw new GgufException(e.getMessage(), e); // its name is too long, for example
    }
  }

  /**
   * The tensors with their places in the file.
   *
   * @return in the order in which they are written; immutable
   */
  public List<TensorInfo> tensors() {
    return tensors;
  }

  /**
   * The finished file's size.
   *
   * @return bytes
   */
  public long fileSize() {
    return tensors.isEmpty() ? dataStart : dataStart + align(tensors.getLast().offset() + tensors.getLast().size());
  }

  /**
   * The unfinished file, for those who want to see whether it can be read: as long as the finished one will be, with zeros where nothing is
   * written yet.
   *
   * @return its path until {@link #commit()}; none of a device or a pipe
   * @throws IOException if the file cannot be that long
   */
  public Optional<Path> unfinished() throws IOException {
    if (partial == null) {
      return Optional.empty();
    }
    if (fileSize() > channel.size()) {
      try {
        channel.write(ByteBuffer.allocate(1), fileSize() - 1);
      } catch (IOException e) {
        throw new IOException("cannot write " + target + ": " + e.getMessage(), e);
      }
    }
    return Optional.of(partial.path());
  }

  /**
   * Appends the next bytes of the current tensor.
   *
   * @param data all that remain in it are written; none of them are of the following tensor
   * @throws IOException if writing fails
   */
  public void write(ByteBuffer data) throws IOException {
    Objects.requireNonNull(data, "data");
    TensorInfo current = tensors.get(tensor);
    long end = current.offset() + current.size();
    if (position + data.remaining() > end) {
      throw new IllegalStateException(current.name() + ": more data than the tensor has");
    }
    pad(dataStart + position);
    position += data.remaining();
    writeFully(data);
    if (position == end) {
      tensor++;
      position = align(end);
    }
  }

  /**
   * Completes the file and gives it its name. Every tensor has been written.
   *
   * @throws IOException if writing fails
   */
  public void commit() throws IOException {
    if (tensor != tensors.size()) {
      throw new IllegalStateException(tensors.get(tensor).name() + " was not written");
    }
    pad(fileSize());
    channel.close();
    if (partial == null) {
      return;
    }
    try {
      partial.finish();
    } catch (FileSystemException e) {
      throw new IOException("cannot rename " + partial.path() + " to " + target + ": " + e.getMessage(), e);
    }
  }

  /** Releases the file and, unless it was committed, removes it. */
  @Override
  public void close() throws IOException {
    if (!open) {
      return;
    }
    open = false;
    try {
      channel.close();
    } finally {
      if (partial != null) {
        partial.close();
      }
    }
  }

  /** Zeros up to an offset in the file, less than an alignment away. */
  private void pad(long end) throws IOException {
    writeFully(ByteBuffer.allocate((int) (end - written)));
  }

  private void writeFully(ByteBuffer data) throws IOException {
    try {
      while (data.hasRemaining()) {
        written += channel.write(data);
      }
    } catch (IOException e) {
      throw new IOException("cannot write " + target + ": " + e.getMessage(), e);
    }
  }

  private static List<TensorInfo> place(List<Plan> plans) {
    List<TensorInfo> placed = new ArrayList<>(plans.size());
    Set<String> names = new HashSet<>();
    long offset = 0;
    for (Plan plan : plans) {
      int length = plan.name().getBytes(StandardCharsets.UTF_8).length;
      if (length == 0 || length > MAX_NAME || !names.add(plan.name())) {
        throw new IllegalArgumentException("tensor name empty, too long or taken: " + plan.name());
      }
      if (plan.dimensions().getFirst() % plan.type().blockLength() != 0) {
        throw new IllegalArgumentException(plan.name() + ": " + TensorInfo.shape(plan.dimensions()) + " cannot be " + plan.type());
      }
      TensorInfo info = new TensorInfo(plan.name(), plan.type().number(), plan.dimensions(), offset);
      placed.add(info);
      offset = align(Math.addExact(offset, info.size()));
    }
    return List.copyOf(placed);
  }

  private static byte[] header(Map<String, MetadataValue> metadata, List<TensorInfo> tensors) {
    LittleEndianBytes out = new LittleEndianBytes();
    out.int32(MAGIC);
    out.int32(VERSION);
    out.int64(tensors.size());
    out.int64(metadata.size() + 1);
    metadata.forEach((key, value) -> out.entry(key, value));
    out.entry("general.alignment", MetadataValue.uint32(ALIGNMENT));
    for (TensorInfo tensor : tensors) {
      out.string(tensor.name());
      out.int32(tensor.dimensions().size());
      tensor.dimensions().forEach(out::int64);
      out.int32(tensor.typeNumber());
      out.int64(tensor.offset());
    }
    return out.toByteArray();
  }

  private static long align(long offset) {
    return Math.addExact(offset, ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  }

  /** GGUF's primitive encodings. */
  private static final class LittleEndianBytes extends ByteArrayOutputStream {
    void integer(long value, int size) {
      for (int i = 0; i < size; i++) {
        write((int) (value >>> 8 * i));
      }
    }

    void int32(long value) {
      integer(value, Integer.BYTES);
    }

    void int64(long value) {
      integer(value, Long.BYTES);
    }

    void string(String value) {
      byte[] bytes = value.getBytes(StandardCharsets.UTF_8);
      int64(bytes.length);
      writeBytes(bytes);
    }

    void entry(String key, MetadataValue value) {
      if (value.elements().stream().anyMatch(element -> element instanceof String text && !isText(text))) {
        throw new GgufException("key " + key + " has half of a surrogate pair, which UTF-8 cannot hold");
      }
      string(key);
      int32(value.type().ordinal());
      if (value.type() == MetadataType.ARRAY) {
        int32(value.elementType().ordinal());
        int64(value.elements().size());
      }
      for (Object element : value.elements()) {
        if (!value.elementType().holds(element)) {
          throw new GgufException("key " + key + " is " + element + ", which is no " + value.elementType());
        }
        scalar(value.elementType(), element);
      }
    }

    private static boolean isText(String text) {
      return text.codePoints().noneMatch(c -> c >= Character.MIN_SURROGATE && c <= Character.MAX_SURROGATE);
    }

    private void scalar(MetadataType type, Object value) {
      switch (type) {
        case STRING -> string((String) value);
        case BOOL -> write((Boolean) value ? 1 : 0);
        case FLOAT32 -> int32(Float.floatToRawIntBits((Float) value));
        case FLOAT64 -> int64(Double.doubleToRawLongBits((Double) value));
        case ARRAY -> throw new IllegalArgumentException("arrays of arrays are not written");
        default -> integer((Long) value, type.size());
      }
    }
  }

  /**
   * How far the file is, for logs.
   *
   * @return for example {@code "GgufWriter[model.gguf, 4096 bytes written]"}
   */
  @Override
  public String toString() {
    return "GgufWriter[" + target + ", " + written + " bytes written]";
  }
}
