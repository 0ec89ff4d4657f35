import io.github.dimple4j.bindings.NativeLibrary;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.FileVisitOption;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.spi.ToolProvider;
import java.util.stream.Stream;

/**
 * Lays out the jars of native libraries: a folder for each platform that was built, and one that has all of them. Each is a module that
 * provides its resources, {@code native/<platform>/<library>}, to the bindings. Java runs this file as it is, with the bindings on the
 * class path.
 *
 * <p>Arguments: this machine's library; the folder of those that were cross-compiled, {@code <platform>/<library>}, which may be missing;
 * the core's sources; the folder for all platforms; the folder of the platforms' folders; the version. A cross-compiled library takes the
 * place of this machine's for the same platform, for it runs on more systems. One that is older than the sources is left out.
 */
final class NativeJars {
  private final Path all;
  private final Path platforms;
  private final String version;
  private final String bindings; // jar or folder

  private NativeJars(Path all, Path platforms, String version) throws URISyntaxException {
    this.all = all;
    this.platforms = platforms;
    this.version = version;
    bindings = Path.of(NativeLibrary.class.getProtectionDomain().getCodeSource().getLocation().toURI()).toString();
  }

  public static void main(String[] arguments) throws IOException, URISyntaxException {
    Path library = Path.of(arguments[0]);
    Map<String, Path> libraries = new TreeMap<>(Map.of(NativeLibrary.platform(), library));
    libraries.putAll(crossCompiled(Path.of(arguments[1]), newest(Path.of(arguments[2]))));
    new NativeJars(Path.of(arguments[3]), Path.of(arguments[4]), arguments[5]).layOut(libraries);
    System.out.println("native libraries: " + String.join(", ", libraries.keySet()));
  }

  private static Map<String, Path> crossCompiled(Path folder, FileTime newest) throws IOException {
    Map<String, Path> libraries = new TreeMap<>();
    if (!Files.isDirectory(folder)) {
      return libraries;
    }
    try (Stream<Path> files = Files.find(folder, 2, (file, attributes) -> attributes.isRegularFile())) {
      for (Path file : files.filter(file -> file.getFileName().toString().matches("(lib)?dimple\\.(so|dll|dylib)")).toList()) {
        if (Files.getLastModifiedTime(file).compareTo(newest) < 0) {
          System.out.println("native libraries: left out, as older than the core's sources: " + file.normalize());
        } else {
          libraries.put(file.getParent().getFileName().toString(), file);
        }
      }
    }
    return libraries;
  }

  /** When what a library is built of was changed last. */
  private static FileTime newest(Path sources) throws IOException {
    try (Stream<Path> files = Files.walk(sources, FileVisitOption.FOLLOW_LINKS)) {
      FileTime newest = FileTime.fromMillis(0);
      for (Path file : files.filter(file -> partOfLibrary(sources.relativize(file).toString())).toList()) {
        FileTime time = Files.getLastModifiedTime(file);
        newest = time.compareTo(newest) > 0 ? time : newest;
      }
      return newest;
    }
  }

  private static boolean partOfLibrary(String source) {
    return source.matches(".*\\.[ch]") && !source.matches("(test|bench|fuzz)\\b.*");
  }

  private void layOut(Map<String, Path> libraries) throws IOException {
    delete(all.resolve("native"));
    delete(platforms);
    describe("io.github.dimple4j.natives", "all platforms", all);
    for (var library : libraries.entrySet()) {
      String platform = library.getKey();
      Path folder = platforms.resolve(platform);
      describe("io.github.dimple4j.natives." + platform.replace('-', '.'), platform, folder);
      copy(all.resolve("META-INF/LICENSE"), folder.resolve("META-INF/LICENSE"));
      for (Path target : List.of(all, folder)) {
        copy(library.getValue(), target.resolve("native").resolve(platform).resolve(library.getValue().getFileName()));
      }
    }
  }

  /** Compiles a module of that name: its descriptor, and the one class of its package. */
  private void describe(String module, String what, Path folder) throws IOException {
    Path sources = Files.createTempDirectory("dimple4j-natives");
    try {
      Path descriptor = Files.writeString(sources.resolve("module-info.java"), """
          /** The native library for %s. */
          module %s {
            requires io.github.dimple4j.bindings;
            provides io.github.dimple4j.platform.NativeResources with %s.Resources;
          }
          """.formatted(what, module, module));
      Path type = Files.writeString(sources.resolve("Resources.java"), """
          package %s;

          /** Opens the resources of its module. */
          public final class Resources implements io.github.dimple4j.platform.NativeResources {
            @Override
            public java.io.InputStream open(String name) {
              return Resources.class.getResourceAsStream("/" + name);
            }
          }
          """.formatted(module));
      compile(folder, "22", descriptor, type);
      compile(folder, "17", descriptor); // for the jar tool of the oldest JDK that may start Maven, as in the other modules
    } finally {
      delete(sources);
    }
  }

  private void compile(Path folder, String release, Path... sources) {
    List<String> options = new ArrayList<>(List.of("-nowarn", "--release", release, "--module-version", version, "--module-path", bindings,
        "-d", folder.toString()));
    for (Path source : sources) {
      options.add(source.toString());
    }
    int status = ToolProvider.findFirst("javac").orElseThrow().run(System.out, System.err, options.toArray(String[]::new));
    if (status != 0) {
      throw new IllegalStateException("javac failed: " + options);
    }
  }

  private static void copy(Path from, Path to) throws IOException {
    Files.createDirectories(to.getParent());
    Files.copy(from, to, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.COPY_ATTRIBUTES);
  }

  private static void delete(Path folder) throws IOException {
    if (!Files.exists(folder)) {
      return;
    }
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }
}
