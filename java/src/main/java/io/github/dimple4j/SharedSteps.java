package io.github.dimple4j;

import io.github.dimple4j.core.CoreBatch;
import io.github.dimple4j.core.CoreException;
import io.github.dimple4j.core.CoreSession;
import io.github.dimple4j.core.StepResult;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;

/**
 * Steps that sessions of a model take at the same time, gathered into one call of the core. There is no thread for it: of the callers that
 * wait, the first leads, and runs the steps of all, in the order in which they came. While it does so, others gather for the next call.
 *
 * <p>Sessions that stepped together come back at about the same time. A leader waits for them, for an eighth of what the last call took and 20 ms
 * at most; one who is late is not waited for again before it has come back. So who is alone never waits, and nobody who stays away, for
 * whatever reason, holds the others up for longer.
 *
 * <p>What a session is asked meanwhile (to cancel, by an interruption or by closing it) reaches the core at once: its part of the call ends, and its
 * caller hears of it when the call is over. Waiting is not interruptible for that reason. Thread-safe; any kind of thread.
 */
final class SharedSteps {
  private static final long LONGEST_WAIT = TimeUnit.MILLISECONDS.toNanos(20);
  private static final int WAIT_SHARE = 8;

  private final Supplier<CoreBatch> source;
  private final int most;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition arrival = lock.newCondition();

  // All under the lock.
  private final Deque<Turn> waiting = new ArrayDeque<>();
  private final Set<CoreSession> expected = Collections.newSetFromMap(new IdentityHashMap<>()); // stepped last and are not done
  private boolean led;
  private long latest; // nanoseconds that the last call took
  private long steps;
  private long batches;
  private CoreBatch.Counts counts = new CoreBatch.Counts(0, 0, 0, 0, 0);

  private CoreBatch batch; // of whoever leads; null before the first call

  /** A caller and what comes of its step. */
  private final class Turn {
    final CoreSession session;
    final Condition call = lock.newCondition(); // it is over, or this one leads
    CoreBatch.Outcome outcome;
    boolean over;

    Turn(CoreSession session) {
      this.session = session;
    }
  }

  /** Steps of up to {@code most} sessions together, in batches of the core that come from there, when they are wanted. */
  SharedSteps(Supplier<CoreBatch> source, int most) {
    this.source = source;
    this.most = most;
  }

  /**
   * One iteration of a session, which the caller is inside and alone.
   *
   * @throws CoreException as the session's own step
   */
  StepResult step(CoreSession session) {
    session.prefill(); // a long pass of its own, unless it ran already: nobody is to wait for it
    var turn = new Turn(session);
    List<Turn> together = await(turn);
    if (!together.isEmpty()) {
      lead(together);
    }
    return turn.outcome == null ? session.step() : turn.outcome.get(); // null: the core could not take them together
  }

  /** Waits until the step is over, or until it is this caller's turn to lead: then returns whom. */
  private List<Turn> await(Turn turn) {
    lock.lock();
    try {
      waiting.add(turn);
      expected.remove(turn.session);
      arrival.signal();
      while (!turn.over && (led || waiting.peek() != turn)) {
        turn.call.awaitUninterruptibly();
      }
      if (turn.over) {
        return List.of();
      }
      led = true;
      awaitOthers();
      return take();
    } finally {
      lock.unlock();
    }
  }

  /** Gives those who stepped last a moment to come back. */
  private void awaitOthers() {
    long left = Math.min(latest / WAIT_SHARE, LONGEST_WAIT);
    try {
      while (waiting.size() < most && !expected.isEmpty() && left > 0) {
        left = arrival.awaitNanos(left);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt(); // the core has been told already
    }
    expected.clear();
  }

  private List<Turn> take() {
    List<Turn> together = new ArrayList<>();
    while (together.size() < most && !waiting.isEmpty()) {
      together.add(waiting.remove());
    }
    return together;
  }

  /** Runs the steps of all. Whatever happens, nobody is left waiting. */
  private void lead(List<Turn> together) {
    long start = System.nanoTime();
    try {
      run(together);
    } finally {
      lock.lock();
      try {
        latest = System.nanoTime() - start;
        together.forEach(this::end);
        led = false;
        if (!waiting.isEmpty()) {
          waiting.peek().call.signal();
        }
      } finally {
        lock.unlock();
      }
    }
  }

  private void run(List<Turn> together) {
    if (together.size() == 1) {
      Turn alone = together.get(0);
      alone.outcome = outcome(alone.session);
      return;
    }
    try {
      if (batch == null) {
        batch = source.get();
      }
      List<CoreBatch.Outcome> outcomes = batch.step(together.stream().map(turn -> turn.session).toList());
      for (int i = 0; i < outcomes.size(); i++) {
        together.get(i).outcome = outcomes.get(i);
      }
      note(batch.counts());
    } catch (CoreException e) {
      // No session has been touched, for want of memory: each steps by itself.
    }
  }

  private static CoreBatch.Outcome outcome(CoreSession session) {
    try {
      return new CoreBatch.Outcome(session.step(), null);
    } catch (CoreException e) {
      return new CoreBatch.Outcome(null, e);
    }
  }

  private void note(CoreBatch.Counts now) {
    lock.lock();
    try {
      steps += now.steps() - counts.steps();
      batches++;
      counts = now;
    } finally {
      lock.unlock();
    }
  }

  private void end(Turn turn) {
    turn.over = true;
    turn.call.signal();
    if (turn.outcome != null && turn.outcome.result() != null && !turn.outcome.result().done()) {
      expected.add(turn.session);
    }
  }

  /** What has been shared so far. */
  BatchedSteps figures() {
    lock.lock();
    try {
      return new BatchedSteps(steps, batches, counts.passes(), counts.sessionPasses(), counts.bytes());
    } finally {
      lock.unlock();
    }
  }

  /** When no session is left. */
  void free() {
    if (batch != null) {
      batch.free();
    }
  }
}
