package io.github.dimple4j.cli;

import io.github.dimple4j.gguf.TensorType;
import io.github.dimple4j.gguf.tools.Converter;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code dimple gguf convert}: a Hugging Face directory becomes a GGUF file. */
@Command(name = "convert", description = "Convert a Hugging Face model directory (Dimple, Dream, LLaDA) to one GGUF file.",
    mixinStandardHelpOptions = true)
final class GgufConvertCommand implements Callable<Integer> {
  @Parameters(paramLabel = "HF_DIR", description = "Directory with config.json, the safetensors file or shards, and the tokenizer.")
  private Path directory;

  @Option(names = "--type", paramLabel = "TYPE", defaultValue = "f16", converter = TensorTypeConverter.class,
      description = "Type of the matrices: f32, f16, bf16, q8_0, q4_0, ... (default: ${DEFAULT-VALUE}).")
  private TensorType type;

  @Mixin private GgufOutput output;

  @Override
  public Integer call() throws Exception {
    output.report(progress -> Converter.of(directory).type(type).overwrite(output.force()).progress(progress).write(output.file()));
    return 0;
  }
}
