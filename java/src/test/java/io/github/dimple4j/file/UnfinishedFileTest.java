package io.github.dimple4j.file;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.InterruptedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class UnfinishedFileTest {
  @TempDir private Path folder;

  @Test
  void wholeFilesTakeThePlaceOfOlderOnes() throws Exception {
    Path place = Files.writeString(folder.resolve("place"), "older");
    try (UnfinishedFile file = new UnfinishedFile(folder.resolve("part"), place)) {
      file.open(path -> Files.writeString(path, "whole"));
      assertThat(place).hasContent("older");
      file.finish();
    }
    assertThat(folder).isDirectoryContaining(place::equals).isDirectoryNotContaining(path -> !path.equals(place));
    assertThat(place).hasContent("whole");
  }

  /** What a signal does, at any moment: the threads that write go on for a while. */
  @Test
  void nothingIsLeftWhenTheProgramEnds() throws Exception {
    Path place = folder.resolve("place");
    try (UnfinishedFile file = new UnfinishedFile(folder.resolve("part"), place)) {
      file.open(path -> Files.writeString(path, "half"));
      file.atExit.run();
      assertThat(folder).isEmptyDirectory();
      assertThatThrownBy(file::finish).isInstanceOf(InterruptedIOException.class).hasMessage(place + ": is not written, the program is ending");
    }
    try (UnfinishedFile file = new UnfinishedFile(folder.resolve("part"), place)) {
      file.atExit.run();
      assertThatThrownBy(() -> file.open(path -> Files.writeString(path, "late"))).isInstanceOf(InterruptedIOException.class);
    }
    assertThat(folder).isEmptyDirectory();
  }
}
