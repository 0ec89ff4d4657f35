package io.github.dimple4j;

import io.github.dimple4j.gguf.TensorType;
import io.github.dimple4j.gguf.tools.Synth;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A model of dimple-mini's shape with random weights, tokenizer and vision tower: large enough for the work to be divided among threads,
 * and for a pass on the reference backend to take a while.
 */
final class Synthetic {
  private Synthetic() {}

  static synchronized Path file(TensorType type) {
    Path file = Temporary.folder().resolve("synthetic-" + type + ".gguf");
    try {
      if (!Files.exists(file)) {
        Synth.of("dimple-mini").type(type).write(file);
      }
      return file;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static DimpleModel load(TensorType type, String backend) {
    return DimpleModel.load(file(type), ModelOptions.builder().backend(backend).build());
  }

  /** A picture of the repository. */
  static Image scene() {
    return Image.read(Path.of("../docs/images/scene.png"));
  }
}
