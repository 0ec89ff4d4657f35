package io.github.dimple4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PullCommandTest {
  private static final Path MODEL = Path.of("../models/mini/dimple-mini-f16.gguf");

  @TempDir private Path folder;
  private ServerSocket hub;
  private final List<String> authorizations = new CopyOnWriteArrayList<>();

  @BeforeEach
  void serve() throws IOException {
    hub = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    Thread.ofPlatform().daemon().start(() -> {
      while (!hub.isClosed()) {
        try (Socket connection = hub.accept()) {
          answer(connection);
        } catch (IOException e) {
          // closed, or the client has gone
        }
      }
    });
  }

  @AfterEach
  void end() throws IOException {
    hub.close();
  }

  private void answer(Socket connection) throws IOException {
    BufferedReader in = new BufferedReader(new InputStreamReader(connection.getInputStream(), StandardCharsets.ISO_8859_1));
    String path = in.readLine().split(" ")[1];
    String authorization = "none";
    for (String line = in.readLine(); !line.isEmpty(); line = in.readLine()) {
      authorization = line.startsWith("Authorization: ") ? line.substring(15) : authorization;
    }
    authorizations.add(authorization);
    boolean missing = path.contains("nothing");
    byte[] content = missing ? new byte[0] : path.startsWith("/api/models/we/mini/tree/main?")
        ? "[{\"type\": \"file\", \"path\": \"dimple-mini-F16.gguf\"}]".getBytes(StandardCharsets.UTF_8) : Files.readAllBytes(MODEL);
    connection.getOutputStream().write(("HTTP/1.1 " + (missing ? "404 Not Found" : "200 OK") + "\r\nConnection: close\r\nContent-Length: "
        + content.length + "\r\n\r\n").getBytes(StandardCharsets.ISO_8859_1));
    connection.getOutputStream().write(content);
  }

  private String address() {
    return "http://127.0.0.1:" + hub.getLocalPort();
  }

  /** The command in a process of its own, whose environment names hub, token and folder. */
  private Output command(String... arguments) throws Exception {
    String classPath = Stream.of("jdk.module.path", "java.class.path").map(System::getProperty).filter(Objects::nonNull)
        .collect(Collectors.joining(File.pathSeparator));
    List<String> java = List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1", "--enable-native-access=ALL-UNNAMED", "-Ddimple.library=" + System.getProperty("dimple.library"), "-cp", classPath,
        DimpleCommand.class.getName());
    Path out = folder.resolve("out");
    Path err = folder.resolve("err");
    ProcessBuilder builder = new ProcessBuilder(Stream.concat(java.stream(), Stream.of(arguments)).toList())
        .redirectOutput(out.toFile()).redirectError(err.toFile());
    builder.environment().putAll(Map.of("HF_ENDPOINT", address(), "HF_TOKEN", "secret", "DIMPLE_MODELS", folder.resolve("models").toString()));
    Process process = builder.start();
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    return new Output(process.exitValue(), Files.readString(out), Files.readString(err));
  }

  @Test
  void aModelByNameIsPulledOnceAndRuns() throws Exception {
    Path file = folder.resolve("models/hub/we/mini/main/dimple-mini-F16.gguf");
    assertThat(command("pull", "we/mini:f16")).isEqualTo(new Output(0, file + System.lineSeparator(), ""));
    assertThat(file).hasSameBinaryContentAs(MODEL);
    assertThat(authorizations).hasSize(2).containsOnly("Bearer secret");
    assertThat(command("run", "we/mini:f16", "--prompt", "x", "--max-new-tokens", "2").status()).isZero();
    assertThat(authorizations).hasSize(2);
    Path questions = Files.writeString(folder.resolve("in.jsonl"), "{\"prompt\": \"x\", \"length\": 2}\n");
    List<String> batch = List.of("batch", questions.toString(), "we/mini:f16", "-o", folder.resolve("answers.jsonl").toString());
    assertThat(command(batch.toArray(String[]::new)).err()).startsWith("1 item: 1 answered, 0 kept");
    Files.setLastModifiedTime(file, FileTime.fromMillis(0)); // as if another were pulled
    assertThat(command(batch.toArray(String[]::new)).err()).contains("has answers to other items, or of other settings or another model");
    Output failed = command("pull", "--debug", "we/nothing/x.gguf");
    assertThat(failed.status()).isEqualTo(1);
    assertThat(failed.err()).contains("dimple: " + address() + "/we/nothing/resolve/main/x.gguf: no such file (status 404)").doesNotContain("secret");
  }

  @Test
  void aModelByAddress() throws Exception {
    String hash = HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(MODEL)));
    Output output = Output.of("pull", address() + "/mini.gguf", "--sha256", hash, "--models", folder.toString());
    assertThat(output.err()).isEmpty();
    assertThat(Path.of(output.out().strip())).startsWith(folder).hasSameBinaryContentAs(MODEL);
    Output wrong = Output.of("pull", address() + "/mini.gguf", "--sha256", "0".repeat(64), "--models", folder.toString());
    assertThat(wrong.status()).isEqualTo(1);
    assertThat(wrong.err()).hasLineCount(1).contains("has SHA-256 " + hash + ", expected 0000");
    assertThat(Path.of(output.out().strip())).as("the other one stays").exists();
  }

  @Test
  void wrongUsage() {
    assertThat(Output.of("pull", "we/mini", "--sha256", "0").status()).isEqualTo(2);
    assertThat(Output.of("pull", address() + "/x.gguf", "--force").status()).isEqualTo(2);
    Output noAddress = Output.of("pull", "http://[bad/x.gguf");
    assertThat(noAddress.status()).isEqualTo(2);
    assertThat(noAddress.err()).contains("'http://[bad/x.gguf' is no address");
    Output none = Output.of("pull", "mini", "--models", folder.toString());
    assertThat(none.status()).isEqualTo(1);
    assertThat(none.err()).contains("'mini' is no model's name, expected OWNER/REPOSITORY");
  }
}
