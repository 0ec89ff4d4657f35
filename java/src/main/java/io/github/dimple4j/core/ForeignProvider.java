package io.github.dimple4j.core;

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
}
