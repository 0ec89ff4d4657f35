package io.github.dimple4j.cli;

import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.NoSuchFileException;
import java.security.CodeSource;
import java.util.ArrayList;
import java.util.List;

/**
 * The model that comes with the program, {@code models/mini/dimple-mini-f16.gguf}. It is the file that the system property
 * {@code dimple.model} or else the environment variable {@code DIMPLE_MODEL} names, or else lies below one of the folders above the program's
 * jar.
 */
final class BundledModel {
  private static final Path PLACE = Path.of("models", "mini", "dimple-mini-f16.gguf");

  private BundledModel() {}

  static Path find() throws NoSuchFileException {
    for (String named : new String[] {System.getProperty("dimple.model"), System.getenv("DIMPLE_MODEL")}) {
      if (named != null && !named.isEmpty()) {
        return Path.of(named);
      }
    }
    List<Path> tried = new ArrayList<>();
    for (Path folder = program(); folder != null; folder = folder.getParent()) {
      Path model = folder.resolve(PLACE);
      if (Files.isRegularFile(model)) {
        return model;
      }
      tried.add(model);
    }
    throw new NoSuchFileException(PLACE.toString(), null,
        "the bundled model is missing; name a model file. Tried " + (tried.isEmpty() ? "nothing" : tried.getFirst() + " and the folders above"));
  }

  private static Path program() {
    CodeSource source = BundledModel.class.getProtectionDomain().getCodeSource();
    try {
      return source == null || source.getLocation() == null ? null : Path.of(source.getLocation().toURI()).toAbsolutePath().getParent();
    } catch (URISyntaxException e) {
      return null;
    }
  }
}
