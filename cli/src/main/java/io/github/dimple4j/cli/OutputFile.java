package io.github.dimple4j.cli;

import io.github.dimple4j.file.UnfinishedFile;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.OutputStream;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import tools.jackson.core.exc.JacksonIOException;

/**
 * A text file, in UTF-8, that a command writes: into a file beside it that takes its place when it is whole.
 *
 * @param option that named it, for messages
 * @param name as it was given
 */
record OutputFile(String option, String name) {
  private static final int BUFFER = 1 << 16;

  /** Writes the text. */
  @FunctionalInterface
  interface Content {
    void write(Writer text) throws IOException;
  }

  /** Fails early where the file cannot be written anyway, and says so where it waits for somebody to read. */
  void check(PrintWriter err) throws IOException {
    if (name.isEmpty()) {
      throw new NoSuchFileException(option + ": '' is not a file name");
    }
    Path parent = Path.of(name).toAbsolutePath().getParent();
    if (parent != null && !Files.isDirectory(parent)) {
      throw new NotDirectoryException(parent + ": no such directory, cannot write " + name);
    }
    if (Files.isDirectory(Path.of(name))) {
      throw new IOException(name + ": is a directory");
    }
    try {
      Files.readAttributes(Path.of(name), BasicFileAttributes.class);
    } catch (NoSuchFileException e) {
      // It can be made. Anything else, a name that is too long for example, is why it cannot.
    }
    NamedPipe.announce(Path.of(name), err);
  }

  void write(Content content) throws IOException {
    Path file = Path.of(name);
    if (Files.exists(file) && !Files.isRegularFile(file)) { // a device or a pipe, /dev/stdout for example, which must stay what it is
      write(file, Files.newOutputStream(file), content);
      return;
    }
    Path place = Files.exists(file) ? file.toRealPath() : file; // behind a symbolic link
    try (UnfinishedFile unfinished = unfinished(place)) {
      OutputStream bytes;
      try {
        bytes = unfinished.open(Files::newOutputStream);
      } catch (AccessDeniedException e) { // names what is written until the file is whole
        throw new AccessDeniedException(file.toString());
      }
      write(file, bytes, content);
      unfinished.finish();
    }
  }

  /** A file until it is whole. Not named like it, since that may be as long as a name can be. */
  static UnfinishedFile unfinished(Path file) throws IOException {
    return new UnfinishedFile(file.resolveSibling(".dimple-" + ProcessHandle.current().pid() + ".tmp"), file);
  }

  private static void write(Path file, OutputStream bytes, Content content) throws IOException {
    try (bytes; Writer text = new BufferedWriter(new OutputStreamWriter(bytes, StandardCharsets.UTF_8), BUFFER)) {
      content.write(text);
    } catch (FileSystemException e) { // names its file
      throw e;
    } catch (JacksonIOException e) {
      throw new IOException(file + ": " + e.getCause().getMessage(), e);
    } catch (IOException e) {
      throw new IOException(file + ": " + e.getMessage(), e);
    }
  }
}
