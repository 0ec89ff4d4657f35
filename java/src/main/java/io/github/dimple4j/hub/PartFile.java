package io.github.dimple4j.hub;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;

/** The first bytes of a file that is not whole, beside its place: FILE.part, and in FILE.part.note which state of the file they are of. */
final class PartFile implements AutoCloseable {
  private static final int BUFFER = 1 << 18;

  private final Path target;
  private final Path file;
  private final Path note;
  private final FileChannel channel;
  private MessageDigest digest;
  private long size;
  private Optional<String> validator = Optional.empty();
  private OptionalLong total = OptionalLong.empty();
  private boolean resumed;

  /** Goes on with what there is. */
  PartFile(Path target) throws IOException {
    this.target = target;
    this.file = target.resolveSibling(target.getFileName() + ".part");
    this.note = target.resolveSibling(target.getFileName() + ".part.note");
    this.channel = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
    try {
      readNote();
      digest = FileHash.digest();
      ByteBuffer buffer = ByteBuffer.allocate(BUFFER);
      while (channel.read(buffer) >= 0) {
        size += buffer.position();
        digest.update(buffer.flip());
        buffer.clear();
      }
      resumed = size > 0;
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw e;
    }
  }

  private void readNote() throws IOException {
    if (!Files.exists(note)) {
      return;
    }
    List<String> lines = Files.readAllLines(note, StandardCharsets.ISO_8859_1); // of any bytes, should it be damaged
    if (lines.size() == 2) {
      validator = Optional.of(lines.getFirst()).filter(line -> line.matches("[ -~\\xa0-\\xff]+"));
      total = lines.get(1).matches("\\d{1,18}") ? OptionalLong.of(Long.parseLong(lines.get(1))) : OptionalLong.empty();
    }
  }

  long size() {
    return size;
  }

  /** What the bytes are the beginning of; empty: that is not known. */
  Optional<String> validator() {
    return validator;
  }

  OptionalLong total() {
    return total;
  }

  /** Whether bytes of an earlier connection, and so perhaps of an earlier state of the file, are among them. */
  boolean isResumed() {
    return resumed;
  }

  /** Says what the bytes to come are of. */
  void describe(Optional<String> ofState, OptionalLong bytes) throws IOException {
    validator = ofState;
    total = bytes;
    resumed |= size > 0;
    String bytesOfAll = total.isPresent() ? String.valueOf(total.getAsLong()) : "";
    Files.writeString(note, validator.orElse("") + "\n" + bytesOfAll + "\n", StandardCharsets.ISO_8859_1);
  }

  void append(ByteBuffer bytes) throws IOException {
    ByteBuffer written = bytes.duplicate();
    long place = size;
    while (written.hasRemaining()) {
      place += channel.write(written, place);
    }
    digest.update(bytes);
    size = place;
  }

  /** Forgets everything. */
  void restart() throws IOException {
    channel.truncate(0);
    Files.deleteIfExists(note);
    digest = FileHash.digest();
    size = 0;
    validator = Optional.empty();
    total = OptionalLong.empty();
    resumed = false;
  }

  /** The first bytes, at most that many. */
  byte[] beginning(int count) throws IOException {
    ByteBuffer buffer = ByteBuffer.allocate((int) Math.min(count, size));
    while (buffer.hasRemaining() && channel.read(buffer, buffer.position()) >= 0) {
      // until it is full
    }
    return buffer.array();
  }

  /** The SHA-256 of all bytes, in lower case hexadecimal. */
  String hash() {
    try {
      return HexFormat.of().formatHex(((MessageDigest) digest.clone()).digest());
    } catch (CloneNotSupportedException e) {
      throw new IllegalStateException("SHA-256 of the platform can be copied", e);
    }
  }

  /** The file is whole: it takes its place. */
  void finish() throws IOException {
    channel.force(true);
    channel.close();
    try {
      Files.move(file, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } catch (AtomicMoveNotSupportedException e) {
      Files.move(file, target, StandardCopyOption.REPLACE_EXISTING);
    }
    Files.deleteIfExists(note);
  }

  @Override
  public void close() throws IOException {
    channel.close();
    if (size == 0) {
      Files.deleteIfExists(file);
      Files.deleteIfExists(note);
    }
  }
}
