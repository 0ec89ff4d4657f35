package io.github.dimple4j.server;

import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.WebSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A headless Chromium with one page, driven by its DevTools protocol as a user would. For one thread. */
final class Browser implements AutoCloseable {
  static final List<String> NAMES = List.of("chromium", "chromium-browser", "google-chrome", "chrome");
  private static final long PATIENCE = TimeUnit.SECONDS.toNanos(40);
  private static final int CONTROL = 2;

  private final Process process;
  private final WebSocket socket;
  private final Map<Integer, CompletableFuture<JsonNode>> calls = new ConcurrentHashMap<>();
  /** What the page complained of. */
  final List<String> complaints = Collections.synchronizedList(new ArrayList<>());
  private int last;

  private Browser(Process process, HttpClient http, URI page) {
    this.process = process;
    socket = http.newWebSocketBuilder().buildAsync(page, new Messages()).join();
    List.of("Page.enable", "Runtime.enable", "Log.enable").forEach(domain -> call(domain, Map.of()));
  }

  static Optional<String> find() {
    return NAMES.stream().filter(name -> Stream.of(System.getenv().getOrDefault("PATH", "").split(File.pathSeparator))
        .anyMatch(place -> Files.isExecutable(Path.of(place, name)))).findFirst();
  }

  static Browser open(String program, Path folder) throws IOException, InterruptedException {
    Path profile = Files.createDirectories(folder.resolve("profile"));
    Process process = new ProcessBuilder(program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
        "--disable-extensions", "--remote-debugging-port=0", "--user-data-dir=" + profile, "about:blank")
        .redirectOutput(ProcessBuilder.Redirect.DISCARD).redirectError(ProcessBuilder.Redirect.DISCARD).start();
    Path port = profile.resolve("DevToolsActivePort");
    try {
      long deadline = System.nanoTime() + PATIENCE;
      HttpClient http = HttpClient.newHttpClient();
      while (System.nanoTime() < deadline && process.isAlive()) {
        List<String> lines = Files.exists(port) ? Files.readAllLines(port) : List.of();
        if (lines.size() >= 2) {
          URI list = URI.create("http://127.0.0.1:" + lines.getFirst() + "/json/list");
          JsonNode targets = JsonMapper.shared().readTree(http.send(HttpRequest.newBuilder(list).build(), HttpResponse.BodyHandlers.ofString()).body());
          Optional<JsonNode> page = targets.valueStream().filter(target -> target.get("type").stringValue().equals("page")).findFirst();
          if (page.isPresent()) {
            return new Browser(process, http, URI.create(page.get().get("webSocketDebuggerUrl").stringValue()));
          }
        }
        Thread.sleep(50);
      }
      throw new IOException(program + " does not say where its DevTools are");
    } catch (IOException | InterruptedException | RuntimeException e) {
      process.destroyForcibly();
      throw e;
    }
  }

  private final class Messages implements WebSocket.Listener {
    private final StringBuilder text = new StringBuilder();

    @Override
    public CompletionStage<?> onText(WebSocket from, CharSequence part, boolean whole) {
      text.append(part);
      if (whole) {
        take(JsonMapper.shared().readTree(text.toString()));
        text.setLength(0);
      }
      return WebSocket.Listener.super.onText(from, part, whole);
    }

    private void take(JsonNode message) {
      if (message.has("id")) {
        calls.remove(message.get("id").intValue()).complete(message);
      } else if (message.get("method").stringValue().equals("Runtime.exceptionThrown") || message.get("method").stringValue().equals("Log.entryAdded")) {
        complaints.add(message.get("params").toString());
      }
    }
  }

  JsonNode call(String method, Map<String, ?> parameters) {
    CompletableFuture<JsonNode> answer = new CompletableFuture<>();
    calls.put(++last, answer);
    socket.sendText(JsonMapper.shared().writeValueAsString(Map.of("id", last, "method", method, "params", parameters)), true).join();
    JsonNode message = answer.orTimeout(PATIENCE, TimeUnit.NANOSECONDS).join();
    if (message.has("error")) {
      throw new IllegalStateException(method + ": " + message.get("error"));
    }
    return message.get("result");
  }

  /** Evaluates an expression in the page; promises are waited for. */
  JsonNode evaluate(String expression) {
    JsonNode result = call("Runtime.evaluate", Map.of("expression", expression, "returnByValue", true, "awaitPromise", true));
    if (result.has("exceptionDetails")) {
      throw new IllegalStateException(expression + ": " + result.get("exceptionDetails"));
    }
    return result.get("result").path("value");
  }

  String text(String selector) {
    return evaluate("document.querySelector(" + JsonMapper.shared().writeValueAsString(selector) + ").textContent").stringValue();
  }

  void await(String condition) throws InterruptedException {
    long deadline = System.nanoTime() + PATIENCE;
    while (!evaluate("Boolean(" + condition + ")").booleanValue()) {
      if (System.nanoTime() > deadline) {
        throw new IllegalStateException("in vain waited for " + condition + "; the page complained of " + complaints + ", and shows "
            + evaluate("document.body.innerText"));
      }
      Thread.sleep(20);
    }
  }

  void go(URI address) throws InterruptedException {
    call("Page.navigate", Map.of("url", address.toString()));
    await("location.href === '" + address + "' && document.readyState === 'complete'");
  }

  void focus(String id) {
    evaluate("document.getElementById('" + id + "').focus()");
  }

  /** Writes in the place of what a field holds. */
  void write(String id, String text) {
    evaluate("document.getElementById('" + id + "').select()");
    focus(id);
    if (text.isEmpty()) {
      press("Delete", 46, 0);
    } else {
      call("Input.insertText", Map.of("text", text));
    }
  }

  void press(String key, int code, int modifiers) {
    for (String type : List.of("rawKeyDown", "keyUp")) {
      call("Input.dispatchKeyEvent", Map.of("type", type, "key", key, "code", key, "windowsVirtualKeyCode", code, "modifiers", modifiers));
    }
  }

  void pressControlEnter() {
    press("Enter", 13, CONTROL);
  }

  void choose(String id, Path file) {
    int root = call("DOM.getDocument", Map.of()).get("root").get("nodeId").intValue();
    int node = call("DOM.querySelector", Map.of("nodeId", root, "selector", "#" + id)).get("nodeId").intValue();
    call("DOM.setFileInputFiles", Map.of("nodeId", node, "files", List.of(file.toAbsolutePath().normalize().toString())));
  }

  void size(int width, int height, boolean phone) {
    call("Emulation.setDeviceMetricsOverride", Map.of("width", width, "height", height, "deviceScaleFactor", phone ? 2 : 1, "mobile", phone));
  }

  /** Dark or light, without movements. */
  void scheme(String scheme) {
    call("Emulation.setEmulatedMedia", Map.of("features", List.of(Map.of("name", "prefers-color-scheme", "value", scheme),
        Map.of("name", "prefers-reduced-motion", "value", "reduce"))));
  }

  void screenshot(Path file) throws IOException {
    JsonNode data = call("Page.captureScreenshot", Map.of("format", "png", "captureBeyondViewport", true)).get("data");
    Files.write(file, Base64.getDecoder().decode(data.stringValue()));
  }

  @Override
  public void close() {
    socket.abort();
    process.descendants().forEach(ProcessHandle::destroyForcibly);
    process.destroyForcibly();
    try {
      process.waitFor(5, TimeUnit.SECONDS); // it writes into its profile
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
