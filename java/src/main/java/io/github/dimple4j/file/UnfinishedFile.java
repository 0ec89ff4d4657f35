package io.github.dimple4j.file;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;

/**
 * A file that is written beside another one, whose name it takes when it is whole. It is gone when the program ends before that, by SIGINT and SIGTERM,
 * too. Any thread.
 */
public final class UnfinishedFile implements AutoCloseable {
  private final Path path;
  private final Path place;
  final Thread atExit = new Thread(this::abandon, "remove what is unfinished");
  private boolean abandoned; // nothing may be written any more: nobody would remove it

  /** Opens a file for writing. */
  @FunctionalInterface
  public interface Opening<T> {
    T open(Path path) throws IOException;
  }

  /**
   * Takes a name; there is no file yet.
   *
   * @param path where it is written
   * @param place where it goes
   * @throws InterruptedIOException if the program is ending
   */
  public UnfinishedFile(Path path, Path place) throws InterruptedIOException {
    this.path = path;
    this.place = place;
    try {
      Runtime.getRuntime().addShutdownHook(atExit);
    } catch (IllegalStateException e) {
      throw ending();
    }
  }

  private InterruptedIOException ending() {
    return new InterruptedIOException(place + ": is not written, the program is ending");
  }

  /** Where it is written. */
  public Path path() {
    return path;
  }

  /**
   * Makes the file.
   *
   * @param opening opens it
   * @return what that gives
   * @throws InterruptedIOException if the program is ending
   */
  public synchronized <T> T open(Opening<T> opening) throws IOException {
    if (abandoned) {
      throw ending();
    }
    return opening.open(path);
  }

  /** Gives the file, which is closed, its name; one that has it already is replaced. */
  public synchronized void finish() throws IOException {
    if (abandoned) {
      throw ending();
    }
    try {
      Files.move(path, place, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } catch (AtomicMoveNotSupportedException e) {
      Files.move(path, place, StandardCopyOption.REPLACE_EXISTING);
    }
  }

  private synchronized void abandon() {
    abandoned = true;
    path.toFile().delete();
  }

  /** Both names, for logs. */
  @Override
  public String toString() {
    return "UnfinishedFile[" + path + " for " + place + "]";
  }

  /** Removes the file, unless it has its name. */
  @Override
  public void close() {
    abandon();
    try {
      Runtime.getRuntime().removeShutdownHook(atExit);
    } catch (IllegalStateException e) {
      // The machine is going down: the hook does what has just been done.
    }
  }
}
