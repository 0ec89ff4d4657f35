package io.github.dimple4j.bindings;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** The C compiler that builds the core too. */
final class Compiler {
  private Compiler() {}

  /** Runs {@code $CC} or {@code cc} and returns what it printed, or how it failed. */
  static String run(String... arguments) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(List.of(System.getenv().getOrDefault("CC", "cc")));
    command.addAll(List.of(arguments));
    var process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    int status = process.waitFor();
    return status == 0 ? output : output + "exit status " + status;
  }

  /** Builds a shared library from C source into a folder, under the name the loader looks for. */
  static Path library(Path folder, String source) throws IOException, InterruptedException {
    Files.createDirectories(folder);
    Path file = Files.writeString(folder.resolve("library.c"), source);
    Path library = folder.resolve(LibrarySearch.FILE_NAME);
    String output = run("-shared", "-fPIC", "-o", library.toString(), file.toString());
    if (!output.isEmpty()) {
      throw new IOException(output);
    }
    return library;
  }
}
