package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.dimple4j.gguf.TensorType;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/**
 * Eight sessions at once, cancelled and closed at random moments: whoever gets to the end has the tokens it has alone. Three seconds;
 * {@code -Ddimple.soak.seconds=3600} for longer.
 */
class SoakTest {
  private static final int CALLERS = 8;
  private static final int QUESTIONS = 6;
  private static final long SECONDS = Long.getLong("dimple.soak.seconds", 3);

  private record Tally(int decoded, int cancelled, int closed) {
    Tally plus(Tally other) {
      return new Tally(decoded + other.decoded, cancelled + other.cancelled, closed + other.closed);
    }
  }

  private final AtomicInteger surprises = new AtomicInteger();

  private static Session session(DimpleModel model, int question) {
    return model.session().user("Question " + question).responseLength(8 + 4 * question).threads(1 + question % 3).open();
  }

  private static Decoding decoding(int question) {
    return Decoding.builder().earlyStop(false).threshold(question % 2 == 0 ? 0.02f : 0).steps(24).temperature(question % 3 * 0.5f).seed(question).build();
  }

  private static int[] decode(DimpleModel model, int question) {
    try (Session session = session(model, question)) {
      return session.decode(decoding(question)).tokens();
    }
  }

  /** One caller's work: every session is decoded, cancelled or closed from another thread. */
  private Tally run(DimpleModel model, List<int[]> alone, ScheduledExecutorService other, Random random, long end) {
    Tally tally = new Tally(0, 0, 0);
    while (System.nanoTime() < end) {
      int question = random.nextInt(QUESTIONS);
      try (Session session = session(model, question)) {
        int fate = random.nextInt(4);
        if (fate < 2) {
          Runnable disturbance = fate == 0 ? session::cancel : session::close;
          other.schedule(disturbance, random.nextInt(20_000), TimeUnit.MICROSECONDS);
        }
        Generation generation = session.decode(decoding(question));
        if (!Arrays.equals(generation.tokens(), alone.get(question))) {
          surprises.incrementAndGet();
        }
        tally = tally.plus(new Tally(1, 0, 0));
      } catch (CancelledException e) {
        tally = tally.plus(new Tally(0, 1, 0));
      } catch (ClosedException e) {
        tally = tally.plus(new Tally(0, 0, 1));
      }
    }
    return tally;
  }

  @Test
  void sessionsThatAreDisturbedDoNotDisturbOthers() throws InterruptedException, ExecutionException {
    try (DimpleModel model = Synthetic.load(TensorType.Q8_0, "auto");
        var callers = Executors.newFixedThreadPool(CALLERS);
        var other = Executors.newScheduledThreadPool(2)) {
      List<int[]> alone = IntStream.range(0, QUESTIONS).mapToObj(question -> decode(model, question)).toList();
      long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(SECONDS);
      List<Future<Tally>> running = new ArrayList<>();
      for (int i = 0; i < CALLERS; i++) {
        var random = new Random(i);
        running.add(callers.submit(() -> run(model, alone, other, random, end)));
      }
      Tally all = new Tally(0, 0, 0);
      for (Future<Tally> caller : running) {
        all = all.plus(caller.get());
      }
      System.out.printf("Soak of %d s: %d decodings, %d cancelled, %d closed%n", SECONDS, all.decoded(), all.cancelled(), all.closed());
      assertThat(surprises).as("decodings that are not as alone").hasValue(0);
      assertThat(all.decoded()).isPositive();
      assertThat(all.cancelled()).isPositive();
      assertThat(all.closed()).isPositive();
    }
  }
}
