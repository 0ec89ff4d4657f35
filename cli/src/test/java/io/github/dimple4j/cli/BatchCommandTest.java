package io.github.dimple4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** {@code dimple batch} with the bundled model. */
class BatchCommandTest {
  private static final Path MODEL = Path.of("../models/mini/dimple-mini-f16.gguf").toAbsolutePath().normalize();
  private static final Path PICTURE = Path.of("../docs/images/scene.png").toAbsolutePath().normalize();
  private static final String SQUARES = "{\"id\": \"ä\", \"prompt\": \"How many squares are there?\", \"images\": \"" + PICTURE + "\", \"length\": 16}";
  private static final String NUMBER = "{\"prompt\": \"Which number do you see?\", \"images\": [\"" + PICTURE + "\"], \"length\": 16}";

  @TempDir private Path folder;
  private Path in;
  private Path out;
  private Path part;

  @BeforeEach
  void name() {
    in = folder.resolve("in.jsonl");
    out = folder.resolve("out.jsonl");
    part = folder.resolve("out.jsonl.part");
  }

  /** Answers are kept for a model whose files are all the same. */
  @Test
  void everyFileOfAModelCounts() throws IOException {
    Path first = Files.writeString(folder.resolve("m-00001-of-00003.gguf"), "one");
    String alone = BatchItem.fingerprint(first);
    Files.writeString(folder.resolve("m-00002-of-00003.gguf"), "two");
    Path last = Files.writeString(folder.resolve("m-00003-of-00003.gguf"), "three");
    Files.writeString(folder.resolve("m-00004-of-00003.gguf"), "none of it");
    String whole = BatchItem.fingerprint(first);
    Files.writeString(last, "four!!");
    assertThat(BatchItem.fingerprint(first)).isNotEqualTo(whole).startsWith(alone);
    assertThat(whole).contains("m-00002-of-00003.gguf", "m-00003-of-00003.gguf").doesNotContain("m-00004");
    assertThat(BatchItem.fingerprint(last)).doesNotContain("m-00001");
  }

  /** And for a tokenizer whose files are. */
  @Test
  void everyFileOfATokenizerCounts() throws IOException {
    Path tokenizer = Files.writeString(Files.createDirectory(folder.resolve("t")).resolve("tokenizer.json"), "{}");
    String before = BatchItem.fingerprint(tokenizer.getParent());
    Files.writeString(folder.resolve("t/out.jsonl.part"), "an output");
    assertThat(BatchItem.fingerprint(tokenizer.getParent())).isEqualTo(before);
    Files.writeString(tokenizer, "{ }");
    assertThat(BatchItem.fingerprint(tokenizer.getParent())).isNotEqualTo(before);
  }

  private Output batch(String... options) {
    return Output.of(Stream.concat(Stream.of("batch", in.toString(), MODEL.toString(), "-o", out.toString()), Stream.of(options)).toArray(String[]::new));
  }

  private void write(String... lines) throws IOException {
    Files.writeString(in, String.join("\n", lines));
  }

  private List<JsonNode> answers() throws IOException {
    List<JsonNode> answers = new ArrayList<>();
    Files.readAllLines(out).forEach(line -> answers.add(JsonMapper.shared().readTree(line)));
    return answers;
  }

