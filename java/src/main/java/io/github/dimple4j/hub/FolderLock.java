package io.github.dimple4j.hub;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.ReentrantLock;

/** Lets one thread of one process at a time work on a file. The lock file stays: to delete it would let two in. */
final class FolderLock implements AutoCloseable {
  private static final Map<Path, ReentrantLock> THREADS = new ConcurrentHashMap<>(); // a file lock is the whole process's

  private final ReentrantLock ownThread;
  private final FileChannel channel;

  private FolderLock(ReentrantLock ownThread, FileChannel channel) {
    this.ownThread = ownThread;
    this.channel = channel;
  }

  /** Waits until the file is free. */
  static FolderLock of(Path file) throws IOException, InterruptedException {
    Path place = file.toAbsolutePath().normalize().resolveSibling(file.getFileName() + ".lock");
    ReentrantLock thread = THREADS.computeIfAbsent(place, any -> new ReentrantLock());
    thread.lockInterruptibly();
    FileChannel channel = null;
    try {
      channel = FileChannel.open(place, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
      channel.lock();
      return new FolderLock(thread, channel);
    } catch (IOException | RuntimeException e) {
      thread.unlock();
      if (channel != null) {
        channel.close();
      }
      throw e;
    }
  }

  @Override
  public void close() throws IOException {
    try {
      channel.close();
    } finally {
      ownThread.unlock();
    }
  }
}
