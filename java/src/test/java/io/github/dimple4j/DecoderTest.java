package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.github.dimple4j.structure.Piece;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Decoders of one's own, and biases, on a model with random weights. */
class DecoderTest {
  private static final int LENGTH = 20;
  private static final Decoder ALL = Candidates::all;
  private static final Decoding SETTINGS = Decoding.builder().earlyStop(false).build();

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

  private static Session session() {
    return model.session().tokens(new int[] {5, 6, 7}).responseLength(LENGTH).open();
  }

  /** The paper's confident decoding, written once more: everything above the threshold, or what the schedule asks for. */
  private record Confident(float threshold) implements Decoder {
    @Override
    public Collection<Candidate> decide(Candidates candidates) {
      List<Candidate> all = candidates.all();
      List<Candidate> sure = all.stream().filter(c -> c.confidence() > threshold || candidates.iteration() == LENGTH - 1).toList();
      Comparator<Candidate> surest = Comparator.comparing(Candidate::confidence).reversed();
      return sure.isEmpty() ? all.stream().sorted(surest).limit(due(all.size(), candidates.iteration())).toList() : sure;
    }

    /** The first level of noise at which a position is due: 1 down to epsilon in LENGTH steps. */
    private static long due(int masked, int iteration) {
      float now = (float) masked / LENGTH;
      for (int level = iteration + 1; level < LENGTH; level++) {
        float next = level(level);
        int count = next < now ? (int) (masked * (1 - next / now)) : 0;
        if (count >= 1) {
          return count;
        }
      }
      return masked;
    }

    private static float level(int index) {
      float step = (1e-3f - 1) / LENGTH;
      return index < (LENGTH + 1) / 2 ? (float) (1 + (double) step * index) : (float) (1e-3f - (double) step * (LENGTH - index));
    }
  }

  private static List<String> told(Iterable<Step> steps) {
    List<String> told = new ArrayList<>();
    steps.forEach(step -> told.add(
        step.iteration() + " " + Arrays.toString(step.canvas().tokens()) + step.revealed() + step.done() + step.forwardPasses()));
    return told;
  }

  @ParameterizedTest
  @ValueSource(floats = {0.02f, 0.1f, 0.3f, 1})
  void confidentDecodingWrittenOnceMoreIsTheSame(float threshold) {
    for (float temperature : new float[] {0, 0.8f}) {
      Decoding decoding = SETTINGS.toBuilder().threshold(threshold).temperature(temperature).seed(3).build();
      try (Session session = session()) {
        List<String> built = told(session.steps(decoding));
        assertThat(told(session.steps(decoding, new Confident(threshold)))).isEqualTo(built);
        assertThat(session.generation()).usingRecursiveComparison().ignoringFields("timings", "canvas").isEqualTo(session.decode(decoding));
      }
    }
  }

  @Test
  void decidersThatGiveNullAreNamed() {
    Map<String, Decoder> decoders = Map.of("decisions", candidates -> null, "a decision", candidates -> Collections.singletonList(null),
        "biases", biased(null), "a bias", biased(Collections.singletonMap(3, null)), "a token of a bias", biased(Collections.singletonMap(null, 1f)));
    try (Session session = session()) {
      decoders.forEach((what, decoder) -> assertThatThrownBy(() -> session.decode(SETTINGS, decoder)).isInstanceOf(InvalidArgumentException.class)
          .hasMessage("a decoder gave null for " + what));
    }
  }

  private static Decoder biased(Map<Integer, Float> bias) {
    return new Decoder() {
      @Override
      public Collection<Candidate> decide(Candidates candidates) {
        return candidates.all();
      }

      @Override
      public Map<Integer, Float> bias(int iteration, Canvas canvas) {
        return bias;
      }
    };
  }

