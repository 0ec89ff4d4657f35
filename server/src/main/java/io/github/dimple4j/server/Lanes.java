package io.github.dimple4j.server;

import java.time.Duration;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.Semaphore;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** The session threads, and those who wait for one, first come, first served. Thread-safe. */
final class Lanes implements AutoCloseable {
  private static final int LONGEST_RETRY = 60;

  private final ThreadPoolExecutor threads;
  private final BlockingQueue<Runnable> waiting = new LinkedBlockingQueue<>();
  private final Semaphore places; // of those who run or wait; a pool's own bounded queue refuses tasks that a thread is about to take
  private final Metrics metrics;
  private final int sessions;
  private final Set<AnswerTask> all = ConcurrentHashMap.newKeySet();
  private final Set<AnswerTask> placed = ConcurrentHashMap.newKeySet();
  private volatile boolean stopping;

  /** Platform threads: a call into the core would keep a virtual thread's carrier. */
  Lanes(int sessions, int queue, Metrics metrics) {
    this.sessions = sessions;
    this.metrics = metrics;
    places = new Semaphore((int) Math.min((long) sessions + queue, Integer.MAX_VALUE));
    AtomicInteger number = new AtomicInteger();
    threads = new ThreadPoolExecutor(sessions, sessions, 1, TimeUnit.MINUTES, waiting,
        work -> Thread.ofPlatform().daemon().name("dimple-session-" + number.getAndIncrement()).unstarted(work));
    threads.allowCoreThreadTimeOut(true);
  }

  /** Begins a task, or has it wait. */
  void begin(AnswerTask task) {
    if (stopping) {
      throw ApiException.stopping();
    }
    if (!places.tryAcquire()) {
      throw ApiException.busy("all " + sessions + " sessions are in use and " + waiting.size() + " requests wait: try again later", retryAfter());
    }
    placed.add(task);
    all.add(task);
    task.whenOver(() -> leave(task));
    try {
      threads.execute(task);
    } catch (RejectedExecutionException e) {
      end(task);
      leave(task);
      throw ApiException.stopping();
    }
  }

  /** Its place is free, though its thread may have last words to say. */
  private void leave(AnswerTask task) {
    if (placed.remove(task)) {
      places.release();
    }
  }

  /** When a place should be free: the time that requests took lately, for those that wait. */
  private int retryAfter() {
    double seconds = metrics.meanAnswerSeconds() * (waiting.size() + 1) / sessions;
    return (int) Math.clamp(Math.ceil(seconds), 1, LONGEST_RETRY);
  }

  /** A task that nobody waits for any more, done or not. */
  void end(AnswerTask task) {
    if (threads.remove(task)) {
      leave(task); // it never ran
    }
    all.remove(task);
  }

  int running() {
    return threads.getActiveCount();
  }

  int waiting() {
    return waiting.size();
  }

  boolean isStopping() {
    return stopping;
  }

  /** Takes on nothing more, waits for what there is, and cancels what takes longer. */
  void stop(Duration grace) throws InterruptedException {
    stopping = true;
    threads.shutdown();
    if (!threads.awaitTermination(TimeUnit.NANOSECONDS.convert(grace), TimeUnit.NANOSECONDS)) {
      all.forEach(task -> task.cancel(ApiException.stopping()));
      threads.awaitTermination(1, TimeUnit.MINUTES); // a layer of the model each
    }
  }

  @Override
  public void close() {
    stopping = true;
    all.forEach(task -> task.cancel(ApiException.stopping()));
    threads.shutdownNow();
  }
}
