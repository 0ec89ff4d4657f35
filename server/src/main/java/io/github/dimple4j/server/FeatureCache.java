package io.github.dimple4j.server;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What the vision tower made of pictures, up to a number of bytes, those used last. It makes of a picture always the same, whatever is asked about
 * it, so an answer with features out of the cache is the same, to the bit. Thread-safe.
 */
final class FeatureCache {
  private final long limit;
  private final Map<String, float[][]> kept = new LinkedHashMap<>(16, 0.75f, true); // by digests
  private long bytes;

  FeatureCache(long limit) {
    this.limit = limit;
  }

  /** The features of a picture, or null. Not copied. */
  synchronized float[][] find(String digest) {
    return kept.get(digest);
  }

  synchronized void keep(String digest, float[][] features) {
    if (bytes(features) > limit || kept.containsKey(digest)) {
      return;
    }
    kept.put(digest, features);
    bytes += bytes(features);
    while (bytes > limit) {
      String eldest = kept.keySet().iterator().next();
      bytes -= bytes(kept.remove(eldest));
    }
  }

  private static long bytes(float[][] features) {
    long bytes = 100;
    for (float[] row : features) {
      bytes += 24 + 4L * row.length;
    }
    return bytes;
  }

  synchronized long bytes() {
    return bytes;
  }
}
