package io.github.dimple4j.cli;

import io.github.dimple4j.DimpleModel;
import io.github.dimple4j.InvalidArgumentException;
import io.github.dimple4j.MachinePeaks;
import io.github.dimple4j.ModelOptions;
import io.github.dimple4j.ModelStore;
import io.github.dimple4j.UnsupportedException;
import io.github.dimple4j.gguf.tools.TokenizerReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** What runs the model, for every command that has one run. */
final class EngineOptions {
  @Spec(Spec.Target.MIXEE) private CommandSpec spec;

  @Option(names = "--mmproj", paramLabel = "FILE", description = "A vision tower in a GGUF file of its own.")
  private Path mmproj;

  @Option(names = "--tokenizer", paramLabel = "DIR|FILE",
      description = "A tokenizer for a file that has none: a Hugging Face directory, its tokenizer.json, or a GGUF file.")
  private Path tokenizer;

  @Option(names = "--backend", paramLabel = "NAME", defaultValue = "auto",
      description = "What runs the model: auto, cpu, ref, or cpu- and an instruction set (default: ${DEFAULT-VALUE}).")
  private String backend;

  @Option(names = "--threads", paramLabel = "N", defaultValue = "0",
      description = "Threads; 0 is one per processor. Results do not depend on it (default: ${DEFAULT-VALUE}).")
  private int threads;

  @Option(names = "--ignore-unknown", description = "Run a file that has keys or tensors this program does not know, without them.")
  private boolean ignoreUnknown;

  @Option(names = "--unpacked", description = "Leave the weights in the file, for little memory: slower, with the same results.")
  private boolean unpacked;

  @Option(names = "--half-cache", description = "Keep keys and values in 16 bits, for little memory.")
  private boolean halfCache;

  /** Asks the core whether there can be so many threads, before anything is loaded. */
  void check() {
    try {
      effectiveThreads();
    } catch (InvalidArgumentException e) {
      throw Failures.invalidValue(spec, "--threads", e.getMessage().replaceFirst("^threads is ", ""));
    }
  }

  /** Loads a file, or a model that was pulled under that name. */
  DimpleModel load(Path named) {
    return load(named, 1);
  }

  /** The same for so many sessions that step together. */
  DimpleModel load(Path named, int batchSteps) {
    Path file = Files.exists(named) ? named : ModelStore.standard().find(named.toString()).orElse(named);
    ModelOptions.Builder options = options().batchSteps(batchSteps);
    if (tokenizer != null) {
      try {
        options.tokenizer(TokenizerReader.read(tokenizer));
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
    DimpleModel model = DimpleModel.load(file, (mmproj == null ? options : options.mmproj(mmproj)).build());
    model.info().ignored().forEach(name -> spec.commandLine().getErr().println("note: " + file + ": ignored " + name));
    spec.commandLine().getErr().flush();
    return model;
  }

  private ModelOptions.Builder options() {
    return ModelOptions.builder().backend(backend).threads(threads).ignoreUnknown(ignoreUnknown).unpacked(unpacked);
  }

  /** What the machine does at most; nothing for a backend that cannot say. */
  Optional<MachinePeaks> peaks() {
    try {
      return Optional.of(MachinePeaks.measure(options().build()));
    } catch (UnsupportedException e) {
      return Optional.empty();
    }
  }

  boolean halfCache() {
    return halfCache;
  }

  int threads() {
    return threads;
  }

  /** The number of threads that 0 stands for, too. */
  int effectiveThreads() {
    return DimpleModel.threadCount(threads);
  }
}
