package io.github.dimple4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** {@code dimple eval} with the bundled model and the sample pictures. */
class EvalCommandTest {
  private static final Path MODEL = Path.of("../models/mini/dimple-mini-f16.gguf").toAbsolutePath().normalize();
  private static final Path PICTURE = Path.of("../docs/images/scene.png").toAbsolutePath().normalize();

  @TempDir private Path folder;

  private Output eval(String questions, String... options) throws IOException {
    Path file = Files.writeString(folder.resolve("questions.jsonl"), questions);
    String[] arguments = new String[options.length + 3];
    arguments[0] = "eval";
    arguments[1] = file.toString();
    arguments[2] = MODEL.toString();
    System.arraycopy(options, 0, arguments, 3, options.length);
    return Output.of(arguments);
  }

  private static String question(String task, String question, String answer) {
    return "{\"image\": \"" + PICTURE + "\", \"task\": \"" + task + "\", \"question\": \"" + question + "\", \"answer\": \"" + answer + "\"}\n";
  }

  private static String withMore(String field) {
    return question("count", "?", "1").replace("}", ", " + field + "}");
  }

  @Test
  void countsExactAnswersPerTask() throws IOException {
    Output output = eval(question("count", "How many squares are there?", "1") + "\n"
        + question("count", "How many squares are there?", "not this") + question("number", "Which number do you see?", "7"), "--show-wrong");
    assertThat(output.err()).isEmpty();
    assertThat(output.status()).isZero();
    assertThat(output.out()).contains("expected: not this").containsPattern("count +2 +50\\.0 % +0\\.\\d{3} +\\d+\\.\\d")
        .containsPattern("number +1 +100\\.0 %").containsPattern("all +3 +66\\.7 %");
  }

  @Test
  void limitAndLengthAreKept() throws IOException {
    Output output = eval(question("count", "How many squares are there?", "1").repeat(3), "--limit", "1", "--length", "count=4",
        "--threshold", "0", "--steps", "4");
    assertThat(output.status()).isZero();
    assertThat(output.out()).containsPattern("count +1 +100\\.0 % +(0\\.750|1\\.000)");
  }

  @Test
  void aLengthOfATaskThatIsNotThereIsAnError() throws IOException {
    Output output = eval(question("count", "?", "1") + question("json", "?", "1"), "--length", "cuont=4");
    assertThat(output.status()).isEqualTo(1);
    assertThat(output.err()).contains("no question is of the task 'cuont', which --length names; there are count, json");
    assertThat(output.out()).isEmpty();
  }

  /** A description has more than twenty tokens. */
  @Test
  void answersAreFilledCanvasAfterCanvas() throws IOException {
    Path json = folder.resolve("long.json");
    Output output = eval(question("describe", "Describe this image.", "?"), "--canvas-length", "20", "--json", json.toString());
    assertThat(output.status()).isZero();
    JsonNode answer = JsonMapper.shared().readTree(json).path(0);
    assertThat(answer.path("length").asInt()).isIn(40, 60, 64);
    assertThat(answer.path("answered").asString()).startsWith("A ");
  }

  /** A template holds its fixed texts, and a question may say its own response length. */
  @Test
  void templateSystemAndLengthOfAQuestionAreKept() throws IOException {
    String line = question("json", "Describe the shape at the top right as JSON.", "{\"shape\": \"star\"}").replace("{\"shape\": \"star\"}",
        "{\\\"shape\\\": \\\"star\\\"}").strip();
    String more = ", \"system\": \"You are a helpful assistant.\", \"template\": [\"{\\\"shape\\\": \\\"\", 1, \"\\\"}\"], \"length\": 12}\n";
    Path json = folder.resolve("answers.json");
    Output output = eval(line.substring(0, line.length() - 1) + more, "--json", json.toString());
    assertThat(output.err()).isEmpty();
    assertThat(output.status()).isZero();
    JsonNode answer = JsonMapper.shared().readTree(json).path(0);
    assertThat(answer.path("length").asInt()).isEqualTo(12);
    assertThat(answer.path("answered").asString()).startsWith("{\"shape\": \"").contains("\"}");
    assertThat(answer.path("expected").asString()).isEqualTo("{\"shape\": \"star\"}");
    assertThat(answer.path("exact").asBoolean()).isEqualTo(answer.path("answered").equals(answer.path("expected")));
    assertThat(answer.path("iterations").asInt()).isPositive();
    assertThat(answer.path("steps_ms").asDouble()).isPositive();
  }

  @Test
  void standardOutputHoldsJsonAlone() throws IOException {
    Output output = eval(question("count", "How many squares are there?", "1"), "--json", "-");
    assertThat(output.status()).isZero();
    assertThat(JsonMapper.shared().readTree(output.out())).hasSize(1);
    assertThat(output.err()).containsPattern("count +1 +100\\.0 %");
  }

