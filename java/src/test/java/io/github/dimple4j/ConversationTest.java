package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Turns, batches, and decodings that run beside the caller. */
@Timeout(60)
class ConversationTest {
  private static final int[] PROMPT = {5, 6, 7, 8, 9};
  private static final Image PICTURE = Image.rgb(new byte[3 * 84 * 56], 84, 56);
  private static final Decoding ENDLESS = Decoding.builder().pipeline(Pipeline.DREAM).steps(1 << 20).earlyStop(false).build();

  @TempDir static Path folder;
  private static DimpleModel model;

  @BeforeAll
  static void load() throws IOException {
    model = DimpleModel.load(TinyModel.ofText().withVision().write(folder.resolve("model.gguf")));
  }

  @AfterAll
  static void close() {
    model.close();
  }

  /** A turn within a turn would stand before it, and what is forgotten while it is answered would not be. */
  @Test
  void turnsDoNotChangeWhileOneIsAnswered() {
    Conversation talk = model.conversation().responseLength(4);
    talk.ask("cat");
    List<Runnable> changes = List.of(() -> talk.ask("dog"), talk::reset, () -> talk.add(List.of(Part.text("a")), "b"));
    for (Runnable change : changes) {
      int before = talk.turns().size();
      talk.ask(List.of(Part.text("dog")), step -> assertThatExceptionOfType(SessionStateException.class).isThrownBy(change::run)
          .withMessageContaining("is being answered"));
      assertThat(talk.turns()).hasSize(before + 2);
    }
    assertThat(talk.reset().turns()).isEmpty();
  }

  @Test
  void lengthsOfNothingAreErrors() {
    for (int length : new int[] {0, -1, Integer.MIN_VALUE}) {
      assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(() -> model.conversation().responseLength(length).ask("cat"));
      assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(() -> model.conversation().canvasLength(length).ask("cat"));
    }
  }

  @Test
  void anAnswerSeesAllTurnsBeforeIt() {
    Conversation talk = model.conversation().system("a").responseLength(6);
    Generation first = talk.ask("cat", PICTURE);
    float[][] seen = talk.features();
    assertThat(seen).isNotEmpty();
    Generation second = talk.ask("dog<|im_end|>");
    try (var session = model.session().system("a").user("cat", PICTURE).assistant(first.text()).user("dog<|im_end|>").responseLength(6).open()) {
      assertThat(second.promptTokens()).isEqualTo(session.promptTokens().length);
      assertThat(second.canvas()).isEqualTo(session.decode(Decoding.defaults()).canvas());
    }
    assertThat(talk.features()).as("what was seen is known").isSameAs(seen);
    Conversation other = talk.fork();
    other.ask("c", Image.rgb(new byte[3 * 56 * 56], 56, 56));
    assertThat(other.features().length).as("with a new one").isGreaterThan(seen.length);
    assertThat(talk.turns()).extracting(Turn::role).containsExactly("user", "assistant", "user", "assistant");
    assertThat(talk.turns()).extracting(Turn::text).containsExactly("cat", first.text(), "dog<|im_end|>", second.text());
    assertThat(talk.turns().getFirst().parts()).hasSize(2).first().isSameAs(PICTURE);
  }

