package io.github.dimple4j.cli;

import io.github.dimple4j.gguf.GgufFile;
import io.github.dimple4j.gguf.tools.Inspector;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code dimple gguf inspect}: what a file holds. */
@Command(name = "inspect", description = "Show the metadata and tensors of a GGUF file.", mixinStandardHelpOptions = true)
final class GgufInspectCommand implements Callable<Integer> {
  private static final int SHOWN_ELEMENTS = 8;

  @Spec private CommandSpec spec;

  @Parameters(paramLabel = "FILE", description = "A GGUF file.")
  private Path file;

  @Option(names = "--json", description = "Write JSON.")
  private boolean json;

  @Option(names = "--full", description = "Show every element of long arrays, not only the first few.")
  private boolean full;

  @Override
  public Integer call() throws Exception {
    try (GgufFile opened = GgufFile.open(file)) {
      Inspector inspector = Inspector.of(opened, full ? Integer.MAX_VALUE : SHOWN_ELEMENTS);
      PrintWriter out = spec.commandLine().getOut();
      out.print(json ? inspector.json() + System.lineSeparator() : inspector.text());
      out.flush();
    }
    return 0;
  }
}
