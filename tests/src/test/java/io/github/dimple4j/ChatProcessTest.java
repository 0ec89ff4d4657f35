package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;

/** {@code ^C} in a conversation. */
@DisabledOnOs(OS.WINDOWS)
@Timeout(120)
class ChatProcessTest {
  private static final int SIGINT = 2;
  private static final List<String> ENDLESS = List.of("chat", "../models/mini/dimple-mini-f16.gguf", "--pipeline", "dream", "--steps", "1000000",
      "--early-stop", "off");

  /** A program that was started with SIGINT ignored, as by {@code nohup} or behind a shell's {@code &}, hands that on to its children. */
  @BeforeEach
  void signalsArrive() throws IOException {
    Path status = Path.of("/proc/self/status");
    if (Files.exists(status)) {
      String ignored = Files.readAllLines(status).stream().filter(line -> line.startsWith("SigIgn:")).findFirst().orElseThrow().split("\\s+")[1];
      assumeTrue((Long.parseUnsignedLong(ignored, 16) & 1 << SIGINT - 1) == 0, "these tests were started with SIGINT ignored: ^C reaches nobody");
    }
  }

  private static void interrupt(Process process) throws IOException, InterruptedException {
    assertThat(new ProcessBuilder("kill", "-INT", Long.toString(process.pid())).start().waitFor()).isZero();
  }

  private static void say(OutputStream in, String text) throws IOException {
    in.write(text.getBytes(StandardCharsets.UTF_8));
    in.flush();
  }

  private static void awaitHelp(Process process) throws IOException {
    BufferedReader out = process.inputReader(StandardCharsets.UTF_8);
    while (!out.readLine().startsWith("^C")) { // the last line of the list
      assertThat(process.isAlive()).isTrue();
    }
  }

  @Test
  void stopsTheAnswerOnly() throws Exception {
    Process process = JavaProcess.start(ENDLESS);
    try (OutputStream in = process.getOutputStream()) {
      say(in, "/help\nWhat is it?\n");
      awaitHelp(process);
      TimeUnit.SECONDS.sleep(1); // the answer is under way then, and would be for hours
      interrupt(process);
      assertThat(process.errorReader(StandardCharsets.UTF_8).readLine()).contains("stopped");
      say(in, "/help\n");
      awaitHelp(process);
      say(in, "/quit\n");
      assertThat(process.waitFor(30, TimeUnit.SECONDS)).isTrue();
      assertThat(process.exitValue()).isZero();
    } finally {
      process.destroyForcibly();
    }
  }

  @Test
  void endsTheProgramBetweenAnswers() throws Exception {
    Process process = JavaProcess.start(ENDLESS);
    try (OutputStream in = process.getOutputStream()) {
      say(in, "/help\n");
      awaitHelp(process);
      interrupt(process);
      assertThat(process.waitFor(30, TimeUnit.SECONDS)).isTrue();
      assertThat(process.exitValue()).isZero();
    } finally {
      process.destroyForcibly();
    }
  }
}
