package io.github.dimple4j.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

class FileNameTest {
  @TempDir private Path folder;

  @Test
  void namesBeyondAsciiNeedUtf8() {
    assertThat(FileName.of(Path.of("a b.gguf"), StandardCharsets.US_ASCII)).isEqualTo("a b.gguf");
    assumeTrue(System.getProperty("sun.jnu.encoding").equals("UTF-8"), "this Java machine cannot make such a path");
    Path beyond = Path.of("größer 模型.gguf");
    assertThat(FileName.of(beyond)).isEqualTo("größer 模型.gguf");
    assertThatExceptionOfType(CoreException.class).isThrownBy(() -> FileName.of(beyond, StandardCharsets.ISO_8859_1))
        .withMessageContainingAll("größer", "ISO-8859-1", "LC_ALL=C.UTF-8");
  }

  /** A file whose name another system wrote: Java lists it with U+FFFD, which is the name of another file. */
  @Test
  @EnabledOnOs(value = OS.LINUX, disabledReason = "makes a file whose name is no text")
  void aNameThatIsNoTextIsRefused() throws IOException, InterruptedException {
    new ProcessBuilder("sh", "-c", "touch \"$(printf 'gr\\374n.gguf')\"").directory(folder.toFile()).start().waitFor();
    try (var files = Files.list(folder)) {
      Path file = files.findFirst().orElseThrow();
      assertThatExceptionOfType(CoreException.class).isThrownBy(() -> FileName.of(file)).withMessageContaining("the name has bytes that are no text");
    }
  }
}
