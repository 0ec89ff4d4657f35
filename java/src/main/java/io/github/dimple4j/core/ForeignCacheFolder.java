package io.github.dimple4j.core;

import io.github.dimple4j.bindings.NativeLibrary;
import java.nio.file.Path;

/** The folder that native libraries are unpacked to, in which other things of the user's are kept, too. */
public final class ForeignCacheFolder {
  private ForeignCacheFolder() {}

  /**
   * Where it is.
   *
   * @return the folder, which need not exist
   */
  public static Path path() {
    return NativeLibrary.cacheFolder();
  }
}
