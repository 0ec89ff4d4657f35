package io.github.dimple4j.server;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.dimple4j.Image;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/**
 * Many clients of all kinds at a server in a process of its own: those that ask, those that leave, send garbage or too much, read or send
 * slowly, or have no key. Twelve seconds of it beside the other tests, which go before; system property {@code dimple.load.seconds}: how long.
 */
class LoadTest {
  private static final int CLIENTS = 64;
  private static final long SECONDS = Long.getLong("dimple.load.seconds", 12);
  private static final Path NICE = Path.of("/usr/bin/nice");
  private static final String KEY = "Authorization: Bearer key\r\n";
  private static final List<String> PROMPTS = List.of("Describe this image.", "Summarize the image as JSON.", "How many shapes are there?");

  /** The server's process: prints its port, and serves until its input ends. */
  static final class Served {
    private Served() {}

    public static void main(String[] arguments) throws IOException {
      try (DimpleServer server = Mini.start(Mini.options().apiKeys(List.of("key")).queue(32).cacheBytes(64 << 20).maxBodyBytes(4 << 20)
          .graceTime(Duration.ofSeconds(5)))) {
        System.out.println(server.port());
        while (System.in.read() >= 0) {
          // Goes on.
        }
      }
    }
  }

  /** A question and the answer that the model gives without a server. */
  private record Asked(String body, String answer) {}

  private final Map<String, AtomicInteger> seen = new ConcurrentSkipListMap<>();
  private final ConcurrentLinkedQueue<String> wrong = new ConcurrentLinkedQueue<>();
  private final List<Asked> questions = new ArrayList<>();
  private int port;

  private void see(String what) {
    seen.computeIfAbsent(what, name -> new AtomicInteger()).incrementAndGet();
  }

