package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Answers in several canvases: what ends them, what is shown meanwhile, what is refused. */
class CanvasSequenceTest {
  private static final Decoding ONE_BY_ONE = Decoding.builder().threshold(0).temperature(0.8f).seed(3).build();

  @TempDir static Path folder;
  private static DimpleModel model;

  @BeforeAll
  static void load() throws IOException {
    model = DimpleModel.load(TinyModel.ofText().write(folder.resolve("model.gguf")));
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private static SessionBuilder builder() {
    return model.session().user("cat").responseLength(11).canvasLength(4);
  }

  /** A seed whose answer fills all canvases, and its text. */
  private static Decoding unending(Session session) {
    return IntStream.range(0, 200).mapToObj(seed -> ONE_BY_ONE.toBuilder().seed(seed * 100L).build())
        .filter(decoding -> {
          Generation answer = session.decode(decoding);
          return answer.finish() == Finish.LENGTH && answer.canvas().pieces().stream().noneMatch(String::isEmpty);
        }).findFirst().orElseThrow();
  }

  @Test
  void theNextCanvasIsShownWithTheLastStepOfAFullOne() {
    try (Session session = builder().open()) {
      List<Step> steps = session.steps(unending(session)).stream().toList();
      String stable = "";
      int revealed = 0;
      for (Step step : steps) {
        revealed += step.revealed().size();
        assertThat(step.canvas().length()).isEqualTo(revealed < 4 ? 4 : revealed < 8 ? 8 : 11);
        assertThat(step.remaining()).isEqualTo(step.canvas().length() - revealed);
        assertThat(step.canvas().stableText()).startsWith(stable);
        assertThat(step.done()).isEqualTo(step == steps.getLast());
        stable = step.canvas().stableText();
      }
      Generation answer = session.generation();
      assertThat(stable).isEqualTo(answer.text());
      assertThat(answer.revealed()).isEqualTo(11);
      assertThat(answer.iterations()).isEqualTo(steps.size());
      assertThat(answer.logProbabilities()).hasSize(11).noneMatch(p -> p.isNaN());
      assertThat(session.responseLength()).isEqualTo(11);
    }
  }

  @Test
  void aStopStringStandsAcrossTheBorder() {
    try (Session session = builder().open()) {
      Decoding decoding = unending(session);
      List<String> pieces = session.decode(decoding).canvas().pieces();
      String stop = pieces.get(3) + pieces.get(4);
      Generation answer = session.decode(decoding.toBuilder().stop(stop).build());
      String whole = String.join("", pieces);
      assertThat(answer.text()).isEqualTo(whole.substring(0, whole.indexOf(stop)));
      assertThat(answer.finish()).isEqualTo(Finish.STOP_STRING);
      assertThat(answer.canvas().length()).isLessThanOrEqualTo(8);
    }
  }

  @Test
  void anEndOfTextIsTheLastCanvas() {
    int end = model.endTokenIds()[0];
    try (Session session = builder().prior(5, end).open()) {
      Generation answer = session.decode(ONE_BY_ONE);
      assertThat(answer.finish()).isEqualTo(Finish.END_OF_TEXT);
      assertThat(answer.canvas().length()).isLessThanOrEqualTo(8);
    }
  }

  @Test
  void budgetsCountAllCanvases() {
    try (Session session = builder().open()) {
      Decoding decoding = unending(session);
      Generation all = session.decode(decoding);
      Generation some = session.decode(decoding.toBuilder().iterationBudget(4).build());
      assertThat(some.finish()).isEqualTo(Finish.BUDGET);
      assertThat(some.iterations()).isEqualTo(4);
      assertThat(some.canvas().length()).isEqualTo(8);
      assertThat(all.text()).startsWith(some.canvas().stableText());
    }
  }

  @Test
  void aCancelledStepOfALaterCanvasCanBeRepeated() {
    try (Session session = builder().open()) {
      Decoding decoding = unending(session);
      int[] whole = session.decode(decoding).tokens();
      var steps = session.steps(decoding).iterator();
      while (steps.next().canvas().length() == 4) { } // to the end of the first canvas
      session.cancel();
      assertThatExceptionOfType(CancelledException.class).isThrownBy(steps::next);
      assertThat(session.generation().finish()).isEqualTo(Finish.CANCELLED);
      assertThat(session.generation().tokens()).hasSize(8).startsWith(whole[0], whole[1], whole[2], whole[3]);
      steps.forEachRemaining(step -> { });
      assertThat(session.generation().tokens()).isEqualTo(whole);
    }
  }

  @Test
  void scoresDoNotSeeTheAnswer() {
    try (Session session = builder().open()) {
      Score before = session.score(new int[] {3, 4}, Scoring.leftToRight());
      session.decode(unending(session));
      assertThat(session.score(new int[] {3, 4}, Scoring.leftToRight())).isEqualTo(before);
    }
  }

  @Test
  void whatDoesNotGoTogetherIsSaid() {
    assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(() -> builder().canvasLength(0).open())
        .withMessage("a canvas of 0 tokens, expected at least 1");
    assertThatExceptionOfType(InvalidArgumentException.class)
        .isThrownBy(() -> builder().response(Template.of("a", Template.slot(2))).open())
        .withMessageContaining("with a template is one canvas");
    assertThatExceptionOfType(InvalidArgumentException.class)
        .isThrownBy(() -> builder().response(Template.json("{\"type\":\"boolean\"}")).open())
        .withMessageContaining("with a structure is one canvas");
    assertThatExceptionOfType(ContextLimitException.class).isThrownBy(() -> builder().responseLength(model.info().contextLength()).open())
        .withMessageMatching("prompt \\(\\d+ tokens\\) and response \\(\\d+\\) do not fit the context of \\d+");
  }
}
