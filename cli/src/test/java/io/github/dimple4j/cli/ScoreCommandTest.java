package io.github.dimple4j.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Scores on the command line, of the bundled model. */
class ScoreCommandTest {
  private static final String MODEL = "../models/mini/dimple-mini-f16.gguf";

  @TempDir private Path folder;

  private Map<?, ?> score(String... options) throws IOException {
    Path json = folder.resolve("score.json");
    Stream<String> fixed = Stream.of("score", MODEL, "--image", "../docs/images/scene-01.png", "--json", json.toString());
    Output output = Output.of(Stream.concat(fixed, Stream.of(options)).toArray(String[]::new));
    assertThat(output.err()).isEmpty();
    assertThat(output.status()).isZero();
    return Json.read(json);
  }

  private static Map<?, ?> answer(Map<?, ?> document, int index) {
    return (Map<?, ?>) ((List<?>) document.get("answers")).get(index);
  }

  private static double number(Map<?, ?> object, String name) {
    return number(object.get(name));
  }

  private static double number(Object value) {
    return Double.parseDouble(((Json.Number) value).text());
  }

  private static double sum(Map<?, ?> answer) {
    return ((List<?>) answer.get("log_probabilities")).stream().mapToDouble(ScoreCommandTest::number).sum();
  }

  @Test
  void keysAndValuesAreOfTheTypeThatIsAskedFor() throws IOException {
    String[] asked = {"--prompt", "Is there a circle at the bottom left?", "--method", "left-to-right", "--answer", "No"};
    double usual = number(answer(score(asked), 0), "log_likelihood");
    double rounded = number(answer(score(Stream.concat(Stream.of(asked), Stream.of("--kv-type", "q8_0")).toArray(String[]::new)), 0), "log_likelihood");
    assertThat(rounded).isNotEqualTo(usual).isCloseTo(usual, within(0.5));
  }

  /** There is none. */
  @Test
  void anAnswerThatFitsIsLikelier() throws IOException {
    for (String method : new String[] {"monte-carlo", "left-to-right"}) {
      Map<?, ?> document = score("--prompt", "Is there a circle at the bottom left?",
          "--method", method, "--answer", "No", "--answer", "Yes");
      Map<?, ?> fitting = answer(document, 0);
      Map<?, ?> strange = answer(document, 1);
      assertThat(fitting.get("text")).isEqualTo("No");
      assertThat(number(fitting, "log_likelihood")).isNegative().isGreaterThan(number(strange, "log_likelihood"))
          .isCloseTo(sum(fitting), within(1e-9));
      assertThat(number(strange, "log_likelihood")).isCloseTo(sum(strange), within(1e-9));
      assertThat(number(fitting, "probability") + number(strange, "probability")).isCloseTo(1, within(1e-9));
      assertThat(((Map<?, ?>) document.get("settings")).get("method")).isEqualTo(method);
    }
  }

  @Test
  void settingsCount() throws IOException {
    String[] few = {"--prompt", "Describe this image.", "--answer", "a large red circle", "--samples", "3"};
    Map<?, ?> first = score(few);
    assertThat(score(few)).isEqualTo(first);
    Map<?, ?> settings = (Map<?, ?>) first.get("settings");
    assertThat(settings.keySet().stream().map(Object::toString)).containsExactly("method", "samples", "rows", "seed", "guidance_scale");
    for (String[] other : new String[][] {{"--seed", "1"}, {"--rows", "2"}, {"--guidance-scale", "0.5"}}) {
      Map<?, ?> changed = score(Stream.concat(Stream.of(few), Stream.of(other)).toArray(String[]::new));
      assertThat(answer(changed, 0).get("log_likelihood")).as(other[0]).isNotEqualTo(answer(first, 0).get("log_likelihood"));
    }
  }

  @Test
  void tokenIdsAreWhatTextsBecome() throws IOException {
    String[] text = {"--prompt", "How many shapes are there?", "--answer", "3", "--method", "left-to-right"};
    Map<?, ?> asText = answer(score(text), 0);
    String ids = Files.writeString(folder.resolve("answer.json"), Json.integers(asText.get("tokens")).toString()).toString();
    Map<?, ?> asIds = answer(score("--prompt", "How many shapes are there?", "--answer-ids-file", ids, "--method", "left-to-right"), 0);
    assertThat(asIds.get("log_likelihood")).isEqualTo(asText.get("log_likelihood"));
    assertThat(asIds.get("text")).isNull();
  }

  @Test
  void anAnswerThatDoesNotFit() {
    Output empty = Output.of("score", MODEL, "--prompt", "x", "--answer", "", "--json", "-");
    assertThat(empty.err()).isEqualTo("dimple: an answer of 0 tokens, expected at least 1" + System.lineSeparator());
    assertThat(empty.status()).isEqualTo(1);
    Output lengthy = Output.of("score", MODEL, "--prompt", "x", "--answer", "y ".repeat(5000), "--json", "-");
    assertThat(lengthy.err()).contains("do not fit the context").hasLineCount(1);
    assertThat(lengthy.status()).isEqualTo(1);
  }
}
