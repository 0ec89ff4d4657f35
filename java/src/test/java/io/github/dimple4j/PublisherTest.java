package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Flow;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class PublisherTest {
  private static final Decoding DECODING = Decoding.builder().threshold(0).build();
  private static final String COMPLETE = "complete";

  @TempDir static Path folder;
  private static DimpleModel model;

  @BeforeAll
  static void load() throws IOException {
    model = DimpleModel.load(TinyModel.ofTokens().write(folder.resolve("model.gguf")));
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private static Session session() {
    return model.session().tokens(new int[] {1, 2, 3}).responseLength(8).prefill();
  }

  /** Writes down what it is told: steps, throwables, and COMPLETE. */
  private static class Recorder implements Flow.Subscriber<Step> {
    final BlockingQueue<Object> signals = new LinkedBlockingQueue<>();
    final AtomicInteger inside = new AtomicInteger();
    volatile boolean overlapped;
    volatile boolean kept;
    Flow.Subscription subscription;

    @Override
    public void onSubscribe(Flow.Subscription subscription) {
      this.subscription = subscription;
    }

    @Override
    public void onNext(Step step) {
      overlapped |= inside.getAndIncrement() != 0;
      kept |= !Thread.currentThread().isDaemon();
      signals.add(step);
      inside.decrementAndGet();
    }

    @Override
    public void onError(Throwable error) {
      signals.add(error);
    }

    @Override
    public void onComplete() {
      signals.add(COMPLETE);
    }

    Object next() throws InterruptedException {
      Object signal = signals.poll(20, TimeUnit.SECONDS);
      assertThat(signal).as("a signal within 20 s").isNotNull();
      return signal;
    }

    void assertSilence() throws InterruptedException {
      assertThat(signals.poll(100, TimeUnit.MILLISECONDS)).isNull();
    }
  }

  @Test
  void runsNoMoreIterationsThanAskedFor() throws InterruptedException {
    try (var session = session()) {
      List<Canvas> expected = session.steps(DECODING).stream().map(Step::canvas).toList();
      var recorder = new Recorder();
      session.publisher(DECODING).subscribe(recorder);
      recorder.assertSilence();
      recorder.subscription.request(1);
      assertThat(recorder.next()).isInstanceOfSatisfying(Step.class, step -> assertThat(step.canvas()).isEqualTo(expected.getFirst()));
      recorder.assertSilence();
      assertThat(session.generation().iterations()).isEqualTo(1);
      recorder.subscription.request(2);
      recorder.next();
      recorder.next();
      recorder.assertSilence();
      recorder.subscription.request(Long.MAX_VALUE);
      recorder.subscription.request(Long.MAX_VALUE);
      for (int i = 3; i < expected.size(); i++) {
        int iteration = i;
        assertThat(recorder.next()).isInstanceOfSatisfying(Step.class, step -> assertThat(step.canvas()).isEqualTo(expected.get(iteration)));
      }
      assertThat(recorder.next()).isEqualTo(COMPLETE);
      recorder.subscription.request(1);
      recorder.subscription.request(-1);
      recorder.subscription.cancel();
      recorder.assertSilence();
      assertThat(recorder.overlapped).isFalse();
      assertThat(recorder.kept).as("a thread that keeps the program alive").isFalse();
    }
  }

  @Test
  void completesWithTheLastStepOfAnExactRequest() throws InterruptedException {
    try (var session = session()) {
      long iterations = session.decode(DECODING).iterations();
      var recorder = new Recorder();
      session.publisher(DECODING).subscribe(recorder);
      recorder.subscription.request(iterations);
      for (long i = 0; i < iterations; i++) {
        assertThat(recorder.next()).isInstanceOf(Step.class);
      }
      assertThat(recorder.next()).isEqualTo(COMPLETE);
    }
  }

  @Test
  void eachSubscriptionIsADecodingOfItsOwn() throws InterruptedException {
    try (var session = session()) {
      var publisher = session.publisher(DECODING);
      for (int i = 0; i < 2; i++) {
        var recorder = new Recorder();
        publisher.subscribe(recorder);
        recorder.subscription.request(Long.MAX_VALUE);
        assertThat(recorder.next()).isInstanceOfSatisfying(Step.class, step -> assertThat(step.iteration()).isZero());
        Object signal = recorder.next();
        while (signal != COMPLETE) {
          signal = recorder.next();
        }
      }
    }
  }

  /** Wherever a cancellation falls, the telling stops, and the session serves the next call. */
  @Test
  void cancelledSubscriptionLeavesTheSessionUsable() throws InterruptedException {
    try (var session = session()) {
      int[] expected = session.decode(DECODING).tokens();
      Decoding endless = DECODING.toBuilder().pipeline(Pipeline.DREAM).steps(1 << 20).build();
      for (int i = 0; i < 100; i++) {
        var recorder = new Recorder();
        session.publisher(endless).subscribe(recorder);
        recorder.subscription.request(Long.MAX_VALUE);
        recorder.next();
        for (int spin = 0; spin < 50 * i; spin++) {
          Thread.onSpinWait();
        }
        recorder.subscription.cancel();
        Generation generation = null;
        while (generation == null) {
          try {
            generation = session.decode(DECODING);
          } catch (SessionStateException e) {
            Thread.onSpinWait(); // the cancelled iteration is on its way out
          }
        }
        assertThat(generation.tokens()).isEqualTo(expected);
        int told = recorder.signals.size();
        Thread.sleep(1);
        assertThat(recorder.signals).hasSizeLessThanOrEqualTo(told + 1) // one may have been on its way when cancel was called
            .allSatisfy(signal -> assertThat(signal).isInstanceOf(Step.class));
      }
    }
  }

  @Test
  void iterationThatWasCalledOffDoesNotEnterTheSession() {
    try (var session = session()) {
      var calledOff = new AtomicBoolean();
      var steps = session.steps(DECODING.toBuilder().pipeline(Pipeline.DREAM).steps(8).build()).iterator(calledOff::get);
      var first = steps.next();
      calledOff.set(true);
      assertThatThrownBy(steps::next).isInstanceOf(CancelledException.class);
      calledOff.set(false);
      assertThat(steps.next().iteration()).isEqualTo(first.iteration() + 1);
    }
  }

  @Test
  void failuresArriveAsErrors() throws InterruptedException {
    try (var session = session(); var bare = model.session().tokens(new int[] {1}).withoutResponse().open()) {
      var recorder = new Recorder();
      bare.publisher(DECODING).subscribe(recorder);
      recorder.subscription.request(1);
      assertThat(recorder.next()).isInstanceOf(SessionStateException.class);

      recorder = new Recorder();
      session.publisher(DECODING).subscribe(recorder);
      recorder.subscription.request(1);
      recorder.next();
      session.cancel();
      recorder.subscription.request(1);
      assertThat(recorder.next()).isInstanceOf(CancelledException.class);

      recorder = new Recorder();
      session.publisher(DECODING).subscribe(recorder);
      recorder.subscription.request(0);
      assertThat(recorder.next()).isInstanceOf(InvalidArgumentException.class);
      recorder.subscription.request(1);
      recorder.assertSilence();
    }
  }

  @Test
  void closedSessionEndsTheSubscription() throws InterruptedException {
    var recorder = new Recorder();
    try (var session = session()) {
      session.publisher(DECODING).subscribe(recorder);
    }
    recorder.subscription.request(1);
    assertThat(recorder.next()).isInstanceOf(ClosedException.class);
    recorder.assertSilence();
  }

  @Test
  void failingSubscriberEndsItsDecodingOnly() throws InterruptedException {
    try (var session = session()) {
      var recorder = new Recorder() {
        @Override
        public void onNext(Step step) {
          super.onNext(step);
          throw new IllegalStateException("expected by the test");
        }
      };
      session.publisher(DECODING).subscribe(recorder);
      recorder.subscription.request(Long.MAX_VALUE);
      recorder.next();
      recorder.assertSilence();
      assertThat(session.decode(DECODING).tokens()).hasSize(8);
    }
  }
}
