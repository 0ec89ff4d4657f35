package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.dimple4j.cli.InProcess;
import io.github.dimple4j.gguf.TensorType;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The command line with bad input: exit status 1 or 2, and one line on standard error that names the thing. */
class CommandFailureTest {
  private static final Golden ALPHA = Golden.named("alpha");
  private static final int FAILED = 1;
  private static final int WRONG_USAGE = 2;

  @TempDir private Path folder;
  private String model;
  private String ids;
  private String json;

  @BeforeEach
  void makeInputs() throws IOException {
    model = ALPHA.file(TensorType.F32).toString();
    ids = ids(1, 2, 3);
    json = folder.resolve("out.json").toString();
  }

  private String ids(int... tokens) throws IOException {
    return Files.writeString(folder.resolve("ids" + tokens.length + ".json"), Arrays.toString(tokens)).toString();
  }

  /** Every command that loads the model fails in the same way, and leaves no output file. */
  private void assertModelRefused(Path file, String... parts) {
    for (List<String> command : List.of(List.of("run", file.toString(), "--prompt", "Hello"),
        List.of("trace", file.toString(), "--ids-file", ids, "--json", json), List.of("logits", file.toString(), "--ids-file", ids, "--json", json))) {
      List<String> named = new ArrayList<>(List.of(parts));
      named.add(file.toString());
      InProcess.dimple(command.toArray(String[]::new)).assertFailed(FAILED, named.toArray(String[]::new));
    }
    assertThat(Path.of(json)).doesNotExist();
  }

  private void assertTraceFails(int status, String part, String... options) {
    List<String> command = new ArrayList<>(List.of("trace", model, "--json", json));
    command.addAll(List.of(options));
    if (!command.contains("--ids-file")) {
      command.addAll(List.of("--ids-file", ids));
    }
    InProcess.dimple(command.toArray(String[]::new)).assertFailed(status, part);
    assertThat(Path.of(json)).doesNotExist();
  }

  @Test
  void modelFiles() throws IOException {
    assertModelRefused(folder.resolve("missing.gguf"));
    assertModelRefused(folder, "directory");
    assertModelRefused(Files.write(folder.resolve("empty.gguf"), new byte[0]));
    assertModelRefused(Files.writeString(folder.resolve("text.gguf"), "This is a text that is longer than a header."));
    byte[] bytes = Files.readAllBytes(Path.of(model));
    assertModelRefused(Files.write(folder.resolve("cut.gguf"), Arrays.copyOf(bytes, bytes.length / 2)));
    Path good = Path.of(model);
    assertModelRefused(EditedFile.of(good).renameKey("dimple.block_count").write(folder), "dimple.block_count");
    assertModelRefused(EditedFile.of(good).text("general.architecture", "pimple").write(folder), "pimple");
    assertModelRefused(EditedFile.of(good).tensorDimension("blk.0.attn_q.weight", 1, 63).write(folder), "blk.0.attn_q.weight");
    assertModelRefused(EditedFile.of(good).tensorType("blk.0.attn_q.weight", 99).write(folder), "blk.0.attn_q.weight");
    assertModelRefused(EditedFile.of(good).tensorOffset("blk.0.attn_q.weight", 1L << 40).write(folder), "blk.0.attn_q.weight");
  }

  @Test
  void pictures() throws IOException {
    String text = Files.writeString(folder.resolve("text.png"), "This is not a picture.").toString();
    assertTraceFails(FAILED, text, "--image", text);
    assertTraceFails(FAILED, "missing.png", "--image", folder.resolve("missing.png").toString());
    assertTraceFails(FAILED, folder.toString(), "--image", folder.toString());
    for (int[] size : new int[][] {{1, 1}, {20000, 10}}) {
      var image = new BufferedImage(size[0], size[1], BufferedImage.TYPE_INT_RGB);
      Path file = folder.resolve("picture.png");
      ImageIO.write(image, "png", file.toFile());
      assertTraceFails(FAILED, size[0] + " x " + size[1], "--image", file.toString());
    }
    assertTraceFails(FAILED, "image", "--image", ALPHA.folder().resolve("image_0.png").toString()); // no placeholder for it
    assertTraceFails(FAILED, "image", "--ids-file", ids(ALPHA.imageCase().prompt())); // no picture for the placeholders
    model = RewrittenFile.of(Path.of(model)).text("dimple").write(folder.resolve("text.gguf")).toString();
    assertTraceFails(FAILED, "vision tower", "--image", ALPHA.folder().resolve("image_0.png").toString());
  }

