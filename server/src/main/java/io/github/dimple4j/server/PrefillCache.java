package io.github.dimple4j.server;

import io.github.dimple4j.Pipeline;
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
  private record Key(List<Integer> prompt, List<String> pictures, Object shape, int length, OptionalInt canvas, boolean prefill) {}

  /** What the positions of a decoding see, beside what the key says. */
  private record Sight(Pipeline pipeline, int blockLength) {
    static Sight of(Question question) {
      return new Sight(question.decoding().pipeline(), question.decoding().blockLength());
    }
  }

  private record Kept(Session session, Sight sight, long bytes) {}

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
    Sight sight = Sight.of(question);
    if (limit == 0) {
      return new Lease(null, sight, fresh, false, 0);
    }
    try {
      Key key = new Key(Arrays.stream(fresh.promptTokens()).boxed().toList(), question.pictures().stream().map(Picture::digest).toList(),
          question.shape().key(), fresh.responseLength(), question.canvasLength(), question.prefill());
      Session found = take(key);
      metrics.cache(found != null);
      if (found == null) {
        return new Lease(key, sight, fresh, false, 0);
      }
      fresh.close();
      return new Lease(key, sight, found, true, key.prompt().size());
    } catch (RuntimeException | Error e) {
      fresh.close();
      throw e;
    }
  }

  /** Takes over what a kept session has of the beginning of the prompt; the longest there is. How many tokens. */
  private int share(Session fresh, Key key, Sight sight) {
    Map.Entry<Key, Kept> donor = takeLike(key, sight);
    if (donor == null) {
      return 0;
    }
    int shared = 0;
    try {
      shared = fresh.takePrefix(donor.getValue().session());
    } finally {
      give(donor.getKey(), donor.getValue().sight(), donor.getValue().session());
    }
    metrics.shared(shared);
    return shared;
  }

  /** The one with the most pictures that both begin with, and of those the one with the most tokens. */
  private synchronized Map.Entry<Key, Kept> takeLike(Key asked, Sight sight) {
    Key best = null;
    int most = 0;
    int pictures = 0;
    for (Map.Entry<Key, Kept> one : kept.entrySet()) {
      int same = one.getValue().sight().equals(sight) ? same(asked.prompt(), one.getKey().prompt()) : 0;
      int seen = same(asked.pictures(), one.getKey().pictures());
      if (same > 0 && (seen > pictures || seen == pictures && same > most)) {
        most = same;
        pictures = seen;
        best = one.getKey();
      }
    }
    if (best == null) {
      return null;
    }
    Kept found = kept.remove(best);
    bytes -= found.bytes();
    return Map.entry(best, found);
  }

  private static int same(List<?> one, List<?> other) {
    int same = 0;
    while (same < one.size() && same < other.size() && one.get(same).equals(other.get(same))) {
      same++;
    }
    return same;
  }

  private synchronized Session take(Key key) {
    Kept found = kept.remove(key);
    if (found == null) {
      return null;
    }
    bytes -= found.bytes();
    return found.session();
  }

  private void give(Key key, Sight sight, Session session) {
    SessionMemory memory = session.memory();
    // Beside what the core holds, the lists of the key.
    long size = memory.kvBytes() + memory.scratchBytes() + 64L * key.prompt().size();
    synchronized (this) {
      if (closed || size > limit || kept.containsKey(key)) {
        session.close();
        return;
      }
      kept.put(key, new Kept(session, sight, size));
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
    private final Sight sight;
    private final Session session;
    private final boolean hit;
    private int cached;
    private boolean keep;

    private Lease(Key key, Sight sight, Session session, boolean hit, int cached) {
      this.key = key;
      this.sight = sight;
      this.session = session;
      this.hit = hit;
      this.cached = cached;
    }

    Session session() {
      return session;
    }

    /** Whether its first pass was run before. */
    boolean hit() {
      return hit;
    }

    /** How many tokens of the prompt were computed before. */
    int cached() {
      return cached;
    }

    /** Takes over what a kept session has of the beginning, where that is exact. The pictures' features, if they are known, were given before. */
    void share() {
      if (!hit && key != null && sight.pipeline().seesBlocks()) {
        cached = PrefillCache.this.share(session, key, sight);
      }
    }

    /** It can serve the question again: nothing stopped it. */
    void keep() {
      keep = true;
    }

    @Override
    public void close() {
      if (keep && key != null) {
        give(key, sight, session);
      } else {
        session.close();
      }
    }
  }
}