  @Test
  void standsEverything() throws Exception {
    for (int scene = 1; scene <= 6; scene++) {
      byte[] picture = Mini.scene(scene);
      String text = PROMPTS.get(scene % PROMPTS.size());
      String answer = Mini.MODEL.ask(text, Image.decode(picture, "scene")).text();
      questions.add(new Asked("{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image_url\", \"image_url\": {\"url\": \""
          + Mini.dataUrl(picture) + "\"}}, {\"type\": \"text\", \"text\": \"" + text + "\"}]}]", answer));
    }
    List<String> command = new ArrayList<>(Files.isExecutable(NICE) ? List.of(NICE.toString(), "-n", "5") : List.of());
    command.addAll(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xmx512m", "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=" + (SECONDS < 60 ? 1 : 4), // there is no time for the second compiler's code to pay
        "--enable-native-access=ALL-UNNAMED", "-Ddimple.library=" + System.getProperty("dimple.library"), "-cp", System.getProperty("java.class.path"),
        Served.class.getName()));
    ProcessBuilder builder = new ProcessBuilder(command);
    Process process = builder.redirectError(ProcessBuilder.Redirect.DISCARD).start();
    try (BufferedReader out = process.inputReader()) {
      port = Integer.parseInt(out.readLine());
      List<Long> memory = load(process);
      assertThat(wrong).isEmpty();
      assertThat(seen.keySet()).contains("200", "400", "401", "too much", "stream", "left");
      System.out.println("load: " + seen + ", MiB of the server over time: " + memory.stream().map(bytes -> bytes >> 20).toList());
      if (SECONDS >= 300) { // until then Java compiles, and its heap finds its size
        long before = medianOfQuarter(memory, 1);
        long after = medianOfQuarter(memory, 3);
        assertThat((double) after / before).as("memory of the last quarter against that of the second").isLessThan(1.1);
      }
      process.getOutputStream().close();
      assertThat(process.waitFor(30, TimeUnit.SECONDS)).isTrue();
      assertThat(process.exitValue()).isZero();
    } finally {
      process.destroyForcibly();
    }
  }

  /** Runs all clients; the server's memory meanwhile, ten times a minute or twenty in all. */
  private List<Long> load(Process process) throws InterruptedException, IOException {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(SECONDS);
    List<Thread> clients = new ArrayList<>();
    for (int i = 0; i < CLIENTS; i++) {
      Random random = new Random(i);
      clients.add(Thread.ofPlatform().daemon().start(() -> {
        while (System.nanoTime() < end) {
          act(random);
        }
      }));
    }
    List<Long> memory = new ArrayList<>();
    while (System.nanoTime() < end) {
      Thread.sleep(Math.min(6000, SECONDS * 50));
      memory.add(residentBytes(process));
    }
    for (Thread client : clients) {
      client.join(150_000);
      if (client.isAlive()) {
        wrong.add("a client hangs: " + List.of(client.getStackTrace()));
      }
    }
    return memory;
  }

  /** {@code quarter}: from 0. Single values hang on what the clients do at the moment. */
  private static long medianOfQuarter(List<Long> values, int quarter) {
    int length = values.size() / 4;
    return values.subList(quarter * length, (quarter + 1) * length).stream().sorted().toList().get(length / 2);
  }

  private static long residentBytes(Process process) throws IOException {
    Path status = Path.of("/proc", Long.toString(process.pid()), "status");
    return Files.exists(status) ? Files.readAllLines(status).stream().filter(line -> line.startsWith("VmRSS:"))
        .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")) << 10).findFirst().orElse(0) : 0;
  }

  private void act(Random random) {
    int kind = random.nextInt(100);
    try {
      if (kind < 45) {
        ask(random);
      } else if (kind < 60) {
        stream(random);
      } else if (kind < 75) {
        leave(random);
      } else if (kind < 87) {
        sendGarbage(random);
      } else if (kind < 92) {
        status("without a key", exchange(post("", questions.getFirst().body() + "}"), random, false), "401");
      } else if (kind < 97) {
        readSlowly(random);
      } else {
        sendTooMuch(random);
      }
    } catch (IOException e) {
      see("connection ended");
    } catch (RuntimeException e) {
      wrong.add(e.toString());
    }
  }

  private static byte[] post(String headers, String body) {
    byte[] content = body.getBytes(StandardCharsets.UTF_8);
    String head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: "
        + content.length + "\r\n" + headers + "\r\n";
    return (head + body).getBytes(StandardCharsets.UTF_8);
  }

  private Socket connect() throws IOException {
    Socket socket = new Socket(InetAddress.getLoopbackAddress(), port);
    socket.setSoTimeout(120_000);
    return socket;
  }

  /** The response to a request, sent in two parts if that is slow. */
  private String exchange(byte[] request, Random random, boolean slowly) throws IOException {
    try (Socket socket = connect()) {
      OutputStream out = socket.getOutputStream();
      int first = slowly ? random.nextInt(request.length) : request.length;
      out.write(request, 0, first);
      out.flush();
      if (slowly) {
        sleep(random.nextInt(200));
        out.write(request, first, request.length - first);
        out.flush();
      }
      return new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  private static void sleep(int milliseconds) {
    try {
      Thread.sleep(milliseconds);
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Counts a response's status, which has to be one of these or a 429; false if it is a 429. */
  private boolean status(String what, String response, String... expected) {
    String status = response.startsWith("HTTP/1.1 ") ? response.substring(9, 12) : "none";
    see(status);
    if (!status.equals("429") && !List.of(expected).contains(status)) {
      wrong.add(what + ": " + (response.length() > 500 ? response.substring(0, 500) : response));
    }
    return !status.equals("429");
  }

  private void ask(Random random) throws IOException {
    Asked asked = questions.get(random.nextInt(questions.size()));
    String response = exchange(post(KEY, asked.body() + "}"), random, random.nextInt(4) == 0);
    if (status("a question", response, "200")) {
      String answer = Json.read(response.substring(response.indexOf("\r\n\r\n") + 4)).get("choices").get(0).get("message").get("content").stringValue();
      if (!answer.equals(asked.answer())) {
        wrong.add("expected " + asked.answer() + " but was " + answer);
      }
    } else if (!response.contains("Retry-After: ")) {
      wrong.add("a 429 that does not say when: " + response);
    } else {
      sleep(random.nextInt(100));
    }
  }

  private void stream(Random random) throws IOException {
    Asked asked = questions.get(random.nextInt(questions.size()));
    String response = exchange(post(KEY, asked.body() + ", \"stream\": true, \"diffusion\": {\"events\": " + random.nextBoolean() + "}}"), random, false);
    if (status("a stream", response, "200")) {
      see("stream");
      StringBuilder text = new StringBuilder();
      response.lines().filter(line -> line.startsWith("data: {") && line.contains("\"delta\":{\"content\"")).forEach(line ->
          text.append(Json.read(line.substring(6)).get("choices").get(0).get("delta").get("content").stringValue()));
      if (!text.toString().equals(asked.answer()) || !response.contains("data: [DONE]")) {
        wrong.add("a stream gave " + text + " for " + asked.answer());
      }
    }
  }

  /** Leaves in the middle of a request, or of its answer. */
  private void leave(Random random) throws IOException {
    byte[] request = post(KEY, Http.ENDLESS + ", \"stream\": " + random.nextBoolean() + "}");
    try (Socket socket = connect()) {
      socket.getOutputStream().write(request, 0, random.nextInt(4) == 0 ? random.nextInt(request.length) : request.length);
      socket.getOutputStream().flush();
      sleep(random.nextInt(150));
      if (random.nextBoolean()) {
        socket.setSoLinger(true, 0); // a reset
      }
    }
    see("left");
  }

  private void sendGarbage(Random random) throws IOException {
    if (random.nextInt(3) == 0) {
      byte[] noise = new byte[random.nextInt(2000)];
      random.nextBytes(noise);
      String response = exchange((new String(noise, StandardCharsets.ISO_8859_1) + "\r\n\r\n\r\n").getBytes(StandardCharsets.ISO_8859_1), random, false);
      if (!response.isEmpty()) {
        status("noise", response, "400", "414", "431");
      }
      return;
    }
    StringBuilder body = new StringBuilder(questions.get(random.nextInt(questions.size())).body() + "}");
    int at = random.nextInt(60); // before the picture
    for (int i = 0; i < 1 + random.nextInt(3); i++) {
      body.setCharAt(Math.min(at + i, body.length() - 1), (char) (random.nextInt(94) + 33));
    }
    status("a changed body", exchange(post(KEY, body.toString()), random, false), "400", "200");
  }

  /** Reads some bytes at a time, and perhaps not all. */
  private void readSlowly(Random random) throws IOException {
    Asked asked = questions.get(random.nextInt(questions.size()));
    try (Socket socket = connect()) {
      socket.setReceiveBufferSize(2048);
      socket.getOutputStream().write(post(KEY, asked.body() + ", \"n\": 8, \"stream\": true, \"diffusion\": {\"events\": true}}"));
      socket.getOutputStream().flush();
      InputStream in = socket.getInputStream();
      byte[] piece = new byte[512];
      for (int i = 0; i < 20 && in.read(piece) >= 0; i++) {
        sleep(random.nextInt(50));
      }
    }
    see("slow");
  }

  /** What is far too large is read on for half a minute, so that most who send it see the answer. */
  private void sendTooMuch(Random random) throws IOException {
    see("too much");
    byte[] head = ("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n" + KEY
        + (random.nextBoolean() ? "Content-Length: 100000000\r\n\r\n" : "Transfer-Encoding: chunked\r\n\r\n")).getBytes(StandardCharsets.UTF_8);
    boolean chunked = new String(head, StandardCharsets.UTF_8).contains("chunked");
    byte[] spaces = " ".repeat(100_000).getBytes(StandardCharsets.UTF_8);
    byte[] chunk = chunked ? ("186a0\r\n" + " ".repeat(100_000) + "\r\n").getBytes(StandardCharsets.UTF_8) : spaces;
    try (Socket socket = connect()) {
      OutputStream out = socket.getOutputStream();
      out.write(head);
      for (int i = 0; i < 1000; i++) {
        out.write(chunk);
      }
      if (chunked) {
        out.write("0\r\n\r\n".getBytes(StandardCharsets.UTF_8));
      }
      out.flush();
      status("100 MB", new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8), "413");
    }
  }
}
