package io.github.dimple4j.bindings;

import io.github.dimple4j.platform.NativeResources;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;

/** One walk through the places of {@link NativeLibrary}, which keeps why each of them failed. */
final class LibrarySearch {
  static final String FILE_NAME = System.mapLibraryName("dimple");

  private final Map<String, String> properties;
  private final Map<String, String> environment;
  private final ClassLoader resources;
  private final List<String> failures = new ArrayList<>();
  private SymbolLookup symbols;

  LibrarySearch(Map<String, String> properties, Map<String, String> environment, ClassLoader resources) {
    this.properties = properties;
    this.environment = environment;
    this.resources = resources;
  }

  /** The functions of the library that was loaded. */
  SymbolLookup symbols() {
    return symbols;
  }

  /** Loads the first usable library and returns its file. */
  Path load() {
    Path library = explicit("system property dimple.library", properties.get("dimple.library"));
    if (library == null) {
      library = explicit("environment variable DIMPLE_LIBRARY", environment.get("DIMPLE_LIBRARY"));
    }
    if (library == null) {
      library = fromLibraryPath();
    }
    if (library == null) {
      library = fromResource();
    }
    if (library == null) {
      throw failure();
    }
    return library;
  }

  /** The platform as in the resource's folder, e.g. {@code linux-x86_64}. */
  String platform() {
    return Platform.name(properties, Platform.THIS_PROGRAM);
  }

  /**
   * The folder that libraries are unpacked to. It need not exist.
   *
   * @throws InvalidPathException if its name is none in the locale that Java was started in
   */
  Path cache() {
    String set = given(properties.get("dimple.cache")) ? properties.get("dimple.cache") : environment.get("DIMPLE_CACHE");
    if (given(set)) {
      return Path.of(set);
    }
    Path home = Path.of(properties.getOrDefault("user.home", ""));
    if (!home.isAbsolute()) { // Java's "?": the user has no entry and no HOME
      home = temporaryFolder();
    }
    String platform = platform();
    String parent = platform.startsWith("windows") ? environment.get("LOCALAPPDATA") : environment.get("XDG_CACHE_HOME");
    if (given(parent) && Path.of(parent).isAbsolute()) {
      return Path.of(parent, "dimple4j");
    }
    return home.resolve(platform.startsWith("macos") ? "Library/Caches" : ".cache").resolve("dimple4j");
  }

  private Path explicit(String place, String value) {
    if (!given(value)) {
      failures.add(place + ": not set");
      return null;
    }
    try {
      Path file = Path.of(value).toAbsolutePath();
      if (opens(place, file)) {
        return file;
      }
    } catch (InvalidPathException e) {
      failures.add(place + ": " + e.getMessage());
    }
    failures.add("nothing else was tried, for this one was asked for");
    throw failure();
  }

  private Path fromLibraryPath() {
    String path = properties.getOrDefault("java.library.path", "");
    List<String> without = new ArrayList<>();
    for (String folder : path.split(File.pathSeparator)) {
      try {
        Path file = Path.of(folder, FILE_NAME).toAbsolutePath();
        if (!Files.exists(file)) {
          without.add(folder.isEmpty() ? "." : folder);
        } else if (opens("java.library.path", file)) {
          return file;
        }
      } catch (InvalidPathException e) {
        failures.add("java.library.path: " + e.getMessage());
      }
    }
    if (!without.isEmpty()) {
      failures.add("java.library.path: no " + FILE_NAME + " in " + String.join(", ", without));
    }
    return null;
  }

  private Path fromResource() {
    String name = "native/" + platform() + "/" + FILE_NAME;
    String place = "resource " + name;
    byte[] content;
    try (InputStream in = resource(name)) {
      if (in == null) {
        failures.add(place + ": on neither class path nor module path");
        failures.add(Artefact.advice(platform()));
        return null;
      }
      content = in.readAllBytes();
    } catch (IOException e) {
      failures.add(place + ": " + reason(e));
      return null;
    }
    try {
      Path file = unpack(content);
      if (opens(place, file)) {
        return file;
      }
    } catch (IOException e) {
      failures.add(place + ": cannot be unpacked to " + cache() + " (" + reason(e) + ")");
    } catch (InvalidPathException e) { // with letters beyond ASCII in a locale that has none: there is no path to say
      failures.add(place + ": cannot be unpacked, for the cache folder is no path here (" + reason(e) + ")");
    }
    Path file = fromTemporaryFolder(place, content);
    if (file == null) {
      failures.add("the property dimple.cache names another folder, which has to be one that can be written to and that libraries load from");
    }
    return file;
  }

  /** Opens a resource of the class path, or of a module that a class loader of its own has. Null if there is none. */
  private InputStream resource(String name) throws IOException {
    InputStream in = resources == null ? ClassLoader.getSystemResourceAsStream(name) : resources.getResourceAsStream(name);
    ModuleLayer layer = LibrarySearch.class.getModule().getLayer(); // null on the class path
    if (in == null && layer != null) {
      for (NativeResources module : ServiceLoader.load(layer, NativeResources.class)) {
        in = module.open(name);
        if (in != null) {
          break;
        }
      }
    }
    return in;
  }