  @Test
  void prompts() throws IOException {
    assertTraceFails(FAILED, "4096", "--ids-file", ids(IntStream.range(0, 5000).map(i -> i % 100).toArray()));
    assertTraceFails(FAILED, "512", "--ids-file", ids(1, 512, 3, 4));
    assertTraceFails(FAILED, "-1", "--ids-file", ids(1, -1, 3, 4));
    assertTraceFails(FAILED, "512", "--prior", "0=512");
    assertTraceFails(FAILED, "64", "--prior", "64=1");
    assertTraceFails(FAILED, "4096", "--max-new-tokens", "4096");
    assertTraceFails(FAILED, "2147483647", "--max-new-tokens", "2147483647");
    assertTraceFails(FAILED, "missing.json", "--ids-file", folder.resolve("missing.json").toString());
    assertTraceFails(FAILED, "ids-bad.json", "--ids-file", Files.writeString(folder.resolve("ids-bad.json"), "[1, 2").toString());
    InProcess.dimple("run", model, "--prompt", "Hello").assertFailed(FAILED, "tokenizer");
  }

  @ParameterizedTest
  @CsvSource({"--max-new-tokens,0", "--max-new-tokens,-1", "--max-new-tokens,many", "--max-new-tokens,99999999999", "--steps,0", "--steps,-3",
      "--steps,2147483647", "--threshold,NaN", "--threshold,-0.1", "--threshold,Infinity", "--threshold,high", "--temperature,-1",
      "--temperature,NaN", "--temperature,Infinity", "--top-p,1.5", "--top-p,-0.1", "--top-p,NaN", "--top-k,-1", "--alg-temp,NaN",
      "--alg-temp,-1", "--alg,best", "--pipeline,dreams", "--threads,-1", "--threads,two", "--seed,x", "--prior,1", "--prior,1=2=3",
      "--prior,a=b", "--nonsense,1"})
  void optionsOutOfRange(String option, String value) {
    assertTraceFails(WRONG_USAGE, option, option, value);
  }

  @Test
  void usage() {
    InProcess.dimple().assertFailed(WRONG_USAGE, "command");
    InProcess.dimple("sing").assertFailed(WRONG_USAGE, "sing");
    InProcess.dimple("run", model).assertFailed(WRONG_USAGE, "--prompt");
    InProcess.dimple("trace", model, "--ids-file", ids).assertFailed(WRONG_USAGE, "--json");
    InProcess.dimple("trace", model, "--json", json).assertFailed(WRONG_USAGE, "--ids-file");
    InProcess.dimple("trace", model, "--ids-file", ids, "--prompt", "both", "--json", json).assertFailed(WRONG_USAGE, "--ids-file");
    InProcess.dimple("logits", "--ids-file", ids, "--json", json).assertFailed(WRONG_USAGE, "MODEL");
    assertTraceFails(WRONG_USAGE, "origin-ratio", "--pipeline", "dream", "--alg", "origin-ratio");
    assertTraceFails(FAILED, "\"gpu\"", "--backend", "gpu");
  }

  @Test
  void outputThatCannotBeWritten() {
    json = folder.resolve("no-such-folder/out.json").toString();
    assertTraceFails(FAILED, "no-such-folder");
  }

