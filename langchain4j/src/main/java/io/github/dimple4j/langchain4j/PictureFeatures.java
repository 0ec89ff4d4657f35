package io.github.dimple4j.langchain4j;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What the vision tower made of the pictures of requests, the latest ones up to a number of bytes: a chat with a memory sends its pictures again with
 * every turn. The same pictures have the same features, so answers are as without it, to the bit. Thread-safe.
 */
final class PictureFeatures {
  private final long limit;
  private final Map<String, float[][]> kept = new LinkedHashMap<>(16, 0.75f, true); // by digests of all pictures of a request
  private long bytes;
  private int found;

  PictureFeatures(long limit) {
    this.limit = limit;
  }

  /** The features of pictures, or null. Not copied. */
  synchronized float[][] find(String digest) {
    float[][] features = kept.get(digest);
    found += features == null ? 0 : 1;
    return features;
  }

  /** How often pictures were known. */
  synchronized int found() {
    return found;
  }

  synchronized void keep(String digest, float[][] features) {
    if (bytes(features) > limit || kept.containsKey(digest)) {
      return;
    }
    kept.put(digest, features);
    bytes += bytes(features);
    while (bytes > limit) {
      bytes -= bytes(kept.remove(kept.keySet().iterator().next()));
    }
  }

  private static long bytes(float[][] features) {
    return features.length == 0 ? 0 : (long) features.length * (24 + 4L * features[0].length);
  }
}
