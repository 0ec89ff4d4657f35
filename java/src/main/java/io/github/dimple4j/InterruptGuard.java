package io.github.dimple4j;

import java.nio.channels.AsynchronousCloseException;
import java.nio.channels.spi.AbstractInterruptibleChannel;
import java.util.function.Supplier;

/**
 * Tells a thread's interruption to the native call that it is inside. The one thing of the platform that hears of an interruption at once is
 * a channel: it is closed by the interrupting thread. So this is a channel of nothing, open for one call; no thread watches or polls. The
 * interrupt status stays set, as with channels. For one thread, virtual or not.
 */
final class InterruptGuard extends AbstractInterruptibleChannel {
  private final Runnable interrupted;

  private InterruptGuard(Runnable interrupted) {
    this.interrupted = interrupted;
  }

  /**
   * Makes a call.
   *
   * @param interrupted what to do when this thread is interrupted meanwhile, or was so before; any thread may run it, once
   */
  static <T> T call(Runnable interrupted, Supplier<T> body) {
    InterruptGuard guard = new InterruptGuard(interrupted);
    guard.begin();
    try {
      return body.get();
    } finally {
      guard.pass();
    }
  }

  private void pass() {
    try {
      end(true);
    } catch (AsynchronousCloseException e) {
      // The body has answered it.
    }
  }

  @Override
  protected void implCloseChannel() {
    interrupted.run();
  }
}
