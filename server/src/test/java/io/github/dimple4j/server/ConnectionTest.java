package io.github.dimple4j.server;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.BooleanSupplier;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Who is let in, and what becomes of those who leave, linger or send too much. */
class ConnectionTest {
  private static DimpleServer server;

  @BeforeAll
  static void start() {
    server = Mini.start(Mini.options().sessions(2).queue(1).maxBodyBytes(1 << 20));
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  /** Nothing of the test before is under way. */
  @BeforeEach
  void idle() throws InterruptedException {
    await(() -> running(server) == 0 && Http.metric(server, "dimple_requests_waiting") == 0, "the test before is over");
  }

  private static void await(BooleanSupplier condition, String what) throws InterruptedException {
    long deadline = System.nanoTime() + 20_000_000_000L;
    while (!condition.getAsBoolean()) {
      assertThat(System.nanoTime()).as(what).isLessThan(deadline);
      Thread.sleep(10);
    }
  }

  private static long running(DimpleServer of) {
    return Http.metric(of, "dimple_requests_running");
  }

  private static Socket begin(DimpleServer of, String body) throws IOException {
    Socket socket = Http.connect(of);
    socket.getOutputStream().write(Http.chatBytes(body));
    socket.getOutputStream().flush();
    return socket;
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void stopsWhenTheClientLeaves(boolean stream) throws IOException, InterruptedException {
    long before = Http.metric(server, "dimple_requests_cancelled_total");
    Socket client = begin(server, Http.ENDLESS + ", \"stream\": " + stream + "}");
    await(() -> running(server) == 1, "it runs");
    long started = Http.metric(server, "dimple_iterations_total");
    await(() -> Http.metric(server, "dimple_iterations_total") > started, "an iteration");
    client.close();
    long left = System.nanoTime();
    await(() -> running(server) == 0, "it stops");
    assertThat(Duration.ofNanos(System.nanoTime() - left)).isLessThan(Duration.ofSeconds(2)); // an iteration is a tenth
    await(() -> Http.metric(server, "dimple_requests_cancelled_total") == before + 1, "it counts");
    assertThat(Http.chat(server, "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}").statusCode()).isEqualTo(200);
  }

  @Test
  void forgetsWhoLeavesTheQueueAndRefusesWhoFindsItFull() throws IOException, InterruptedException {
    List<Socket> clients = List.of(begin(server, Http.ENDLESS + "}"), begin(server, Http.ENDLESS + "}"));
    await(() -> running(server) == 2, "two run");
    try (Socket waiting = begin(server, Http.ENDLESS + "}")) {
      await(() -> Http.metric(server, "dimple_requests_waiting") == 1, "one waits");
      HttpResponse<String> refused = Http.chat(server, Http.ENDLESS + "}");
      assertThat(refused.statusCode()).isEqualTo(429);
      assertThat(Integer.parseInt(refused.headers().firstValue("Retry-After").orElseThrow())).isBetween(1, 60);
      assertThat(Http.error(refused).get("type").stringValue()).isEqualTo("rate_limit_error");
      assertThat(waiting.isConnected()).isTrue();
    }
    await(() -> Http.metric(server, "dimple_requests_waiting") == 0, "it has left the queue");
    for (Socket client : clients) {
      client.close();
    }
    await(() -> running(server) == 0, "all stop");
  }

  /** As many at a time as there are sessions, each behind its last answer: nobody is sent away. */
  @Test
  void aFreeSessionTakesWhoComes() {
    try (DimpleServer full = Mini.start(Mini.options().sessions(2).queue(0))) {
      List<CompletableFuture<List<Integer>>> clients = IntStream.range(0, 2).mapToObj(client -> CompletableFuture.supplyAsync(() ->
          IntStream.range(0, 40).mapToObj(i -> Http.chat(full, "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}], \"max_tokens\": 2}").statusCode())
              .toList())).toList();
      assertThat(clients.stream().flatMap(client -> client.join().stream())).hasSize(80).containsOnly(200);
    }
  }

  @Test
  void holdsNoSessionForWhoReadsSlowly() throws IOException, InterruptedException {
    String body = "{\"stream\": true, \"n\": 50, \"messages\": [{\"role\": \"user\", \"content\": \"x\"}], \"max_tokens\": 64, "
        + "\"temperature\": 1, \"diffusion\": {\"events\": true, \"threshold\": 0.5}}";
    try (Socket client = Http.connect(server)) {
      client.setReceiveBufferSize(1024);
      client.getOutputStream().write(Http.chatBytes(body));
      client.getOutputStream().flush();
      await(() -> running(server) == 1, "it runs");
      long deadline = System.nanoTime() + 60_000_000_000L;
      while (running(server) > 0) {
        assertThat(System.nanoTime()).isLessThan(deadline);
        Thread.sleep(20);
      }
      client.setSoTimeout(60_000); // behind a closed window TCP asks more and more rarely
      StringBuilder answer = new StringBuilder();
      byte[] more = new byte[1 << 12];
      while (answer.indexOf("[DONE]") < 0) {
        int count = client.getInputStream().read(more);
        assertThat(count).as(answer.toString()).isPositive();
        answer.append(new String(more, 0, count, StandardCharsets.ISO_8859_1));
      }
      assertThat(answer).startsWith("HTTP/1.1 200"); // all is still there
    }
  }

  /** Two that are decoded at once share passes, and neither answers otherwise than alone. */
  @Test
  void runsRequestsTogether() throws Exception {
    String body = "{\"messages\": [{\"role\": \"user\", \"content\": \"%s\"}], \"temperature\": 1, \"seed\": 4, \"max_tokens\": 24, "
        + "\"diffusion\": {\"threshold\": 0, \"steps\": 24}}";
    List<String> questions = List.of("x", "Describe this image.", "What is it?", "y");
    List<String> alone = questions.stream().map(text -> Http.content(Http.chat(server, body.formatted(text)))).toList();
    long saved = Http.metric(server, "dimple_shared_session_passes_total") - Http.metric(server, "dimple_shared_passes_total");
    try (DimpleServer wide = Mini.start(Mini.options().cacheBytes(0))) {
      List<CompletableFuture<String>> together = questions.stream().map(text -> CompletableFuture.supplyAsync(() ->
          Http.content(Http.chat(wide, body.formatted(text))))).toList();
      for (int i = 0; i < questions.size(); i++) {
        assertThat(together.get(i).get()).isEqualTo(alone.get(i));
      }
      assertThat(Http.metric(wide, "dimple_shared_session_passes_total") - Http.metric(wide, "dimple_shared_passes_total")).isGreaterThan(saved);
    }
  }

  @Test
  void answersWhoSendsTooMuch() {
    HttpRequest.BodyPublisher endless = HttpRequest.BodyPublishers.ofInputStream(() -> new InputStream() {
      private long left = 100_000_000;

      @Override
      public int read() {
        return left-- > 0 ? ' ' : -1;
      }

      @Override
      public int read(byte[] into, int from, int length) {
        int count = (int) Math.min(length, left);
        left -= Math.max(count, 0);
        return count <= 0 ? -1 : count;
      }
    });
    HttpResponse<String> chunked = Http.send(Http.request(server, "/v1/chat/completions").header("Content-Type", "application/json").POST(endless));
    assertThat(chunked.statusCode()).isEqualTo(413);
    String head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    String sentWhole = Http.raw(server, head + ("10000\r\n" + " ".repeat(0x10000) + "\r\n").repeat(400) + "0\r\n\r\n"); // and read afterwards
    assertThat(sentWhole).startsWith("HTTP/1.1 413");
    HttpResponse<String> announced = Http.send(Http.request(server, "/v1/chat/completions").header("Content-Type", "application/json")
        .POST(HttpRequest.BodyPublishers.ofByteArray(new byte[100_000_000])));
    assertThat(announced.statusCode()).isEqualTo(413);
    assertThat(Http.error(announced).get("message").stringValue()).contains("1048576");
  }

  @Test
  void ignoresTricks() throws Exception {
    String ok = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assertThat(Http.raw(server, ok.getBytes(StandardCharsets.US_ASCII))).startsWith("HTTP/1.1 200");
    List<String> tricks = List.of("\r\n\r\n\r\n", "GET\r\n\r\n", "GET /health HTTP/9.9\r\nHost: localhost\r\n\r\n", "GET /health HTTP/1.1\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", "GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n\r\n",
        "GET /../../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /health/..;/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET //health HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /v1/models\0 HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + "y".repeat(100_000) + "\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: localhost\r\n folded: yes\r\n\r\n", "GET /health HTTP/1.1\r\nHost : localhost\r\n\r\n",
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 5\r\n"
            + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: -1\r\n\r\n{}",
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n{}\r\n0\r\n\r\n",
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}",
        "DELETE /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n", "TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n");
    List<Future<String>> answers;
    try (ExecutorService clients = Executors.newVirtualThreadPerTaskExecutor()) { // for many wait a second for what does not come
      answers = tricks.stream().map(bad -> clients.submit(() -> Http.raw(server, bad.getBytes(StandardCharsets.US_ASCII)))).toList();
    }
    for (int i = 0; i < tricks.size(); i++) {
      assertThat(answers.get(i).get()).as(tricks.get(i)).doesNotStartWith("HTTP/1.1 2").doesNotContain("\"status\":\"ok\"", "root:", "HTTP/1.1 5", "Jetty");
    }
    assertThat(Http.get(server, "/health")).contains("ok");
  }

  /** What would be read as something else than it is. */
  @Test
  void refusesBodiesInOtherCodings() {
    String body = "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}], \"max_tokens\": 4}";
    String head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
    String length = "Content-Length: " + body.length() + "\r\n";
    String json = "Content-Type: application/json\r\n";
    assertThat(Http.raw(server, head + json + length + "Content-Encoding: identity\r\n\r\n" + body)).startsWith("HTTP/1.1 200 ");
    assertThat(Http.raw(server, head + json + length + "Content-Encoding: gzip\r\n\r\n" + body)).startsWith("HTTP/1.1 415 ").contains("Content-Encoding is 'gzip'");
    for (String known : List.of("application/json; charset=UTF-8", "Application/JSON;charset=\"utf-8\"", "application/json; v=1")) {
      assertThat(Http.raw(server, head + "Content-Type: " + known + "\r\n" + length + "\r\n" + body)).as(known).startsWith("HTTP/1.1 200 ");
    }
    for (String other : List.of("application/json; charset=utf-16", "application/json; charset=latin1", "application/jsonx", "text/json")) {
      assertThat(Http.raw(server, head + "Content-Type: " + other + "\r\n" + length + "\r\n" + body)).as(other).startsWith("HTTP/1.1 415 ");
    }
    assertThat(Http.raw(server, head + json + "Transfer-Encoding: chunked\r\n\r\nzz\r\n" + body + "\r\n0\r\n\r\n")).startsWith("HTTP/1.1 400 ")
        .contains("malformed_request");
  }

  @Test
  void answersPipelinedRequestsOnceAtMost() {
    String chat = new String(Http.chatBytes("{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}"), StandardCharsets.UTF_8);
    String answer = Http.raw(server, (chat + chat).getBytes(StandardCharsets.UTF_8));
    assertThat(answer).startsWith("HTTP/1.1 200").contains("chat.completion");
  }

  @Test
  void wantsAKeyForEverything() {
    try (DimpleServer locked = Mini.start(Mini.options().apiKeys(List.of("first", "second")))) {
      for (String path : List.of("/", "/health", "/metrics", "/v1/models", "/v1/chat/completions", "/nothing")) {
        for (String header : new String[] {null, "Bearer ", "Bearer third", "Bearer first second", "first", "Basic Zmlyc3Q6", "Basic !"}) {
          HttpRequest.Builder request = Http.request(locked, path);
          HttpResponse<String> answer = Http.send(header == null ? request : request.header("Authorization", header));
          assertThat(answer.statusCode()).as(path + " with " + header).isEqualTo(401);
          assertThat(Http.error(answer).get("code").stringValue()).isEqualTo("invalid_api_key");
          assertThat(answer.body()).doesNotContain("dimple-mini");
          assertThat(answer.headers().firstValue("WWW-Authenticate")).isPresent();
        }
      }
      assertThat(Http.send(Http.request(locked, "/health").header("Authorization", "Bearer second")).statusCode()).isEqualTo(200);
      assertThat(Http.send(Http.request(locked, "/health").header("Authorization", "Basic eDpmaXJzdA==")).statusCode()).isEqualTo(200); // x:first
      String twice = "GET /health HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer first\r\nAuthorization: Bearer third\r\n\r\n";
      assertThat(Http.raw(locked, twice.getBytes(StandardCharsets.US_ASCII))).startsWith("HTTP/1.1 401");
    }
  }

  @Test
  void endsWhatTakesTooLong() {
    try (DimpleServer hasty = Mini.start(Mini.options().timeout(Duration.ofMillis(500)))) {
      HttpResponse<String> late = Http.chat(hasty, Http.ENDLESS + "}");
      assertThat(late.statusCode()).isEqualTo(408);
      assertThat(late.headers().firstValue("X-Should-Retry")).contains("false");
      HttpResponse<String> stream = Http.chat(hasty, Http.ENDLESS + ", \"stream\": true}");
      assertThat(stream.body()).contains("\"code\":\"timeout\"").doesNotContain("[DONE]");
    }
  }

  @Test
  void finishesWhatRunsWhenItEnds() throws Exception {
    DimpleServer ending = Mini.start(Mini.options().sessions(1).graceTime(Duration.ofSeconds(20)));
    String body = "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}], \"diffusion\": {\"threshold\": 0, \"steps\": 40}, \"temperature\": 1}";
    List<CompletableFuture<HttpResponse<String>>> answers = List.of(CompletableFuture.supplyAsync(() -> Http.chat(ending, body)),
        CompletableFuture.supplyAsync(() -> Http.chat(ending, body)));
    await(() -> running(ending) == 1 && Http.metric(ending, "dimple_requests_waiting") == 1, "one runs, one waits");
    ending.close();
    for (CompletableFuture<HttpResponse<String>> answer : answers) {
      assertThat(answer.get().statusCode()).isEqualTo(200);
    }
  }

  @Test
  void cancelsWhatOutlivesTheGraceTime() throws Exception {
    DimpleServer ending = Mini.start(Mini.options().graceTime(Duration.ofMillis(100)));
    CompletableFuture<HttpResponse<String>> answer = CompletableFuture.supplyAsync(() -> Http.chat(ending, Http.ENDLESS + "}"));
    await(() -> running(ending) == 1, "it runs");
    long start = System.nanoTime();
    ending.close();
    assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(Duration.ofSeconds(3));
    assertThat(answer.get().statusCode()).isEqualTo(503);
    ending.close(); // says nothing more
  }
}
