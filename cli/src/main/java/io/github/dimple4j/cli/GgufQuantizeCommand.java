package io.github.dimple4j.cli;

import io.github.dimple4j.gguf.TensorType;
import io.github.dimple4j.gguf.tools.Quantization;
import io.github.dimple4j.gguf.tools.QuantizedFile;
import io.github.dimple4j.gguf.tools.Quantizer;
import io.github.dimple4j.gguf.tools.TypeFallback;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.concurrent.Callable;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/** {@code dimple gguf quantize}: a smaller file of a model. */
@Command(name = "quantize", mixinStandardHelpOptions = true,
    description = "Quantize a GGUF file whose matrices are f32, f16, bf16 or q8_0, with llama.cpp's choice of types.")
final class GgufQuantizeCommand implements Callable<Integer> {

  /** Regular expressions. */
  static final class PatternConverter implements ITypeConverter<Pattern> {
    @Override
    public Pattern convert(String text) {
      if (text.isEmpty()) { // it would be found in every name, and comes from an unset variable of a shell
        throw new TypeConversionException("'' is no part of a name");
      }
      try {
        return Pattern.compile(text);
      } catch (PatternSyntaxException e) {
        throw new TypeConversionException("'" + text + "' is not a regular expression: " + e.getDescription());
      }
    }
  }

  @Spec private CommandSpec spec;

  @Parameters(index = "0", paramLabel = "IN.gguf", description = "The file to quantize, or the first of its parts.")
  private Path source;

  @Parameters(index = "1", paramLabel = "OUT.gguf", description = "The file to write.")
  private Path target;

  @Parameters(index = "2", paramLabel = "TYPE", converter = QuantizationConverter.class,
      description = "q4_0, q4_1, q5_0, q5_1, q8_0, q2_k, q3_k_s, q3_k_m, q3_k_l, q4_k_s, q4_k_m, q5_k_s, q5_k_m, q6_k, iq4_nl, iq4_xs, "
          + "f16, bf16 or f32.")
  private Quantization quantization;

  @Option(names = "--tensor-type", paramLabel = "NAME=TYPE", converter = {PatternConverter.class, TensorTypeConverter.class},
      description = "Type of the matrices in whose name the regular expression NAME is found; the first option that finds it counts.")
  private Map<Pattern, TensorType> tensorTypes = new LinkedHashMap<>();

  @Option(names = "--vision-type", paramLabel = "TYPE", converter = TensorTypeConverter.class,
      description = "Type of the vision tower's matrices (default: f16 in a quantized file).")
  private TensorType visionType;

  @Option(names = "--imatrix", paramLabel = "FILE", description = "Importance matrix of llama-imatrix, GGUF or .dat.")
  private Path importance;

  @Option(names = "--dry-run", description = "Only say what would be written.")
  private boolean dryRun;

  @Option(names = "--force", description = "Replace OUT.gguf if it exists.")
  private boolean force;

  @Override
  public Integer call() throws Exception {
    Quantizer quantizer = Quantizer.of(source).to(quantization).overwrite(force);
    tensorTypes.forEach(quantizer::tensorType);
    if (visionType != null) {
      quantizer.visionType(visionType);
    }
    if (importance != null) {
      quantizer.importance(importance);
    }
    long start = System.nanoTime();
    QuantizedFile report = dryRun ? quantizer.dryRun() : write(quantizer);
    print(report, (System.nanoTime() - start) / 1e9);
    return 0;
  }

  private QuantizedFile write(Quantizer quantizer) throws IOException {
    NamedPipe.announce(target, spec.commandLine().getErr());
    try (ProgressBar bar = new ProgressBar(spec.commandLine().getErr())) {
      return quantizer.progress(bar).write(target);
    }
  }

  private void print(QuantizedFile report, double seconds) {
    PrintWriter out = spec.commandLine().getOut();
    double parameters = Math.max(1, report.parameters());
    out.printf(Locale.ROOT, "%s: %s as %s, %d tensors, %,d parameters%n", dryRun ? target + " (not written)" : target,
        report.architecture(), quantization, report.tensors(), report.parameters());
    out.printf(Locale.ROOT, "weights: %,d -> %,d bytes, %.2f -> %.2f bits per weight, %.1f s%n", report.sizeBefore(), report.sizeAfter(),
        8 * report.sizeBefore() / parameters, 8 * report.sizeAfter() / parameters, seconds);
    out.printf("  %-7s %8s %18s %18s %6s %10s %9s%n", "type", "tensors", "weights", "bytes", "bits", "rmse", "relative");
    for (QuantizedFile.TypeTotal total : report.types()) {
      out.printf(Locale.ROOT, "  %-7s %8d %,18d %,18d %6.2f %10s %9s%n", total.type(), total.tensors(), total.weights(), total.bytes(),
          8.0 * total.bytes() / total.weights(), number("%.2e", total.rmse()), number("%.4f", total.relativeError()));
    }
    for (TypeFallback fallback : report.fallbacks()) {
      out.printf("  %s is %s: its rows do not divide into blocks of %s%n", fallback.tensor(), fallback.used(), fallback.wanted());
    }
    out.flush();
  }

  private static String number(String format, OptionalDouble value) {
    return value.isPresent() ? String.format(Locale.ROOT, format, value.getAsDouble()) : "-";
  }
}
