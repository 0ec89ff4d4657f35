package io.github.dimple4j.server;

import io.github.dimple4j.DimpleModel;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** What the server answers. Thread-safe. */
final class Service implements AutoCloseable {
  private static final int BUDGETED_BODIES = 8;
  private static final long LOOK = 20; // milliseconds between looks at whether a client is still there
  private static final Duration LAST_WORDS = Duration.ofSeconds(2);
  private static final long LONGEST = Duration.ofDays(36_500).toMillis(); // that a request may have: no clock counts to Long.MAX_VALUE seconds
  private static final Duration TO_WRITE = Duration.ofSeconds(30); // behind the end of the time a request has

  private final DimpleModel model;
  private final ServerOptions options;
  private final Metrics metrics = new Metrics();
  private final PrefillCache cache;
  private final FeatureCache features;
  private final Structures structures = new Structures();
  private final Lanes lanes;
  private final PictureHosts hosts;
  private final Instant started = Instant.now();
  private final AtomicInteger open = new AtomicInteger(); // requests that are answered
  private final ScheduledThreadPoolExecutor clock;

  Service(DimpleModel model, ServerOptions options) {
    this.model = model;
    this.options = options;
    cache = new PrefillCache(options.cacheBytes() / 2, metrics);
    features = new FeatureCache(options.cacheBytes() / 2);
    lanes = new Lanes(options.sessions(), options.queue(), metrics);
    hosts = new PictureHosts(options.imageHosts(), options.maxBodyBytes());
    clock = new ScheduledThreadPoolExecutor(1, Thread.ofPlatform().daemon().name("dimple-clock").factory());
    clock.setRemoveOnCancelPolicy(true);
  }

  DimpleModel model() {
    return model;
  }

  ServerOptions options() {
    return options;
  }

  Metrics metrics() {
    return metrics;
  }

  PrefillCache cache() {
    return cache;
  }

  FeatureCache features() {
    return features;
  }

  Structures structures() {
    return structures;
  }

  Lanes lanes() {
    return lanes;
  }

  PictureHosts hosts() {
    return hosts;
  }

  Gate gate() {
    long bodies = Math.max(BUDGETED_BODIES * options.maxBodyBytes(), Runtime.getRuntime().maxMemory() / 16);
    return new Gate(routes(), new ApiKeys(options.apiKeys()), new BodyBudget(Math.min(bodies, Math.max(options.maxBodyBytes(),
        Runtime.getRuntime().maxMemory() / 4))), metrics);
  }

  private Map<String, Map<String, Gate.Route>> routes() {
    Map<String, Map<String, Gate.Route>> routes = new LinkedHashMap<>();
    routes.put("/v1/chat/completions", Map.of("POST", exchange -> answer(exchange, ChatApi::new)));
    routes.put("/v1/completions", Map.of("POST", exchange -> answer(exchange, CompletionApi::new)));
    routes.put("/v1/models", Map.of("GET", this::models));
    routes.put("/v1/models/" + options.model(), Map.of("GET", exchange -> exchange.send(200, describe())));
    Page.routes().forEach((path, route) -> routes.put(path, Map.of("GET", route)));
    routes.put("/health", Map.of("GET", this::health));
    routes.put("/metrics", Map.of("GET", exchange -> exchange.send(200, "text/plain; version=0.0.4; charset=utf-8",
        metrics.text(lanes, cache, features, model.batchedSteps()).getBytes(StandardCharsets.UTF_8))));
    return routes;
  }

  private void health(Exchange exchange) throws IOException {
    ObjectNode health = Json.object();
    health.put("status", lanes.isStopping() ? "stopping" : "ok");
    health.put("model", options.model());
    exchange.send(lanes.isStopping() ? 503 : 200, health);
  }

  private void models(Exchange exchange) throws IOException {
    ObjectNode list = Json.object();
    list.put("object", "list");
    list.putArray("data").add(describe());
    exchange.send(200, list);
  }

