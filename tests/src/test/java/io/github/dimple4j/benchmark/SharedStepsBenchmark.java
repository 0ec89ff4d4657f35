package io.github.dimple4j.benchmark;

import io.github.dimple4j.Algorithm;
import io.github.dimple4j.Decoding;
import io.github.dimple4j.DimpleModel;
import io.github.dimple4j.Generation;
import io.github.dimple4j.ModelOptions;
import io.github.dimple4j.Session;
import java.nio.file.Path;
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
import org.openjdk.jmh.annotations.Threads;
import org.openjdk.jmh.annotations.Warmup;

/** Answers a minute of clients that ask at once, each by a session of its own, with and without steps that share their passes. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.MINUTES)
@Fork(1)
@Warmup(iterations = 1, time = 3)
@Measurement(iterations = 5, time = 3)
public class SharedStepsBenchmark {
  /** The same number of iterations in every answer. */
  private static final Decoding TWO_AT_A_TIME = Decoding.builder().earlyStop(false).threshold(0).algorithm(Algorithm.MASKGIT_PLUS).steps(16).build();

  @Param("../models/mini/dimple-mini-f16.gguf")
  public String model;

  @Param("32")
  public int responseLength;

  /** 1: every session steps alone. */
  @Param({"1", "8"})
  public int batchSteps;

  private DimpleModel loaded;

  @Setup(Level.Trial)
  public void load() {
    loaded = DimpleModel.load(Path.of(model), ModelOptions.builder().batchSteps(batchSteps).build());
  }

  @TearDown(Level.Trial)
  public void close() {
    loaded.close();
  }

  private Generation answer() {
    try (Session session = loaded.session().user("Describe this image.").responseLength(responseLength).open()) {
      return session.decode(TWO_AT_A_TIME);
    }
  }

  @Benchmark
  @Threads(1)
  public Generation clients1() {
    return answer();
  }

  @Benchmark
  @Threads(2)
  public Generation clients2() {
    return answer();
  }

  @Benchmark
  @Threads(4)
  public Generation clients4() {
    return answer();
  }

  @Benchmark
  @Threads(8)
  public Generation clients8() {
    return answer();
  }
}
