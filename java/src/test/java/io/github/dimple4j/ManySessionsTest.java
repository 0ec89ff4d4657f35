package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Many sessions in one program: they share the threads, cost little until they run, and do not change each other's results. */
@Timeout(60)
class ManySessionsTest {
  private static final int SESSIONS = 50;
  private static final int THREADS = 16;
  private static final Path TASKS = Path.of("/proc/self/task");

  @TempDir Path folder;

  private DimpleModel model() throws IOException {
    return DimpleModel.load(TinyModel.ofText().write(folder.resolve("model.gguf")), ModelOptions.builder().threads(THREADS).build());
  }

  private static Session session(DimpleModel model, int i) {
    return model.session().tokens(new int[] {5, 6, 7 + i % 8, 9}).responseLength(24).threads(THREADS).open();
  }

  private static long systemThreads() throws IOException {
    try (Stream<Path> tasks = Files.list(TASKS)) {
      return tasks.count();
    }
  }

  @Test
  void allTogetherHaveTheThreadsOfOne() throws IOException {
    assumeTrue(Files.isDirectory(TASKS), "this system does not list a process's threads in " + TASKS);
    try (DimpleModel model = model()) {
      long before = systemThreads();
      List<Session> sessions = IntStream.range(0, SESSIONS).mapToObj(i -> session(model, i)).toList();
      sessions.forEach(session -> session.decode(ConfidentDecoding.threshold(0.3f)));
      assertThat(systemThreads()).as("of the system, %d before", before).isLessThan(before + THREADS);
      sessions.forEach(Session::close);
    }
  }

  @Test
  void oneThatHasNotRunCostsLittle() throws IOException {
    try (DimpleModel model = model(); Session session = session(model, 0)) {
      assertThat(session.memory().kvBytes()).isZero();
      assertThat(session.memory().scratchBytes()).isLessThan(64 << 10);
      session.decode(ConfidentDecoding.threshold(0.3f));
      assertThat(session.memory().kvBytes()).isPositive();
    }
  }

  @Test
  void sessionsThatRunAtOnceDecodeAsAlone() throws IOException, InterruptedException, ExecutionException {
    try (DimpleModel model = model(); var callers = Executors.newFixedThreadPool(12)) {
      List<int[]> alone = IntStream.range(0, 8).mapToObj(i -> decode(model, i)).toList();
      List<Future<int[]>> together = new ArrayList<>();
      for (int i = 0; i < 4 * SESSIONS; i++) {
        int number = i;
        together.add(callers.submit(() -> decode(model, number)));
      }
      for (int i = 0; i < together.size(); i++) {
        assertThat(together.get(i).get()).isEqualTo(alone.get(i % 8));
      }
    }
  }

  private static int[] decode(DimpleModel model, int i) {
    try (Session session = session(model, i)) {
      return session.decode(ConfidentDecoding.threshold(0.3f)).tokens();
    }
  }
}
