package io.github.dimple4j.cli;

import io.github.dimple4j.file.Printable;
import io.github.dimple4j.gguf.MetadataType;
import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.TensorInfo;
import io.github.dimple4j.gguf.tools.FileDifference;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code dimple gguf diff}: in what two files differ. */
@Command(name = "diff", mixinStandardHelpOptions = true,
    description = "Compare the metadata and tensors of two GGUF files; exit status 1 if they differ.")
final class GgufDiffCommand implements Callable<Integer> {
  private static final int SHOWN_TEXT = 60;

  @Spec private CommandSpec spec;

  @Parameters(index = "0", paramLabel = "A.gguf", description = "A GGUF file, or the first of its parts.")
  private Path first;

  @Parameters(index = "1", paramLabel = "B.gguf", description = "Another one.")
  private Path second;

  @Override
  public Integer call() throws Exception {
    FileDifference difference;
    try (ProgressBar bar = new ProgressBar(spec.commandLine().getErr())) {
      difference = FileDifference.between(first, second, bar);
    }
    PrintWriter out = spec.commandLine().getOut();
    difference.keys().forEach(key -> out.printf("key %s: %s%n", Printable.line(key.name()), describe(key)));
    difference.tensors().forEach(tensor -> out.printf("tensor %s: %s%n", Printable.line(tensor.name()), describe(tensor)));
    out.printf(Locale.ROOT, "%d keys differ, %d tensors differ, %d tensors are equal%n", difference.keys().size(), difference.tensors().size(),
        difference.equalTensors());
    out.flush();
    return difference.isEmpty() ? ExitCode.OK : DimpleCommand.FAILED;
  }

  private static String describe(FileDifference.Key key) {
    if (key.first().isPresent() && key.second().isPresent()) {
      MetadataValue a = key.first().get();
      MetadataValue b = key.second().get();
      String where = a.value() instanceof List<?> && b.value() instanceof List<?>
          ? ", first at element " + firstDifference(a.elements(), b.elements()) : "";
      return describe(a) + " | " + describe(b) + where;
    }
    return only(key.first()) + key.first().or(key::second).map(GgufDiffCommand::describe).orElse("");
  }

  private static int firstDifference(List<?> a, List<?> b) {
    int at = 0;
    while (at < Math.min(a.size(), b.size()) && a.get(at).equals(b.get(at))) {
      at++;
    }
    return at;
  }

  private static String describe(MetadataValue value) {
    if (value.value() instanceof List<?> list) {
      return value.typeName() + ", " + list.size() + " elements";
    }
    String text = Printable.line(value.type() == MetadataType.UINT64 ? Long.toUnsignedString((Long) value.value()) : String.valueOf(value.value()));
    return value.typeName() + " " + (text.length() > SHOWN_TEXT ? text.substring(0, SHOWN_TEXT) + "..." : text);
  }

  private static String describe(FileDifference.Tensor tensor) {
    if (tensor.first().isPresent() && tensor.second().isPresent()) {
      return describe(tensor.first().get()) + " | " + describe(tensor.second().get()) + tensor.weights().map(weights -> String.format(
          Locale.ROOT, ", rmse %.3e, relative %.4f, largest %.3e", weights.rmse(), weights.relative(), weights.largest())).orElse("");
    }
    return only(tensor.first()) + tensor.first().or(tensor::second).map(GgufDiffCommand::describe).orElse("");
  }

  private static String describe(TensorInfo tensor) {
    return tensor.typeName() + " " + tensor.shape();
  }

  private static String only(Optional<?> first) {
    return first.isPresent() ? "only in the first file: " : "only in the second file: ";
  }
}
