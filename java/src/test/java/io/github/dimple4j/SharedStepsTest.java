package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.dimple4j.core.Core;
import io.github.dimple4j.core.CoreException;
import io.github.dimple4j.core.CoreModel;
import io.github.dimple4j.core.CoreSession;
import io.github.dimple4j.core.StepResult;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Sessions whose steps are shared come to what they come to alone, whatever happens to the others. */
@Timeout(60)
class SharedStepsTest {
  private static final int SETTINGS = 10;

  @TempDir Path folder;
  private Path file;

  @BeforeEach
  void writeModel() throws IOException {
    file = TinyModel.ofText().write(folder.resolve("model.gguf"));
  }

  private DimpleModel model(int batchSteps) {
    return DimpleModel.load(file, ModelOptions.builder().threads(2).batchSteps(batchSteps).build());
  }

  private static Session session(DimpleModel model, int i) {
    var builder = model.session().tokens(new int[] {5, 6, 7 + i % SETTINGS, 9}).threads(1 + i % 2);
    return i % SETTINGS == 9 ? builder.response(Template.of("{\"a\": ", Template.slot(6), "}")).open() : builder.responseLength(12 + i % 7).open();
  }

  private static Decoding decoding(int i) {
    Decoding.Builder builder = Decoding.builder().steps(12).threshold(0.3f).seed(i);
    return switch (i % SETTINGS) {
      case 0 -> builder.build();
      case 1 -> builder.temperature(0.8f).topK(20).build();
      case 2 -> builder.algorithm(Algorithm.ORIGIN).threshold(0).build();
      case 3 -> builder.pipeline(Pipeline.LLADA).blockLength(4).cache(BlockCache.DUAL).build();
      case 4 -> builder.pipeline(Pipeline.LLADA).blockLength(5).cache(BlockCache.PREFIX).build();
      case 5 -> builder.pipeline(Pipeline.LLADA).guidanceScale(0.5f).build();
      case 6 -> builder.pipeline(Pipeline.LLADA).algorithm(Algorithm.KLASS).blockLength(6).build();
      case 7 -> builder.pipeline(Pipeline.DREAM).algorithm(Algorithm.ENTROPY).threshold(0).build();
      case 8 -> builder.pipeline(Pipeline.BD3LM).blockLength(4).threshold(0).build();
      default -> builder.temperature(0.5f).build();
    };
  }

  private static int[] decode(DimpleModel model, int i) {
    try (Session session = session(model, i)) {
      return session.decode(decoding(i)).tokens();
    }
  }

  private List<int[]> alone() {
    try (DimpleModel model = model(1)) {
      List<int[]> answers = IntStream.range(0, 2 * SETTINGS).mapToObj(i -> decode(model, i)).toList();
      assertThat(model.batchedSteps().steps()).isZero();
      return answers;
    }
  }

  private static void decodeManyTimes(DimpleModel model, List<int[]> alone, ExecutorService threads) throws InterruptedException, ExecutionException {
    List<Future<int[]>> together = new ArrayList<>();
    for (int i = 0; i < 6 * alone.size(); i++) {
      int number = i % alone.size();
      together.add(threads.submit(() -> decode(model, number)));
    }
    for (int i = 0; i < together.size(); i++) {
      assertThat(together.get(i).get()).as("decoding %d", i % alone.size()).isEqualTo(alone.get(i % alone.size()));
    }
  }

  @Test
  void sessionsOfAllSettingsDecodeAsAlone() throws InterruptedException, ExecutionException {
    List<int[]> alone = alone();
    try (DimpleModel model = model(5); var few = Executors.newFixedThreadPool(8); var many = Executors.newVirtualThreadPerTaskExecutor()) {
      decodeManyTimes(model, alone, few);
      decodeManyTimes(model, alone, many);
      BatchedSteps shared = model.batchedSteps();
      assertThat(shared.steps()).as("%s", shared).isGreaterThanOrEqualTo(2 * shared.batches()).isLessThanOrEqualTo(5 * shared.batches()).isPositive();
      assertThat(shared.passes()).as("%s", shared).isLessThan(shared.sessionPasses());
      assertThat(shared.bytes()).isPositive();
    }
  }

  @Test
  void whoIsAloneSharesNothing() {
    List<int[]> alone = alone();
    try (DimpleModel model = model(8)) {
      for (int i = 0; i < alone.size(); i++) {
        assertThat(decode(model, i)).isEqualTo(alone.get(i));
      }
      assertThat(model.batchedSteps()).isEqualTo(new BatchedSteps(0, 0, 0, 0, 0));
    }
  }

