package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.dimple4j.gguf.TensorType;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

/**
 * Eight callers of one model in one process, whose sessions are cancelled, closed, interrupted and abandoned at random moments: whoever
 * gets to the end has the tokens it has alone, and the process grows neither in memory nor in threads nor in open files. Three seconds;
 * {@code -Ddimple.soak.seconds=3600} for longer.
 */
class SoakTest {
  private static final long SECONDS = Long.getLong("dimple.soak.seconds", 3);

  /** The scratch memory of a few sessions: what the C library's arenas may differ by. A session is lost a hundred times a second. */
  private static final long LIMIT_KIB = 24 * 1024;

  @Test
  @EnabledOnOs(value = OS.LINUX, disabledReason = "reads /proc/self")
  void disturbedSessionsDisturbNoOthers() {
    Outcome outcome = JavaProcess.run(Duration.ofSeconds(180 + 2 * SECONDS), Soak.class, Synthetic.file(TensorType.Q8_0).toString(),
        "../docs/images/scene.png", Long.toString(SECONDS)).assertDone();
    List<String> lines = outcome.out().strip().lines().toList();
    System.out.println("Soak of " + SECONDS + " s: " + lines.get(lines.size() - 2));
    long[] last = Arrays.stream(lines.getLast().split(" ")).mapToLong(Long::parseLong).toArray();
    assertThat(last[0]).as("answers that are not as alone").isZero();
    assertThat(last[1]).as("KiB by which the process grows").isLessThan(LIMIT_KIB);
    assertThat(last[2]).as("threads that stay").isLessThan(8); // Java starts some of its own late
    assertThat(last[3]).as("files that stay open").isLessThan(8);
    for (Soak.Fate fate : Soak.Fate.values()) {
      assertThat(lines.get(lines.size() - 2)).doesNotContain(fate + "=0");
    }
  }
}
