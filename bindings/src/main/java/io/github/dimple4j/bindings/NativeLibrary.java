package io.github.dimple4j.bindings;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.nio.file.Path;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * Finds and loads the native library {@code libdimple}, once per class loader; class loaders that find the same file share it, and it stays
 * loaded until the process ends. The places, in order:
 *
 * <ol>
 *   <li>the file that the system property {@code dimple.library} names;
 *   <li>the file that the environment variable {@code DIMPLE_LIBRARY} names;
 *   <li>the folders of {@code java.library.path};
 *   <li>the resource {@code native/}{@link #platform() <platform>}{@code /}{@link System#mapLibraryName libdimple.so} of the class path or of a
 *       module that provides {@link io.github.dimple4j.platform.NativeResources}, as the jars {@code dimple4j-natives} bring it, unpacked to a
 *       cache folder: {@code dimple.cache} (property), {@code DIMPLE_CACHE}
 *       (environment), or {@code dimple4j} in the user's cache folder. A file there is named by the hash of its content, so
 *       versions live side by side and several JVMs may unpack at once. Where that folder cannot be written to, or libraries do not load from it
 *       (a file system mounted with {@code noexec}), it is unpacked to {@code java.io.tmpdir} for the time of loading, and a warning says so.
 * </ol>
 *
 * <p>The first two are explicit: when the file they name does not load, nothing else is tried. A library of another
 * {@linkplain Dimple#DIMPLE_API_VERSION() API version} counts as one that does not load.
 *
 * <p>Thread-safe.
 */
public final class NativeLibrary {
  private static Path loaded;
  private static SymbolLookup symbols;

  private NativeLibrary() {}

  /**
   * Loads the library unless this was done before.
   *
   * @return the file it was loaded from
   * @throws NativeLibraryException if no place had a usable library; a later call tries again
   */
  public static synchronized Path load() {
    if (loaded == null) {
      LibrarySearch search = new LibrarySearch(properties(), System.getenv(), NativeLibrary.class.getClassLoader());
      loaded = search.load();
      symbols = search.symbols();
      System.getLogger("io.github.dimple4j").log(System.Logger.Level.DEBUG, "loaded {0}", loaded);
    }
    return loaded;
  }

  /**
   * This machine's operating system and processor, and on Linux this Java's C library where it is musl, as in the names of the jars of native
   * libraries.
   *
   * @return e.g. {@code linux-x86_64} (a Java of glibc) or {@code linux-x86_64-musl}
   */
  public static String platform() {
    return new LibrarySearch(properties(), System.getenv(), null).platform();
  }

  /**
   * The folder that libraries are unpacked to, in which other things of the project may be kept, too.
   *
   * @return the folder as the list above has it; it need not exist
   * @throws java.nio.file.InvalidPathException if its name is none in the locale that Java was started in
   */
  public static Path cacheFolder() {
    return new LibrarySearch(properties(), System.getenv(), NativeLibrary.class.getClassLoader()).cache();
  }

  /**
   * The address of a function of the library, which is loaded if need be.
   *
   * @throws UnsatisfiedLinkError if the library has no such function
   */
  static synchronized MemorySegment symbol(String name) {
    Path library = load();
    return symbols.find(name)
        .orElseThrow(() -> new UnsatisfiedLinkError(library + " has no function " + name));
  }

  private static Map<String, String> properties() {
    var properties = System.getProperties();
    return properties.stringPropertyNames().stream().collect(Collectors.toMap(name -> name, properties::getProperty));
  }
}
