package io.github.dimple4j.benchmark;

import io.github.dimple4j.tokenizer.Tokenizer;
import java.util.concurrent.TimeUnit;
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
import org.openjdk.jmh.annotations.Warmup;

/** Byte-level BPE: a text of some 4000 characters into tokens and back. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 5, time = 1)
public class TokenizerBenchmark {
  private static final String TEXT = "A white background with a small yellow star at the top right, 72 Größen, naïve café, 数え切れない。\n".repeat(40);

  private Tokenizer tokenizer;
  private int[] tokens;

  @Setup(Level.Trial)
  public void read(BenchmarkModel model) {
    tokenizer = model.loaded().tokenizer();
    tokens = tokenizer.encode(TEXT);
  }

  @Benchmark
  public int[] encode() {
    return tokenizer.encode(TEXT);
  }

  @Benchmark
  public String decode() {
    return tokenizer.decode(tokens);
  }
}
