package io.github.dimple4j;

import static io.github.dimple4j.Template.slot;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.dimple4j.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** When a decoding ends: with its text, with a stop string, with its budget, or with its thread. */
@Timeout(60)
class EndingTest {
  private static final int[] PROMPT = {5, 6, 7, 8, 9};
  private static final Tokenizer TOKENIZER = TinyModel.tokenizer();
  private static final Decoding ENDLESS = Decoding.builder().pipeline(Pipeline.DREAM).steps(1 << 20).earlyStop(false).build();

  @TempDir static Path folder;
  private static DimpleModel model;

  /** Every tenth token is an end, so that the nonsense it writes ends soon. */
  @BeforeAll
  static void load() throws IOException {
    int[] ends = IntStream.range(0, 26).map(i -> 10 * i).toArray();
    model = DimpleModel.load(TinyModel.ofText().put("tokenizer.ggml.eos_token_ids", ends).write(folder.resolve("model.gguf")));
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private static Vocabulary vocabulary() {
    return new Vocabulary(model.info(), () -> TOKENIZER, TinyModel.PAD, TinyModel.IM_END);
  }

  private static Canvas canvas(String text, String... stops) {
    int[] tokens = TOKENIZER.encode(text);
    Vocabulary vocabulary = vocabulary();
    return new Canvas(Response.ofOneSlot(vocabulary, vocabulary.masks(tokens.length)).endingAt(List.of(stops)), tokens);
  }

  @Test
  void aStopStringEndsTheText() {
    Canvas canvas = canvas("a cat dog<|im_end|>", "t d");
    assertThat(canvas.text()).isEqualTo("a ca");
    assertThat(canvas.pieces()).hasSize(TOKENIZER.encode("a cat dog<|im_end|>").length);
    assertThat(canvas.finish()).isEqualTo(Finish.STOP_STRING);
    assertThat(canvas.stableText()).isEqualTo("a ca");
    assertThat(TOKENIZER.decode(canvas.textTokens())).isEqualTo("a cat"); // "cat" is a token
    assertThat(canvas("a cat", "cat").textTokens()).isEqualTo(TOKENIZER.encode("a "));
    assertThat(canvas("a cat", "dog").finish()).isEqualTo(Finish.LENGTH);
    assertThat(canvas("a<|im_end|>cat", "cat").finish()).isEqualTo(Finish.END_OF_TEXT);
    assertThat(canvas("abcd", "b", "abc").text()).isEqualTo("a"); // complete first
    assertThat(canvas("abcd", "bc", "abc").text()).isEmpty(); // complete at once: the longer one
    assertThat(canvas("é€x", "€").text()).isEqualTo("é");
    assertThat(canvas("<|mask|>ab<|mask|>", "b").text()).isEqualTo("░a");
    assertThat(canvas("a<|mask|>b", "ab").text()).isEqualTo("a░b");
  }

  @Test
  void textIsCompleteOnceAllBeforeItsEndIsRevealed() {
    assertThat(canvas("a<|im_end|><|mask|>").isComplete()).isTrue();
    assertThat(canvas("<|mask|><|im_end|>a").isComplete()).isFalse();
    assertThat(canvas("a<|mask|>").isComplete()).isFalse();
    assertThat(canvas("ab<|mask|>", "b").isComplete()).isTrue();
    assertThat(canvas("<|mask|>ab<|mask|>", "b").isComplete()).isFalse();
    Vocabulary vocabulary = vocabulary();
    Response response = Template.of("x", slot(3), "y", slot(2)).layOut(vocabulary, 0).endingAt(List.of("c"));
    int[] tokens = response.tokens().clone();
    System.arraycopy(TOKENIZER.encode("abc"), 0, tokens, 1, 3);
    assertThat(new Canvas(response, tokens).isComplete()).isFalse();
    tokens[5] = TinyModel.PAD;
    Canvas canvas = new Canvas(response, tokens);
    assertThat(canvas.isComplete()).isTrue();
    assertThat(canvas.text()).isEqualTo("xaby");
    assertThat(canvas.slots()).containsExactly("ab", "");
    assertThat(canvas.finish()).isEqualTo(Finish.END_OF_TEXT);
    assertThat(TOKENIZER.decode(canvas.textTokens())).isEqualTo("xaby");
  }

  @Test
  void stableTextWaitsForCharactersAndStopStrings() {
    assertThat(canvas("a<|mask|>b").stableText()).isEqualTo("a");
    assertThat(canvas("xa<|mask|>", "ab").stableText()).isEqualTo("x");
    assertThat(canvas("xa", "ab").stableText()).isEqualTo("xa"); // nothing follows
    assertThat(canvas("xaab<|mask|>", "ab").stableText()).isEqualTo("xa");
    assertThat(canvas("a<|im_end|><|mask|>").stableText()).isEqualTo("a");
    int[] torn = TOKENIZER.encode("a€<|mask|>");
    torn[3] = TinyModel.MASK;
    assertThat(new Canvas(Response.ofOneSlot(vocabulary(), torn), torn).stableText()).isEqualTo("a");
  }

  /** Whatever is revealed in whatever order: what was stable stays, and a complete text is the last one. */
  @Test
  void stableTextAndCompleteTextNeverChange() {
    Random random = new Random(5);
    String[] words = {"a", "b", "ab", "cat", " dog", "é", "€", "<|im_end|>", "<|endoftext|>", "<|im_start|>", "\n", "😀"};
    for (int round = 0; round < 500; round++) {
      String text = random.ints(8, 0, words.length).mapToObj(i -> words[i]).collect(Collectors.joining());
      int[] tokens = TOKENIZER.encode(text);
      tokens[random.nextInt(tokens.length)] = random.nextInt(272);
      tokens = Arrays.stream(tokens).map(id -> id == TinyModel.MASK ? 0 : id).toArray();
      Vocabulary vocabulary = vocabulary();
      int middle = tokens.length / 2;
      Response response = random.nextBoolean() ? Response.ofOneSlot(vocabulary, tokens) : new Response(vocabulary, tokens, List.of(
          new Response.Segment(0, middle, true), new Response.Segment(middle, middle + 1, false), new Response.Segment(middle + 1, tokens.length, true)));
      response = random.nextBoolean() ? response : response.endingAt(List.of("ab", "b\n", "€é"));
      String last = new Canvas(response, tokens).text();
      int[] shown = response.segments().size() == 1 ? vocabulary.masks(tokens.length) : tokens.clone();
      response.segments().stream().filter(Response.Segment::slot).forEach(slot -> Arrays.fill(shown, slot.start(), slot.end(), TinyModel.MASK));
      List<Integer> order = IntStream.range(0, tokens.length).boxed().collect(Collectors.toList());
      Collections.shuffle(order, random);
      String stable = "";
      for (int position : order) {
        shown[position] = tokens[position];
        Canvas canvas = new Canvas(response, shown.clone());
        assertThat(canvas.stableText()).as(last).startsWith(stable);
        stable = canvas.stableText();
        assertThat(last).startsWith(stable);
        if (canvas.isComplete()) {
          assertThat(canvas.text()).isEqualTo(last);
          assertThat(stable).isEqualTo(last);
        }
      }
      assertThat(stable).isEqualTo(last);
    }
  }

  /** For every algorithm that lets a revealed token be, and for templates. */
  @Test
  void stoppingEarlyChangesNoText() {
    Random random = new Random(3);
    int sooner = 0;
    for (int round = 0; round < 120; round++) {
      Pipeline pipeline = Pipeline.values()[random.nextInt(2)];
      Algorithm algorithm = List.of(Algorithm.ORIGIN, Algorithm.AUTOREGRESSIVE, Algorithm.MASKGIT_PLUS, Algorithm.TOPK_MARGIN, Algorithm.ENTROPY)
          .get(random.nextInt(5));
      boolean judged = pipeline == Pipeline.DIM && algorithm != Algorithm.ENTROPY;
      float threshold = random.nextInt(3) * 0.01f;
      Decoding.Builder settings = Decoding.builder().pipeline(pipeline).algorithm(algorithm).threshold(judged ? threshold : 0)
          .temperature(random.nextInt(2)).seed(round).steps(24).stop("\u0001", "\u0005\u0006");
      Template template = random.nextBoolean() ? Template.of(slot(24)) : Template.of("a", slot(9), "b", slot(5), "c");
      try (var session = model.session().tokens(PROMPT).response(template).open()) {
        Generation whole = session.decode(settings.earlyStop(false).build());
        Generation early = session.decode(settings.earlyStop(true).build());
        assertThat(early.text()).isEqualTo(whole.text());
        assertThat(early.slots()).isEqualTo(whole.slots());
        assertThat(early.textTokens()).isEqualTo(whole.textTokens());
        assertThat(early.finish()).isEqualTo(whole.finish());
        assertThat(early.canvas().stableText()).isEqualTo(whole.text());
        assertThat(early.iterations()).isLessThanOrEqualTo(whole.iterations());
        assertThat(early.logProbabilities().stream().filter(p -> p <= 0)).hasSize(template.slotTokens() == 24 ? 24 - early.canvas().remaining()
            : 14 - early.canvas().remaining());
        sooner += early.iterations() < whole.iterations() ? 1 : 0;
      }
    }
    assertThat(sooner).isGreaterThan(20);
  }

  /** What stands behind an end is left as it was; the text in front of it still gets whole. */
  @Test
  void pruningLeavesWhatIsBehindAnEndAlone() {
    int left = 0;
    for (int seed = 0; seed < 40; seed++) {
      Decoding.Builder settings = Decoding.builder().threshold(0).temperature(1).seed(seed).steps(32);
      Template template = seed % 2 == 0 ? Template.of(slot(32)) : Template.of("a", slot(5), "b", slot(26));
      try (var session = model.session().tokens(PROMPT).response(template).open()) {
        int end = 32;
        Generation pruned = null;
        int[] before = null;
        for (Step step : session.steps(settings.prune(true).build())) {
          int[] tokens = step.canvas().tokens();
          for (int i = end; i < 32; i++) {
            assertThat(tokens[i]).isEqualTo(before[i]);
          }
          int first = template.slotTokens() == 32 ? 0 : 7;
          int found = IntStream.range(first, 32).filter(i -> isEnd(tokens[i])).findFirst().orElse(31);
          end = Math.min(end, found + 1);
          before = tokens;
          pruned = session.generation();
        }
        assertThat(pruned.finish()).isIn(Finish.END_OF_TEXT, Finish.LENGTH);
        left += pruned.canvas().remaining();
        assertThat(session.decode(settings.prune(false).earlyStop(false).build()).canvas().remaining()).isLessThanOrEqualTo(1); // whole again
      }
    }
    assertThat(left).isPositive();
    Decoding.Builder builder = Decoding.builder().prune(true).threshold(0).pipeline(Pipeline.LLADA);
    assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(() -> builder.guidanceScale(1).build()).withMessageContaining("prune");
    assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(() -> builder.guidanceScale(0).algorithm(Algorithm.WINO).build())
        .withMessageContaining("prune does not go with algorithm wino");
    assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(() -> Decoding.builder().prune(true).pipeline(Pipeline.SDAR)
        .algorithm(Algorithm.SEQUENTIAL).build()).withMessageContaining("prune does not go with pipeline sdar");
  }

  /** Blocks of every kind end with what is left. */
  @Test
  void pruningGoesWithBlocksAndCaches() {
    int sooner = 0;
    try (var session = model.session().tokens(PROMPT).responseLength(32).open()) {
      for (Pipeline pipeline : List.of(Pipeline.LLADA, Pipeline.DREAM, Pipeline.MDLM)) {
        for (BlockCache cache : pipeline == Pipeline.MDLM ? List.of(BlockCache.MODEL) : List.of(BlockCache.PREFIX, BlockCache.DUAL)) {
          for (int seed = 0; seed < 20; seed++) {
            Decoding whole = Decoding.builder().pipeline(pipeline).threshold(0).cache(cache).blockLength(12).temperature(1).seed(seed).build();
            Generation pruned = session.decode(whole.toBuilder().prune(true).build());
            assertThat(pruned.finish()).isIn(Finish.END_OF_TEXT, Finish.LENGTH);
            assertThat(pruned.canvas().isComplete()).isTrue();
            sooner += pruned.iterations() < session.decode(whole.toBuilder().earlyStop(false).build()).iterations() ? 1 : 0;
          }
        }
      }
    }
    assertThat(sooner).isGreaterThan(20);
  }

  @Test
  void pruningGoesWithWhatTheFileAsksFor() throws IOException {
    TinyModel inBlocks = TinyModel.ofText().put("diffusion.cache", "dual").put("diffusion.block_length", 4);
    Decoding pruned = Decoding.builder().pipeline(Pipeline.DREAM).prune(true).build();
    try (DimpleModel other = DimpleModel.load(inBlocks.write(folder.resolve("blocks.gguf"))); Session session = other.session().tokens(PROMPT).open()) {
      assertThat(session.decode(pruned).canvas().isComplete()).isTrue();
      assertThat(session.decode(pruned.toBuilder().pipeline(Pipeline.DIM).build()).canvas().length()).isEqualTo(64);
    }
  }

  private static boolean isEnd(int token) {
    return Arrays.stream(model.endTokenIds()).anyMatch(end -> end == token);
  }

  /** WINO may take back what it has revealed. */
  @Test
  void nothingIsStableWhereRevealedTokensMayBeMaskedAgain() throws IOException {
    TinyModel unshifted = TinyModel.ofText().put("diffusion.shift_logits", false);
    Decoding wino = Decoding.builder().pipeline(Pipeline.LLADA).algorithm(Algorithm.WINO).threshold(0.01f).build();
    try (var own = DimpleModel.load(unshifted.write(folder.resolve("own.gguf"))); var session = own.session().tokens(PROMPT).responseLength(24).open()) {
      List<Step> steps = session.steps(wino).stream().toList();
      assertThat(steps.getLast().canvas().stableText()).isEqualTo(steps.getLast().canvas().text());
      assertThat(steps.subList(0, steps.size() - 1)).allSatisfy(step -> assertThat(step.canvas().stableText()).isEmpty());
    }
  }

  @Test
  void budgetsEndADecoding() {
    try (var session = model.session().tokens(PROMPT).responseLength(24).open()) {
      Decoding.Builder slow = Decoding.builder().threshold(0).earlyStop(false);
      Generation some = session.decode(slow.iterationBudget(3).build());
      assertThat(some.iterations()).isEqualTo(3);
      assertThat(some.finish()).isIn(Finish.BUDGET, Finish.END_OF_TEXT);
      assertThat(session.decode(slow.iterationBudget(1000).timeBudget(Duration.ofNanos(1)).build()).iterations()).isEqualTo(1);
      assertThat(session.decode(slow.timeBudget(Duration.ofDays(1)).build()).iterations()).isGreaterThan(20);
      assertThat(some.promptTokens()).isEqualTo(5);
      assertThat(session.steps(slow.iterationBudget(2).build())).hasSize(2).last().matches(Step::done);
    }
    Decoding.Builder builder = Decoding.builder();
    assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(() -> builder.iterationBudget(0)).withMessageContaining("at least 1");
    assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(() -> builder.timeBudget(Duration.ZERO)).withMessageContaining("above 0");
    assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(() -> builder.stop("")).withMessageContaining("empty");
  }

  @Test
  void stopStringsNeedATokenizer() throws IOException {
    try (var bare = DimpleModel.load(TinyModel.ofTokens().write(folder.resolve("bare.gguf"))); var session = bare.session().tokens(PROMPT).open()) {
      Decoding decoding = Decoding.builder().stop("a").build();
      assertThatExceptionOfType(NoTokenizerException.class).isThrownBy(() -> session.decode(decoding));
      assertThat(session.decode(Decoding.defaults()).finish()).isNotNull();
    }
  }

  @Test
  void stopStringsGoWithoutAStructure() {
    Decoding decoding = Decoding.builder().stop("a").build();
    try (var held = model.session().tokens(PROMPT).response(Template.of(Template.choice("yes", "no"))).responseLength(8).open();
        var prior = model.session().tokens(PROMPT).response(Template.of("x", Template.slot(3))).open()) {
      assertThatExceptionOfType(UnsupportedException.class).isThrownBy(() -> held.decode(decoding))
          .withMessageContaining("stop strings go without a structure");
      assertThat(held.decode(Decoding.defaults()).text()).isIn("yes", "no");
      assertThat(prior.decode(decoding).text()).startsWith("x");
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void interruptingTheThreadStopsTheDecoding(boolean virtual) throws Exception {
    try (var session = model.session().tokens(PROMPT).responseLength(64).open()) {
      CompletableFuture<Boolean> interrupted = new CompletableFuture<>();
      CountDownLatch begun = new CountDownLatch(1);
      Runnable decode = () -> {
        try {
          for (Step step : session.steps(ENDLESS)) {
            begun.countDown();
            assertThat(step.done()).isFalse();
          }
        } catch (CancelledException e) {
          interrupted.complete(Thread.currentThread().isInterrupted());
        }
      };
      Thread thread = virtual ? Thread.ofVirtual().start(decode) : Thread.ofPlatform().daemon().start(decode);
      assertThat(begun.await(30, TimeUnit.SECONDS)).isTrue();
      thread.interrupt();
      assertThat(interrupted.get(5, TimeUnit.SECONDS)).isTrue();
      thread.join();
      Generation partial = session.generation();
      assertThat(partial.iterations()).isPositive();
      assertThat(partial.finish()).isIn(Finish.CANCELLED, Finish.END_OF_TEXT);
      assertThat(session.decode(Decoding.defaults()).finish()).isNotEqualTo(Finish.CANCELLED); // the session goes on, here uninterrupted
    }
  }

  /** Prompts long enough to be within a prefill most of the time. */
  @Test
  void interruptingTheThreadStopsAPrefill() throws Exception {
    CompletableFuture<Boolean> interrupted = new CompletableFuture<>();
    CountDownLatch begun = new CountDownLatch(1);
    Thread thread = Thread.ofPlatform().daemon().start(() -> {
      try (var session = model.session().tokens(new int[1900]).open()) {
        while (true) {
          session.prefill();
          session.logits();
          begun.countDown();
        }
      } catch (CancelledException e) {
        interrupted.complete(Thread.currentThread().isInterrupted());
      }
    });
    assertThat(begun.await(30, TimeUnit.SECONDS)).isTrue();
    thread.interrupt();
    assertThat(interrupted.get(5, TimeUnit.SECONDS)).isTrue();
  }

  @Test
  void aThreadThatWasInterruptedBeforeRunsNoModel() {
    try (var session = model.session().tokens(PROMPT).responseLength(64).open()) {
      Thread.currentThread().interrupt();
      assertThatExceptionOfType(CancelledException.class).isThrownBy(session::prefill);
      assertThat(Thread.interrupted()).isTrue();
      session.prefill();
      Thread.currentThread().interrupt();
      assertThatExceptionOfType(CancelledException.class).isThrownBy(() -> session.decode(Decoding.defaults()));
      assertThat(Thread.interrupted()).isTrue();
      assertThat(session.generation().finish()).isEqualTo(Finish.CANCELLED);
      assertThat(session.generation().revealed()).isZero();
      Thread.currentThread().interrupt();
      session.prefill(); // nothing left to do, nothing to stop
      assertThat(Thread.interrupted()).isTrue();
      assertThat(session.decode(Decoding.defaults()).finish()).isNotEqualTo(Finish.CANCELLED);
    }
  }
}