  private void assertOnlyInputAndOutput() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      assertThat(files).containsExactlyInAnyOrder(in, out);
    }
  }

  @Test
  void aLineAnItemInTheirOrder() throws IOException {
    write(SQUARES, "", NUMBER, "{\"id\": 7, \"prompt\": \"x\", \"template\": [\"<a>\", 3, \"</a>\"], \"system\": \"Be brief.\", \"seed\": 18446744073709551615}");
    Output output = batch();
    assertThat(output.err()).startsWith("3 items: 3 answered, 0 kept from an earlier run, 0 failed; ").hasLineCount(1);
    assertThat(output.out()).isEmpty();
    assertThat(output.status()).isZero();
    List<JsonNode> answers = answers();
    assertThat(answers).extracting(answer -> answer.path("id").asString()).containsExactly("ä", "3", "7");
    assertThat(answers.get(0).path("text").asString().strip()).isEqualTo("1");
    assertThat(answers.get(1).path("text").asString().strip()).isEqualTo("7");
    assertThat(answers.get(2).path("text").asString()).startsWith("<a>");
    assertThat(answers.get(2).path("slots")).hasSize(1);
    assertThat(answers.get(0).propertyNames()).containsExactly("id", "text", "finish", "figures", "request");
    assertThat(answers.get(0).path("figures").propertyNames()).containsExactly("prompt_tokens", "tokens", "revealed", "iterations", "forward_passes",
        "vision_ms", "prefill_ms", "steps_ms");
    assertOnlyInputAndOutput();
  }

  @Test
  void answersAreFilledCanvasAfterCanvas() throws IOException {
    write(SQUARES.replace("How many squares are there?", "Describe this image.").replace("16}", "64}"), "{\"prompt\": \"x\", \"template\": [\"<a>\", 3]}");
    Output output = batch("--canvas-length", "20");
    assertThat(output.status()).isZero();
    assertThat(answers().get(1).path("text").asString()).startsWith("<a>");
    assertThat(answers().get(0).path("figures").path("tokens").asInt()).isIn(40, 60, 64);
    assertThat(batch("--canvas-length", "21").err()).contains("has answers to other items, or of other settings");
  }

  @Test
  void aBadLineIsReportedAndSkipped() throws IOException {
    write(SQUARES, "oops", "{\"id\": \"b\", \"prompt\": \"?\", \"images\": \"missing.png\"}", NUMBER);
    Output output = batch();
    assertThat(output.status()).isEqualTo(1);
    assertThat(output.err().lines().toList().getLast()).startsWith("dimple: 2 of 4 items failed: line 2: is not JSON: ")
        .contains("; line 3: " + folder.resolve("missing.png") + ": no such file");
    List<JsonNode> answers = answers();
    assertThat(answers).hasSize(4);
    assertThat(answers.get(1).propertyNames()).containsExactly("line", "error");
    assertThat(answers.get(2).path("id").asString()).isEqualTo("b");
    assertThat(answers.get(2).path("error").asString()).contains("missing.png");
    assertThat(answers.get(3).path("text").asString().strip()).isEqualTo("7");
    Files.copy(PICTURE, folder.resolve("missing.png"));
    write(SQUARES, "{\"id\": \"a\", \"prompt\": \"?\"}", "{\"id\": \"b\", \"prompt\": \"?\", \"images\": \"missing.png\"}", NUMBER);
    output = batch();
    assertThat(output.err()).startsWith("4 items: 2 answered, 2 kept").hasLineCount(1);
    assertThat(answers()).hasSize(4).noneMatch(answer -> answer.has("error"));
  }

  @Test
  void whatALineMayNotBe() throws IOException {
    write("[1]", "{\"prompt\": 1}", "{\"prompt\": \"x\", \"prompt\": \"y\"}", "{\"prompt\": \"x\", \"sead\": 1}", "{\"prompt\": \"x\"} {}",
        "{\"prompt\": \"x\", \"seed\": 1.5}", "{\"prompt\": \"x\", \"seed\": -1}", "{\"prompt\": \"x\", \"id\": [1]}", "{\"prompt\": \"x\", \"length\": 0}",
        "{\"prompt\": \"\\ud83d\"}", "{\"prompt\": \"x\", \"length\": 99999}", "{\"id\": 13, \"prompt\": \"x\"}", "{\"prompt\": \"y\"}");
    Files.write(in, "\n{\"prompt\": \"Größe\"}".getBytes(StandardCharsets.ISO_8859_1), StandardOpenOption.APPEND);
    Output output = batch("--max-new-tokens", "2");
    assertThat(output.status()).isEqualTo(1);
    List<String> errors = answers().stream().map(answer -> answer.path("error").asString("")).toList();
    String[] expected = {"is no JSON object", "no text named \"prompt\"", "is given twice", "unknown key \"sead\"", "is not JSON", "\"seed\" is 1.5",
        "\"seed\" is -1", "\"id\" is [1]", "\"length\" is 0", "half a surrogate pair", "99999", "", "the id 13 is that of line 12 already", "no UTF-8"};
    assertThat(errors).hasSameSizeAs(expected);
    for (int i = 0; i < expected.length; i++) {
      assertThat(errors.get(i)).contains(expected[i]);
    }
    assertThat(output.err()).contains("13 of 14 items failed", "; and 10 more");
  }

  @Test
  void aCompleteOutputIsRecognised() throws IOException {
    write(SQUARES, NUMBER);
    batch();
    byte[] whole = Files.readAllBytes(out);
    Output output = batch("--threads", "1");
    assertThat(output.err()).startsWith("2 items: 0 answered, 2 kept from an earlier run, 0 failed");
    assertThat(output.status()).isZero();
    assertThat(out).hasBinaryContent(whole);
    assertOnlyInputAndOutput();
  }

  /** What a run left that was killed: answers, the last one perhaps half written. */
  @Test
  void aRunThatWasKilledGoesOn() throws IOException {
    write(SQUARES, NUMBER, "{\"prompt\": \"x\", \"length\": 2}");
    batch();
    List<String> whole = Files.readAllLines(out);
    for (int cut : new int[] {0, 1, 40, whole.get(1).length()}) {
      Files.delete(out);
      Files.writeString(part, whole.get(2) + "\n" + whole.get(0) + "\n" + whole.get(1).substring(0, cut));
      assertThat(batch().err()).startsWith("3 items: 1 answered, 2 kept from an earlier run, 0 failed");
      List<String> again = Files.readAllLines(out);
      assertThat(again).hasSize(3);
      assertThat(again.get(0)).isEqualTo(whole.get(0));
      assertThat(again.get(1)).startsWith(whole.get(1).substring(0, whole.get(1).indexOf("\"figures\"")));
      assertThat(again.get(2)).isEqualTo(whole.get(2));
      assertOnlyInputAndOutput();
    }
    Files.writeString(part, whole.get(0) + "\n"); // killed between the file's name and the end of the part
    assertThat(batch().err()).startsWith("3 items: 0 answered, 3 kept");
  }

  @Test
  void otherAnswersAreNotDroppedWithoutAWord() throws IOException {
    write(SQUARES);
    batch();
    String before = Files.readString(out);
    Output output = batch("--temperature", "0.5");
    assertThat(output.err()).contains("out.jsonl: has answers to other items, or of other settings or another model; --force drops them");
    assertThat(output.status()).isEqualTo(1);
    assertThat(out).hasContent(before);
    assertThat(batch("--temperature", "0.5", "--force").err()).startsWith("1 item: 1 answered, 0 kept");
    Files.writeString(out, "my letters");
    assertThat(batch().err()).contains("out.jsonl: is there already and is no output of a batch; --force replaces it");
    assertThat(batch("--force").status()).isZero();
    assertThat(answers()).hasSize(1);
    Files.move(out, part);
    assertThat(batch("--seed", "5").err()).contains("out.jsonl.part: has answers to other items");
  }

  @Test
  void outputsThatCannotBe() throws IOException {
    write(SQUARES);
    try (FileChannel other = FileChannel.open(part, StandardOpenOption.CREATE, StandardOpenOption.WRITE); var lock = other.lock()) {
      assertThat(batch().err()).contains("out.jsonl: another run is writing it");
      assertThat(lock.isValid()).isTrue();
    }
    out = folder.resolve("nowhere/out.jsonl");
    assertThat(batch().err()).contains("no such directory");
    out = folder;
    assertThat(batch().err()).contains("is a directory");
    out = in;
    assertThat(batch("--force").err()).contains("in.jsonl: is both IN.jsonl and --output");
    assertThat(in).hasContent(SQUARES);
  }

  @Test
  void hyphensAreTheStandardStreams() throws IOException {
    InputStream before = System.in;
    System.setIn(new ByteArrayInputStream((SQUARES + "\r\noops\n" + NUMBER + "\n").getBytes(StandardCharsets.UTF_8)));
    try {
      Output output = Output.of("batch", "-", MODEL.toString(), "-o", "-");
      assertThat(output.out().lines()).hasSize(3);
      assertThat(output.out().lines().map(JsonMapper.shared()::readTree).map(line -> line.path("text").asString("").strip())).containsExactly("1", "", "7");
      assertThat(output.err()).startsWith("3 items: 2 answered, 0 kept from an earlier run, 1 failed");
      assertThat(output.status()).isEqualTo(1);
    } finally {
      System.setIn(before);
    }
  }

  /** What all answers are held to, and what one line cannot have beside it. */
  @Test
  void schemaAndStopsHoldForAll() throws IOException {
    write("{\"prompt\": \"x\", \"length\": 24}", "{\"prompt\": \"x\", \"template\": [2]}");
    Output output = batch("--json-schema", "{\"enum\": [\"red\", \"green\"]}");
    assertThat(output.status()).isEqualTo(1);
    assertThat(answers().get(0).path("text").asString()).isIn("\"red\"", "\"green\"");
    assertThat(answers().get(1).path("error").asString()).contains("--json-schema goes without a template");
    write(SQUARES);
    assertThat(batch("--stop", "1", "--force").status()).isZero();
    assertThat(answers().get(0).path("text").asString()).doesNotContain("1");
    assertThat(batch("--stop", "").status()).isEqualTo(2);
  }

  @Test
  void nothingAskedNothingAnswered() throws IOException {
    write("");
    assertThat(batch().err()).startsWith("0 items: 0 answered");
    assertThat(out).isEmptyFile();
  }
}
