package io.github.dimple4j.core;

import java.util.function.Supplier;

/** Offers the core through the Foreign Function and Memory API, by the name {@code foreign}. */
public final class ForeignProvider implements CoreProvider {
  /** For {@link java.util.ServiceLoader}. */
  public ForeignProvider() {}

  @Override
  public String name() {
    return "foreign";
  }

  @Override
  public Core core() {
    return ForeignCore.INSTANCE.get();
  }

  @Override
  public void log(Level level, Supplier<String> message, Throwable failure) {
    System.Logger.Level systems = System.Logger.Level.valueOf(level.name());
    System.Logger log = System.getLogger("io.github.dimple4j");
    if (log.isLoggable(systems)) {
      log.log(systems, message.get(), failure);
    }
  }
}
