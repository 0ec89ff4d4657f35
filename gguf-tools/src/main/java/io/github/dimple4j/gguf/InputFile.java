package io.github.dimple4j.gguf;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** A file that is read at given positions. Any number of threads may read. */
public final class InputFile implements AutoCloseable {
  private final Path path;
  private final FileChannel channel;
  private final long size;

  /**
   * Opens a file.
   *
   * @param path the file
   * @throws GgufException if it is a directory, a pipe or a device
   * @throws IOException if it cannot be opened
   */
  public InputFile(Path path) throws IOException {
    if (Files.isDirectory(path)) {
      throw new GgufException(path + " is a directory");
    }
    if (Files.exists(path) && !Files.isRegularFile(path)) { // opening a pipe would wait for whoever writes to it
      throw new GgufException(path + " is a pipe or a device, expected a file");
    }
    this.path = path;
    try {
      this.channel = FileChannel.open(path, StandardOpenOption.READ);
    } catch (NoSuchFileException e) {
      throw new NoSuchFileException(path.toString(), null, "no such file");
    }
    this.size = channel.size();
  }

  /**
   * The file's path.
   *
   * @return as it was given
   */
  public Path path() {
    return path;
  }

  /**
   * The file's size when it was opened.
   *
   * @return bytes
   */
  public long size() {
    return size;
  }

  FileChannel channel() {
    return channel;
  }

  /**
   * Fills a buffer.
   *
   * @param offset of the first byte, from the start of the file
   * @param target filled from its position to its limit
   * @throws GgufException if the file ends before
   * @throws IOException if reading fails
   */
  public void read(long offset, ByteBuffer target) throws IOException {
    while (target.hasRemaining()) {
      int count = channel.read(target, offset);
      if (count < 0) {
        throw new GgufException(path + " ends at byte " + offset + ": it was cut while it was read");
      }
      offset += count;
    }
  }

  /** Closes the file. May be called again. */
  @Override
  public void close() throws IOException {
    channel.close();
  }

  /**
   * The file, for logs; closed, too.
   *
   * @return for example {@code "InputFile[model.gguf, 4096 bytes]"}
   */
  @Override
  public String toString() {
    return "InputFile[" + path + ", " + size + " bytes]";
  }
}
