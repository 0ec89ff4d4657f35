package io.github.dimple4j.benchmark;

import com.sun.management.OperatingSystemMXBean;
import io.github.dimple4j.BlockCache;
import io.github.dimple4j.Decoding;
import io.github.dimple4j.Generation;
import io.github.dimple4j.Pipeline;
import io.github.dimple4j.Session;
import java.lang.management.ManagementFactory;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/** A whole decoding in blocks, first pass included, by quotas: how many passes it has does not hang on the weights, which may be random. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SingleShotTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(1)
@Warmup(iterations = 1)
@Measurement(iterations = 3)
public class BlockBenchmark {
  @Param({"none", "prefix", "dual"})
  public String cache;

  @Param({"64", "32", "16"})
  public int blockLength;

  @Param("64")
  public int promptLength;

  @Param("8")
  public int steps;

  /** What a decoding took beside time by the clock, which other work on the machine lengthens. */
  @State(Scope.Thread)
  @AuxCounters(AuxCounters.Type.EVENTS)
  public static class Cost {
    public long processorMs;
    public long passes;
  }

  @Benchmark
  public Generation decode(BenchmarkModel model, Cost cost) {
    Decoding decoding = Decoding.builder().pipeline(Pipeline.LLADA).cache(BlockCache.of(cache)).blockLength(blockLength).steps(steps)
        .threshold(0).earlyStop(false).build();
    int[] prompt = IntStream.range(0, promptLength).map(i -> i % 97).toArray();
    try (Session session = model.loaded().session().tokens(prompt).responseLength(model.responseLength).threads(model.threads).open()) {
      long before = processorNanos();
      Generation generation = session.decode(decoding);
      cost.processorMs = (processorNanos() - before) / 1_000_000;
      cost.passes = generation.iterations();
      return generation;
    }
  }

  private static long processorNanos() {
    return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
  }
}
