package io.github.dimple4j.server;

import io.github.dimple4j.Algorithm;
import io.github.dimple4j.BlockCache;
import io.github.dimple4j.Decoding;
import io.github.dimple4j.DimpleModel;
import io.github.dimple4j.InvalidArgumentException;
import io.github.dimple4j.Pipeline;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The settings of a request: OpenAI's own, and those of the extension {@code diffusion}. The defaults are those of {@code dimple run}. */
final class DecodingFields {
  private static final double MOST = Float.MAX_VALUE;
  private static final double MOST_BIAS = 100; // OpenAI's

  /** How the core begins a message about a setting. */
  private static final Pattern SETTING = Pattern.compile("decoding: (?<name>\\w+)( .*)");

  /** Settings that have a field of OpenAI's. */
  private static final Map<String, String> OPENAI = Map.of("temperature", "temperature", "top_p", "top_p", "seed", "seed", "stop", "stop");

  private final Fields request;
  private final Optional<Fields> diffusion;
  private final Decoding usual; // the file's, whose sampler's settings are the defaults of its pipeline
  private final Pipeline pipeline;
  private final int vocabSize;
  private final int mostTokens; // of an answer

  DecodingFields(Fields request, DimpleModel model, int mostTokens) {
    this.mostTokens = mostTokens;
    this.request = request;
    this.diffusion = request.object("diffusion");
    this.vocabSize = model.info().vocabSize();
    this.usual = model.decoding();
    this.pipeline = named("pipeline", Pipeline::of).orElseGet(usual::pipeline);
  }

  Optional<Fields> diffusion() {
    return diffusion;
  }

  private <T> Optional<T> named(String name, Function<String, T> type) {
    return diffusion.flatMap(fields -> fields.string(name).map(label -> {
      try {
        return type.apply(label);
      } catch (InvalidArgumentException e) {
        throw fields.wrong(name, e.getMessage());
      }
    }));
  }

  /** How it is decoded. */
  Decoding decoding() {
    Algorithm algorithm = named("algorithm", Algorithm::of).orElse(pipeline.usualAlgorithm());
    boolean bySampler = pipeline == usual.pipeline() && (pipeline == Pipeline.DIFFUSION_GEMMA || pipeline == Pipeline.SDAR);
    Decoding.Builder builder = (bySampler ? usual.toBuilder() : Decoding.builder()).pipeline(pipeline).algorithm(algorithm)
        .threshold(pipeline.usualThreshold(algorithm)).editingThreshold(pipeline.usualEditingThreshold());
    request.number("temperature", 0, MOST).ifPresent(value -> builder.temperature((float) value));
    request.number("top_p", 0, 1).ifPresent(value -> builder.topP((float) value));
    request.whole("seed", Long.MIN_VALUE, Long.MAX_VALUE).ifPresent(builder::seed);
    builder.stop(stops());
    builder.logitBias(bias());
    diffusion.ifPresent(fields -> {
      fields.number("threshold", -MOST, MOST).ifPresent(value -> builder.threshold((float) value));
      fields.whole("steps", Integer.MIN_VALUE, Integer.MAX_VALUE).ifPresent(value -> builder.steps((int) value));
      fields.whole("top_k", Integer.MIN_VALUE, Integer.MAX_VALUE).ifPresent(value -> builder.topK((int) value));
      fields.whole("block_length", Integer.MIN_VALUE, Integer.MAX_VALUE).ifPresent(value -> builder.blockLength((int) value));
      fields.number("factor", -MOST, MOST).ifPresent(value -> builder.factor((float) value));
      fields.number("guidance_scale", -MOST, MOST).ifPresent(value -> builder.guidanceScale((float) value));
      fields.number("algorithm_temperature", -MOST, MOST).ifPresent(value -> builder.algorithmTemperature((float) value));
      fields.whole("sub_block_length", Integer.MIN_VALUE, Integer.MAX_VALUE).ifPresent(value -> builder.subBlockLength((int) value));
      builder.blockCache(fields.flag("block_cache", false));
      fields.number("eos_penalty", -MOST, MOST).ifPresent(value -> builder.eosPenalty((float) value));
      fields.whole("grow_to", 0, mostTokens).ifPresent(value -> builder.growTo((int) value));
      fields.whole("expand_budget", -1, Integer.MAX_VALUE).ifPresent(value -> builder.expandBudget((int) value));
      fields.whole("number_transfer_tokens", 1, Integer.MAX_VALUE).ifPresent(value -> builder.numberTransferTokens((int) value));
      builder.padDeleteToRight(fields.flag("pad_delete_to_right", false));
      fields.whole("tail_repeats", 0, Integer.MAX_VALUE).ifPresent(value -> builder.tailRepeats((int) value));
      fields.number("schedule_shift", -MOST, MOST).ifPresent(value -> builder.scheduleShift((float) value));
      fields.number("editing_threshold", -MOST, MOST).ifPresent(value -> builder.editingThreshold((float) value));
      named("cache", BlockCache::of).ifPresent(builder::cache);
    });
    try {
      return builder.build();
    } catch (InvalidArgumentException e) {
      throw named(e.getMessage());
    }
  }

  /** Ids of tokens as names of fields, as JSON has it. */
  private Map<Integer, Float> bias() {
    Map<Integer, Float> bias = new HashMap<>();
    request.object("logit_bias").ifPresent(fields -> fields.node().propertyNames().forEach(name -> {
      if (!name.matches("0|[1-9]\\d{0,8}") || Integer.parseInt(name) >= vocabSize) {
        throw fields.wrong(name, "is no token id, expected 0 to " + (vocabSize - 1));
      }
      fields.number(name, -MOST_BIAS, MOST_BIAS).ifPresent(value -> bias.put(Integer.parseInt(name), (float) value));
    }));
    return bias;
  }

  private String[] stops() {
    String[] stops = request.strings("stop").toArray(String[]::new);
    if (stops.length > 16) {
      throw request.wrong("stop", "has " + stops.length + " texts, expected at most 16");
    }
    for (String stop : stops) {
      if (stop.isEmpty()) {
        throw request.wrong("stop", "has an empty text");
      }
    }
    return stops;
  }

  /** The core's message with the name of the field. */
  private ApiException named(String message) {
    Matcher found = SETTING.matcher(message);
    if (!found.matches()) {
      return ApiException.field("diffusion", message);
    }
    String name = found.group("name");
    String field = OPENAI.getOrDefault(name, "diffusion." + name);
    return ApiException.field(field, field + found.group(2));
  }

  boolean prefill() {
    return diffusion.map(fields -> fields.flag("prefill", true)).orElse(true);
  }

  OptionalInt canvasLength() {
    return diffusion.map(fields -> fields.whole("canvas_length", 1, Integer.MAX_VALUE)).filter(length -> length.isPresent())
        .map(length -> OptionalInt.of((int) length.getAsLong())).orElse(OptionalInt.empty());
  }
}
