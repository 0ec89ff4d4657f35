package io.github.dimple4j.benchmark;

import io.github.dimple4j.Algorithm;
import io.github.dimple4j.Decoding;
import io.github.dimple4j.Session;
import io.github.dimple4j.Step;
import java.util.Arrays;
import java.util.Iterator;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * What an iteration takes beyond the core's own time: the call across, the canvas and the reveals as objects, the iterator. {@code javaMicroseconds} is
 * the median of the steps', {@code javaPercent} its part of their median. One measurement, since what is counted beside it is added up over several.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 1, time = 10)
public class JavaShareBenchmark {
  private static final Decoding ONE_BY_ONE = Decoding.builder().earlyStop(false).threshold(0).algorithm(Algorithm.AUTOREGRESSIVE).build();

  private Session session;
  private Iterator<Step> steps;

  /** Times of the steps of an iteration of the benchmark. */
  @State(Scope.Thread)
  @AuxCounters(AuxCounters.Type.EVENTS)
  public static class Share {
    private static final int MOST = 1 << 20;

    private final long[] all = new long[MOST];
    private final long[] java = new long[MOST];
    private int count;

    /** Begins anew. */
    @Setup(Level.Iteration)
    public void reset() {
      count = 0;
    }

    private void add(long wall, long core) {
      if (count < MOST) {
        all[count] = wall;
        java[count++] = wall - core;
      }
    }

    private double median(long[] times) {
      long[] sorted = Arrays.copyOf(times, count);
      Arrays.sort(sorted);
      return count == 0 ? 0 : sorted[count / 2];
    }

    /** Of a step. */
    public double javaMicroseconds() {
      return median(java) * 1e-3;
    }

    /** Of a step. */
    public double javaPercent() {
      return 100 * median(java) / median(all);
    }
  }

  @Setup(Level.Trial)
  public void prefill(BenchmarkModel model) {
    session = model.ofText().prefill();
    begin();
  }

  private void begin() {
    steps = session.steps(ONE_BY_ONE).iterator();
    steps.next(); // has its pass from the prefill
  }

  @TearDown(Level.Trial)
  public void close() {
    session.close();
  }

  @Benchmark
  public Step step(Share share) {
    if (!steps.hasNext()) {
      begin();
    }
    long start = System.nanoTime();
    Step step = steps.next();
    share.add(System.nanoTime() - start, step.time().toNanos());
    return step;
  }
}
