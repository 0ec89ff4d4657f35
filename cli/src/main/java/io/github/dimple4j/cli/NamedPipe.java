package io.github.dimple4j.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;

/** A pipe with a name as an output: opening it waits until somebody reads, and looks like a program that hangs. */
final class NamedPipe {
  private static final int TYPE = 0170000; // of stat's mode
  private static final int PIPE = 0010000;

  private NamedPipe() {}

  /** Says what is waited for, if the file is one; those of the program itself, as {@code >(COMMAND)} makes them, are open already. */
  static void announce(Path file, PrintWriter err) {
    try {
      if (!file.startsWith("/dev/fd") && !file.startsWith("/proc") && ((Integer) Files.getAttribute(file, "unix:mode") & TYPE) == PIPE) {
        err.println("note: " + file + ": is a pipe, which is written when somebody reads it");
        err.flush();
      }
    } catch (IOException | UnsupportedOperationException | IllegalArgumentException e) {
      // There is no such file, or no such kind of file here.
    }
  }
}
