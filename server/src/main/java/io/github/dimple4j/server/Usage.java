package io.github.dimple4j.server;

import io.github.dimple4j.Generation;
import java.time.Duration;
import tools.jackson.databind.node.ObjectNode;

/** What an answer took: OpenAI's counts, and under {@code diffusion} iterations, passes and times. */
final class Usage {
  private final Service service;
  private long tokens;
  private long thoughts;
  private long iterations;
  private long passes;
  private Duration vision = Duration.ZERO;
  private Duration prefill = Duration.ZERO;
  private Duration steps = Duration.ZERO;

  Usage(Service service) {
    this.service = service;
  }

  void add(AnswerTask.Choice choice) {
    Generation generation = choice.generation();
    tokens += generation.textTokens().length;
    String thinking = generation.thinking();
    thoughts += thinking.isEmpty() ? 0 : service.model().tokenizer().encode(thinking).length;
    iterations += generation.iterations();
    passes += generation.forwardPasses();
    steps = steps.plus(generation.timings().steps());
    if (choice.first()) {
      vision = choice.vision();
      prefill = generation.timings().prefill();
    }
  }

  ObjectNode toJson(AnswerTask.Done done) {
    ObjectNode usage = Json.object();
    usage.put("prompt_tokens", done.prompt().length);
    usage.put("completion_tokens", tokens);
    usage.put("total_tokens", done.prompt().length + tokens);
    ObjectNode prompt = usage.putObject("prompt_tokens_details");
    prompt.put("cached_tokens", done.cached());
    prompt.put("audio_tokens", 0);
    prompt.put("image_tokens", service.imageTokens(done.prompt()));
    ObjectNode completion = usage.putObject("completion_tokens_details");
    completion.put("reasoning_tokens", thoughts);
    completion.put("audio_tokens", 0);
    ObjectNode diffusion = usage.putObject("diffusion");
    diffusion.put("iterations", iterations);
    diffusion.put("forward_passes", passes);
    diffusion.put("vision_ms", milliseconds(vision));
    diffusion.put("prefill_ms", milliseconds(prefill));
    diffusion.put("steps_ms", milliseconds(steps));
    return usage;
  }

  /** With microseconds. */
  static double milliseconds(Duration time) {
    return Math.round(time.toNanos() / 1e3) / 1e3;
  }
}
