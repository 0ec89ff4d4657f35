package io.github.dimple4j.cli;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code dimple gguf}: the tools for model files. */
@Command(name = "gguf", description = "Make and look at model files.", mixinStandardHelpOptions = true,
    subcommands = {GgufConvertCommand.class, GgufQuantizeCommand.class, GgufInspectCommand.class, GgufValidateCommand.class, GgufDiffCommand.class,
        GgufSynthCommand.class})
final class GgufCommand implements Runnable {
  @Spec private CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "Missing subcommand: one of " + String.join(", ", spec.subcommands().keySet()));
  }
}
