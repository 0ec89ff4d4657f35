package io.github.dimple4j.benchmark;

import io.github.dimple4j.Algorithm;
import io.github.dimple4j.Decoding;
import io.github.dimple4j.Session;
import io.github.dimple4j.Step;
import java.util.Iterator;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** One decoding iteration: a pass over the response (and, without prefilling, the prompt), head and sampler. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 2, time = 2)
@Measurement(iterations = 5, time = 2)
public class StepBenchmark {
  /** One token per iteration, so that a decoding has as many iterations as the response is long. */
  private static final Decoding ONE_BY_ONE = Decoding.builder().earlyStop(false).threshold(0).algorithm(Algorithm.AUTOREGRESSIVE).build();

  @Param({"true", "false"})
  public boolean prefillCache;

  private Session session;
  private Iterator<Step> steps;

  @Setup(Level.Trial)
  public void prefill(BenchmarkModel model) {
    session = model.aboutAPicture().prefillCache(prefillCache).prefill();
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
  public Step step() {
    if (!steps.hasNext()) {
      begin();
    }
    return steps.next();
  }
}
