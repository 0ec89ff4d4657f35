package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.dimple4j.cli.InProcess;
import java.io.BufferedReader;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** {@code dimple serve} as people start it, and end it. */
@DisabledOnOs(OS.WINDOWS)
@Timeout(120)
class ServeProcessTest {
  private static final String MODEL = "../models/mini/dimple-mini-f16.gguf";
  private static final JsonMapper JSON = new JsonMapper();

  @TempDir private static Path folder;

  /** A server that was started, with what it said until it listened. */
  private record Served(Process process, List<String> said, URI address) implements AutoCloseable {
    static Served start(String... options) throws IOException {
      Process process = JavaProcess.start(Stream.concat(Stream.of("serve", MODEL, "--port", "0"), Stream.of(options)).toList());
      BufferedReader errors = process.errorReader(StandardCharsets.UTF_8);
      List<String> said = new ArrayList<>();
      for (String line = errors.readLine(); line != null; line = errors.readLine()) {
        said.add(line);
        if (line.contains(" at http://")) {
          return new Served(process, said, URI.create(line.substring(line.indexOf("http://"))));
        }
      }
      throw new IllegalStateException("it ended: " + said);
    }

    HttpResponse<String> chat(String body, String... headers) throws IOException, InterruptedException {
      HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(address + "/chat/completions")).header("Content-Type", "application/json")
          .POST(HttpRequest.BodyPublishers.ofString(body));
      if (headers.length > 0) {
        request.headers(headers);
      }
      return HttpClient.newHttpClient().send(request.build(), HttpResponse.BodyHandlers.ofString());
    }

    int terminate() throws IOException, InterruptedException {
      assertThat(new ProcessBuilder("kill", "-TERM", Long.toString(process.pid())).start().waitFor()).isZero();
      assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
      return process.exitValue();
    }

    @Override
    public void close() {
      process.destroyForcibly();
    }
  }

  private static String content(HttpResponse<String> answer) {
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    return JSON.readTree(answer.body()).get("choices").get(0).get("message").get("content").stringValue();
  }

  private static String question(String text, Path picture, String fields) throws IOException {
    String data = Base64.getEncoder().encodeToString(Files.readAllBytes(picture));
    return "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image_url\", \"image_url\": {\"url\": \"data:image/png;base64," + data
        + "\"}}, {\"type\": \"text\", \"text\": \"" + text + "\"}]}]" + fields + "}";
  }

  @Test
  void answersAsRunDoesAndEndsWithGrace() throws Exception {
    try (Served served = Served.start()) {
      assertThat(served.said().getFirst()).contains("loading", MODEL);
      assertThat(served.said()).hasSize(3).noneMatch(line -> line.contains("warning"));
      for (int scene = 1; scene <= 4; scene++) {
        Path picture = Path.of("../docs/images/scene-%02d.png".formatted(scene));
        for (String text : List.of("Describe this image.", "Summarize the image as JSON.", "What colour is the largest shape?")) {
          Outcome run = InProcess.dimple("run", MODEL, "--image", picture.toString(), "--prompt", text);
          assertThat(content(served.chat(question(text, picture, ""))) + System.lineSeparator()).isEqualTo(run.out());
        }
        Outcome drawn = InProcess.dimple("run", MODEL, "--image", picture.toString(), "--prompt", "Describe this image.", "--temperature", "0.8",
            "--seed", "5", "--threshold", "0.7", "--max-new-tokens", "40", "--alg", "topk_margin", "--stop", "left");
        assertThat(content(served.chat(question("Describe this image.", picture, ", \"temperature\": 0.8, \"seed\": 5, \"max_tokens\": 40, "
            + "\"stop\": [\"left\"], \"diffusion\": {\"threshold\": 0.7, \"algorithm\": \"topk_margin\"}"))) + System.lineSeparator()).isEqualTo(drawn.out());
      }
      CompletableFuture<HttpResponse<String>> last = CompletableFuture.supplyAsync(() -> {
        try {
          return served.chat("{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}], \"max_tokens\": 200, \"diffusion\": {\"threshold\": 0, "
              + "\"algorithm\": \"autoregressive\"}}");
        } catch (IOException | InterruptedException e) {
          throw new IllegalStateException(e);
        }
      });
      Thread.sleep(300); // it is under way
      assertThat(served.terminate()).isZero();
      assertThat(last.get().statusCode()).isEqualTo(200);
    }
  }

  @Test
  void asksForAKey() throws Exception {
    Path keys = Files.writeString(folder.resolve("keys"), "# of the tests\n\n  secret \n");
    try (Served served = Served.start("--host", "0.0.0.0", "--api-key-file", keys.toString(), "--model-name", "m")) {
      assertThat(served.said()).noneMatch(line -> line.contains("warning") || line.contains("secret"));
      String body = "{\"model\": \"m\", \"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}";
      assertThat(served.chat(body).statusCode()).isEqualTo(401);
      assertThat(served.chat(body, "Authorization", "Bearer secret").statusCode()).isEqualTo(200);
    }
    try (Served open = Served.start("--host", "0.0.0.0")) {
      assertThat(open.said()).anyMatch(line -> line.contains("warning") && line.contains("--api-key-file"));
    }
  }

  @Test
  void saysWhyItDoesNotServe() throws Exception {
    Path none = Files.writeString(folder.resolve("none"), "# no key\n");
    assertThat(InProcess.dimple("serve", MODEL, "--api-key-file", none.toString()).err()).contains("none: has no key");
    assertThat(InProcess.dimple("serve", MODEL, "--sessions", "0").status()).isEqualTo(2);
    assertThat(InProcess.dimple("serve", MODEL, "--port", "70000").err()).contains("port is 70000, expected 0 to 65535");
    assertThat(InProcess.dimple("serve", folder.resolve("missing.gguf").toString()).status()).isEqualTo(1);
    try (Served served = Served.start()) {
      Outcome taken = InProcess.dimple("serve", MODEL, "--port", Integer.toString(served.address().getPort()));
      assertThat(taken.status()).isEqualTo(1);
      assertThat(taken.err().lines().toList().getLast()).startsWith("dimple: ").contains(Integer.toString(served.address().getPort()));
      JsonNode health = JSON.readTree(HttpClient.newHttpClient().send(HttpRequest.newBuilder(served.address().resolve("/health")).build(),
          HttpResponse.BodyHandlers.ofString()).body());
      assertThat(health.get("status").stringValue()).isEqualTo("ok");
    }
  }
}
