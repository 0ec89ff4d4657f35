package io.github.dimple4j.bindings;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LibrarySearchTest {
  private static final String GOOD = "int dimple_api_version(void) { return " + Dimple.DIMPLE_API_VERSION() + "; }";

  @TempDir Path folder;
  private final Map<String, String> properties = new HashMap<>();
  private final Map<String, String> environment = new HashMap<>();

  @BeforeEach
  void describeThisMachine() {
    properties.put("os.name", System.getProperty("os.name"));
    properties.put("os.arch", System.getProperty("os.arch"));
    properties.put("user.home", folder.resolve("home").toString());
  }

  @Test
  void failureListsEveryPlaceAndWhy() throws Exception {
    Path empty = Files.createDirectory(folder.resolve("empty"));
    Path other = Compiler.library(folder.resolve("other"), "int something_else(void) { return 1; }");
    Path newer = Compiler.library(folder.resolve("newer"), "int dimple_api_version(void) { return 99; }");
    Path text = Files.createDirectory(folder.resolve("text")).resolve(LibrarySearch.FILE_NAME);
    Files.writeString(text, "not a library");
    properties.put("java.library.path", String.join(java.io.File.pathSeparator,
        empty.toString(), other.getParent().toString(), newer.getParent().toString(), text.getParent().toString()));

    assertThatThrownBy(() -> search(folder).load()).isInstanceOf(NativeLibraryException.class)
        .message().doesNotContain("\n").contains(
            "system property dimple.library: not set",
            "environment variable DIMPLE_LIBRARY: not set",
            other + ": is not libdimple: it has no function dimple_api_version",
            newer + ": has API version 99, expected " + Dimple.DIMPLE_API_VERSION(),
            text + ": ",
            "no " + LibrarySearch.FILE_NAME + " in " + empty,
            "resource native/", LibrarySearch.FILE_NAME + ": on neither class path nor module path");
  }

  @Test
  void failureNamesTheArtefactToAdd() throws IOException {
    properties.putAll(Map.of("os.name", "Windows 11", "os.arch", "amd64"));
    assertThatThrownBy(() -> search(folder).load()).message()
        .containsPattern("add the artefact io\\.github\\.dimple4j:dimple4j-natives:[^:]+:windows-x86_64 ");
    properties.putAll(Map.of("os.name", "Linux", "os.arch", "riscv64"));
    assertThatThrownBy(() -> search(folder).load()).hasMessageContaining("no artefact has a library for linux-riscv64: build csrc with CMake");
  }

  @Test
  void deniedNativeAccessSaysWhichOptionAllowsIt() throws Exception {
    assumeTrue(Runtime.version().feature() >= 24, "--illegal-native-access came with JDK 24");
    Path library = Compiler.library(folder.resolve("good"), GOOD);
    List<String> command = List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "--illegal-native-access=deny",
        "-Ddimple.library=" + library, "-cp", location(NativeLibrary.class) + java.io.File.pathSeparator + location(PrintLibrary.class),
        PrintLibrary.class.getName());
    assertThat(output(new ProcessBuilder(command).redirectErrorStream(true).start()))
        .contains("NativeLibraryException", library + ": Java denies native access: start it with --enable-native-access=ALL-UNNAMED");
  }

  @Test
  void explicitFileIsTheOnlyPlace() throws Exception {
    Path good = Compiler.library(folder.resolve("good"), GOOD);
    properties.put("java.library.path", good.getParent().toString());
    Path missing = folder.resolve("missing.so");

    properties.put("dimple.library", missing.toString());
    assertThatThrownBy(() -> search(folder).load()).message()
        .contains("dimple.library: " + missing + ": no such file").contains("nothing else was tried");

    properties.put("dimple.library", folder.toString());
    assertThatThrownBy(() -> search(folder).load()).hasMessageContaining(folder + ": is a folder");

    properties.put("dimple.library", "\0");
    assertThatThrownBy(() -> search(folder).load()).isInstanceOf(NativeLibraryException.class);

    properties.remove("dimple.library");
    environment.put("DIMPLE_LIBRARY", missing.toString());
    assertThatThrownBy(() -> search(folder).load()).message()
        .contains("DIMPLE_LIBRARY: " + missing + ": no such file").contains("dimple.library: not set");
  }

  @Test
  void unpackedFileIsNamedByItsContentAndRepairedWhenItDiffers() throws IOException {
    byte[] content = "one".getBytes(StandardCharsets.UTF_8);
    var search = search(folder);
    Path file = search.unpack(content);
    assertThat(file).hasBinaryContent(content).startsWith(folder.resolve("home"));
    assertThat(search.unpack(content)).isEqualTo(file);
    assertThat(search.unpack("two".getBytes(StandardCharsets.UTF_8))).isNotEqualTo(file);

    Files.writeString(file, "cut");
    assertThat(search.unpack(content)).isEqualTo(file).hasBinaryContent(content);
    try (var files = Files.list(file.getParent())) {
      assertThat(files).containsExactly(file);
    }
  }

  @Test
  void cacheFolderFollowsPropertyThenEnvironmentThenUser() {
    var search = search(folder);
    properties.put("os.name", "Linux");
    assertThat(search.cache()).isEqualTo(folder.resolve("home/.cache/dimple4j"));
    environment.put("XDG_CACHE_HOME", "relative");
    assertThat(search.cache()).isEqualTo(folder.resolve("home/.cache/dimple4j"));
    environment.put("XDG_CACHE_HOME", "/caches");
    assertThat(search.cache()).isEqualTo(Path.of("/caches/dimple4j"));
    environment.put("DIMPLE_CACHE", "/mine");
    assertThat(search.cache()).isEqualTo(Path.of("/mine"));
    properties.put("dimple.cache", "/yours");
    assertThat(search.cache()).isEqualTo(Path.of("/yours"));
  }

  @Test
  void unusableFoldersAreNamed() throws Exception {
    Path resources = folder.resolve("resources");
    Compiler.library(resources.resolve("native/" + search(folder).platform()), GOOD);
    Path file = Files.writeString(folder.resolve("file"), "");
    properties.put("dimple.cache", file.toString());
    properties.put("java.io.tmpdir", folder.resolve("missing").toString());
    assertThatThrownBy(() -> search(resources).load()).message()
        .contains("cannot be unpacked to " + file, "cannot be unpacked to " + folder.resolve("missing"), "dimple.cache names another folder");
  }

  /** Without a home of the user, Java calls it "?", which would be a folder here. */
  @Test
  void aUserWithoutAHomeHasACacheToo() {
    properties.put("os.name", "Linux");
    properties.put("user.home", "?");
    properties.put("java.io.tmpdir", "/tmp");
    assertThat(search(folder).cache()).isEqualTo(Path.of("/tmp/.cache/dimple4j"));
  }

  @Test
  void aCacheThatCannotBeWrittenToIsDoneWithout() throws Exception {
    assertLoadsFromTemporaryFolder(Files.writeString(folder.resolve("file"), ""));
  }

  /** As one with letters beyond ASCII in a locale that has none. */
  @Test
  void aCacheThatIsNoPathIsDoneWithout() throws Exception {
    Path resources = folder.resolve("resources");
    Compiler.library(resources.resolve("native/" + search(folder).platform()), GOOD);
    properties.put("dimple.cache", "no\0path");
    properties.put("java.io.tmpdir", Files.createDirectory(folder.resolve("temporary")).toString());
    assertThat(search(resources).load().toString()).startsWith(folder.resolve("temporary").toString()); // where it is no more
    properties.put("java.io.tmpdir", folder.resolve("missing").toString());
    assertThatThrownBy(() -> search(resources).load()).isInstanceOf(NativeLibraryException.class)
        .hasMessageContaining("cannot be unpacked, for the cache folder is no path here").hasMessageContaining("dimple.cache names another folder");
  }

  @Test
  void aCacheThatLibrariesDoNotLoadFromIsDoneWithout() throws Exception {
    Path memory = Path.of("/dev/shm");
    assumeTrue(Files.isReadable(Path.of("/proc/mounts")) && Files.readAllLines(Path.of("/proc/mounts")).stream()
        .anyMatch(mount -> mount.matches("\\S+ /dev/shm \\S+ (rw|rw,\\S*|\\S*,rw,\\S*)noexec.*")), "no file system here is mounted with noexec");
    Path cache = Files.createTempDirectory(memory, "dimple-cache");
    try {
      assertLoadsFromTemporaryFolder(cache);
    } finally {
      try (var files = Files.walk(cache)) {
        files.sorted(Comparator.reverseOrder()).forEach(file -> file.toFile().delete());
      }
    }
  }

  private void assertLoadsFromTemporaryFolder(Path cache) throws Exception {
    Path resources = folder.resolve("resources");
    Compiler.library(resources.resolve("native/" + search(folder).platform()), GOOD);
    Path temporary = Files.createDirectory(folder.resolve("temporary"));
    String output = output(java(List.of("-Ddimple.cache=" + cache, "-Djava.io.tmpdir=" + temporary), resources));
    assertThat(output).contains("WARNING: the native library was loaded from " + temporary, cache.toString(), "dimple.cache names another folder");
    assertThat(output.lines().toList().getLast()).startsWith(temporary.toString()).endsWith(LibrarySearch.FILE_NAME);
    assertThat(temporary).isEmptyDirectory();
  }

  /** Several JVMs unpack the same resource into the same empty cache. */
  @Test
  void virtualMachinesUnpackAtTheSameTime() throws Exception {
    Path resources = folder.resolve("resources");
    Compiler.library(resources.resolve("native/" + search(folder).platform()), GOOD);
    Path cache = folder.resolve("cache");
    List<Process> machines = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      machines.add(java("-Ddimple.cache=" + cache, resources));
    }
    for (Process machine : machines) {
      assertThat(output(machine)).matches(cache + "/[0-9a-f]{32}/" + LibrarySearch.FILE_NAME);
    }
    try (var files = Files.walk(cache)) {
      assertThat(files.filter(Files::isRegularFile)).hasSize(1);
    }
  }

  @Test
  void libraryPathComesBeforeTheClassPath() throws Exception {
    Path resources = folder.resolve("resources");
    Compiler.library(resources.resolve("native/" + search(folder).platform()), GOOD);
    Path library = Compiler.library(folder.resolve("installed"), GOOD);
    assertThat(output(java("-Djava.library.path=" + library.getParent(), resources))).isEqualTo(library.toString());
    assertThat(output(java("-Ddimple.library=" + library, resources))).isEqualTo(library.toString());
  }

  @Test
  void libraryOfTheBuildLoads() {
    assertThat(NativeLibrary.load()).exists();
    assertThat(NativeLibrary.load()).isSameAs(NativeLibrary.load());
    assertThat(Dimple.dimple_api_version()).isEqualTo(Dimple.DIMPLE_API_VERSION());
    assertThat(Dimple.dimple_last_error().getString(0)).isEmpty();
  }

  /** Prints where the library was loaded from. */
  public static final class PrintLibrary {
    public static void main(String[] arguments) {
      System.out.print(NativeLibrary.load());
    }
  }

  private LibrarySearch search(Path resources) {
    try {
      return new LibrarySearch(properties, environment, new URLClassLoader(new URL[] {resources.toUri().toURL()}, null));
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  private static Process java(String option, Path resources) throws IOException {
    return java(List.of(option), resources);
  }

  private static Process java(List<String> options, Path resources) throws IOException {
    String classes = String.join(java.io.File.pathSeparator, location(NativeLibrary.class), location(PrintLibrary.class),
        resources.toString());
    List<String> command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
        "--enable-native-access=ALL-UNNAMED", "-XX:TieredStopAtLevel=1"));
    command.addAll(options);
    command.addAll(List.of("-cp", classes, PrintLibrary.class.getName()));
    return new ProcessBuilder(command).redirectErrorStream(true).start();
  }

  private static String location(Class<?> type) {
    return Path.of(type.getProtectionDomain().getCodeSource().getLocation().getPath()).toString();
  }

  private static String output(Process process) throws IOException, InterruptedException {
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    process.waitFor();
    return output;
  }
}
