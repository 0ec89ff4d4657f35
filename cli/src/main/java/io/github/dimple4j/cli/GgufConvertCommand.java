package io.github.dimple4j.cli;

import io.github.dimple4j.gguf.tools.Converter;
import io.github.dimple4j.gguf.tools.Quantization;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code dimple gguf convert}: a Hugging Face directory becomes a GGUF file. */
@Command(name = "convert", description = "Convert a Hugging Face model directory of any family that runs here to one GGUF file.",
    mixinStandardHelpOptions = true)
final class GgufConvertCommand implements Callable<Integer> {
  @Parameters(paramLabel = "HF_DIR", description = "Directory with config.json, the safetensors file or shards, and the tokenizer.")
  private Path directory;

  @Option(names = "--type", paramLabel = "TYPE", defaultValue = "f16", converter = QuantizationConverter.class,
      description = "Type or mixture, as of gguf quantize: f32, f16, bf16, q8_0, q4_k_m, ... (default: ${DEFAULT-VALUE}).")
  private Quantization type;

  @Option(names = "--lora", paramLabel = "DIR", description = "Merge a low-rank adapter of PEFT's into the weights.")
  private Path lora;

  @Option(names = "--mmproj", description = "Write the vision tower alone, a file for the option --mmproj of other commands (Gemma 4's towers).")
  private boolean mmproj;

  @Option(names = "--ignore-unknown",
      description = "Convert although config.json or the preparation of pictures has settings that are not known here; they are named.")
  private boolean ignoreUnknown;

  @Mixin private GgufOutput output;

  @Override
  public Integer call() throws Exception {
    Converter converter = Converter.of(directory).to(type).overwrite(output.force()).mmproj(mmproj).ignoreUnknown(ignoreUnknown);
    output.report(progress -> (lora == null ? converter : converter.lora(lora)).progress(progress).write(output.file()));
    return 0;
  }
}