  /** As {@code run} counts: prompt and answer together are whole blocks, of the decoding or of the file, where the pipeline counts so. */
  @Test
  void answersAreWholeBlocks() throws IOException {
    Path file = TinyModel.ofText().of(Pipeline.FAST_DLLM_V2).put("diffusion.block_length", 8).write(folder.resolve("blocks.gguf"));
    try (DimpleModel blocks = DimpleModel.load(file)) {
      Decoding named = Decoding.builder().pipeline(Pipeline.FAST_DLLM_V2).algorithm(Algorithm.LOW_CONFIDENCE_DYNAMIC).threshold(0.9f).earlyStop(false)
          .build();
      for (int asked = 5; asked < 14; asked++) {
        for (int length : new int[] {0, 4, 8, 16}) {
          Decoding decoding = length == 0 ? named : named.toBuilder().blockLength(length).build();
          Conversation talk = blocks.conversation().responseLength(asked).decoding(decoding);
          Generation answer = talk.ask("cat");
          int block = length == 0 ? 8 : length;
          int rows = answer.promptTokens() + answer.canvas().length();
          assertThat(rows % block).as("%d tokens in blocks of %d", asked, length).isZero();
          assertThat(answer.canvas().length()).isBetween(asked, asked + block - 1);
          try (Session session = blocks.session().user("cat").responseLength(asked).wholeBlocks(block).open()) {
            assertThat(session.decode(decoding).canvas()).isEqualTo(answer.canvas());
          }
        }
      }
      assertThat(blocks.conversation().responseLength(5).decoding(named).ask("cat").canvas())
          .isEqualTo(blocks.conversation().responseLength(5).ask("cat").canvas()); // what the file says
    }
    assertThat(model.conversation().responseLength(5).ask("cat").canvas().length()).isEqualTo(5);
    Path plain = TinyModel.ofText().put("diffusion.block_length", 8).write(folder.resolve("plain.gguf")); // whose own pipeline counts no blocks
    try (DimpleModel dim = DimpleModel.load(plain)) {
      Decoding counting = Decoding.builder().pipeline(Pipeline.SDAR).algorithm(Algorithm.LOW_CONFIDENCE_DYNAMIC).threshold(0.9f).build();
      for (int asked : new int[] {5, 6}) {
        Generation answer = dim.conversation().responseLength(asked).decoding(counting).ask("cat");
        assertThat((answer.promptTokens() + answer.canvas().length()) % 8).isZero();
      }
      try (Session session = dim.session().user("cat").responseLength(5).wholeBlocks(counting).wholeBlocks(Decoding.defaults()).open()) {
        assertThat(session.responseLength()).isEqualTo(5);
      }
    }
  }

  @Test
  void aForkGoesItsOwnWayAndAResetForgets() {
    Conversation talk = model.conversation().responseLength(4).threads(1).add(List.of(Part.text("a")), "b");
    Conversation fork = talk.fork();
    talk.ask("c");
    assertThat(fork.turns()).hasSize(2);
    assertThat(talk.turns()).hasSize(4);
    Generation again = fork.decoding(Decoding.builder().threshold(0).build()).ask("c");
    assertThat(again.iterations()).isGreaterThan(1);
    int before = again.promptTokens();
    assertThat(fork.reset().turns()).isEmpty();
    assertThat(fork.ask("c").promptTokens()).isLessThan(before);
  }

  @Test
  void aTurnWithoutAnAnswerDoesNotCount() {
    Conversation talk = model.conversation().responseLength(8);
    talk.ask("a");
    assertThatExceptionOfType(ContextLimitException.class).isThrownBy(() -> talk.ask("cat ".repeat(3000)));
    Thread.currentThread().interrupt();
    assertThatExceptionOfType(CancelledException.class).isThrownBy(() -> talk.ask("b"));
    assertThat(Thread.interrupted()).isTrue();
    AtomicInteger seen = new AtomicInteger();
    talk.decoding(ENDLESS);
    assertThatExceptionOfType(CancelledException.class).isThrownBy(() -> talk.ask(List.of(Part.text("b")), step -> {
      seen.incrementAndGet();
      talk.cancel();
    }));
    assertThat(seen).hasValue(1);
    assertThat(talk.turns()).hasSize(2);
    talk.cancel(); // nothing is being answered
    assertThat(talk.decoding(Decoding.defaults()).ask("b").finish()).isNotEqualTo(Finish.CANCELLED);
  }

  @Test
  void askIsOneQuestion() {
    try (var session = model.session().user("cat", PICTURE).open()) {
      assertThat(model.ask("cat", PICTURE).canvas()).isEqualTo(session.decode(Decoding.defaults()).canvas());
    }
  }

  private static SessionBuilder prompt(int token) {
    return model.session().tokens(new int[] {token, 6, 7}).responseLength(8).threads(1);
  }

