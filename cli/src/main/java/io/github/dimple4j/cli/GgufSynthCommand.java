package io.github.dimple4j.cli;

import io.github.dimple4j.gguf.TensorType;
import io.github.dimple4j.gguf.tools.Quantization;
import io.github.dimple4j.gguf.tools.Synth;
import java.util.Iterator;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.function.Consumer;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code dimple gguf synth}: a file of a real model's shape with random weights. */
@Command(name = "synth", mixinStandardHelpOptions = true,
    description = "Make a file with random weights in a real model's exact shape, to measure speed, memory and limits.")
final class GgufSynthCommand implements Callable<Integer> {

  /** The presets, for the help text. */
  static final class Presets implements Iterable<String> {
    @Override
    public Iterator<String> iterator() {
      return Synth.presets().iterator();
    }
  }

  @Spec private CommandSpec spec;

  @Option(names = "--preset", required = true, completionCandidates = Presets.class,
      description = "The model: ${COMPLETION-CANDIDATES}.")
  private String preset;

  /** What a name makes of the file: one type for all matrices, or a mixture where no type has that name. */
  static final class TypeConverter implements ITypeConverter<Consumer<Synth>> {
    @Override
    public Consumer<Synth> convert(String name) {
      Optional<Quantization> mixture = Quantization.of(name);
      if (TensorType.of(name).isEmpty() && mixture.isPresent()) {
        return synth -> synth.mixture(mixture.get());
      }
      TensorType type = new TensorTypeConverter().convert(name);
      return synth -> synth.type(type);
    }
  }

  @Option(names = "--type", paramLabel = "TYPE", defaultValue = "q4_0", converter = TypeConverter.class,
      description = "Type of the matrices, or a mixture of types such as q4_k_m; the vision tower of a quantized file is f16 "
          + "(default: ${DEFAULT-VALUE}).")
  private Consumer<Synth> type;

  @Option(names = "--layers", paramLabel = "N", description = "Layers of the text, for a model that is as wide but needs less time and memory"
      + " (default: the real model's).")
  private Integer layers;

  @Option(names = "--seed", defaultValue = "0", description = "Seed of the weights (default: ${DEFAULT-VALUE}).")
  private long seed;

  @Mixin private GgufOutput output;

  @Override
  public Integer call() throws Exception {
    if (!Synth.presets().contains(preset)) {
      throw Failures.invalidValue(spec, "--preset", "'" + preset + "' is not one of " + String.join(", ", Synth.presets()));
    }
    Synth synth = Synth.of(preset).seed(seed).overwrite(output.force());
    type.accept(synth);
    if (layers != null) {
      if (layers < 1) {
        throw Failures.invalidValue(spec, "--layers", "'" + layers + "' is not 1 or more");
      }
      synth.layers(layers);
    }
    output.report(progress -> synth.progress(progress).write(output.file()));
    return 0;
  }
}