  @Test
  void convertAndInspect() throws IOException {
    String target = folder.resolve("x.gguf").toString();
    InProcess.dimple("gguf", "convert", folder.resolve("missing").toString(), "-o", target).assertFailed(FAILED, "missing");
    InProcess.dimple("gguf", "convert", folder.toString(), "-o", target).assertFailed(FAILED, "config.json");
    InProcess.dimple("gguf", "convert", ALPHA.folder().toString(), "-o", target, "--type", "f13").assertFailed(WRONG_USAGE, "f13");
    InProcess.dimple("gguf", "convert", ALPHA.folder().toString(), "-o", model).assertFailed(FAILED, "exists");
    InProcess.dimple("gguf", "inspect", folder.resolve("missing.gguf").toString()).assertFailed(FAILED, "missing.gguf");
    InProcess.dimple("gguf", "inspect", Files.write(folder.resolve("empty.gguf"), new byte[0]).toString()).assertFailed(FAILED, "empty.gguf");
    InProcess.dimple("gguf", "synth", "--preset", "dimple-70b", "-o", target).assertFailed(WRONG_USAGE, "dimple-70b");
    assertThat(Path.of(target)).doesNotExist();
  }

  /** The program itself: its exit status, and that nothing else is on standard error, no warning of Java's either. */
  @Test
  void programAsItIsShipped() {
    JavaProcess.dimple(Map.of(), "trace", model, "--ids-file", ids, "--max-new-tokens", "4", "--json", json).assertDone();
    assertThat(Path.of(json)).isNotEmptyFile();
    JavaProcess.dimple(Map.of(), "trace", folder.resolve("missing.gguf").toString(), "--ids-file", ids, "--json", json)
        .assertFailed(FAILED, "missing.gguf");
    JavaProcess.dimple(Map.of(), "trace", model, "--ids-file", ids, "--json", json, "--threshold", "NaN").assertFailed(WRONG_USAGE, "--threshold");
    JavaProcess.dimple(Map.of("DIMPLE_CPU", "mmx"), "trace", model, "--ids-file", ids, "--json", json).assertFailed(FAILED, "DIMPLE_CPU", "mmx");
  }

  /** What is no regular file is written into, not replaced. */
  @Test
  @EnabledOnOs(value = OS.LINUX, disabledReason = "looks at /dev")
  void outputIntoDevicesAndLinks() throws IOException {
    String[] command = {"trace", model, "--ids-file", ids, "--max-new-tokens", "2", "--json"};
    assertThat(JavaProcess.dimple(Map.of(), with(command, "/dev/stdout")).assertDone().out()).startsWith("{\"prompt_tokens\":[1,2,3]");
    InProcess.dimple(with(command, "/dev/null")).assertDone();
    assertThat(Files.isRegularFile(Path.of("/dev/null"))).isFalse();
    InProcess.dimple(with(command, "/dev/full")).assertFailed(FAILED, "/dev/full", "No space left");
    Path file = Files.createFile(folder.resolve("behind.json"));
    Path link = Files.createSymbolicLink(folder.resolve("link.json"), file);
    InProcess.dimple(with(command, link.toString())).assertDone();
    assertThat(link).isSymbolicLink();
    assertThat(file).content().startsWith("{\"prompt_tokens\":[1,2,3]");
    assertThat(folder.toFile().list()).allSatisfy(name -> assertThat(name).doesNotContain(".tmp"));
  }

  private static String[] with(String[] command, String last) {
    String[] all = Arrays.copyOf(command, command.length + 1);
    all[command.length] = last;
    return all;
  }

  @Test
  void environmentForcesAnInstructionSet() throws IOException {
    for (String backend : Backends.all()) {
      if (!backend.equals("ref")) {
        Outcome outcome = JavaProcess.dimple(Map.of("DIMPLE_CPU", backend.substring("cpu-".length())), "trace", model, "--ids-file", ids,
            "--max-new-tokens", "2", "--json", "-").assertDone();
        assertThat(outcome.out()).contains("\"backend\":\"" + backend + "\"");
      }
    }
  }
}
