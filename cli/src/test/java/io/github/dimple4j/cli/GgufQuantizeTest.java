package io.github.dimple4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

class GgufQuantizeTest {
  @TempDir private Path folder;
  private Path source;
  private Path target;

  @BeforeEach
  void synthesize() {
    source = folder.resolve("in.gguf");
    target = folder.resolve("out.gguf");
    assertThat(Output.of("gguf", "synth", "--preset", "dimple-mini", "--type", "f16", "-o", source.toString()).status()).isZero();
  }

  private Output quantize(String... options) {
    return Output.of(Stream.concat(Stream.of("gguf", "quantize", source.toString(), target.toString()), Stream.of(options))
        .toArray(String[]::new));
  }

  @Test
  void theTableTellsSizesAndErrors() {
    Output output = quantize("q4_k_s", "--tensor-type", "attn_v=q8_0", "--vision-type", "q8_0");
    assertThat(output.err()).isEmpty();
    assertThat(output.status()).isZero();
    assertThat(output.out()).contains("dimple as q4_k_s, 126 tensors", "bits per weight").containsPattern("q4_k +\\d+ .* 4\\.50 .*e-0")
        .containsPattern("q8_0 +\\d+ ").containsPattern("v\\.patch_embd\\.weight is f16: its rows do not divide into blocks of q8_0");
    assertThat(Output.of("gguf", "validate", target.toString()).status()).isZero();
  }

  @Test
  void dryRunsWriteNothing() {
    Output output = quantize("IQ4_XS", "--dry-run");
    assertThat(output.status()).isZero();
    assertThat(output.out()).contains("(not written)").containsPattern("iq4_xs +\\d+ .* -");
    assertThat(target).doesNotExist();
  }

  @Test
  void refusalsAreOneLine() throws IOException {
    Output type = quantize("q9_0");
    assertThat(type.status()).isEqualTo(2);
    assertThat(type.err()).contains("'q9_0' is not one of f32, f16").hasLineCount(1);
    Output pattern = quantize("q8_0", "--tensor-type", "attn_[=q8_0");
    assertThat(pattern.status()).isEqualTo(2);
    assertThat(pattern.err()).contains("is not a regular expression").hasLineCount(1);
    Files.writeString(target, "mine");
    Output existing = quantize("q8_0");
    assertThat(existing.status()).isEqualTo(1);
    assertThat(existing.err()).isEqualToIgnoringNewLines("dimple: " + target + " exists already");
    assertThat(quantize("q8_0", "--force").status()).isZero();
    Output importance = quantize("q8_0", "--force", "--imatrix", folder.resolve("none.dat").toString());
    assertThat(importance.status()).isEqualTo(1);
    assertThat(importance.err()).contains("none.dat").hasLineCount(1);
  }

  @Test
  void diffTellsWhatChanged() {
    assertThat(quantize("f16").status()).isZero();
    assertThat(Output.of("gguf", "diff", source.toString(), source.toString()).status()).isZero();
    assertThat(quantize("q8_0", "--force").status()).isZero();
    Output output = Output.of("gguf", "diff", source.toString(), target.toString());
    assertThat(output.status()).isEqualTo(1);
    assertThat(output.err()).isEmpty();
    assertThat(output.out()).contains("key general.file_type: uint32 1 | uint32 7",
        "key general.quantization_version: only in the second file: uint32 2", "tensors are equal")
        .containsPattern("tensor token_embd\\.weight: f16 .* \\| q8_0 .*, rmse \\d");
  }

  /** A limit on the size of files is a disk that is full: writing fails in the middle. */
  @Test
  @EnabledOnOs(OS.LINUX)
  void aFullDiskLeavesNothingBehind() throws Exception {
    String classPath = Stream.of("jdk.module.path", "java.class.path").map(System::getProperty).filter(Objects::nonNull)
        .collect(Collectors.joining(File.pathSeparator));
    Process process = new ProcessBuilder("sh", "-c", "ulimit -f 256; exec \"$@\"", "sh",
        Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-XX:-UsePerfData", "--enable-native-access=ALL-UNNAMED",
        "-Ddimple.library=" + System.getProperty("dimple.library"), "-cp", classPath, DimpleCommand.class.getName(), "gguf", "quantize",
        source.toString(), target.toString(), "q8_0").redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor()).as(output).isEqualTo(1);
    assertThat(output).hasLineCount(1).startsWith("dimple: cannot write " + target + ": ");
    try (Stream<Path> files = Files.list(folder)) {
      assertThat(files).containsExactly(source);
    }
  }
}