  private ObjectNode describe() {
    ObjectNode found = Json.object();
    found.put("id", options.model());
    found.put("object", "model");
    found.put("created", started.getEpochSecond());
    found.put("owned_by", "dimple4j");
    ObjectNode facts = found.putObject("dimple");
    facts.put("architecture", model.info().architecture());
    facts.put("backend", model.info().backend());
    facts.put("parameters", model.info().parameterCount());
    facts.put("context_length", model.info().contextLength());
    facts.put("max_tokens", Math.min(options.maxTokens(), model.info().contextLength()));
    facts.put("pictures", model.info().hasVision());
    facts.put("pipeline", model.decoding().pipeline().label());
    return found;
  }

  /** Reads a request in one of the interface's ways. */
  @FunctionalInterface
  interface Reader {
    Answering read(JsonNode request, Service service);
  }

  /** Reads a request, works on it, and sends what comes of it; stops when the client has left or time is up. */
  private void answer(Exchange exchange, Reader reader) throws IOException, InterruptedException {
    if (lanes.isStopping()) {
      throw ApiException.stopping();
    }
    open.incrementAndGet();
    try {
      answerInTime(exchange, reader);
    } finally {
      open.decrementAndGet();
    }
  }

  private static long millis(Duration time) {
    return Math.clamp(TimeUnit.MILLISECONDS.convert(time), 1, LONGEST);
  }

  private void answerInTime(Exchange exchange, Reader reader) throws IOException, InterruptedException {
    JsonNode request = exchange.json(options.maxBodyBytes());
    long began = System.nanoTime();
    Answering answering = reader.read(request, this);
    AnswerTask task = new AnswerTask(this, answering.question(), answering.watches());
    ScheduledFuture<?> timeUp = clock.schedule(() -> task.cancel(ApiException.timeout("the answer took longer than "
        + options.timeout().toSeconds() + " s")), millis(options.timeout()), TimeUnit.MILLISECONDS);
    ScheduledFuture<?> tooSlow = clock.schedule(exchange::abort, millis(options.timeout()) + TO_WRITE.toMillis(), TimeUnit.MILLISECONDS);
    try {
      lanes.begin(task);
      if (relay(exchange, task, answering)) {
        metrics.answered(Duration.ofNanos(System.nanoTime() - began));
      } else {
        metrics.gone();
        exchange.abort();
      }
    } catch (IOException e) {
      metrics.gone();
      throw e;
    } finally {
      timeUp.cancel(false);
      tooSlow.cancel(false);
      task.cancel(ApiException.stopping());
      lanes.end(task);
    }
  }

  /** Passes on what the task tells, to its end. False: the client has left. */
  private static boolean relay(Exchange exchange, AnswerTask task, Answering answering) throws IOException, InterruptedException {
    while (true) {
      AnswerTask.Progress progress = task.poll(LOOK);
      if (progress == null) {
        if (exchange.gone()) {
          return false;
        }
        continue;
      }
      switch (progress) {
        case AnswerTask.Iteration iteration -> {
          if (exchange.gone()) {
            return false;
          }
          answering.iteration(exchange, iteration);
        }
        case AnswerTask.Choice choice -> answering.choice(exchange, choice);
        case AnswerTask.Done done -> {
          answering.done(exchange, done);
          return true;
        }
        case AnswerTask.Failed failed -> {
          if (!exchange.begun()) {
            throw failed.reason();
          }
          exchange.event(null, Json.text(failed.reason().toJson()));
          exchange.endEvents();
          return true;
        }
      }
    }
  }

  /** How many tokens of a prompt are of pictures. */
  long imageTokens(int[] prompt) {
    int image = model.info().imageTokenId().orElse(-1);
    return model.info().hasVision() ? Arrays.stream(prompt).filter(id -> id == image).count() : 0;
  }

  /** Waits until what is answered is sent, for a little. */
  void awaitWritten() throws InterruptedException {
    long deadline = System.nanoTime() + LAST_WORDS.toNanos();
    while (open.get() > 0 && System.nanoTime() - deadline < 0) {
      Thread.sleep(LOOK);
    }
  }

  @Override
  public void close() {
    lanes.close();
    cache.close();
    hosts.close();
    clock.shutdownNow();
  }
}