  /** Some are cancelled, interrupted, closed or given up between any two steps or inside one; they end, and the others do not notice. */
  @Test
  void whatHappensToOneIsItsOwn() throws InterruptedException {
    List<int[]> alone = alone();
    var wrong = new AtomicInteger();
    var stopped = new AtomicInteger();
    try (DimpleModel model = model(4)) {
      List<Thread> threads = new ArrayList<>();
      for (int t = 0; t < 12; t++) {
        int thread = t;
        Runnable body = () -> {
          for (int round = 0; round < 8; round++) {
            int number = (thread + 5 * round) % alone.size();
            if (thread % 3 == 0) {
              disturb(model, number, new Random(31L * thread + round), stopped, wrong);
            } else if (!Arrays.equals(decode(model, number), alone.get(number))) {
              wrong.incrementAndGet();
            }
          }
        };
        threads.add(thread % 2 == 0 ? Thread.ofVirtual().start(body) : Thread.ofPlatform().daemon().start(body));
      }
      for (Thread each : threads) {
        each.join();
      }
    }
    assertThat(wrong).hasValue(0);
    assertThat(stopped.get()).isPositive();
  }

  private static void disturb(DimpleModel model, int number, Random random, AtomicInteger stopped, AtomicInteger wrong) {
    Session session = session(model, number);
    Thread user = Thread.currentThread();
    int how = random.nextInt(3);
    int after = random.nextInt(300);
    Thread other = Thread.ofVirtual().start(() -> {
      java.util.concurrent.locks.LockSupport.parkNanos(1000L * after);
      switch (how) {
        case 0 -> session.cancel();
        case 1 -> session.close();
        default -> user.interrupt();
      }
    });
    try {
      session.decode(decoding(number));
    } catch (CancelledException | ClosedException e) {
      stopped.incrementAndGet();
    } catch (RuntimeException e) {
      wrong.incrementAndGet();
    }
    boolean interrupted = false;
    while (other.isAlive()) {
      try {
        other.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted || Thread.interrupted()) {
      session.cancel(); // this session is given up, with a request left
    }
    session.close();
  }

  /** Where the core has no memory for a batch, each steps by itself. */
  @Test
  void withoutMemoryForBatchesEachStepsByItself() throws InterruptedException, ExecutionException {
    CoreModel model = Core.instance().load(file.toString(), null, null, 1, false, false, 0, 0, false);
    var refused = new AtomicInteger();
    var steps = new SharedSteps(() -> {
      refused.incrementAndGet();
      throw new CoreException(CoreException.Kind.MEMORY, "no memory for a batch", null);
    }, 4);
    int[] masks = new int[12];
    Arrays.fill(masks, TinyModel.MASK);
    try (var threads = Executors.newFixedThreadPool(4)) {
      List<CoreSession> sessions = IntStream.range(0, 4).mapToObj(i -> model.session(1, 0, true, 0)).toList();
      for (int round = 0; round < 1000 && refused.get() == 0; round++) {
        List<Future<int[]>> results = new ArrayList<>();
        for (CoreSession session : sessions) {
          results.add(threads.submit(() -> decode(steps, session, masks)));
        }
        for (Future<int[]> result : results) {
          assertThat(result.get()).doesNotContain(TinyModel.MASK).isEqualTo(results.get(0).get());
        }
      }
      sessions.forEach(CoreSession::free);
    }
    assertThat(refused).as("batches asked for").hasPositiveValue();
    assertThat(steps.figures()).isEqualTo(BatchedSteps.NONE);
    steps.free();
    model.free();
  }

  private static int[] decode(SharedSteps steps, CoreSession session, int[] masks) {
    session.setPrompt(new int[] {5, 6, 7}, List.of());
    session.setResponse(masks);
    session.begin(Map.of("steps", 12));
    StepResult step = steps.step(session);
    while (!step.done()) {
      step = steps.step(session);
    }
    return step.canvas();
  }

  @Test
  void numbersOutOfRangeAreRefused() {
    assertThatThrownBy(() -> ModelOptions.builder().batchSteps(0).build()).isInstanceOf(InvalidArgumentException.class)
        .hasMessage("batchSteps is 0, expected 1 to 1024");
    assertThatThrownBy(() -> ModelOptions.builder().batchSteps(1025).build()).hasMessageContaining("1025");
  }
}