  @Test
  void otherTokensAndNothingCanBeRevealed() {
    List<Integer> seen = new ArrayList<>();
    Decoder decoder = candidates -> {
      seen.add(candidates.all().size());
      assertThat(candidates.canvas().remaining()).isEqualTo(candidates.all().size());
      Candidate last = candidates.all().getLast();
      return candidates.iteration() == 0 ? List.of() : List.of(candidates.all().getFirst(), last.as(65));
    };
    try (Session session = session()) {
      List<Step> steps = new ArrayList<>();
      session.steps(SETTINGS, decoder).forEach(steps::add);
      assertThat(steps).hasSize(1 + LENGTH / 2);
      assertThat(steps.get(0).revealed()).isEmpty();
      assertThat(steps.get(1).revealed().get(1)).isEqualTo(new Reveal(LENGTH - 1, 65, 0, Float.NaN));
      assertThat(steps.get(1).revealed().get(0).logProbability()).isNegative();
      assertThat(seen).startsWith(LENGTH, LENGTH, LENGTH - 2);
      assertThat(Arrays.stream(session.generation().tokens()).skip(LENGTH / 2)).containsOnly(65);
    }
  }

  @Test
  void aDecoderThatRevealsNothingEndsWithTheSteps() {
    try (Session session = session()) {
      Generation none = session.decode(SETTINGS.toBuilder().steps(3).build(), candidates -> List.of());
      assertThat(none.iterations()).isEqualTo(3);
      assertThat(none.canvas().remaining()).isEqualTo(LENGTH);
      assertThat(none.finish()).isEqualTo(Finish.MASKED);
    }
  }

  /** Block after block, of which each is revealed best first, as the pipeline does with a step a position. */
  @ParameterizedTest
  @EnumSource(value = Pipeline.class, names = {"SDAR", "BD3LM"})
  void blocksThatSeeNoLaterOnes(Pipeline pipeline) {
    Decoding decoding = Decoding.builder().pipeline(pipeline).algorithm(Algorithm.LOW_CONFIDENCE_STATIC).threshold(0).blockLength(5)
        .steps(pipeline == Pipeline.SDAR ? 5 : LENGTH + 5).temperature(0.7f).seed(4).build();
    Decoder best = candidates -> candidates.all().stream().max(Comparator.comparing(Candidate::confidence)).stream().toList();
    try (Session session = session()) {
      Generation built = session.decode(decoding);
      Generation own = session.decode(decoding, best);
      assertThat(own.text()).isNotEmpty().isEqualTo(pipeline == Pipeline.SDAR ? session.decode(decoding, best).text() : own.text());
      assertThat(own.finish()).isIn(Finish.LENGTH, Finish.END_OF_TEXT);
      assertThat(own.canvas().isComplete()).isTrue();
      assertThat(built.canvas().isComplete()).isTrue();
      assertThat(session.decode(decoding.toBuilder().temperature(0).build(), best).text())
          .isEqualTo(session.decode(decoding.toBuilder().temperature(0).build()).text());
      Generation nothing = session.decode(decoding, candidates -> List.of());
      assertThat(nothing.finish()).isEqualTo(Finish.MASKED);
      assertThat(nothing.canvas().remaining()).isEqualTo(LENGTH);
    }
    assertThatThrownBy(() -> {
      try (Session session = session()) {
        session.decode(Decoding.builder().pipeline(Pipeline.FAST_DLLM_V2).algorithm(Algorithm.LOW_CONFIDENCE_DYNAMIC).build(), best);
      }
    }).isInstanceOf(UnsupportedException.class).hasMessageContaining("decides by itself: a block's first token");
  }

