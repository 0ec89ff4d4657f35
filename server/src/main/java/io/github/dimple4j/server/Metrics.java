package io.github.dimple4j.server;

import io.github.dimple4j.BatchedSteps;
import io.github.dimple4j.Generation;
import java.time.Duration;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.atomic.LongAdder;

/** What the server did, as Prometheus reads it (text format 0.0.4). Thread-safe. */
final class Metrics {
  /** Times in seconds, by powers of about three. */
  private static final class Histogram {
    private static final double[] BOUNDS = {0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300};

    private final AtomicLongArray counts = new AtomicLongArray(BOUNDS.length + 1);
    private final LongAdder nanoseconds = new LongAdder();

    void add(Duration time) {
      double seconds = time.toNanos() / 1e9;
      int bucket = 0;
      while (bucket < BOUNDS.length && seconds > BOUNDS[bucket]) {
        bucket++;
      }
      counts.incrementAndGet(bucket);
      nanoseconds.add(time.toNanos());
    }

    double mean() {
      long count = 0;
      for (int i = 0; i < counts.length(); i++) {
        count += counts.get(i);
      }
      return count == 0 ? 0 : nanoseconds.sum() / 1e9 / count;
    }

    void write(StringBuilder out, String name, String help) {
      head(out, name, help, "histogram");
      long count = 0;
      for (int i = 0; i < counts.length(); i++) {
        count += counts.get(i);
        String bound = i < BOUNDS.length ? Double.toString(BOUNDS[i]) : "+Inf";
        out.append(name).append("_bucket{le=\"").append(bound).append("\"} ").append(count).append('\n');
      }
      out.append(name).append("_sum ").append(String.format(Locale.ROOT, "%.9f", nanoseconds.sum() / 1e9)).append('\n');
      out.append(name).append("_count ").append(count).append('\n');
    }
  }

  private final Map<String, LongAdder> requests = new ConcurrentSkipListMap<>(); // by labels
  private final LongAdder iterations = new LongAdder();
  private final LongAdder promptTokens = new LongAdder();
  private final LongAdder answerTokens = new LongAdder();
  private final LongAdder hits = new LongAdder();
  private final LongAdder misses = new LongAdder();
  private final LongAdder sharedTokens = new LongAdder();
  private final LongAdder seen = new LongAdder();
  private final LongAdder unseen = new LongAdder();
  private final LongAdder gone = new LongAdder();
  private final Histogram answers = new Histogram();
  private final Histogram vision = new Histogram();
  private final Histogram prefill = new Histogram();
  private final Histogram step = new Histogram();

  /** A request was answered. The path is one of the server's, never what a client made up. */
  void request(String path, int status) {
    requests.computeIfAbsent("path=\"" + path + "\",status=\"" + status + "\"", labels -> new LongAdder()).increment();
  }

  void answered(Duration time) {
    answers.add(time);
  }

  double meanAnswerSeconds() {
    return answers.mean();
  }

  void iteration(Duration time) {
    iterations.increment();
    step.add(time);
  }

  /** {@code first}: the decoding whose time has the first pass in it. */
  void choice(Generation generation, boolean first, Duration tower) {
    answerTokens.add(generation.textTokens().length);
    if (first) {
      promptTokens.add(generation.promptTokens());
      prefill.add(generation.timings().prefill());
      if (!tower.isZero()) {
        vision.add(tower);
      }
    }
  }

  void cache(boolean hit) {
    (hit ? hits : misses).increment();
  }

  /** So many tokens of a prompt were taken over from another one's first pass. */
  void shared(int tokens) {
    sharedTokens.add(tokens);
  }

  /** Whether the features of a picture were there. */
  void features(boolean hit) {
    (hit ? seen : unseen).increment();
  }

  /** A client left before its answer was there. */
  void gone() {
    gone.increment();
  }

  private static void head(StringBuilder out, String name, String help, String type) {
    out.append("# HELP ").append(name).append(' ').append(help).append("\n# TYPE ").append(name).append(' ').append(type).append('\n');
  }

  private static void one(StringBuilder out, String name, String help, String type, long value) {
    head(out, name, help, type);
    out.append(name).append(' ').append(value).append('\n');
  }

  String text(Lanes lanes, PrefillCache cache, FeatureCache features, BatchedSteps shared) {
    StringBuilder out = new StringBuilder();
    head(out, "dimple_requests_total", "Requests by path and status.", "counter");
    requests.forEach((labels, count) -> out.append("dimple_requests_total{").append(labels).append("} ").append(count.sum()).append('\n'));
    one(out, "dimple_requests_cancelled_total", "Requests whose client left before the answer.", "counter", gone.sum());
    one(out, "dimple_requests_running", "Requests that are worked on.", "gauge", lanes.running());
    one(out, "dimple_requests_waiting", "Requests in the queue.", "gauge", lanes.waiting());
    one(out, "dimple_iterations_total", "Iterations of all decodings.", "counter", iterations.sum());
    one(out, "dimple_shared_passes_total", "Passes over the layers that ran iterations of several requests, or of one.", "counter",
        shared.passes());
    one(out, "dimple_shared_session_passes_total", "Passes that the sessions would have run one by one for the same.", "counter",
        shared.sessionPasses());
    head(out, "dimple_tokens_total", "Tokens of prompts that were prefilled, image tokens included, and of answers.", "counter");
    out.append("dimple_tokens_total{kind=\"prompt\"} ").append(promptTokens.sum()).append('\n');
    out.append("dimple_tokens_total{kind=\"answer\"} ").append(answerTokens.sum()).append('\n');
    head(out, "dimple_prefill_cache_total", "Questions whose first pass was there already, or was not.", "counter");
    out.append("dimple_prefill_cache_total{result=\"hit\"} ").append(hits.sum()).append('\n');
    out.append("dimple_prefill_cache_total{result=\"miss\"} ").append(misses.sum()).append('\n');
    one(out, "dimple_prefill_shared_tokens_total", "Tokens of prompts that another prompt's first pass had computed.", "counter", sharedTokens.sum());
    one(out, "dimple_prefill_cache_bytes", "Memory of the sessions that are kept.", "gauge", cache.bytes());
    one(out, "dimple_prefill_cache_sessions", "Sessions that are kept.", "gauge", cache.sessions());
    head(out, "dimple_feature_cache_total", "Pictures whose features were there already, or were not.", "counter");
    out.append("dimple_feature_cache_total{result=\"hit\"} ").append(seen.sum()).append('\n');
    out.append("dimple_feature_cache_total{result=\"miss\"} ").append(unseen.sum()).append('\n');
    one(out, "dimple_feature_cache_bytes", "Memory of the features that are kept.", "gauge", features.bytes());
    answers.write(out, "dimple_answer_seconds", "Time from a request's last byte to the last of its answer.");
    vision.write(out, "dimple_vision_seconds", "Time of the vision tower for a request's pictures.");
    prefill.write(out, "dimple_prefill_seconds", "Time of the first pass.");
    step.write(out, "dimple_step_seconds", "Time of an iteration, the first one with the first pass.");
    return out.toString();
  }
}
