package io.github.dimple4j.core;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Only this package imports the bindings, in all modules; and in the API's own module only it knows foreign memory. */
class OnePackageKnowsCTest {
  private static List<Path> sources(String module) {
    try (Stream<Path> files = Files.walk(Path.of("..", module, "src", "main", "java"))) {
      return files.filter(file -> file.toString().endsWith(".java") && !file.endsWith("module-info.java")).toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static boolean mentions(Path source, String name) {
    try {
      return Files.readString(source).contains(name);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static boolean isCore(Path source) {
    return source.getParent().endsWith(Path.of("io", "github", "dimple4j", "core"));
  }

  @Test
  void bindings() {
    List<Path> all = Stream.of("java", "gguf-tools", "cli").flatMap(module -> sources(module).stream()).toList();
    assertThat(all).filteredOn(source -> mentions(source, "io.github.dimple4j.bindings")).isNotEmpty().allMatch(OnePackageKnowsCTest::isCore);
  }

  @Test
  void foreignMemory() {
    assertThat(sources("java")).filteredOn(source -> mentions(source, "java.lang.foreign")).isNotEmpty().allMatch(OnePackageKnowsCTest::isCore);
  }
}