  @Test
  void quietPrintsTheAnswersAlone() throws IOException {
    Output output = eval(question("count", "How many squares are there?", "1").repeat(2), "--quiet");
    assertThat(output.out().lines()).containsExactly("1", "1");
    assertThat(output.err()).containsPattern("count +2 +100\\.0 %");
  }

  /** In the place of the lines' own questions, which need not be there then. */
  @Test
  void onePromptOfAFileIsAskedOfAllPictures() throws IOException {
    Path prompt = Files.writeString(folder.resolve("prompt.txt"), "How many squares are there?\n");
    Path json = folder.resolve("answers.json");
    String without = question("count", "x", "1").replace("\"question\": \"x\", ", "");
    Output output = eval(question("count", "Which number do you see?", "1") + without, "--prompt-file", prompt.toString(), "--json",
        json.toString());
    assertThat(output.err()).isEmpty();
    assertThat(output.out()).containsPattern("count +2 +100\\.0 %");
    assertThat(JsonMapper.shared().readTree(json).findValuesAsString("question")).hasSize(2).containsOnly("How many squares are there?");
    assertThat(eval(without, "--quiet").err()).contains("line 1: has no text named \"question\"");
    assertThat(Output.of("eval", "-", "--prompt-file", "-").status()).isEqualTo(2);
  }

  @Test
  void severalPicturesMakeALongerPrompt() throws IOException {
    String line = "{\"image\": [\"" + PICTURE + "\", \"" + PICTURE + "\"], \"task\": \"count\", \"question\": \"How many squares are there?\", "
        + "\"answer\": \"1\"}";
    Output output = eval(line);
    assertThat(output.err()).isEmpty();
    assertThat(output.status()).isZero();
    assertThat(output.out()).containsPattern("count +1 +");
  }

  @Test
  void badQuestionsAreNamed() throws IOException {
    assertThat(eval("").err().strip()).endsWith("questions.jsonl: has no questions");
    assertThat(eval("\n{oops").err()).contains("questions.jsonl, line 2: is not JSON");
    assertThat(eval("[1]").err()).contains("line 1: is no JSON object");
    assertThat(eval(question("count", "?", "1").strip() + " {}").err()).contains("line 1: is not JSON");
    assertThat(eval(withMore("\"answer\": \"2\"")).err()).contains("is given twice");
    assertThat(eval(withMore("\"tempalte\": []")).err()).contains("line 1: has the unknown key \"tempalte\"; known are answer, id");
    assertThat(eval(withMore("\"system\": \"\\ud83d\"")).err()).contains("line 1: has half a surrogate pair in \"system\"");
    assertThat(eval(question("count", "?", "1"), "--length", "a=1", "--length", "a=2").err()).contains("'--length': a task is given twice");
    assertThat(eval("{\"image\": \"x.png\", \"task\": \"count\", \"question\": \"?\"}").err())
        .contains("questions.jsonl, line 1: has no text named \"answer\"");
    assertThat(eval(withMore("\"system\": \"s\""), "--raw").err())
        .contains("line 1: has a \"system\" message, which goes with a chat template");
    assertThat(eval(withMore("\"template\": {\"a\": 3}")).err()).contains("line 1: \"template\" is no list of texts");
    assertThat(eval(withMore("\"template\": []")).err()).contains("line 1: \"template\" is no list of texts");
    assertThat(eval(withMore("\"template\": [\"a\", 0]")).err()).contains("line 1: \"template\" holds 0, expected");
    assertThat(eval(withMore("\"length\": -1")).err()).contains("line 1: \"length\" is -1");
    assertThat(eval("\n" + question("count", "?", "1"), "--raw").err()).contains("questions.jsonl, line 2: the prompt has 0 image placeholder(s)");
    assertThat(eval(question("count", "?", "1").replace("scene.png", "nowhere.png")).err()).contains("line 1: ").contains("nowhere.png: no such file");
    assertThat(eval(withMore("\"system\": 7")).err()).contains("line 1: has no text named \"system\"");
    assertThat(eval("{\"image\": [1], \"task\": \"count\", \"question\": \"?\", \"answer\": \"\"}").err())
        .contains("line 1: \"image\" holds something else than file names");
    assertThat(eval(question("count", "?", "1"), "--json", folder.resolve("nowhere/x.json").toString()).err()).contains("no such directory");
    assertThat(eval(question("count", "?", "1"), "--length", "count=0").status()).isEqualTo(2);
    assertThat(eval(question("count", "?", "1"), "--limit", "0").status()).isEqualTo(2);
  }
}
