package io.github.dimple4j.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
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
}