  @Test
  void aBatchAnswersInOrder() {
    List<SessionBuilder> prompts = IntStream.range(0, 40).mapToObj(i -> i == 7 ? prompt(-1) : prompt(i)).toList();
    List<BatchResult> results = model.batch(prompts, Decoding.defaults(), 3).toList();
    assertThat(results).extracting(BatchResult::index).containsExactlyElementsOf(IntStream.range(0, 40).mapToObj(Long::valueOf).toList());
    for (BatchResult result : results) {
      if (result.index() == 7) {
        assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(result::get).withMessageContaining("-1");
      } else {
        try (var session = prompt((int) result.index()).open()) {
          assertThat(result.get().canvas()).isEqualTo(session.decode(Decoding.defaults()).canvas());
        }
      }
    }
    assertThat(model.batch(List.of(), Decoding.defaults(), 1)).isEmpty();
    assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(() -> model.batch(List.of(), Decoding.defaults(), 0));
  }

  @Test
  void aBatchTakesPromptsAsTheyAreNeededAndStopsWhenClosed() throws InterruptedException {
    AtomicInteger taken = new AtomicInteger();
    Iterable<SessionBuilder> endless = () -> IntStream.iterate(0, i -> i + 1).peek(i -> taken.incrementAndGet()).mapToObj(i -> prompt(i % 200)).iterator();
    try (Stream<BatchResult> results = model.batch(endless, Decoding.defaults(), 2)) {
      Iterator<BatchResult> iterator = results.iterator();
      iterator.next();
      iterator.next();
      assertThat(taken.get()).isBetween(2, 8);
    }
    try (Stream<BatchResult> results = model.batch(endless, ENDLESS, 2)) {
      CompletableFuture.delayedExecutor(100, TimeUnit.MILLISECONDS).execute(results::close);
      assertThat(results.findFirst().orElseThrow().failure()).containsInstanceOf(CancelledException.class);
    }
    for (int i = 0; i < 500 && batchThreads() > 0; i++) {
      Thread.sleep(10);
    }
    assertThat(batchThreads()).isZero();
    assertThatExceptionOfType(NoSuchElementException.class).isThrownBy(() -> model.batch(List.of(), ENDLESS, 1).iterator().next());
  }

  private static long batchThreads() {
    return Thread.getAllStackTraces().keySet().stream().filter(thread -> thread.getName().startsWith("dimple-batch-")).count();
  }

  @Test
  void decodesBesideTheCaller() throws Exception {
    try (var session = model.session().tokens(PROMPT).responseLength(16).open()) {
      Generation beside = session.decodeAsync(Decoding.defaults()).get();
      assertThat(beside.canvas()).isEqualTo(session.decode(Decoding.defaults()).canvas());
      CompletableFuture<Generation> endless = session.decodeAsync(ENDLESS);
      assertThat(endless.cancel(true)).isTrue();
      assertThatExceptionOfType(CancellationException.class).isThrownBy(endless::join);
      awaitFree(session);
      assertThatExceptionOfType(ExecutionException.class)
          .isThrownBy(() -> session.decodeAsync(ENDLESS).orTimeout(50, TimeUnit.MILLISECONDS).get()).withCauseInstanceOf(TimeoutException.class);
      awaitFree(session);
      assertThat(session.generation().iterations()).isPositive();
    }
    try (var none = model.session().tokens(PROMPT).withoutResponse().open()) {
      CompletableFuture<Generation> failing = none.decodeAsync(Decoding.defaults());
      assertThatExceptionOfType(CompletionException.class).isThrownBy(failing::join).withCauseInstanceOf(SessionStateException.class);
    }
  }

  /** The thread has left the session soon. */
  private static void awaitFree(Session session) throws InterruptedException {
    List<SessionStateException> busy = new ArrayList<>();
    for (int i = 0; i < 500; i++) {
      try {
        session.timings();
        return;
      } catch (SessionStateException e) {
        busy.add(e);
        Thread.sleep(10);
      }
    }
    throw busy.getLast();
  }
}
