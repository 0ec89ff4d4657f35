package io.github.dimple4j.cli;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Standard output or standard error. A {@link PrintWriter} keeps quiet about what it could not write; this remembers it, so that a full disk
 * ends the program with another status than success.
 */
final class StandardStream extends OutputStream {
  /** The status of a program that the signal for a broken pipe ended, as a shell shows it: 128 and the signal's number. */
  static final int BROKEN_PIPE = 128 + 13;

  private final OutputStream stream;
  private final String name;
  private final boolean pipe;
  private IOException failure;

  StandardStream(OutputStream stream, String name, boolean pipe) {
    this.stream = stream;
    this.name = name;
    this.pipe = pipe;
  }

  static StandardStream output() {
    return new StandardStream(new FileOutputStream(FileDescriptor.out), "standard output", isPipe(1));
  }

  static StandardStream error() {
    return new StandardStream(new FileOutputStream(FileDescriptor.err), "standard error", isPipe(2));
  }

  private static boolean isPipe(int descriptor) {
    try {
      String target = Files.readSymbolicLink(Path.of("/proc/self/fd/" + descriptor)).toString();
      return target.startsWith("pipe:") || target.startsWith("socket:");
    } catch (IOException | UnsupportedOperationException e) {
      return false;
    }
  }

  /** A writer to this stream. Whatever the locale, text goes out as UTF-8: answers are rarely ASCII, and other programs read them. */
  PrintWriter writer(boolean flushedByLine) {
    return new PrintWriter(this, flushedByLine, StandardCharsets.UTF_8);
  }

  /**
   * The exit status of a program that would end with {@code status}, and a line about the failure if there was one. A reader that has gone,
   * as {@code head} does, is no news for anybody.
   */
  int status(int status, PrintWriter err) {
    if (failure == null) {
      return status;
    }
    if (!pipe) {
      err.println("dimple: " + name + ": cannot be written to: " + failure.getMessage());
    }
    return status != 0 ? status : pipe ? BROKEN_PIPE : DimpleCommand.FAILED;
  }

  @Override
  public void write(int single) throws IOException {
    write(new byte[] {(byte) single}, 0, 1);
  }

  @Override
  public void write(byte[] bytes, int offset, int length) throws IOException {
    if (failure != null) {
      throw failure;
    }
    try {
      stream.write(bytes, offset, length);
    } catch (IOException e) {
      failure = e;
      throw e;
    }
  }

  @Override
  public void flush() throws IOException {
    stream.flush();
  }
}
