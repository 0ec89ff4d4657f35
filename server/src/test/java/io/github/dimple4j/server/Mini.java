package io.github.dimple4j.server;

import io.github.dimple4j.DimpleModel;
import io.github.dimple4j.ModelOptions;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;

/** The bundled model, loaded once, and what is asked of it. */
final class Mini {
  static final String NAME = "dimple-mini-f16";
  static final DimpleModel MODEL = DimpleModel.load(Path.of("../models/mini/dimple-mini-f16.gguf"),
      ModelOptions.builder().batchSteps(4).build());

  private Mini() {}

  static ServerOptions.Builder options() {
    return ServerOptions.builder().port(0).model(NAME);
  }

  static DimpleServer start(ServerOptions.Builder options) {
    try {
      return DimpleServer.start(MODEL, options.build());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static byte[] scene(int number) {
    try {
      return Files.readAllBytes(Path.of("../docs/images/scene-%02d.png".formatted(number)));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static String dataUrl(byte[] picture) {
    return "data:image/png;base64," + Base64.getEncoder().encodeToString(picture);
  }
}
