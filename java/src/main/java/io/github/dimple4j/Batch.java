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

  private final Iterator<SessionBuilder> prompts;
  private final Decoding decoding;
  private final AtomicInteger threads = new AtomicInteger();
  private final ThreadPoolExecutor workers;
  private final Queue<Future<BatchResult>> pending = new ArrayDeque<>();
  private long taken;

  private Batch(Iterator<SessionBuilder> prompts, Decoding decoding, int parallel) {
    this.prompts = prompts;
    this.decoding = decoding;
    workers = new ThreadPoolExecutor(parallel, parallel, 1, TimeUnit.SECONDS, new LinkedBlockingQueue<>(),
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
    return StreamSupport.stream(Spliterators.spliteratorUnknownSize(batch, characteristics), false).onClose(batch.workers::shutdownNow);
  }

  @Override
  public boolean hasNext() {
    while (pending.size() < AHEAD * workers.getCorePoolSize() && prompts.hasNext()) {
      SessionBuilder prompt = prompts.next();
      long index = taken++;
      pending.add(workers.submit(() -> answer(index, prompt)));
    }
    return !pending.isEmpty();
  }

  private BatchResult answer(long index, SessionBuilder prompt) {
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
    try {
      return pending.remove().get();
    } catch (InterruptedException e) {
      workers.shutdownNow();
      Thread.currentThread().interrupt();
      throw new CancelledException("the thread that waits for a batch was interrupted");
    } catch (CancellationException e) {
      throw new CancelledException("the batch was closed");
    } catch (ExecutionException e) { // an error, or a fault of this library
      workers.shutdownNow();
      throw new DimpleException("an answer of a batch failed: " + e.getCause(), e.getCause());
    }
  }
}
