package io.github.dimple4j.cli;

import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.GgufFile;
import io.github.dimple4j.gguf.Validator;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code dimple gguf validate}: whether a file is sound. */
@Command(name = "validate", mixinStandardHelpOptions = true,
    description = "Check a GGUF file: keys, shapes, tokenizer, and that every weight is a number.")
final class GgufValidateCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(paramLabel = "FILE", description = "A GGUF file.")
  private Path file;

  @Override
  public Integer call() throws Exception {
    List<String> problems;
    int tensors;
    try (GgufFile opened = GgufFile.open(file); ProgressBar bar = new ProgressBar(spec.commandLine().getErr())) {
      problems = Validator.of(opened).progress(bar).problems();
      tensors = opened.tensors().size();
    }
    PrintWriter out = spec.commandLine().getOut();
    problems.forEach(out::println);
    if (problems.isEmpty()) {
      out.println(file + ": sound, " + tensors + " tensors");
    }
    out.flush();
    if (!problems.isEmpty()) {
      throw new GgufException(file + ": problems found: " + problems.size());
    }
    return 0;
  }
}
