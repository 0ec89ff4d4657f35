package io.github.dimple4j;

import io.github.dimple4j.core.Core;
import io.github.dimple4j.core.CoreProvider;
import java.util.Iterator;
import java.util.Objects;
import java.util.concurrent.Flow;

/**
 * A decoding for one subscriber. A daemon thread runs while there is demand; between bursts of demand there is none, so a subscriber
 * that never asks again leaves nothing behind.
 */
final class StepSubscription implements Flow.Subscription {
  private final Steps steps;
  private final SessionHandle session;
  private final Flow.Subscriber<? super Step> subscriber;
  private Iterator<Step> iterator; // of the running thread; each one starts after the one before has ended

  // Guarded by this.
  private long demand;
  private boolean running;
  private volatile boolean ended; // read without
  private Thread stepping; // inside an iteration
  private DimpleException refusal;

  private StepSubscription(Steps steps, SessionHandle session, Flow.Subscriber<? super Step> subscriber) {
    this.steps = steps;
    this.session = session;
    this.subscriber = subscriber;
  }

  static void start(Steps steps, SessionHandle session, Flow.Subscriber<? super Step> subscriber) {
    Objects.requireNonNull(subscriber, "subscriber");
    subscriber.onSubscribe(new StepSubscription(steps, session, subscriber));
  }

  @Override
  public synchronized void request(long count) {
    if (ended) {
      return;
    }
    if (count <= 0) {
      refusal = new InvalidArgumentException("a request for " + count + " iterations, expected at least 1");
    } else {
      demand = demand + count < 0 ? Long.MAX_VALUE : demand + count;
    }
    if (!running) {
      running = true;
      DaemonThread.of("dimple-steps", this::serve).start();
    }
  }

  @Override
  public synchronized void cancel() {
    ended = true;
    if (stepping != null) {
      session.interrupt(stepping);
    }
  }

  private void serve() {
    while (mayStep()) {
      Step step = step();
      if (step == null) {
        return;
      }
      try {
        subscriber.onNext(step);
        if (step.done() && end()) {
          subscriber.onComplete();
        }
      } catch (Throwable e) { // other languages throw checked exceptions, too
        end();
        Core.log(CoreProvider.Level.WARNING, () -> "a subscriber failed; its decoding ends", e);
        return;
      }
    }
  }

  /** Takes one from the demand, or lets this thread end. */
  private boolean mayStep() {
    DimpleException refused;
    synchronized (this) {
      if (!ended && refusal == null && demand > 0) {
        demand = demand == Long.MAX_VALUE ? demand : demand - 1;
        stepping = Thread.currentThread();
        return true;
      }
      running = false;
      refused = ended ? null : refusal;
      ended |= refused != null;
    }
    if (refused != null) {
      subscriber.onError(refused);
    }
    return false;
  }

  /** The next iteration; null if there is none to be told of. */
  private Step step() {
    try {
      if (iterator == null) {
        iterator = steps.iterator(() -> ended);
      }
      Step step = iterator.next();
      return stepped() ? null : step;
    } catch (RuntimeException | Error e) {
      if (!stepped() && end()) {
        subscriber.onError(e);
      }
      return null;
    }
  }

  /** Leaves the iteration and tells whether the subscription was cancelled meanwhile. */
  private synchronized boolean stepped() {
    stepping = null;
    return ended;
  }

  /** Ends the subscription and tells whether it still had to be. */
  private synchronized boolean end() {
    boolean first = !ended;
    ended = true;
    return first;
  }
}
