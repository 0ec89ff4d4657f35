package io.github.dimple4j.cli;

import io.github.dimple4j.gguf.ProgressListener;
import io.github.dimple4j.gguf.TensorType;
import io.github.dimple4j.gguf.tools.TypeFallback;
import io.github.dimple4j.gguf.tools.WrittenFile;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** The options of a command that writes a model file, and its closing lines. */
final class GgufOutput {
  @Spec(Spec.Target.MIXEE) private CommandSpec spec;

  @Option(names = {"-o", "--output"}, required = true, paramLabel = "FILE", description = "The GGUF file to write.")
  private Path file;

  @Option(names = "--force", description = "Replace the file if it exists.")
  private boolean force;

  /** Writes a file and tells of its progress. */
  @FunctionalInterface
  interface Work {
    WrittenFile write(ProgressListener progress) throws IOException;
  }

  Path file() {
    return file;
  }

  boolean force() {
    return force;
  }

  /** Does the work under a progress bar and says what was written. */
  void report(Work work) throws IOException {
    long start = System.nanoTime();
    NamedPipe.announce(file, spec.commandLine().getErr());
    WrittenFile written;
    try (ProgressBar bar = new ProgressBar(spec.commandLine().getErr())) {
      written = work.write(bar);
    }
    PrintWriter out = spec.commandLine().getOut();
    out.printf(Locale.ROOT, "%s: %s, %d tensors, %,d parameters, %,d bytes, %.2f bits per parameter, %.1f s%n", written.file(),
        written.architecture(), written.tensors(), written.parameters(), written.fileSize(),
        8.0 * written.fileSize() / written.parameters(), (System.nanoTime() - start) / 1e9);
    for (Map.Entry<TensorType, Long> entry : written.bytesPerType().entrySet()) {
      out.printf(Locale.ROOT, "  %-7s %,16d bytes%n", entry.getKey(), entry.getValue());
    }
    for (TypeFallback fallback : written.fallbacks()) {
      out.printf("  %s is %s: its rows do not divide into blocks of %s%n", fallback.tensor(), fallback.used(), fallback.wanted());
    }
    for (String name : written.leftOut()) {
      out.printf("  left out: %s%n", name);
    }
    for (String setting : written.unread()) {
      out.printf("  not in the file: %s%n", setting);
    }
    out.flush();
  }
}
