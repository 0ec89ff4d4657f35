package io.github.dimple4j.jni;

import io.github.dimple4j.core.Core;
import io.github.dimple4j.core.CoreProvider;
import java.util.function.Supplier;
import java.util.logging.Logger;

/** Offers the core through JNI, by the name {@code jni}. */
public final class JniProvider implements CoreProvider {
  /** Initialised when the library is there. */
  private static final class Holder {
    static final Core CORE = new JniCore();
  }

  /** For {@link java.util.ServiceLoader}. */
  public JniProvider() {}

  @Override
  public String name() {
    return "jni";
  }

  @Override
  public Core core() {
    ShimLibrary.load();
    return Holder.CORE;
  }

  /** By java.util.logging: Android's Java has no System.Logger. */
  @Override
  public void log(Level level, Supplier<String> message, Throwable failure) {
    Logger.getLogger("io.github.dimple4j")
        .log(level == Level.WARNING ? java.util.logging.Level.WARNING : java.util.logging.Level.FINE, failure, message);
  }
}
