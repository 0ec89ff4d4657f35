package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/**
 * Commands that are killed at random moments: under the final name there is nothing, or what was there before, or all of it; and a rerun
 * succeeds. {@code -Ddimple.kills=100} for more moments.
 */
class KilledCommandTest {
  private static final int KILLS = Integer.getInteger("dimple.kills", 4);

  private static final int ITEMS = 60; // of a batch

  @TempDir private Path folder;

  private interface Command {
    List<String> writing(Path output);
  }

  /** Kills at random moments of a command's time. A run that ended before does not count, but says how long all of the work takes. */
  private static final class Moments {
    private final Random random = new Random(1);
    private final boolean goesOn; // where it was killed
    private long nanos;
    private int killed;
    private int tooLate;

    Moments(long nanos, boolean goesOn) {
      this.nanos = nanos;
      this.goesOn = goesOn;
    }

    boolean anotherOne() {
      return killed < KILLS && tooLate < 10 * KILLS;
    }

    /** Whether the command came to its end. Its first fifth is Java's own. */
    boolean kill(List<String> command) throws IOException, InterruptedException {
      long start = System.nanoTime();
      boolean ended = JavaProcess.kill((long) (nanos * (0.2 + 0.8 * random.nextDouble())), command);
      if (ended) {
        tooLate++;
        nanos = goesOn ? nanos : Math.min(nanos, System.nanoTime() - start);
      } else {
        killed++;
      }
      return ended;
    }

    @Override
    public String toString() {
      return "killed " + killed + " times, too late " + tooLate + " times";
    }
  }

  @Test
  void convert() throws IOException, InterruptedException {
    kill("convert", output -> List.of("gguf", "convert", "goldens/alpha", "-o", output.toString(), "--type", "q8_0", "--force"));
  }

  @Test
  void quantize() throws IOException, InterruptedException {
    kill("quantize", output -> List.of("gguf", "quantize", "../models/mini/dimple-mini-f16.gguf", output.toString(), "q4_0", "--force"));
  }

  /** Goes on where it was killed, until it gets to the end: every answer is there once, as without a kill. */
  @Test
  void batch() throws IOException, InterruptedException {
    Path items = folder.resolve("items.jsonl");
    Files.write(items, IntStream.range(0, ITEMS).mapToObj(i -> "{\"id\": " + i + ", \"prompt\": \"What is " + i + "?\", \"length\": 24}").toList());
    Path whole = folder.resolve("whole.jsonl");
    Path output = folder.resolve("output.jsonl");
    Command command = target -> List.of("batch", items.toString(), "../models/mini/dimple-mini-f16.gguf", "-o", target.toString(), "--threads", "1");
    long start = System.nanoTime();
    JavaProcess.dimple(Map.of(), command.writing(whole).toArray(String[]::new)).assertStatus(0);
    long nanos = System.nanoTime() - start;
    List<String> expected = answers(whole);
    assertThat(expected).hasSize(ITEMS);
    Moments moments = new Moments(nanos, true);
    while (moments.anotherOne()) {
      boolean ended = moments.kill(command.writing(output));
      if (Files.exists(output)) { // killed after its last deed, perhaps
        assertThat(answers(output)).as("%s", moments).isEqualTo(expected);
        Files.delete(output);
      } else {
        assertThat(ended).as("%s", moments).isFalse();
      }
    }
    System.out.println("batch: " + moments);
    JavaProcess.dimple(Map.of(), command.writing(output).toArray(String[]::new)).assertStatus(0);
    assertThat(answers(output)).isEqualTo(expected);
    assertThat(folder.resolve("output.jsonl.part")).doesNotExist();
  }

  /** SIGTERM, which leaves time to tidy up: while a document is written into a file that has another name until it is whole, nothing of it stays. */
  @Test
  @DisabledOnOs(OS.WINDOWS)
  void nothingIsLeftOfAnEndedCommand() throws IOException, InterruptedException {
    Path ids = Files.writeString(folder.resolve("ids.json"), IntStream.range(0, 1000).mapToObj(i -> i % 300).toList().toString());
    Path output = Files.createDirectory(folder.resolve("output")).resolve("logits.json");
    Process process = JavaProcess.start(List.of("logits", "../models/mini/dimple-mini-f16.gguf", "--ids-file", ids.toString(), "--json", output.toString()));
    while (process.isAlive() && isEmpty(output.getParent())) {
      Thread.sleep(1);
    }
    process.destroy();
    assertThat(process.waitFor()).isIn(0, 143); // it had come to its end by then, perhaps
    assertThat(output.getParent()).isDirectoryNotContaining(path -> !path.equals(output));
  }

  private static boolean isEmpty(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.findAny().isEmpty();
    }
  }

  /** The lines without their times. */
  private static List<String> answers(Path output) throws IOException {
    return Files.readAllLines(output).stream().map(line -> line.replaceFirst(",\"figures\":\\{[^}]*}", "")).toList();
  }

  private void kill(String name, Command command) throws IOException, InterruptedException {
    Path whole = folder.resolve("whole.gguf");
    long start = System.nanoTime();
    JavaProcess.dimple(Map.of(), command.writing(whole).toArray(String[]::new)).assertDone();
    long nanos = System.nanoTime() - start;
    byte[] expected = Files.readAllBytes(whole);
    Moments moments = new Moments(nanos, false);
    while (moments.anotherOne()) {
      Path output = folder.resolve("output.gguf");
      boolean replaces = moments.killed % 2 == 0;
      Files.deleteIfExists(output);
      if (replaces) {
        Files.writeString(output, "what was there before");
      }
      boolean ended = moments.kill(command.writing(output));
      if (Files.exists(output) && !(replaces && Files.size(output) < 100)) {
        assertThat(Files.readAllBytes(output)).as("%s %s", name, moments).isEqualTo(expected);
      } else {
        assertThat(ended).as("%s %s", name, moments).isFalse();
        assertThat(Files.exists(output)).isEqualTo(replaces);
      }
    }
    JavaProcess.dimple(Map.of(), command.writing(folder.resolve("output.gguf")).toArray(String[]::new)).assertDone();
    assertThat(folder.resolve("output.gguf")).hasBinaryContent(expected);
    try (Stream<Path> left = Files.list(folder)) {
      System.out.printf("%s: %s; %d files left half done%n", name, moments, left.count() - 2);
    }
  }
}
