package io.github.dimple4j.benchmark;

import io.github.dimple4j.ConfidentDecoding;
import io.github.dimple4j.DimpleModel;
import io.github.dimple4j.Generation;
import io.github.dimple4j.ModelInfo;
import io.github.dimple4j.Session;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Warmup;

/** What comes before the iterations: loading, tokenizer and template, vision tower, first pass; and a whole answer. */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 2, time = 2)
@Measurement(iterations = 5, time = 2)
public class PrefillBenchmark {
  @Benchmark
  public ModelInfo load(BenchmarkModel model) {
    try (DimpleModel loaded = model.open()) {
      return loaded.info();
    }
  }

  @Benchmark
  public Duration prefillOfText(BenchmarkModel model) {
    try (Session session = model.ofText().prefill()) {
      return session.timings().prefill();
    }
  }

  @Benchmark
  public Duration prefillWithPicture(BenchmarkModel model) {
    try (Session session = model.aboutAPicture().prefill()) {
      return session.timings().vision();
    }
  }

  @Benchmark
  public Generation answer(BenchmarkModel model) {
    try (Session session = model.aboutAPicture().open()) {
      return session.decode(ConfidentDecoding.threshold(0.95f));
    }
  }
}