  @Test
  void whatCannotBeRevealedIsRefusedAndTheIterationCanBeAskedForAgain() {
    Candidate outside = new Candidate(LENGTH, 65, 0, 0);
    Candidate twice = new Candidate(2, 65, 0, 0);
    Map<String, List<Candidate>> wrong = Map.of("position 20 is revealed, expected masked ones", List.of(outside),
        "position 2 is revealed, expected masked ones", List.of(twice, twice),
        "position 2 is revealed as token -1, expected 0 to", List.of(twice.as(-1)));
    try (Session session = session()) {
      String expected = session.decode(SETTINGS, ALL).text();
      wrong.forEach((message, chosen) -> {
        boolean[] failed = {false};
        var steps = session.steps(SETTINGS, candidates -> {
          if (failed[0]) {
            return candidates.all();
          }
          failed[0] = true;
          return chosen;
        }).iterator();
        assertThatThrownBy(steps::next).isInstanceOf(InvalidArgumentException.class).hasMessageContaining(message);
        assertThat(steps.next().canvas().text()).isEqualTo(expected);
      });
      assertThatThrownBy(() -> session.decode(SETTINGS, candidates -> {
        session.cancel();
        return session.decode(SETTINGS).canvas().remaining() == 0 ? candidates.all() : List.of();
      })).isInstanceOf(SessionStateException.class);
    }
  }

  /** Fast-dLLM's threshold, written once more: all of at least the threshold, and the surest in any case. */
  private record Sure(float threshold) implements Decoder {
    @Override
    public Collection<Candidate> decide(Candidates candidates) {
      Candidate best = candidates.all().stream().max(Comparator.comparing(Candidate::confidence)).orElseThrow();
      return candidates.all().stream().filter(c -> c.confidence() >= threshold || c == best).toList();
    }
  }

  @ParameterizedTest
  @EnumSource(value = BlockCache.class, names = "MODEL", mode = EnumSource.Mode.EXCLUDE)
  void blocksAreFilledOneAfterTheOther(BlockCache cache) {
    Decoding decoding = SETTINGS.toBuilder().pipeline(Pipeline.LLADA).blockLength(6).cache(cache).threshold(0.05f).steps(200).build();
    try (Session session = session()) {
      List<String> built = told(session.steps(decoding));
      assertThat(told(session.steps(decoding, new Sure(0.05f)))).isEqualTo(built);
      List<Integer> firsts = new ArrayList<>();
      Generation none = session.decode(decoding.toBuilder().steps(8).build(), candidates -> {
        assertThat(candidates.all()).hasSizeLessThanOrEqualTo(6);
        firsts.add(candidates.all().getFirst().position());
        return List.of();
      });
      assertThat(firsts).containsExactly(0, 0, 6, 6, 12, 12, 18, 18);
      assertThat(none.canvas().remaining()).isEqualTo(LENGTH);
      assertThatThrownBy(() -> session.decode(decoding, candidates -> List.of(new Candidate(LENGTH - 1, 65, 0, 0))))
          .isInstanceOf(InvalidArgumentException.class).hasMessageContaining("position 19 is revealed, expected masked ones of the block");
    }
  }

  @Test
  void guidanceAndTheAlgorithmsConfidencesCountInBlocks() {
    Decoding blocks = SETTINGS.toBuilder().pipeline(Pipeline.LLADA).blockLength(6).threshold(0.05f).steps(200).build();
    try (Session session = session()) {
      Decoding guided = blocks.toBuilder().guidanceScale(1.5f).build();
      List<String> built = told(session.steps(guided));
      assertThat(told(session.steps(guided, new Sure(0.05f)))).isEqualTo(built).isNotEqualTo(told(session.steps(blocks)));
      for (Algorithm algorithm : List.of(Algorithm.ENTROPY_BOUND, Algorithm.KLASS, Algorithm.CREDIT, Algorithm.HIERARCHY)) {
        Decoding chosen = blocks.toBuilder().algorithm(algorithm).threshold(algorithm == Algorithm.ENTROPY_BOUND ? 0 : 0.05f).build();
        Generation answer = session.decode(chosen, new Alternative(1, 2));
        assertThat(answer.canvas().remaining()).as("%s", algorithm).isZero();
        assertThat(answer.iterations()).isEqualTo(LENGTH); // one at a time, nothing filled in behind an end
      }
      Decoding entropies = blocks.toBuilder().algorithm(Algorithm.ENTROPY_BOUND).threshold(0).build();
      session.decode(entropies, candidates -> {
        assertThat(candidates.all()).allMatch(candidate -> candidate.confidence() < 0); // nats
        return candidates.all();
      });
    }
  }

