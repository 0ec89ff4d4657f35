package io.github.dimple4j.gguf;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** A file that is read at given positions. Any number of threads may read. */
final class InputFile implements AutoCloseable {
  private final Path path;
  private final FileChannel channel;
  private final long size;

  InputFile(Path path) throws IOException {
    if (Files.isDirectory(path)) {
      throw new GgufException(path + " is a directory");
    }
    this.path = path;
    try {
      this.channel = FileChannel.open(path, StandardOpenOption.READ);
    } catch (NoSuchFileException e) {
      throw new NoSuchFileException(path.toString(), null, "no such file");
    }
    this.size = channel.size();
  }

  Path path() {
    return path;
  }

  /** Bytes when it was opened. */
  long size() {
    return size;
  }

  FileChannel channel() {
    return channel;
  }

  /** Fills {@code target} with the bytes from {@code offset} on. */
  void read(long offset, ByteBuffer target) throws IOException {
    while (target.hasRemaining()) {
      int count = channel.read(target, offset);
      if (count < 0) {
        throw new GgufException(path + " ends at byte " + offset + ": it was cut while it was read");
      }
      offset += count;
    }
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
