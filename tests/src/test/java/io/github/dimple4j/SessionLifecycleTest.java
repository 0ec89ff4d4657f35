package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.dimple4j.gguf.TensorType;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Flow;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Sessions that are shared, interrupted or closed while the model runs, with a picture and passes long enough to be interrupted. */
@Timeout(120)
class SessionLifecycleTest {
  private static final Decoding SHORT = Decoding.builder().earlyStop(false).threshold(0).steps(2).build();

  /** Some hundred passes: no test waits for its end. */
  private static final Decoding ENDLESS = Decoding.builder().earlyStop(false).threshold(0).algorithm(Algorithm.AUTOREGRESSIVE).steps(400).build();

  private static DimpleModel slow;

  @BeforeAll
  static void load() {
    slow = Synthetic.load(TensorType.F16, "ref");
  }

  @AfterAll
  static void close() {
    slow.close();
  }

  private static Session open(int responseLength) {
    return slow.session().user("What is in this picture?", Synthetic.scene()).responseLength(responseLength).prefillCache(false).threads(1).open();
  }

  /** Starts a decoding in another thread and returns when that is inside the session. */
  private static CompletableFuture<Generation> decodeElsewhere(Session session, Decoding decoding) throws InterruptedException {
    var running = new CompletableFuture<Generation>();
    Thread thread = Thread.ofPlatform().daemon().start(() -> {
      try {
        running.complete(session.decode(decoding));
      } catch (RuntimeException e) {
        running.completeExceptionally(e);
      }
    });
    while (!running.isDone() && !isInside(thread)) {
      Thread.sleep(1);
    }
    Thread.sleep(20); // beyond the preparations
    return running;
  }

  /** Looks from outside: a call on the session could turn the other thread away. */
  private static boolean isInside(Thread thread) {
    return Arrays.stream(thread.getStackTrace()).anyMatch(frame -> frame.getClassName().equals(SessionHandle.class.getName())
        && frame.getMethodName().equals("call"));
  }

  private static void assertFails(CompletableFuture<?> running, Class<? extends DimpleException> type) {
    assertThatThrownBy(running::join).isInstanceOf(CompletionException.class).cause().isInstanceOf(type).message().isNotBlank()
        .doesNotContain("\n");
  }

  @Test
  void secondThreadIsTurnedAwayAndHarmsNothing() throws InterruptedException {
    try (Session session = open(16)) {
      CompletableFuture<Generation> running = decodeElsewhere(session, SHORT);
      for (ThrowingCallable call : List.<ThrowingCallable>of(() -> session.decode(SHORT), session::prefill, session::logits,
          session::imageFeatures, session::timings, session::memory, session::generation, () -> session.steps(SHORT).iterator())) {
        assertThatThrownBy(call).isInstanceOf(SessionStateException.class).hasMessageContaining("one thread at a time")
            .message().doesNotContain("\n");
      }
      assertThat(running).as("still running").isNotDone();
      assertThat(running.join().tokens()).isEqualTo(session.decode(SHORT).tokens());
    }
  }

  @Test
  void cancelStopsARunningPass() throws InterruptedException {
    try (Session session = open(16)) {
      int[] tokens = session.decode(SHORT).tokens();
      CompletableFuture<Generation> running = decodeElsewhere(session, ENDLESS);
      long start = System.nanoTime();
      session.cancel();
      assertFails(running, CancelledException.class);
      assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(Duration.ofSeconds(10));
      assertThat(session.decode(SHORT).tokens()).as("the session goes on").isEqualTo(tokens);
    }
  }

  @Test
  void cancelStopsThePrefill() throws InterruptedException {
    try (Session session = open(200)) {
      CompletableFuture<Generation> running = decodeElsewhere(session, SHORT); // begins with vision tower and first pass
      session.cancel();
      assertFails(running, CancelledException.class);
      session.cancel();
      assertThatThrownBy(session::prefill).isInstanceOf(CancelledException.class);
      session.prefill();
      assertThat(session.timings().prefill()).isPositive();
    }
  }

  @Test
  void closingStopsARunningPass() throws InterruptedException {
    Session session = open(16);
    CompletableFuture<Generation> running = decodeElsewhere(session, ENDLESS);
    session.close();
    session.close();
    assertFails(running, ClosedException.class);
    session.cancel();
    for (ThrowingCallable call : List.<ThrowingCallable>of(() -> session.decode(SHORT), session::prefill, session::logits,
        session::imageFeatures, session::timings, session::memory, session::generation, () -> session.steps(SHORT).iterator())) {
      assertThatThrownBy(call).isInstanceOf(ClosedException.class).hasMessage("the session is closed");
    }
  }

  @Test
  void closedModelIsOfNoUseButItsSessionsAre() {
    Golden golden = Golden.named("gamma");
    DimpleModel model = golden.load(TensorType.F32, "cpu");
    int[] tokens;
    try (Session session = golden.imageCase().session(model).responseLength(12).open()) {
      tokens = session.decode(SHORT).tokens();
    }
    try (Session session = golden.imageCase().session(model).responseLength(12).open()) {
      model.close();
      model.close();
      assertThat(session.decode(SHORT).tokens()).isEqualTo(tokens);
    }
    for (ThrowingCallable call : List.<ThrowingCallable>of(model::info, model::session, model::metadataKeys, model::hasTokenizer,
        () -> model.metadata("general.name"), () -> model.imageGrid(56, 56), model::tokenizer, model::chatTemplate)) {
      assertThatThrownBy(call).isInstanceOf(ClosedException.class).hasMessage("the model is closed");
    }
  }

  @Test
  void publisherGivesTheSameIterations() throws InterruptedException {
    Golden golden = Golden.named("alpha");
    try (DimpleModel model = golden.load(TensorType.F32, "cpu"); Session session = golden.imageCase().session(model).responseLength(12).open()) {
      Decoding decoding = Decoding.builder().earlyStop(false).threshold(0.6f).build();
      List<Canvas> expected = session.steps(decoding).stream().map(Step::canvas).toList();
      BlockingQueue<Object> received = new LinkedBlockingQueue<>();
      session.publisher(decoding).subscribe(new Flow.Subscriber<>() {
        private Flow.Subscription subscription;

        @Override
        public void onSubscribe(Flow.Subscription subscription) {
          this.subscription = subscription;
          subscription.request(1);
        }

        @Override
        public void onNext(Step step) {
          received.add(step.canvas());
          subscription.request(1);
        }

        @Override
        public void onError(Throwable failure) {
          received.add(failure);
        }

        @Override
        public void onComplete() {
          received.add("complete");
        }
      });
      List<Object> all = new ArrayList<>();
      do {
        all.add(received.poll(60, TimeUnit.SECONDS));
      } while (all.getLast() instanceof Canvas);
      assertThat(all.removeLast()).isEqualTo("complete");
      assertThat(all).hasSizeGreaterThan(3).isEqualTo(expected);
    }
  }
}