  /** Reveals one position at a time, as the n-th of its tokens, n counted from the best, or as the last there is. */
  private record Alternative(int rank, int wanted) implements Decoder {
    @Override
    public int alternatives() {
      return wanted;
    }

    @Override
    public Collection<Candidate> decide(Candidates candidates) {
      int position = candidates.all().getFirst().position();
      List<Candidate> those = candidates.alternatives().get(position);
      assertThat(candidates.alternatives()).hasSameSizeAs(candidates.all());
      assertThat(those).isSortedAccordingTo(Comparator.comparing(Candidate::logProbability).reversed()).hasSizeBetween(1, wanted)
          .allMatch(c -> c.position() == position && Math.abs(Math.exp(c.logProbability()) - c.confidence()) < 1e-6);
      return List.of(those.get(Math.min(rank, those.size() - 1)));
    }
  }

  @Test
  void alternativesOfEachPosition() {
    try (Session session = session()) {
      Decoding leftmost = SETTINGS.toBuilder().threshold(0).algorithm(Algorithm.AUTOREGRESSIVE).build();
      assertThat(session.decode(leftmost, new Alternative(0, 1)).tokens()).isEqualTo(session.decode(leftmost).tokens());
      int[] best = session.decode(SETTINGS, new Alternative(0, 3)).tokens();
      int[] second = session.decode(SETTINGS, new Alternative(1, 3)).tokens();
      assertThat(second[0]).isNotEqualTo(best[0]);
      Generation hot = session.decode(SETTINGS.toBuilder().temperature(2).topK(1).build(), new Alternative(5, 6)); // whatever these do
      assertThat(hot.tokens()).isNotEqualTo(best);
      assertThat(hot.logProbabilities()).allMatch(p -> Float.isNaN(p)); // of tokens that were not the candidates nothing is kept
      for (int wrong : new int[] {-1, 65}) {
        assertThatThrownBy(() -> session.decode(SETTINGS, new Alternative(0, wrong))).isInstanceOf(InvalidArgumentException.class)
            .hasMessageContaining("a decoder wants " + wrong + " alternatives, expected 0 to 64");
      }
    }
  }

  /** Of iterations that the core decides: those of what it revealed, with a bias, a temperature or a structure all the same. */
  @Test
  void alternativesOfWhatWasRevealed() {
    Decoding hot = Decoding.builder().temperature(1.5f).logitBias(Map.of(9, -100f)).steps(6).earlyStop(false).build();
    for (Template template : Arrays.asList(null, Template.of(Piece.pattern("[a-z]{3,9}")))) {
      try (Session session = (template == null ? model.session() : model.session().response(template)).tokens(new int[] {5, 6, 7}).responseLength(LENGTH).open()) {
        assertThatThrownBy(() -> session.alternatives(3)).isInstanceOf(SessionStateException.class).hasMessageStartingWith("no decoding was begun");
        assertThatThrownBy(() -> session.alternatives(65)).hasMessage("65 alternatives, expected 1 to 64");
        int listed = 0;
        for (Step step : session.steps(hot)) {
          Map<Integer, List<Candidate>> alternatives = session.alternatives(3);
          for (Reveal reveal : step.revealed()) {
            List<Candidate> of = alternatives.getOrDefault(reveal.position(), List.of());
            if (Float.isNaN(reveal.logProbability()) || of.isEmpty()) {
              continue; // one token could stand there
            }
            assertThat(of).hasSize(3).isSortedAccordingTo(Comparator.comparing(Candidate::logProbability).reversed());
            assertThat(of.getFirst().logProbability()).isGreaterThanOrEqualTo(reveal.logProbability() - 1e-4f);
            of.stream().filter(candidate -> candidate.token() == reveal.token())
                .forEach(same -> assertThat(same.logProbability()).isCloseTo(reveal.logProbability(), within(1e-4f)));
            listed++;
          }
        }
        assertThat(listed).isGreaterThan(template == null ? LENGTH / 2 : 0);
        session.logits();
        assertThatThrownBy(() -> session.alternatives(3)).isInstanceOf(SessionStateException.class);
      }
    }
  }

