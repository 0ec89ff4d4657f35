package io.github.dimple4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.dimple4j.gguf.GgufWriter;
import io.github.dimple4j.gguf.MetadataValue;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Failed work ends with status 1 and one line that names the thing. */
class FailureTest {
  @TempDir private Path folder;
  private String ids;

  @BeforeEach
  void writeIds() throws IOException {
    ids = Files.writeString(folder.resolve("ids.json"), "[1, 2, 3]").toString();
  }

  private static void assertFails(String message, String... arguments) {
    Output output = Output.of(arguments);
    assertThat(output.err()).hasLineCount(1).startsWith("dimple: ").contains(message).doesNotContain("Exception");
    assertThat(output.out()).isEmpty();
    assertThat(output.status()).isEqualTo(1);
  }

  @Test
  void modelFiles() throws IOException {
    String missing = folder.resolve("missing.gguf").toString();
    assertFails("missing.gguf", "run", missing, "--prompt", "x");
    assertFails(folder.toString(), "run", folder.toString(), "--prompt", "x");
    assertThat(Output.of("serve", folder.getRoot().toString()).err()).as("has no name").contains("is a directory, expected a GGUF file");
    String empty = Files.createFile(folder.resolve("empty.gguf")).toString();
    assertFails("empty.gguf", "trace", empty, "--ids-file", ids, "--json", "-");
    assertFails("ids.json", "logits", ids, "--ids-file", ids, "--json", "-");
  }

  /** Options are checked by the file's pipeline before it is loaded: by the one that a canvas's length stands for, and of a model that was pulled. */
  @Test
  void optionsOfTheFilesPipeline() throws IOException {
    Path pulled = folder.resolve("hub/a/b/main/m.gguf");
    Files.createDirectories(pulled.getParent());
    Map<String, MetadataValue> canvases = Map.of("diffusion.canvas_length", MetadataValue.uint32(8));
    try (var writer = new GgufWriter(pulled, canvases, List.of(), false)) {
      writer.commit();
    }
    System.setProperty("dimple.models", folder.toString());
    try {
      assertFails("m.gguf", "run", pulled.toString(), "--prompt", "x", "--gamma", "0.2");
      assertFails("m.gguf", "run", "a/b/m.gguf", "--prompt", "x", "--gamma", "0.2");
    } finally {
      System.clearProperty("dimple.models");
    }
  }

  @Test
  void keysOfAServer() throws IOException {
    Path keys = Files.write(folder.resolve("keys"), new byte[] {'a', (byte) 0xff});
    assertFails("keys: is no UTF-8 text from byte 1 on", "serve", "--api-key-file", keys.toString());
  }

  @Test
  void pictures() throws IOException {
    String missing = folder.resolve("missing.png").toString();
    assertFails("missing.png", "run", "x.gguf", "--prompt", "x", "--image", missing);
    assertFails("ids.json", "trace", "x.gguf", "--ids-file", ids, "--json", "-", "--image", ids);
    assertFails(folder.toString(), "logits", "x.gguf", "--ids-file", ids, "--json", "-", "--image", folder.toString());
    var encoded = new ByteArrayOutputStream();
    assertThat(ImageIO.write(new BufferedImage(64, 64, BufferedImage.TYPE_INT_RGB), "jpg", encoded)).isTrue();
    byte[] jpeg = encoded.toByteArray();
    String cut = Files.write(folder.resolve("cut.jpg"), Arrays.copyOf(jpeg, jpeg.length - 20)).toString();
    assertFails("cut.jpg: is damaged: its data end early", "run", "x.gguf", "--prompt", "x", "--image", cut);
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', quoteCharacter = '`', value = {
      "{\"a\": 1}       | line 1: is no list",
      "``               | line 1: is no list",
      "[1, 2            | is not JSON",
      "[1,\\n\"a\"]     | line 2: has an entry that is no whole number",
      "[1.5]            | line 1: has an entry that is no whole number",
      "[[1]]            | line 1: has an entry that is no whole number",
      "[1] [2]          | line 1: goes on behind the list",
      "[99999999999]    | line 1: has a number that is no token id",
      "[]               | the list of token ids is empty",
  })
  void tokenIdFiles(String content, String message) throws IOException {
    Files.writeString(Path.of(ids), content.replace("\\n", "\n"));
    assertFails("ids.json", "trace", "x.gguf", "--ids-file", ids, "--json", "-");
    assertFails(message, "logits", "x.gguf", "--ids-file", ids, "--json", "-");
  }

  @Test
  void unreadableIdFiles() {
    assertFails("missing.json: no such file or directory", "trace", "x.gguf", "--json", "-", "--ids-file", folder.resolve("missing.json").toString());
    assertFails("is a directory", "trace", "x.gguf", "--json", "-", "--ids-file", folder.toString());
  }

  @Test
  void outputThatCannotBeWrittenFailsBeforeTheModelIsLoaded() {
    assertFails("File name too long", "trace", "x.gguf", "--ids-file", ids, "--json", folder.resolve("x".repeat(256)).toString());
    assertFails("no such directory", "trace", "x.gguf", "--ids-file", ids, "--json", folder.resolve("none/out.json").toString());
    assertFails("is a directory", "logits", "x.gguf", "--ids-file", ids, "--json", folder.toString());
  }

  @Test
  void theBundledModel() {
    System.setProperty("dimple.model", folder.resolve("bundled.gguf").toString());
    try {
      assertFails("bundled.gguf", "run", "--prompt", "x");
    } finally {
      System.clearProperty("dimple.model");
    }
  }

  @Test
  void debugAddsTheStackTrace() {
    Output output = Output.of("run", folder.toString(), "--prompt", "x", "--debug");
    assertThat(output.status()).isEqualTo(1);
    assertThat(output.err()).contains("\tat io.github.dimple4j.").contains(System.lineSeparator() + "dimple: ");
  }
}
