package io.github.dimple4j.cli;

import io.github.dimple4j.DimpleModel;
import io.github.dimple4j.Image;
import io.github.dimple4j.ModelOptions;
import java.nio.file.Path;
import java.util.List;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** What every command that runs a model takes: pictures, and what runs the model. */
final class EngineOptions {
  @Spec(Spec.Target.MIXEE) private CommandSpec spec;

  @Option(names = "--image", paramLabel = "FILE", description = "A picture (PNG, JPEG, GIF, BMP); may be given several times.")
  private List<Path> images = List.of();

  @Option(names = "--mmproj", paramLabel = "FILE", description = "A vision tower in a GGUF file of its own.")
  private Path mmproj;

  @Option(names = "--backend", paramLabel = "NAME", defaultValue = "auto",
      description = "What runs the model: auto, cpu, ref, or cpu- and an instruction set (default: ${DEFAULT-VALUE}).")
  private String backend;

  @Option(names = "--threads", paramLabel = "N", defaultValue = "0",
      description = "Threads; 0 is one per processor. Results do not depend on it (default: ${DEFAULT-VALUE}).")
  private int threads;

  void check() {
    if (threads < 0) {
      throw new ParameterException(spec.commandLine(), "Invalid value for option '--threads': " + threads + " is negative");
    }
  }

  /** Reads the pictures, which fails faster than loading a model. */
  Image[] readImages() {
    return images.stream().map(Image::read).toArray(Image[]::new);
  }

  DimpleModel load(Path file) {
    ModelOptions.Builder options = ModelOptions.builder().backend(backend).threads(threads);
    return DimpleModel.load(file, (mmproj == null ? options : options.mmproj(mmproj)).build());
  }

  int threads() {
    return threads;
  }

  /** The number of threads that 0 stands for, too. */
  int effectiveThreads() {
    return threads > 0 ? threads : Runtime.getRuntime().availableProcessors();
  }
}
