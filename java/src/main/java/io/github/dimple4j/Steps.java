package io.github.dimple4j;

import java.util.Iterator;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/**
 * The iterations of a decoding, run one by one as they are asked for. Each iterator begins a decoding of its own, which ends that of
 * any earlier iterator of the same session. Leaving a loop early is the way to stop between iterations.
 *
 * <p>An iterator's {@code next()} throws {@link CancelledException} after {@link Session#cancel} (the iteration may be asked for
 * again), {@link SessionStateException} when another decoding was begun meanwhile or another thread is inside the session, and
 * {@link ClosedException} when the session was closed. An iterator is for one thread at a time.
 */
public final class Steps implements Iterable<Step> {
  private final Session session;
  private final Decoding decoding;
  private final Decoder decoder; // null: the core decides

  Steps(Session session, Decoding decoding, Decoder decoder) {
    this.session = session;
    this.decoding = decoding;
    this.decoder = decoder;
  }

  /**
   * Begins a decoding.
   *
   * @return its iterations
   * @throws SessionStateException if the session has no response, or another thread is inside it
   * @throws ClosedException if the session is closed
   */
  @Override
  public Iterator<Step> iterator() {
    return iterator(() -> false);
  }

  /** The same for a thread that may be called off: an iteration that was is not begun, and throws {@link CancelledException}. */
  Iterator<Step> iterator(BooleanSupplier calledOff) {
    return session.begin(decoding, decoder, calledOff);
  }

  /**
   * The iterations as an ordered, sequential stream; the decoding begins with the terminal operation.
   *
   * @return the stream
   */
  public Stream<Step> stream() {
    int characteristics = Spliterator.ORDERED | Spliterator.NONNULL | Spliterator.IMMUTABLE;
    return StreamSupport.stream(() -> Spliterators.spliteratorUnknownSize(iterator(), characteristics), characteristics, false);
  }

  /**
   * What is decoded and how, for logs.
   *
   * @return session and decoding
   */
  @Override
  public String toString() {
    return "Steps[" + session + ", " + decoding + "]";
  }
}
