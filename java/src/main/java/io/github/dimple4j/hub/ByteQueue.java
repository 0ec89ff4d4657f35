package io.github.dimple4j.hub;

import java.io.IOException;
import java.net.SocketTimeoutException;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Flow;

/**
 * A body as it comes, piece by piece, for one reader that can be interrupted and does not wait for ever: the platform's own streams of a body
 * have no time limit.
 */
final class ByteQueue implements HttpResponse.BodySubscriber<ByteQueue> {
  private static final long MOST_MILLIS = 60_000; // without a byte

  private final ArrayDeque<ByteBuffer> pieces = new ArrayDeque<>();
  private Flow.Subscription subscription;
  private boolean ended;
  private boolean closed;
  private Throwable failure;

  static HttpResponse.BodyHandler<ByteQueue> handler() {
    return information -> new ByteQueue();
  }

  @Override
  public CompletionStage<ByteQueue> getBody() {
    return CompletableFuture.completedStage(this);
  }

  @Override
  public synchronized void onSubscribe(Flow.Subscription to) {
    subscription = to;
    if (closed) {
      to.cancel();
    } else {
      to.request(1);
    }
  }

  @Override
  public synchronized void onNext(List<ByteBuffer> next) {
    pieces.addAll(next);
    notifyAll();
  }

  @Override
  public synchronized void onError(Throwable problem) {
    failure = problem;
    ended = true;
    notifyAll();
  }

  @Override
  public synchronized void onComplete() {
    ended = true;
    notifyAll();
  }

  /** The next piece; null at the end. */
  synchronized ByteBuffer next() throws IOException, InterruptedException {
    long until = System.nanoTime() + MOST_MILLIS * 1_000_000;
    while (true) {
      while (!pieces.isEmpty()) {
        ByteBuffer piece = pieces.poll();
        if (pieces.isEmpty()) {
          subscription.request(1);
        }
        if (piece.hasRemaining()) {
          return piece;
        }
      }
      if (failure != null) {
        throw failure instanceof IOException e ? e : new IOException(failure);
      }
      if (ended) {
        return null;
      }
      long left = (until - System.nanoTime()) / 1_000_000;
      if (left <= 0) {
        throw new SocketTimeoutException("no byte for " + MOST_MILLIS / 1000 + " seconds");
      }
      wait(left);
    }
  }

  /** Nothing more is wanted. */
  synchronized void close() {
    closed = true;
    if (subscription != null) {
      subscription.cancel();
    }
  }
}
