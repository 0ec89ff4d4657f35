package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.dimple4j.structure.ByteAutomaton;
import io.github.dimple4j.structure.Piece;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
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

  /** In one canvas and in several: one answer that is held as a whole, whatever ends the decoding. */
  @Test
  void aStructureHoldsAllCanvasesTogether() {
    Template template = Template.json("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"string\",\"maxLength\":9}},"
        + "\"required\":[\"a\",\"b\"]}");
    ByteAutomaton automaton = template.automaton().orElseThrow();
    for (int length : new int[] {1, 2, 5, 20, 39, 40, 90}) {
      try (Session session = model.session().user("cat").responseLength(40).canvasLength(length).response(template).open()) {
        for (int seed = 0; seed < 12; seed++) {
          Decoding.Builder settings = ONE_BY_ONE.toBuilder().seed(seed).temperature(seed % 3).threshold(seed % 2 * 0.3f);
          if (seed % 4 == 3) {
            settings.iterationBudget(2);
          }
          Generation answer = session.decode(settings.build());
          assertThat(automaton.accepts(answer.text().getBytes(StandardCharsets.UTF_8))).as("%s", answer.text()).isTrue();
          assertThat(answer.finish()).isIn(Finish.END_OF_TEXT, Finish.LENGTH);
          assertThat(answer.canvas().length()).isLessThanOrEqualTo(40);
          assertThat(answer.canvas().length() - answer.textTokens().length).as("no canvas behind the one that ends").isLessThanOrEqualTo(length);
        }
        session.steps(ONE_BY_ONE).iterator().next();
        assertThat(automaton.accepts(session.complete().text().getBytes(StandardCharsets.UTF_8))).isTrue();
        Generation own = session.decode(ONE_BY_ONE, candidates -> candidates.all().subList(0, 1));
        assertThat(automaton.accepts(own.text().getBytes(StandardCharsets.UTF_8))).as("%s", own.text()).isTrue();
      }
    }
  }

  @Test
  void whatIsFixedBehindACanvasTakesPart() {
    Template template = Template.of(Piece.pattern("[a-z]{3,}!"), Piece.text(20));
    int mark = model.tokenizer().encode("!")[0];
    try (Session session = model.session().user("cat").responseLength(12).canvasLength(3).response(template).prior(7, mark).open()) {
      for (int seed = 0; seed < 20; seed++) {
        Generation answer = session.decode(ONE_BY_ONE.toBuilder().seed(seed).build());
        assertThat(answer.canvas().token(7)).isEqualTo(mark);
        assertThat(answer.text()).matches("(?s)[a-z]{3,}!.*");
      }
    }
  }

  /** The parts of a structure prior keep their places; a slot ends for itself, and what is fixed behind it comes all the same. */
  @Test
  void aPriorReachesOverCanvases() {
    int end = model.endTokenIds()[0];
    Template template = Template.of("{\"a\": ", Template.slot(4), ", \"b\": ", Template.slot(3), "}");
    int[] fixed = model.session().user("cat").response(template).open().decode(ONE_BY_ONE).tokens();
    int ended = 0;
    for (int length : new int[] {1, 3, 6, 9, 50}) {
      try (Session session = model.session().user("cat").response(template).canvasLength(length).open();
          Session early = model.session().user("cat").response(template).canvasLength(length).prior(7, end).open()) {
        for (int seed = 0; seed < 10; seed++) {
          Decoding decoding = ONE_BY_ONE.toBuilder().seed(seed).build();
          Generation answer = session.decode(decoding);
          assertThat(answer.tokens()).hasSize(fixed.length);
          assertThat(answer.text()).startsWith("{\"a\": ").contains(", \"b\": ").endsWith("}");
          assertThat(answer.slots()).hasSize(2);
          assertThat(answer.finish()).isEqualTo(Finish.LENGTH);
          Generation short1 = early.decode(decoding.toBuilder().prune(seed % 2 == 0).build());
          assertThat(short1.slots()).hasSize(2);
          assertThat(short1.text()).as("%d %d %s %s", length, seed, short1.finish(), short1).endsWith("}").contains(", \"b\": ");
          ended += short1.slots().get(0).length() <= 2 ? 1 : 0;
        }
      }
    }
    assertThat(ended).isPositive();
  }

  @Test
  void whatDoesNotGoTogetherIsSaid() {
    assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(() -> builder().canvasLength(0).open())
        .withMessage("a canvas of 0 tokens, expected at least 1");
    assertThatExceptionOfType(ContextLimitException.class)
        .isThrownBy(() -> builder().response(Template.json("{\"enum\":[\"a text of many letters\"]}")).open())
        .withMessage("the shortest response that fits the constraint has 24 tokens, but the response has 11");
    assertThatExceptionOfType(ContextLimitException.class).isThrownBy(() -> builder().responseLength(model.info().contextLength()).open())
        .withMessageMatching("prompt \\(\\d+ tokens\\) and response \\(\\d+\\) do not fit the context of \\d+");
  }
}
