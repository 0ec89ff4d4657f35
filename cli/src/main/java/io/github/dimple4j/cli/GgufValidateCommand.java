package io.github.dimple4j.cli;

import io.github.dimple4j.file.Printable;
import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.tools.Validator;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code dimple gguf validate}: whether a file is sound. */
@Command(name = "validate", mixinStandardHelpOptions = true,
    description = "Check a GGUF file: keys, shapes, tokenizer, and that every weight is a number.")
final class GgufValidateCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(paramLabel = "FILE", description = "A GGUF file, or the first of its parts.")
  private Path file;

  @Option(names = "--ignore-unknown", description = "Keys and tensors that this program does not know are notes, no problems.")
  private boolean ignoreUnknown;

  @Override
  public Integer call() throws Exception {
    Validator.Result result;
    try (ProgressBar bar = new ProgressBar(spec.commandLine().getErr())) {
      result = Validator.check(file, ignoreUnknown, bar);
    }
    PrintWriter out = spec.commandLine().getOut();
    result.problems().forEach(problem -> out.println(Printable.line(problem)));
    result.notes().forEach(note -> out.println("note: " + Printable.line(note)));
    if (result.problems().isEmpty()) {
      out.println(file + ": sound, " + result.tensors() + " tensors");
    }
    out.flush();
    if (!result.problems().isEmpty()) {
      throw new GgufException(file + ": problems found: " + result.problems().size());
    }
    return 0;
  }
}
