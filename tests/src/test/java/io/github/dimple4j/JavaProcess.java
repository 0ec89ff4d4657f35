package io.github.dimple4j;

import io.github.dimple4j.cli.DimpleCommand;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** Programs in a process of their own, on the same Java. */
final class JavaProcess {
  private static final Duration LIMIT = Duration.ofMinutes(3);

  private JavaProcess() {}

  /** The command line as it is shipped: the jar with its libraries beside it, or the classes where Maven has not packaged it. */
  static Outcome dimple(Map<String, String> environment, String... arguments) {
    return run(environment, LIMIT, dimple(), List.of(arguments));
  }

  private static List<String> dimple() {
    try {
      Path code = Path.of(DimpleCommand.class.getProtectionDomain().getCodeSource().getLocation().toURI());
      return Files.isRegularFile(code) ? List.of("-jar", code.toString())
          : List.of("--enable-native-access=ALL-UNNAMED", "-cp", System.getProperty("java.class.path"), DimpleCommand.class.getName());
    } catch (URISyntaxException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Starts the command line, to be talked to. */
  static Process start(List<String> arguments) throws IOException {
    return new ProcessBuilder(command(dimple(), arguments)).start();
  }

  /** Starts the command line and kills it, without a word of warning, after some time. Returns whether it had ended before. */
  static boolean kill(long nanos, List<String> arguments) throws IOException, InterruptedException {
    Process process = new ProcessBuilder(command(dimple(), arguments)).redirectErrorStream(true)
        .redirectOutput(ProcessBuilder.Redirect.DISCARD).start();
    boolean ended = process.waitFor(nanos, TimeUnit.NANOSECONDS);
    process.destroyForcibly().waitFor();
    return ended && process.exitValue() == 0;
  }

  /** The main method of a class of the tests. */
  static Outcome run(Class<?> program, String... arguments) {
    return run(LIMIT, program, arguments);
  }

  /** The main method of a class of the tests that may take some time; its heap is resident from the start, so that what grows is native memory. */
  static Outcome run(Duration limit, Class<?> program, String... arguments) {
    return run(Map.of(), limit, List.of("--enable-native-access=ALL-UNNAMED", "-Xms64m", "-Xmx64m", "-XX:+AlwaysPreTouch", "-cp",
        System.getProperty("java.class.path"), program.getName()), List.of(arguments));
  }

  private static List<String> command(List<String> program, List<String> arguments) {
    List<String> command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
        "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Ddimple.library=" + System.getProperty("dimple.library")));
    command.addAll(program);
    command.addAll(arguments);
    return command;
  }

  private static Outcome run(Map<String, String> environment, Duration limit, List<String> program, List<String> arguments) {
    List<String> command = command(program, arguments);
    try {
      Path out = Files.createTempFile(Temporary.folder(), "out", ".txt");
      Path err = Files.createTempFile(Temporary.folder(), "err", ".txt");
      ProcessBuilder builder = new ProcessBuilder(command).redirectOutput(out.toFile()).redirectError(err.toFile());
      builder.environment().remove("JAVA_TOOL_OPTIONS"); // Java would announce it on standard error
      builder.environment().putAll(environment);
      Process process = builder.start();
      if (!process.waitFor(limit.toSeconds(), TimeUnit.SECONDS)) {
        process.destroyForcibly();
        throw new IllegalStateException(command + " did not end within " + limit.toSeconds() + " s");
      }
      return new Outcome(process.exitValue(), Files.readString(out, StandardCharsets.UTF_8), Files.readString(err, StandardCharsets.UTF_8));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    }
  }
}
