package io.github.dimple4j.jni;

import io.github.dimple4j.core.Core;
import io.github.dimple4j.core.CoreProvider;

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
}
