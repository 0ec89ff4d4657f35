package io.github.dimple4j.server;

import java.util.HexFormat;
import java.util.concurrent.ThreadLocalRandom;

/** Names of answers and calls. */
final class Ids {
  private Ids() {}

  static String next(String prefix) {
    return prefix + HexFormat.of().toHexDigits(ThreadLocalRandom.current().nextLong())
        + HexFormat.of().toHexDigits(ThreadLocalRandom.current().nextInt());
  }
}
