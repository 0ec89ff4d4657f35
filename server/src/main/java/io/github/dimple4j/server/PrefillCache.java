package io.github.dimple4j.server;

import io.github.dimple4j.Session;
import io.github.dimple4j.SessionBuilder;
import io.github.dimple4j.SessionMemory;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;

/**
 * Sessions whose first pass was run, for questions that come again: equal prompt tokens, pictures and response before the decoding. Then the
 * first pass is equal, too, and any number of decodings may follow it, so an answer out of the cache is the same, to the bit. A session
 * serves one request at a time; those that nobody uses are kept up to a number of bytes, the ones used last. Thread-safe.
 */
final class PrefillCache implements AutoCloseable {
  /** What the first pass depends on. */
  private record Key(List<Integer> prompt, List<String> pictures, Object shape, int length, OptionalInt canvas, OptionalInt blocks,
      boolean prefill) {}

  private record Kept(Session session, long bytes) {}

  private final long limit;
  private final Metrics metrics;
  private final Map<Key, Kept> kept = new LinkedHashMap<>(); // the one used last is the last
  private long bytes;
  private boolean closed;

  PrefillCache(long limit, Metrics metrics) {
    this.limit = limit;
    this.metrics = metrics;
  }

  /** A session for a question: a kept one, or that of the builder. */
  Lease lease(Question question, SessionBuilder builder) {
    Session fresh = builder.open();
    if (limit == 0) {
      return new Lease(null, fresh, false);
    }
    try {
      Key key = new Key(Arrays.stream(fresh.promptTokens()).boxed().toList(), question.pictures().stream().map(Picture::digest).toList(),
          question.shape().key(), question.length(), question.canvasLength(), question.wholeBlocks(), question.prefill());
      Session found = take(key);
      metrics.cache(found != null);
      if (found == null) {
        return new Lease(key, fresh, false);
      }
      fresh.close();
      return new Lease(key, found, true);
    } catch (RuntimeException | Error e) {
      fresh.close();
      throw e;
    }
  }

  private synchronized Session take(Key key) {
    Kept found = kept.remove(key);
    if (found == null) {
      return null;
    }
    bytes -= found.bytes();
    return found.session();
  }

  private void give(Key key, Session session) {
    SessionMemory memory = session.memory();
    // Beside what the core holds, the lists of the key.
    long size = memory.kvBytes() + memory.scratchBytes() + 64L * key.prompt().size();
    synchronized (this) {
      if (closed || size > limit || kept.containsKey(key)) {
        session.close();
        return;
      }
      kept.put(key, new Kept(session, size));
      bytes += size;
      while (bytes > limit) {
        Map.Entry<Key, Kept> eldest = kept.entrySet().iterator().next();
        kept.remove(eldest.getKey());
        bytes -= eldest.getValue().bytes();
        eldest.getValue().session().close();
      }
    }
  }

  synchronized long bytes() {
    return bytes;
  }

  synchronized int sessions() {
    return kept.size();
  }

  @Override
  public synchronized void close() {
    closed = true;
    kept.values().forEach(one -> one.session().close());
    kept.clear();
    bytes = 0;
  }

  /** A session in use. Closing it closes the session, unless it is to be kept. */
  final class Lease implements AutoCloseable {
    private final Key key; // null: nothing is kept
    private final Session session;
    private final boolean hit;
    private boolean keep;

    private Lease(Key key, Session session, boolean hit) {
      this.key = key;
      this.session = session;
      this.hit = hit;
    }

    Session session() {
      return session;
    }

    /** Whether its first pass was run before. */
    boolean hit() {
      return hit;
    }

    /** It can serve the question again: nothing stopped it. */
    void keep() {
      keep = true;
    }

    @Override
    public void close() {
      if (keep && key != null) {
        give(key, session);
      } else {
        session.close();
      }
    }
  }
}
