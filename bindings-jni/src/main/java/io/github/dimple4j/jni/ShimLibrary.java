package io.github.dimple4j.jni;

import io.github.dimple4j.core.CoreException;
import io.github.dimple4j.core.CoreException.Kind;
import java.io.File;

/**
 * Loads the native half of the shim, {@code libdimple-jni}, and with it {@code libdimple}. Where the system property
 * {@code dimple.library} or the environment variable {@code DIMPLE_LIBRARY} names a {@code libdimple}, the shim lies beside it; otherwise
 * both are where {@link System#loadLibrary} looks: in an app's own libraries on Android, in {@code java.library.path} elsewhere.
 */
final class ShimLibrary {
  private static final String NAME = "dimple-jni";

  private static boolean loaded;

  private ShimLibrary() {}

  /**
   * Loads it unless this was done before; what fails is tried again by the next call.
   *
   * @throws CoreException of kind {@link Kind#LIBRARY}
   */
  static synchronized void load() {
    if (loaded) {
      return;
    }
    String library = System.getProperty("dimple.library", System.getenv("DIMPLE_LIBRARY"));
    try {
      if (library == null || library.isEmpty()) {
        System.loadLibrary(NAME);
      } else { // libdimple first: the shim takes the one that is there
        File core = new File(library).getAbsoluteFile();
        System.load(core.getPath());
        System.load(new File(core.getParentFile(), System.mapLibraryName(NAME)).getPath());
      }
    } catch (UnsatisfiedLinkError e) {
      throw new CoreException(Kind.LIBRARY, "no native library " + System.mapLibraryName(NAME) + ": " + e.getMessage(), e);
    }
    int version = Shim.dimple_api_version();
    if (version != Shim.DIMPLE_API_VERSION) {
      throw new CoreException(Kind.LIBRARY, "libdimple has API version " + version + ", expected " + Shim.DIMPLE_API_VERSION, null);
    }
    loaded = true;
  }
}
