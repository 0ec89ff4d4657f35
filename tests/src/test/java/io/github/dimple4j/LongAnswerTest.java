package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.dimple4j.gguf.TensorType;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Answers in several canvases beside the reference (tests/reference/long_answers.py), and beside prompts that hold what they go on from. */
class LongAnswerTest {
  private static final List<String> GOLDENS = List.of("gamma", "epsilon");

  static Stream<Arguments> models() {
    return GOLDENS.stream().flatMap(golden -> Backends.all().stream().map(backend -> Arguments.of(Golden.named(golden), backend)));
  }

  static Stream<Golden> goldens() {
    return GOLDENS.stream().map(Golden::named);
  }

  @ParameterizedTest
  @MethodSource("models")
  void everyStepOfEveryCanvasIsTheReferences(Golden golden, String backend) {
    try (DimpleModel model = golden.load(TensorType.F32, backend)) {
      for (Golden.LongAnswer recorded : golden.longAnswers()) {
        String name = recorded.prompt().name() + ", " + recorded.name();
        try (Session session = session(model, recorded)) {
          List<int[]> found = new ArrayList<>();
          List<int[]> expected = new ArrayList<>();
          int begun = 0;
          for (List<int[]> canvas : recorded.canvases()) {
            for (int[] after : canvas) {
              int[] whole = Arrays.copyOf(recorded.answer(), begun + after.length);
              System.arraycopy(after, 0, whole, begun, after.length);
              expected.add(whole);
            }
            begun += canvas.getLast().length;
          }
          for (Step step : session.steps(recorded.decoding())) { // a full canvas is shown with the next one
            found.add(Arrays.copyOf(step.canvas().tokens(), expected.get(found.size()).length));
          }
          assertThat(found.toArray(int[][]::new)).as(name).isEqualTo(expected.toArray(int[][]::new));
          Generation answer = session.generation();
          assertThat(answer.tokens()).as(name).isEqualTo(recorded.answer());
          assertThat(answer.finish()).as(name).isEqualTo(begun < recorded.most() || hasEnd(model, recorded.answer())
              ? Finish.END_OF_TEXT : Finish.LENGTH);
          assertThat(session.decode(recorded.decoding()).tokens()).as(name + ", again").isEqualTo(recorded.answer());
        }
      }
    }
  }

  private static boolean hasEnd(DimpleModel model, int[] tokens) {
    return Arrays.stream(tokens).anyMatch(token -> Arrays.stream(model.endTokenIds()).anyMatch(end -> end == token));
  }

  private static Session session(DimpleModel model, Golden.LongAnswer recorded) {
    return recorded.prompt().session(model).responseLength(recorded.most()).canvasLength(recorded.canvasLength())
        .prefillCache(recorded.prefillCache()).open();
  }

  /** Tokens, confidences, passes; with draws, too. */
  @ParameterizedTest
  @MethodSource("goldens")
  void aCanvasIsWhatItIsBehindAPromptGivenFromTheStart(Golden golden) {
    try (DimpleModel model = golden.load(TensorType.F32, "auto")) {
      for (Decoding decoding : List.of(Decoding.builder().temperature(1.2f).seed(7).threshold(0.4f).build(),
          Decoding.builder().pipeline(Pipeline.LLADA).threshold(0.6f).guidanceScale(0.5f).blockLength(3).build(),
          Decoding.builder().pipeline(Pipeline.DREAM).algorithm(Algorithm.ENTROPY).cache(BlockCache.DUAL).blockLength(4).build())) {
        Golden.Case prompt = golden.cases().getLast();
        try (Session session = prompt.session(model).responseLength(20).canvasLength(8).open()) {
          List<Step> steps = session.steps(decoding).stream().toList();
          Generation whole = session.generation();
          List<Reveal> reveals = steps.stream().flatMap(step -> step.revealed().stream()).toList();
          List<Reveal> expected = new ArrayList<>();
          int passes = 0;
          for (int begun = 0; begun < whole.tokens().length; begun += 8) {
            int first = begun;
            int[] longer = Arrays.copyOf(prompt.prompt(), prompt.prompt().length + begun);
            System.arraycopy(whole.tokens(), 0, longer, prompt.prompt().length, begun);
            try (Session alone = model.session().tokens(longer, prompt.images().toArray(Image[]::new))
                .responseLength(Math.min(8, whole.tokens().length - begun)).open()) {
              alone.steps(decoding.toBuilder().seed(decoding.seed() + begun / 8).build()).stream().flatMap(step -> step.revealed().stream())
                  .map(reveal -> new Reveal(reveal.position() + first, reveal.token(), reveal.confidence(), reveal.logProbability()))
                  .forEach(expected::add);
              passes += alone.generation().forwardPasses();
            }
          }
          assertThat(reveals).as(decoding.toString()).isEqualTo(expected);
          assertThat(whole.forwardPasses()).isEqualTo(passes);
          assertThat(whole.iterations()).isEqualTo(steps.size());
          assertThat(steps.getLast().iteration()).isEqualTo(steps.size() - 1);
          assertThat(whole.timings().steps()).isGreaterThan(Duration.ZERO);
          assertThat(whole.logProbabilities()).hasSize(whole.tokens().length).noneMatch(p -> p.isNaN());
        }
      }
    }
  }

  /** The tower's time is that of one run. */
  @ParameterizedTest
  @MethodSource("goldens")
  void picturesAreLookedAtOnce(Golden golden) {
    try (DimpleModel model = golden.load(TensorType.F32, "auto");
        Session session = golden.imageCase().session(model).responseLength(9).canvasLength(3).open()) {
      session.prefill();
      Duration vision = session.timings().vision();
      assertThat(session.decode(Decoding.builder().steps(2).build()).timings().vision()).isEqualTo(vision).isPositive();
    }
  }
}
