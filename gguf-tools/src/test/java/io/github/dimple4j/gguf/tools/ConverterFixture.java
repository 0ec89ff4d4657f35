package io.github.dimple4j.gguf.tools;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.dimple4j.gguf.GgufException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;

/** A checkpoint that a test changes, and what converting it gives: a file, or a refusal that leaves nothing. */
abstract class ConverterFixture {
  @TempDir Path folder;
  Path target;
  TestCheckpoint checkpoint;

  @BeforeEach
  void loadCheckpoint() throws IOException {
    target = folder.resolve("out.gguf");
    checkpoint = TestCheckpoint.golden("gamma");
  }

  WrittenFile convert() throws IOException {
    return Converter.of(checkpoint.write(folder.resolve("hf"))).to(Quantization.F16).write(target);
  }

  void refuses(String message) {
    assertThatThrownBy(this::convert).isInstanceOf(GgufException.class).message().contains(message).doesNotContain("\n");
    nothingIsLeft();
  }

  void refuses(Path source, String message) {
    assertThatThrownBy(() -> Converter.of(source).write(target)).isInstanceOf(GgufException.class).message().contains(message)
        .doesNotContain("\n");
    nothingIsLeft();
  }

  private void nothingIsLeft() {
    try (Stream<Path> files = Files.list(folder)) {
      assertThat(files).allMatch(Files::isDirectory);
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  static float[] floats(TestCheckpoint.Tensor tensor) {
    float[] floats = new float[tensor.count()];
    for (int i = 0; i < floats.length; i++) {
      floats[i] = tensor.get(i);
    }
    return floats;
  }

  static TestCheckpoint.Tensor f32(int length) {
    return new TestCheckpoint.Tensor("F32", List.of((long) length), new byte[4 * length]);
  }
}
