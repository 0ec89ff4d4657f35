package io.github.dimple4j;

import java.util.ArrayDeque;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.Objects;
import java.util.Optional;
import java.util.Queue;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/**
 * Prompts that daemon threads answer, and the results in order. Twice as many prompts as threads are taken ahead of the one whose result
 * comes next, so that a long answer does not keep the other threads waiting at once. Threads without work end.
 */
final class Batch implements Iterator<BatchResult> {
  private static final int AHEAD = 2;
  private static final int MOST_THREADS = 1 << 20; // a ThreadPoolExecutor of 2^29 or more takes the rest of that for its size

  private final Iterator<SessionBuilder> prompts;
  private final Decoding decoding;
  private final AtomicInteger threads = new AtomicInteger();
  private final ThreadPoolExecutor workers;
  private final Queue<Future<BatchResult>> pending = new ArrayDeque<>();
  private long taken;

  private Batch(Iterator<SessionBuilder> prompts, Decoding decoding, int parallel) {
    this.prompts = prompts;
    this.decoding = decoding;
    int most = Math.min(parallel, MOST_THREADS);
    workers = new ThreadPoolExecutor(most, most, 1, TimeUnit.SECONDS, new LinkedBlockingQueue<>(),
        work -> DaemonThread.of("dimple-batch-" + threads.getAndIncrement(), work));
    workers.allowCoreThreadTimeOut(true);
  }

  static Stream<BatchResult> of(Iterator<SessionBuilder> prompts, Decoding decoding, int parallel) {
    Objects.requireNonNull(decoding, "decoding");
    if (parallel < 1) {
      throw new InvalidArgumentException("a batch of " + parallel + " sessions at once, expected at least 1");
    }
    Batch batch = new Batch(prompts, decoding, parallel);
    int characteristics = Spliterator.ORDERED | Spliterator.NONNULL | Spliterator.IMMUTABLE;
    return StreamSupport.stream(Spliterators.spliteratorUnknownSize(batch, characteristics), false).onClose(batch::close);
  }

  /** Stops what runs. What was not begun will not be, and nobody waits for it. Any thread. */
  private void close() {
    workers.shutdownNow().forEach(waiting -> ((Future<?>) waiting).cancel(false));
  }

  @Override
  public boolean hasNext() {
    try {
      while (!workers.isShutdown() && pending.size() < AHEAD * workers.getCorePoolSize() && prompts.hasNext()) {
        SessionBuilder prompt = prompts.next();
        long index = taken++;
        pending.add(workers.submit(() -> answer(index, prompt)));
      }
      return !pending.isEmpty() || prompts.hasNext();
    } catch (RejectedExecutionException e) { // closed meanwhile by another thread
      throw closed();
    } catch (RuntimeException | Error e) { // of the caller's own iterator: there is no way on
      close();
      throw e;
    }
  }

  private static CancelledException closed() {
    return new CancelledException("the batch was closed");
  }

  private BatchResult answer(long index, SessionBuilder prompt) {
    if (prompt == null) {
      return new BatchResult(index, Optional.empty(), Optional.of(new InvalidArgumentException("prompt " + index + " of a batch is null")));
    }
    try (Session session = prompt.open()) {
      return new BatchResult(index, Optional.of(session.decode(decoding)), Optional.empty());
    } catch (DimpleException e) {
      return new BatchResult(index, Optional.empty(), Optional.of(e));
    }
  }

  @Override
  public BatchResult next() {
    if (!hasNext()) {
      throw new NoSuchElementException("the batch is done");
    }
    if (pending.isEmpty()) {
      throw closed();
    }
    try {
      return pending.remove().get();
    } catch (InterruptedException e) {
      close();
      Thread.currentThread().interrupt();
      throw new CancelledException("the thread that waits for a batch was interrupted");
    } catch (CancellationException e) {
      throw closed();
    } catch (ExecutionException e) { // an error, or a fault of this library
      close();
      throw new DimpleException("an answer of a batch failed: " + e.getCause(), e.getCause());
    }
  }
}
