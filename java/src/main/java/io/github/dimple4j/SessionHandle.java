package io.github.dimple4j;

import io.github.dimple4j.core.CoreException;
import io.github.dimple4j.core.CoreSession;
import io.github.dimple4j.core.StepResult;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * A native session, which serves one thread at a time. A second thread is turned away; closing from another thread interrupts the
 * call that runs, and that call frees the session when it returns. Thread-safe.
 */
final class SessionHandle {
  private final CoreSession session;
  private final ModelHandle model;
  private Thread user;
  private boolean closed;
  private boolean interrupting; // the running call was asked to stop by interrupt()
  private boolean interruptLeft; // it ended by itself first: the native session would stop its next call instead

  /** Takes over a hold on the model. */
  SessionHandle(CoreSession session, ModelHandle model) {
    this.session = session;
    this.model = model;
  }

  /** Runs a body that may call the session, as its only user. */
  <T> T use(Supplier<T> body) {
    return use(() -> false, body);
  }

  /**
   * The same for a caller who may be called off by another thread: then it does not enter. Who calls off and interrupts afterwards leaves nobody
   * inside, whichever comes first.
   */
  <T> T use(BooleanSupplier calledOff, Supplier<T> body) {
    enter(calledOff);
    try {
      return body.get();
    } finally {
      leave();
    }
  }

  /** Makes a call of the core, inside {@link #use}. */
  <T> T call(Function<CoreSession, T> function) {
    try {
      return function.apply(session);
    } catch (CoreException e) {
      if (e.kind() == CoreException.Kind.CANCELLED && !meant()) {
        return Engine.call(() -> function.apply(session));
      }
      throw Engine.exception(e);
    }
  }

  /** Makes a call that runs the model: interrupting the thread stops it. */
  <T> T work(Function<CoreSession, T> function) {
    Thread thread = Thread.currentThread();
    return InterruptGuard.call(() -> interrupt(thread), () -> call(function));
  }

  /** One iteration, with those of other sessions if the model's steps are shared. */
  StepResult step() {
    return work(model::step);
  }

  /** The same without a result. */
  void run(Consumer<CoreSession> function) {
    call(core -> {
      function.accept(core);
      return null;
    });
  }

  /** Whether a cancelled call was meant to be cancelled. */
  private synchronized boolean meant() {
    if (closed) {
      throw closedException();
    }
    boolean forAnEarlierCall = interruptLeft && !interrupting;
    interrupting = interruptLeft = false;
    return !forAnEarlierCall;
  }

  /** A request of the user's: stops the running call, or else the next one. */
  synchronized void cancel() {
    if (!closed) {
      session.cancel();
      interrupting = interruptLeft = false;
    }
  }

  /** Stops the call that a thread makes now; does nothing if it makes none. */
  synchronized void interrupt(Thread thread) {
    if (!closed && user == thread) {
      session.cancel();
      interrupting = true;
    }
  }

  void close() {
    synchronized (this) {
      if (closed) {
        return;
      }
      closed = true;
      if (user != null) {
        session.cancel();
        return;
      }
    }
    free();
  }

  private synchronized void enter(BooleanSupplier calledOff) {
    if (closed) {
      throw closedException();
    }
    if (calledOff.getAsBoolean()) {
      throw new CancelledException("the iteration was called off before it began");
    }
    if (user != null) {
      throw new SessionStateException("the session is in use by thread \"" + user.getName() + "\"; a session serves one thread at a time");
    }
    user = Thread.currentThread();
  }

  private void leave() {
    synchronized (this) {
      user = null;
      interruptLeft |= interrupting;
      interrupting = false;
      if (!closed) {
        return;
      }
    }
    free();
  }

  private void free() {
    session.free();
    model.release();
  }

  private static ClosedException closedException() {
    return new ClosedException("the session is closed");
  }
}
