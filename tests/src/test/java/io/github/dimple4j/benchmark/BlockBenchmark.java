package io.github.dimple4j.benchmark;

import io.github.dimple4j.BlockCache;
import io.github.dimple4j.Decoding;
import io.github.dimple4j.Generation;
import io.github.dimple4j.Pipeline;
import io.github.dimple4j.Session;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
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

  @Benchmark
  public Generation decode(BenchmarkModel model) {
    Decoding decoding = Decoding.builder().pipeline(Pipeline.LLADA).cache(BlockCache.of(cache)).blockLength(blockLength).steps(steps)
        .threshold(0).earlyStop(false).build();
    int[] prompt = IntStream.range(0, promptLength).map(i -> i % 97).toArray();
    try (Session session = model.loaded().session().tokens(prompt).responseLength(model.responseLength).threads(model.threads).open()) {
      return session.decode(decoding);
    }
  }
}
