package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Batches whose callers are odd: nothing is lost in silence, and nobody waits for ever. */
@Timeout(60)
class BatchTest {
  private static final Decoding ENDLESS = Decoding.builder().pipeline(Pipeline.DREAM).steps(1 << 20).earlyStop(false).build();

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

  private static SessionBuilder prompt() {
    return model.session().user("cat").responseLength(16);
  }

  /** Twice as many are taken ahead, which is beyond an int. */
  @Test
  void anyNumberAtOnceAnswersAll() {
    for (int parallel : new int[] {1 << 30, (1 << 30) + 1, Integer.MAX_VALUE}) {
      assertThat(model.batch(List.of(prompt(), prompt(), prompt()), Decoding.defaults(), parallel)).as("%d at once", parallel).hasSize(3)
          .allSatisfy(result -> assertThat(result.generation()).isPresent());
    }
  }

  @Test
  void aPromptThatIsNullFailsAlone() {
    List<BatchResult> results = model.batch(Arrays.asList(prompt(), null, prompt()), Decoding.defaults(), 1).toList();
    assertThat(results).hasSize(3);
    assertThat(results.get(0).generation()).isPresent();
    assertThat(results.get(1).failure()).containsInstanceOf(InvalidArgumentException.class);
    assertThat(results.get(1).failure().get()).hasMessage("prompt 1 of a batch is null");
    assertThat(results.get(2).generation()).isPresent();
  }

  /** Prompts without an end, the first of which fails at once. */
  private static Stream<BatchResult> endless() {
    Stream<SessionBuilder> prompts = Stream.concat(Stream.of(model.session().tokens(new int[] {-1})), Stream.generate(BatchTest::prompt));
    return model.batch(prompts::iterator, ENDLESS, 1);
  }

  /** What becomes of three results more when something happens while the next one is waited for: one runs, one is to be run by its thread. */
  private static List<String> after(Iterator<BatchResult> results, Consumer<Thread> event) throws InterruptedException {
    assertThat(results.next().failure()).containsInstanceOf(InvalidArgumentException.class);
    List<String> become = Collections.synchronizedList(new ArrayList<>());
    Thread reader = new Thread(() -> {
      for (int i = 0; i < 3; i++) {
        try {
          become.add(results.next().failure().map(failure -> "failed: " + failure.getClass().getSimpleName()).orElse("answered"));
        } catch (CancelledException e) {
          become.add(e.getMessage());
        }
      }
    });
    reader.setDaemon(true);
    reader.start();
    while (reader.getState() != Thread.State.WAITING) {
      Thread.sleep(1);
    }
    event.accept(reader);
    reader.join(20_000);
    return become;
  }

  @Test
  void whoReadsABatchThatIsClosedIsToldSo() throws InterruptedException {
    Stream<BatchResult> results = endless();
    List<String> become = after(results.iterator(), reader -> results.close());
    assertThat(become).hasSize(3).first().isIn("failed: CancelledException", "the batch was closed"); // it ran, or was about to
    assertThat(become.subList(1, 3)).containsOnly("the batch was closed");
  }

  @Test
  void whoGoesOnAfterAnInterruptionIsToldSo() throws InterruptedException {
    assertThat(after(endless().iterator(), Thread::interrupt)).hasSize(3).last().asString().isIn("the batch was closed",
        "the thread that waits for a batch was interrupted");
  }

  @Test
  void whatTheCallersIteratorThrowsArrivesAndStopsTheOthers() throws InterruptedException {
    Iterator<SessionBuilder> broken = new Iterator<>() {
      private int given;

      @Override
      public boolean hasNext() {
        return true;
      }

      @Override
      public SessionBuilder next() {
        if (given++ == 2) {
          throw new IllegalStateException("the caller's own");
        }
        return prompt();
      }
    };
    assertThatExceptionOfType(IllegalStateException.class).isThrownBy(() -> model.batch(() -> broken, ENDLESS, 2).count()).withMessage("the caller's own");
    for (int i = 0; i < 500 && isAnswering(); i++) {
      Thread.sleep(10);
    }
    assertThat(isAnswering()).isFalse();
  }

  private static boolean isAnswering() {
    return Thread.getAllStackTraces().keySet().stream().anyMatch(thread -> thread.getName().startsWith("dimple-batch"));
  }
}
