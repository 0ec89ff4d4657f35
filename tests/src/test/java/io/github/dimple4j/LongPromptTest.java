package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

/**
 * What a long prompt takes: {@code -Ddimple.long.model=FILE -Ddimple.long.tokens=32768}. Memory grows by what the session says it holds,
 * and that is the cache, a row of the model's width for each position, and scratch that does not hang on the prompt's length.
 */
class LongPromptTest {
  private static final int TOKENS = Integer.getInteger("dimple.long.tokens", 32_768);

  /** Rows of a layer's inner widths, angles and row numbers for all positions: see docs/testing.md. */
  private static final long SCRATCH_LIMIT = 512L << 20;

  /** Prints the width of the model, bytes of cache and scratch, by how many the process has grown at most, and seconds. */
  static final class Prefill {
    private Prefill() {}

    public static void main(String[] arguments) throws IOException {
      try (DimpleModel model = DimpleModel.load(Path.of(arguments[0]))) {
        int[] tokens = new Random(1).ints(Integer.parseInt(arguments[1]), 0, 1000).toArray();
        AtomicLong peak = new AtomicLong();
        try (Session session = model.session().tokens(tokens).responseLength(8).contextLength(tokens.length + 8).open()) {
          long before = anonymousBytes();
          Thread watch = Thread.ofPlatform().daemon().unstarted(() -> watch(peak));
          watch.start();
          long start = System.nanoTime();
          session.prefill();
          double seconds = (System.nanoTime() - start) / 1e9;
          SessionMemory memory = session.memory();
          System.out.printf("%d %d %d %d %.0f%n", model.info().embeddingLength(), memory.kvBytes(), memory.scratchBytes(), peak.get() - before,
              seconds);
        }
      }
    }

    private static void watch(AtomicLong peak) {
      try {
        while (true) {
          peak.accumulateAndGet(anonymousBytes(), Math::max);
          Thread.sleep(20);
        }
      } catch (IOException | InterruptedException e) {
        throw new IllegalStateException(e);
      }
    }

    /** Without pages of the model's file. */
    private static long anonymousBytes() throws IOException {
      String line = Files.readAllLines(Path.of("/proc/self/status")).stream().filter(text -> text.startsWith("RssAnon:")).findFirst()
          .orElseThrow();
      return 1024 * Long.parseLong(line.replaceAll("\\D", ""));
    }
  }

  @Test
  @EnabledOnOs(value = OS.LINUX, disabledReason = "reads /proc/self/status")
  @EnabledIfSystemProperty(named = "dimple.long.model", matches = ".+", disabledReason = "takes a large model and minutes")
  void growsByTheCacheAndLittleElse() {
    Outcome outcome = JavaProcess.run(Duration.ofHours(3), Prefill.class, System.getProperty("dimple.long.model"),
        Integer.toString(TOKENS)).assertDone();
    String[] printed = outcome.out().strip().split(" ");
    long[] bytes = Arrays.stream(printed).mapToLong(Long::parseLong).toArray();
    System.out.printf("A prompt of %d tokens, width %d: cache %d, scratch %d bytes, the process grows by %d, in %d s%n", TOKENS, bytes[0],
        bytes[1], bytes[2], bytes[3], bytes[4]);
    long stream = 4L * bytes[0] * (TOKENS + 8);
    assertThat(bytes[2]).isLessThan(stream + SCRATCH_LIMIT);
    assertThat(bytes[3]).isLessThan((long) (1.02 * (bytes[1] + bytes[2])) + (32L << 20));
  }
}
