package io.github.dimple4j;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.stream.Stream;

/** One folder for the files that all tests of a run share; removed when the run ends. */
final class Temporary {
  private static final Path FOLDER = create();

  private Temporary() {}

  static Path folder() {
    return FOLDER;
  }

  private static Path create() {
    try {
      Path folder = Files.createTempDirectory("dimple-tests");
      Runtime.getRuntime().addShutdownHook(new Thread(() -> delete(folder)));
      return folder;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void delete(Path folder) {
    try (Stream<Path> files = Files.walk(folder)) {
      files.sorted(Comparator.reverseOrder()).forEach(file -> file.toFile().delete());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
