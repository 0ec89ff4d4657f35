package io.github.dimple4j.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

class OutputFileTest {
  @TempDir private Path folder;

  /** What cannot be written is the file that was asked for, whatever it is called until it is whole; an older one stays. */
  @Test
  void aFailureNamesTheFileAndLeavesNothing() throws IOException {
    Path file = Files.writeString(folder.resolve("out.json"), "older");
    assertThatThrownBy(() -> new OutputFile("--json", file.toString()).write(text -> {
      text.write("half");
      throw new IOException("No space left on device");
    })).isInstanceOf(IOException.class).hasMessage(file + ": No space left on device");
    assertThat(file).hasContent("older");
    try (Stream<Path> files = Files.list(folder)) {
      assertThat(files).containsExactly(file);
    }
  }

  /** A pipe is written when somebody reads it: what waits for that says so before it works, and does not look like a program that hangs. */
  @Test
  @DisabledOnOs(value = OS.WINDOWS, disabledReason = "it has no named pipes in its file system")
  void pipesAreAnnounced() throws IOException, InterruptedException {
    Path pipe = folder.resolve("pipe");
    assertThat(new ProcessBuilder("mkfifo", pipe.toString()).inheritIO().start().waitFor()).isZero();
    for (String name : List.of(pipe.toString(), folder.resolve("new").toString())) {
      StringWriter err = new StringWriter();
      new OutputFile("--html", name).check(new PrintWriter(err));
      assertThat(err.toString()).isEqualToIgnoringNewLines(name.endsWith("pipe") ? "note: " + pipe + ": is a pipe, which is written when somebody reads it" : "");
    }
  }
}
