package io.github.dimple4j.platform;

import java.io.IOException;
import java.io.InputStream;

/**
 * A module that carries native libraries as resources. As a service it is resolved with the bindings wherever it is on the module path, so
 * that nobody has to require it; and it opens its own resources, which a class loader of other modules may not see.
 *
 * <p>The jars {@code dimple4j-natives} provide it. Called by one thread at a time.
 */
public interface NativeResources {
  /**
   * Opens a resource of the module.
   *
   * @param name the path from the module's root, e.g. {@code native/linux-x86_64/libdimple.so}
   * @return its content, to be closed by the caller; null if the module has no such resource
   * @throws IOException if it cannot be read
   */
  InputStream open(String name) throws IOException;
}