  /** One at a time any of them can be revealed. */
  @Test
  void alternativesUnderAStructureFitIt() {
    Template template = Template.of(Template.choice("yes", "no", "undecided"), " ", Template.pattern("[a-z]{3,9}"), Template.optional("!"));
    try (Session session = model.session().tokens(new int[] {5, 6, 7}).responseLength(LENGTH).response(template).open()) {
      for (int rank = 0; rank < 8; rank++) {
        Decoding blocks = Decoding.builder().pipeline(Pipeline.LLADA).threshold(0).blockLength(4).build();
        for (Decoding decoding : List.of(Decoding.defaults(), blocks)) {
          assertThat(session.decode(decoding, new Alternative(rank, 8)).text()).matches("(yes|no|undecided) [a-z]{3,9}!?");
        }
      }
    }
  }

  @Test
  void blocksUnderAStructure() {
    Template template = Template.of(Template.choice("yes", "no", "undecided"), " ", Template.pattern("[a-z]{3,9}"));
    try (Session session = model.session().tokens(new int[] {5, 6, 7}).responseLength(LENGTH).response(template).open()) {
      for (BlockCache cache : BlockCache.values()) {
        for (Decoder decoder : List.of(BACKWARDS, ALL, new Sure(0.3f), candidates -> List.of())) {
          Decoding decoding = Decoding.builder().pipeline(Pipeline.LLADA).threshold(0).blockLength(4).cache(cache).temperature(1.5f)
              .build();
          assertThat(session.decode(decoding, decoder).text()).matches("(yes|no|undecided) [a-z]{3,9}");
        }
      }
    }
  }

  /** Biases every position in one iteration, and reveals everything. */
  private record Biased(Map<Integer, Float> values) implements Decoder {
    @Override
    public Collection<Candidate> decide(Candidates candidates) {
      return candidates.all();
    }

    @Override
    public Map<Integer, Float> bias(int iteration, Canvas canvas) {
      return values;
    }
  }

  @Test
  void aBiasFavoursAndBans() {
    try (Session session = session()) {
      Generation plain = session.decode(SETTINGS, ALL);
      Map<Integer, Float> bans = Arrays.stream(plain.tokens()).boxed().distinct()
          .collect(Collectors.toMap(t -> t, t -> Float.NEGATIVE_INFINITY));
      assertThat(session.decode(SETTINGS, new Biased(bans)).tokens()).doesNotContain(plain.tokens());
      Generation hot = session.decode(SETTINGS.toBuilder().temperature(2).seed(1).build(), new Biased(bans));
      assertThat(hot.tokens()).doesNotContain(plain.tokens());
      Generation favoured = session.decode(SETTINGS, new Biased(Map.of(65, 1000f)));
      assertThat(favoured.tokens()).containsOnly(65);
      // The model's own opinion of it, which scoring finds, too.
      int[] masks = new int[LENGTH];
      Arrays.fill(masks, 65);
      boolean[] all = new boolean[LENGTH];
      Arrays.fill(all, true);
      Score score = session.score(masks, List.of(all), 0);
      IntStream.range(0, LENGTH).forEach(i ->
          assertThat((double) favoured.logProbabilities().get(i)).isCloseTo(score.logProbabilities().get(i), within(1e-3)));
      assertThat(session.decode(SETTINGS, ALL).tokens()).isEqualTo(plain.tokens()); // it is gone with its decoding
      for (Map<Integer, Float> wrong : List.of(Map.of(-1, 1f), Map.of(model.info().vocabSize(), 1f), Map.of(1, Float.NaN),
          Map.of(1, Float.POSITIVE_INFINITY), Map.of(1, 1e6f))) {
        assertThatThrownBy(() -> session.decode(SETTINGS, new Biased(wrong))).isInstanceOf(InvalidArgumentException.class)
            .hasMessageContaining("bias: ");
      }
    }
  }

