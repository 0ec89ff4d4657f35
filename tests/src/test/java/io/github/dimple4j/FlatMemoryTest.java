package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.dimple4j.gguf.TensorType;
import java.io.IOException;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

/**
 * A hundred loads and a thousand more sessions in one process leave its memory flat ({@code -Ddimple.flat.sessions=100000} for more). In a
 * process of its own, whose heap is resident from the start and whose code is soon compiled: what grows there is native memory. Java's own native memory
 * grows at times of its choosing (code that it compiles, classes that it loads), but what is lost grows in each part of a run, so the part
 * that grew least is judged.
 */
class FlatMemoryTest {
  private static final int PARTS = 4;
  private static final int LOADS = 100;
  private static final int SESSIONS = Integer.getInteger("dimple.flat.sessions", 1000);

  /** Far below what a part's 25 lost models (4 MiB each) or 250 sessions (0.5 MiB each) would be. */
  private static final long LIMIT_KIB = 12 * 1024;

  /** Prints by how many KiB the resident memory grew in the part that grew least: of the loads, and of the sessions. */
  static final class Loads {
    private Loads() {}

    public static void main(String[] arguments) throws IOException {
      Path file = Path.of(arguments[0]);
      Image image = Image.read(Path.of(arguments[1]));
      int sessions = Integer.parseInt(arguments[2]);
      long loading = leastGrowth(LOADS / PARTS, i -> loadAndFail(file, image, i));
      try (DimpleModel model = DimpleModel.load(file)) {
        System.out.println(loading + " " + leastGrowth(sessions / PARTS, i -> runOne(model, i)));
      }
    }

    /** Runs a part to warm up, and then all parts. */
    private static long leastGrowth(int runs, IntConsumer each) throws IOException {
      IntStream.range(0, runs).forEach(each);
      long least = Long.MAX_VALUE;
      long before = residentKib();
      for (int part = 0; part < PARTS; part++) {
        IntStream.range(part * runs, (part + 1) * runs).forEach(each);
        long after = residentKib();
        least = Math.min(least, after - before);
        before = after;
      }
      return least;
    }

    /** A model with a session that decodes, and one whose session's prompt does not fit. */
    private static void loadAndFail(Path file, Image image, int i) {
      try (DimpleModel model = DimpleModel.load(file);
          Session session = model.session().user("What is this?", image).responseLength(16).threads(1 + i % 3).prefill()) {
        session.decode(Decoding.builder().temperature(0.7f).topP(0.9f).steps(2).build());
        session.imageFeatures();
      }
      try (DimpleModel model = DimpleModel.load(file)) {
        model.session().user("A session that fails", image, image).contextLength(8).open();
        throw new IllegalStateException("the prompt fits");
      } catch (ContextLimitException e) {
        // What it allocated until then must go too.
      }
    }

    @SuppressWarnings("restricted")
    private static void trim(MemorySegment function) {
      try {
        int trimmed = (int) Linker.nativeLinker().downcallHandle(function, FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG)).invokeExact(0L);
      } catch (Throwable e) {
        throw new IllegalStateException(e);
      }
    }

    /** A session without a picture: opened only, decoded, left in the middle, or cancelled before it begins. */
    private static void runOne(DimpleModel model, int i) {
      try (Session session = model.session().tokens(new int[] {5, 6, 7, 8}).responseLength(2 + i % 7).threads(1 + i % 2).open()) {
        switch (i % 4) {
          case 0 -> {}
          case 1 -> session.decode(Decoding.builder().steps(2).build());
          case 2 -> session.steps(Decoding.builder().steps(4).build()).iterator().next();
          default -> {
            session.cancel();
            try {
              session.decode(Decoding.builder().steps(2).build());
            } catch (CancelledException e) {
              // As asked for.
            }
          }
        }
      }
    }

    /** What is in use: what malloc keeps for later, as much as its arenas and the order of threads make of it, is handed back first. */
    private static long residentKib() throws IOException {
      System.gc();
      Linker.nativeLinker().defaultLookup().find("malloc_trim").ifPresent(Loads::trim); // glibc's
      String line = Files.readAllLines(Path.of("/proc/self/status")).stream().filter(text -> text.startsWith("VmRSS:")).findFirst().orElseThrow();
      return Long.parseLong(line.replaceAll("\\D", ""));
    }
  }

  @Test
  @EnabledOnOs(value = OS.LINUX, disabledReason = "reads /proc/self/status")
  void hundredLoadsAndSessions() {
    Outcome outcome = JavaProcess.run(Duration.ofSeconds(180 + SESSIONS / 20), Loads.class, Synthetic.file(TensorType.Q8_0).toString(),
        "../docs/images/scene.png", Integer.toString(SESSIONS)).assertDone();
    System.out.printf("A hundred models, %d more sessions: resident memory of the part that grew least, KiB: %s%n", SESSIONS, outcome.out().strip());
    assertThat(outcome.out().strip().split(" ")).hasSize(2).allSatisfy(growth -> assertThat(Long.parseLong(growth)).isLessThan(LIMIT_KIB));
  }
}
