package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The bundled model on pictures that it never saw in training: pictures and questions in, text out. */
class MiniModelTest {
  private static final Path IMAGES = Path.of("../docs/images");
  private static final Path FILE = Path.of("../models/mini/dimple-mini-f16.gguf");
  private static final int EVERY = Integer.getInteger("dimple.mini.every", 5);
  private static final Map<String, Integer> RESPONSE_LENGTHS = Map.of("describe", 64, "json", 32);

  private static DimpleModel model;

  private record Answer(String picture, String task, String expected, Generation given) {
    boolean exact() {
      return given.text().strip().equals(expected);
    }
  }

  @BeforeAll
  static void load() {
    model = DimpleModel.load(FILE);
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private static Answer ask(JsonNode scene, JsonNode question, Decoding decoding) {
    String picture = scene.path("image").asString();
    String task = question.path("task").asString();
    try (Session session = model.session().user(question.path("question").asString(), Image.read(IMAGES.resolve(picture)))
        .responseLength(RESPONSE_LENGTHS.getOrDefault(task, 16)).prefill()) {
      return new Answer(picture, task, question.path("answer").asString(), session.decode(decoding));
    }
  }

  /** The example of README.md. */
  @Test
  void anAnswerIsARecord() {
    record Scene(String background, int shapes, Optional<String> number) {}

    try (var session = model.session()
        .user("Summarize the image as JSON.", Image.read(IMAGES.resolve("scene.png")))
        .response(Template.of(Scene.class))
        .responseLength(48)
        .prefill()) {
      Generation answer = session.decode(ConfidentDecoding.threshold(0.95f));
      assertThat(answer.as(Scene.class)).isEqualTo(new Scene("white", 3, Optional.of("7")));
    }
  }

  private static List<Answer> askAll(Decoding decoding) {
    List<Answer> answers = new ArrayList<>();
    for (JsonNode scene : new JsonMapper().readTree(IMAGES.resolve("scenes.json"))) {
      scene.path("questions").forEach(question -> answers.add(ask(scene, question, decoding)));
    }
    return answers;
  }

  private static long exact(List<Answer> answers) {
    return answers.stream().filter(Answer::exact).count();
  }

  @Test
  void answersQuestionsAboutPicturesItNeverSaw() {
    List<Answer> answers = askAll(ConfidentDecoding.threshold(0.95f));
    List<Answer> descriptions = answers.stream().filter(answer -> answer.task().equals("describe")).toList();
    System.out.printf("dimple-mini: %d of %d descriptions and %d of all %d answers are exact%n", exact(descriptions), descriptions.size(),
        exact(answers), answers.size());
    assertThat(exact(answers)).as("exact answers of %d", answers.size()).isGreaterThan(answers.size() * 9L / 10);
    assertThat(exact(descriptions)).as("exact descriptions of %d", descriptions.size()).isGreaterThanOrEqualTo(descriptions.size() * 9L / 10);
    assertThat(descriptions).as("the background is right even where a shape is not").allSatisfy(answer ->
        assertThat(answer.given().text().strip()).startsWith(answer.expected().substring(0, answer.expected().indexOf(" background"))));
    assertThat(answers).as("a sentence ends with end-of-text tokens").allSatisfy(answer ->
        assertThat(answer.given().finish()).isEqualTo(Finish.END_OF_TEXT));
  }

  /** Confident decoding is what makes a diffusion model fast: a third of the response length at most, as in the paper. */
  @Test
  void confidentDecodingTakesFewIterations() {
    for (Answer answer : askAll(ConfidentDecoding.threshold(0.95f))) {
      if (answer.task().equals("describe")) {
        assertThat(answer.given().iterations()).as(answer.picture()).isLessThanOrEqualTo(64 / 3);
        assertThat(answer.given().tokensPerIteration()).isGreaterThan(3);
      }
    }
  }

  /**
   * What PyTorch answers with the same weights (tests/goldens/mini, written by models/mini/evaluate.py), without prompt cache; a token
   * at a time every fifth of them (system property {@code dimple.mini.every}). The AMX kernels round float16 weights, so a near tie could fall the
   * other way there; every other one computes as PyTorch does.
   */
  @Test
  void answersEqualPyTorchs() throws IOException {
    String backend = Backends.all().stream().filter(name -> name.startsWith("cpu-") && !name.equals("cpu-amx")).findFirst().orElseThrow();
    Path folder = Path.of("goldens/mini");
    List<String> lines = Files.readAllLines(folder.resolve("answers.jsonl"), StandardCharsets.UTF_8);
    assertThat(lines).hasSize(100);
    try (DimpleModel exact = DimpleModel.load(FILE, ModelOptions.builder().backend(backend).build())) {
      for (int i = 0; i < lines.size(); i++) {
        assertAnswersEqual(exact, folder, lines.get(i), i % EVERY == 0);
      }
    }
  }

  private static void assertAnswersEqual(DimpleModel exact, Path folder, String line, boolean oneTokenPerStep) {
    JsonNode expected = JsonMapper.shared().readTree(line);
    try (Session session = exact.session()
        .user(expected.path("question").asString(), Image.read(folder.resolve(expected.path("image").asString())))
        .responseLength(RESPONSE_LENGTHS.getOrDefault(expected.path("task").asString(), 16)).prefillCache(false).open()) {
      assertThat(session.decode(ConfidentDecoding.threshold(0.95f)).text()).as(line).isEqualTo(expected.path("confident").asString());
      if (oneTokenPerStep) {
        Decoding decoding = Decoding.builder().threshold(0).build();
        assertThat(session.decode(decoding).text()).as(line).isEqualTo(expected.path("one_token_per_step").asString());
      }
    }
  }

  private static String readmesAnswer() {
    JsonNode first = new JsonMapper().readTree(IMAGES.resolve("scenes.json")).path(0); // scene.png is the first of them again
    return first.path("questions").path(0).path("answer").asString();
  }

  @ParameterizedTest
  @MethodSource("io.github.dimple4j.Backends#all")
  void readmesPictureIsDescribedCorrectly(String backend) {
    try (DimpleModel other = DimpleModel.load(FILE, ModelOptions.builder().backend(backend).build());
        Session session = other.session().user("Describe this image.", Synthetic.scene()).prefill()) {
      assertThat(session.decode(Decoding.defaults()).text().strip()).isEqualTo(readmesAnswer());
    }
  }

  /** The command that the README opens with: without a model it runs the bundled one. */
  @Test
  void readmesCommandPrintsTheAnswerAndOneLineOfFigures() {
    Outcome outcome = JavaProcess.dimple(Map.of(), "run", "--image", IMAGES.resolve("scene.png").toString(), "--prompt", "Describe this image.");
    assertThat(outcome.status()).isZero();
    assertThat(outcome.out().strip()).isEqualTo(readmesAnswer());
    assertThat(outcome.err()).hasLineCount(1).contains(" iteration", "tokens per iteration", "tokens/s", "vision", "prefill", "per iteration");
  }

  /** A template is kept, and what the model puts into its slots is about the picture. */
  @Test
  void templateIsFilledIn() {
    try (Session session = model.session().user("Describe this image.", Image.read(IMAGES.resolve("scene-02.png")))
        .response(Template.of("A", Template.slot(1), " background with a")).responseLength(64).prefill()) {
      Generation answer = session.decode(Decoding.defaults());
      assertThat(answer.text()).startsWith("A gray background with a");
      assertThat(answer.slots().getFirst().strip()).isEqualTo("gray");
    }
  }
}