  @Test
  void aDecodingHasABiasOfItsOwn() {
    try (Session session = session(); Session canvases = model.session().tokens(new int[] {5, 6, 7}).responseLength(LENGTH).canvasLength(8).open()) {
      int[] plain = session.decode(SETTINGS).tokens();
      Map<Integer, Float> bans = Arrays.stream(plain).boxed().distinct().collect(Collectors.toMap(t -> t, t -> Float.NEGATIVE_INFINITY));
      Decoding banned = SETTINGS.toBuilder().logitBias(bans).build();
      assertThat(session.decode(banned).tokens()).doesNotContain(plain);
      assertThat(session.decode(banned.toBuilder().temperature(2).build()).tokens()).doesNotContain(plain);
      assertThat(session.decode(banned, ALL).tokens()).doesNotContain(plain);
      assertThat(session.decode(SETTINGS.toBuilder().logitBias(Map.of(65, -500f)).build(), new Biased(Map.of(65, 1500f))).tokens()).containsOnly(65);
      assertThat(canvases.decode(SETTINGS.toBuilder().logitBias(Map.of(65, 1000f)).build()).tokens()).containsOnly(65);
      assertThat(session.decode(SETTINGS).tokens()).isEqualTo(plain);
      assertThat(banned).isNotEqualTo(SETTINGS).isEqualTo(SETTINGS.toBuilder().logitBias(bans).build()).hasToString(banned.toString());
      assertThat(banned.toBuilder().logitBias(Map.of()).build()).isEqualTo(SETTINGS);
      Decoding unknown = SETTINGS.toBuilder().logitBias(Map.of(model.info().vocabSize(), 1f)).build();
      assertThatThrownBy(() -> session.decode(unknown)).isInstanceOf(InvalidArgumentException.class).hasMessageContaining("bias: ");
      for (Map<Integer, Float> wrong : List.of(Map.of(-1, 1f), Map.of(1, Float.NaN), Map.of(1, Float.POSITIVE_INFINITY), Map.of(1, 1e6f))) {
        assertThatThrownBy(() -> Decoding.builder().logitBias(wrong)).isInstanceOf(InvalidArgumentException.class).hasMessageContaining("a bias ");
      }
    }
  }

  /** Every decoding that the core decides on by itself is written once more, canvas by canvas, with a bias that comes and goes. */
  @ParameterizedTest
  @ValueSource(ints = {1, 6, 19, LENGTH})
  void severalCanvases(int canvasLength) {
    try (Session session = model.session().tokens(new int[] {5, 6, 7}).responseLength(LENGTH).canvasLength(canvasLength).open()) {
      Map<Integer, Float> noEnd = Arrays.stream(model.endTokenIds()).boxed().collect(Collectors.toMap(t -> t, t -> Float.NEGATIVE_INFINITY));
      Decoding blocks = SETTINGS.toBuilder().pipeline(Pipeline.LLADA).blockLength(4).threshold(0.05f).steps(200).temperature(0.8f)
          .cache(BlockCache.DUAL).logitBias(noEnd).build();
      List<String> built = told(session.steps(blocks));
      assertThat(told(session.steps(blocks, new Sure(0.05f)))).isEqualTo(built);
      Generation answer = session.generation();
      assertThat(answer.logProbabilities()).hasSize(LENGTH).noneMatch(p -> p.isNaN());
      assertThat(session.decode(blocks)).usingRecursiveComparison().ignoringFields("timings", "canvas").isEqualTo(answer);

      assertThat(session.decode(SETTINGS, new Biased(Map.of(65, 1000f))).tokens()).containsOnly(65);
      int[] best = session.decode(SETTINGS, new Alternative(0, 3)).tokens();
      assertThat(session.decode(SETTINGS, new Alternative(1, 3)).tokens()).isNotEqualTo(best);
      Generation none = session.decode(SETTINGS.toBuilder().steps(2).build(), candidates ->
          candidates.canvas().length() == canvasLength ? candidates.all() : List.of());
      assertThat(none.canvas().remaining()).isEqualTo(canvasLength == LENGTH ? 0 : Math.min(canvasLength, LENGTH - canvasLength));
      assertThat(none.iterations()).isEqualTo(canvasLength == LENGTH ? 1 : 3);
    }
  }