  /**
   * Loads a library from a folder of its own, where the cache cannot be written to or is on a file system that nothing is executed from. It is
   * removed at once where the system lets it: what is loaded stays loaded.
   */
  private Path fromTemporaryFolder(String place, byte[] content) {
    try {
      Path folder = Files.createTempDirectory(temporaryFolder(), "dimple4j");
      Path file = folder.resolve(FILE_NAME);
      try {
        Files.write(file, content);
        if (!opens(place, file)) {
          return null;
        }
      } finally {
        delete(file);
        delete(folder);
      }
      System.getLogger("io.github.dimple4j").log(System.Logger.Level.WARNING, "the native library was loaded from {0}, and is unpacked again by every "
          + "program: {1}; the property dimple.cache names another folder for it", folder, failures.getLast());
      return file;
    } catch (IOException | InvalidPathException e) {
      failures.add(place + ": cannot be unpacked to " + properties.get("java.io.tmpdir") + " (" + reason(e) + ")");
      return null;
    }
  }

  private Path temporaryFolder() {
    return Path.of(properties.getOrDefault("java.io.tmpdir", "."));
  }

  private static void delete(Path file) {
    try {
      Files.deleteIfExists(file);
    } catch (IOException e) { // Windows keeps what is loaded
      file.toFile().deleteOnExit();
    }
  }

  /**
   * Puts a library into the cache and returns its file. The content is written under a name of its own and renamed, so that
   * a JVM that looks at the same moment sees the whole file or none; two that write move equal files onto each other.
   */
  Path unpack(byte[] content) throws IOException {
    Path folder = cache().toAbsolutePath().resolve(hash(content));
    Path file = folder.resolve(FILE_NAME);
    if (Files.isRegularFile(file) && Arrays.equals(Files.readAllBytes(file), content)) {
      return file;
    }
    Files.createDirectories(folder);
    Path fresh = Files.createTempFile(folder, FILE_NAME, ".part");
    fresh.toFile().deleteOnExit(); // should the program be ended now
    try {
      Files.write(fresh, content);
      Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } finally {
      Files.deleteIfExists(fresh);
    }
    return file;
  }

  private boolean opens(String place, Path file) {
    String problem = Files.isDirectory(file) ? "is a folder" : Files.exists(file) ? open(file) : "no such file";
    if (problem != null) {
      failures.add(place + ": " + file + ": " + problem);
    }
    return problem == null;
  }

  /**
   * Loads a file, after a look at its API version in a scope that can be left again. What is loaded belongs to the process and to no class
   * loader, so that several of them can load the same file: System.load would let only one.
   *
   * @return null, or why it does not do
   */
  private String open(Path file) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment function = SymbolLookup.libraryLookup(file, arena).find("dimple_api_version").orElse(null);
      if (function == null) {
        return "is not libdimple: it has no function dimple_api_version";
      }
      int version = (int) Linker.nativeLinker()
          .downcallHandle(function, FunctionDescriptor.of(ValueLayout.JAVA_INT)).invokeExact();
      if (version != Dimple.DIMPLE_API_VERSION()) {
        return "has API version " + version + ", expected " + Dimple.DIMPLE_API_VERSION();
      }
      symbols = SymbolLookup.libraryLookup(file, Arena.global());
      return null;
    } catch (IllegalCallerException e) { // not asked for, and --illegal-native-access=deny, which will be the default
      Module module = LibrarySearch.class.getModule();
      return "Java denies native access: start it with --enable-native-access=" + (module.isNamed() ? module.getName() : "ALL-UNNAMED");
    } catch (IllegalArgumentException e) {
      return whyNot(file);
    } catch (Error | RuntimeException e) {
      throw e;
    } catch (Throwable e) {
      throw new AssertionError("a downcall threw", e);
    }
  }

  /** Why a file is none that can be loaded: the linker does not say, System.load does. */
  private static String whyNot(Path file) {
    try {
      System.load(file.toString());
      return "cannot be opened";
    } catch (UnsatisfiedLinkError e) {
      String message = String.valueOf(e.getMessage());
      String prefix = file + ": "; // once by Java, and once by the system's loader
      while (message.startsWith(prefix)) {
        message = message.substring(prefix.length());
      }
      return message;
    }
  }

  private NativeLibraryException failure() {
    return new NativeLibraryException("no native library " + FILE_NAME + ": " + String.join("; ", failures));
  }

  private static boolean given(String value) {
    return value != null && !value.isBlank();
  }

  private static String reason(Exception e) {
    return switch (e) {
      case AccessDeniedException denied -> denied.getFile() + ": access denied";
      case NoSuchFileException missing -> missing.getFile() + ": no such file";
      case FileAlreadyExistsException exists -> exists.getFile() + ": is not a folder";
      default -> String.valueOf(e.getMessage());
    };
  }

  private static String hash(byte[] content) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content), 0, 16);
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every Java platform has SHA-256", e);
    }
  }
}
