package io.github.dimple4j;

import io.github.dimple4j.bindings.Dimple;
import java.lang.foreign.MemorySegment;
import java.util.function.Supplier;
import java.util.function.ToIntFunction;

/**
 * A native session, which serves one thread at a time. A second thread is turned away; closing from another thread interrupts the
 * call that runs, and that call frees the session when it returns. Thread-safe.
 */
final class SessionHandle {
  private final MemorySegment pointer;
  private final ModelHandle model;
  private Thread user;
  private boolean closed;
  private boolean interrupting; // the running call was asked to stop by interrupt()
  private boolean interruptLeft; // it ended by itself first: the native session would stop its next call instead

  /** Takes over a hold on the model. */
  SessionHandle(MemorySegment pointer, ModelHandle model) {
    this.pointer = pointer;
    this.model = model;
  }

  /** Runs a body that may call the session, as its only user. */
  <T> T use(Supplier<T> body) {
    enter();
    try {
      return body.get();
    } finally {
      leave();
    }
  }

  /** Makes a native call, inside {@link #use}. */
  void call(ToIntFunction<MemorySegment> function) {
    DimpleException failure = Native.failure(function.applyAsInt(pointer));
    if (failure instanceof CancelledException) {
      failure = meant() ? failure : Native.failure(function.applyAsInt(pointer));
    }
    if (failure != null) {
      throw failure;
    }
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
      Dimple.dimple_session_cancel(pointer);
      interrupting = interruptLeft = false;
    }
  }

  /** Stops the call that a thread makes now; does nothing if it makes none. */
  synchronized void interrupt(Thread thread) {
    if (!closed && user == thread) {
      Dimple.dimple_session_cancel(pointer);
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
        Dimple.dimple_session_cancel(pointer);
        return;
      }
    }
    free();
  }

  private synchronized void enter() {
    if (closed) {
      throw closedException();
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
    Dimple.dimple_session_free(pointer);
    model.release();
  }

  private static ClosedException closedException() {
    return new ClosedException("the session is closed");
  }
}