  @Test
  void positionsOfLaterCanvasesCountFromTheBeginning() {
    try (Session session = model.session().tokens(new int[] {5, 6, 7}).responseLength(LENGTH).canvasLength(6).open()) {
      List<Integer> seen = new ArrayList<>();
      int[] expected = session.decode(SETTINGS, candidates -> {
        assertThat(candidates.iteration()).isEqualTo(seen.size());
        seen.add(candidates.all().getFirst().position());
        return candidates.all();
      }).tokens();
      assertThat(seen).containsExactly(0, 6, 12, 18);
      for (Candidate wrong : List.of(new Candidate(3, 65, 0, 0), new Candidate(12, 65, 0, 0), new Candidate(7, -1, 0, 0))) {
        boolean[] failed = {false};
        var steps = session.steps(SETTINGS, candidates -> {
          boolean now = candidates.iteration() == 1 && !failed[0];
          failed[0] |= now;
          return now ? List.of(wrong) : candidates.all();
        }).iterator();
        steps.next();
        assertThatThrownBy(steps::next).isInstanceOf(InvalidArgumentException.class)
            .hasMessageContaining("in the canvas that begins at position 6: position " + (wrong.position() - 6) + " is revealed");
        steps.forEachRemaining(step -> { });
        assertThat(session.generation().tokens()).isEqualTo(expected);
      }
    }
  }

  /** One position at a time, from the right. */
  private static final Decoder BACKWARDS = candidates -> List.of(candidates.all().getLast());

  @Test
  void aStructureComesFirst() {
    Template template = Template.of(Template.choice("yes", "no", "undecided"));
    Map<Integer, Float> noLetters = Arrays.stream(model.tokenizer().encode("yesnoundecided")).boxed().distinct()
        .collect(Collectors.toMap(t -> t, t -> Float.NEGATIVE_INFINITY));
    try (Session session = model.session().tokens(new int[] {5, 6, 7}).responseLength(LENGTH).response(template).open()) {
      for (float temperature : new float[] {0, 1.5f}) {
        Decoding decoding = Decoding.builder().temperature(temperature).build();
        assertThat(session.decode(decoding, BACKWARDS).text()).isIn("yes", "no", "undecided");
        assertThat(session.decode(decoding, new Biased(noLetters)).text()).isIn("yes", "no", "undecided");
        assertThat(session.decode(decoding.toBuilder().steps(1).build(), candidates -> List.of()).text()).isIn("yes", "no", "undecided");
      }
      int n = model.tokenizer().encode("n")[0];
      Decoder first = candidates -> candidates.iteration() > 0 ? candidates.all() : List.of(candidates.all().getFirst().as(n));
      assertThat(session.decode(Decoding.defaults(), first).text()).isEqualTo("no");
      Decoder wrong = candidates -> List.of(candidates.all().getFirst().as(model.tokenizer().encode("x")[0]));
      assertThatThrownBy(() -> session.decode(Decoding.defaults(), wrong)).isInstanceOf(InvalidArgumentException.class);
      assertThat(session.decode(Decoding.defaults(), ALL).text()).isIn("yes", "no", "undecided");
    }
  }
}
