package io.github.dimple4j;

import io.github.dimple4j.core.Core;
import java.time.Duration;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Collectors;

/**
 * How to decode. Immutable and thread-safe; made by a {@link Builder}, whose values the core checks by the rules that it decodes by.
 *
 * <p>In every iteration each masked position gets a candidate token and a confidence in it. Pipeline {@link Pipeline#DIM} reveals
 * every position above {@link #threshold()}; if there is none, or the threshold is 0, {@link #algorithm()} chooses as many
 * positions as the schedule of {@link #steps()} noise levels asks for (paper section 4.1). Pipeline {@link Pipeline#LLADA} fills the
 * response block after block.
 */
public final class Decoding {
  /** By the core's names (dimple_decoding), in its order; "steps" is missing while it follows the response. */
  private final Map<String, Number> settings;

  private final Core core; // which checked them, and checks what is made of them
  private final Ending ending;
  private final SortedMap<Integer, Float> logitBias;

  private Decoding(Core core, Map<String, Number> settings, Ending ending, SortedMap<Integer, Float> logitBias) {
    this.core = core;
    this.settings = Collections.unmodifiableMap(settings);
    this.ending = ending;
    this.logitBias = Collections.unmodifiableSortedMap(logitBias);
  }

  /**
   * The paper's confident decoding: pipeline {@link Pipeline#DIM}, {@link Algorithm#MASKGIT_PLUS}, threshold 0.95 on the model's own
   * probabilities, temperature 0, no filters, epsilon 0.001, seed 0.
   *
   * @return the defaults
   * @throws LibraryException if the native library is not found
   */
  public static Decoding defaults() {
    return builder().build();
  }

  /**
   * Starts from the {@linkplain #defaults defaults}.
   *
   * @return a builder
   * @throws LibraryException if the native library is not found
   */
  public static Builder builder() {
    return builder(Engine.call(Core::instance));
  }

  /** Starts from a core's defaults. */
  static Builder builder(Core core) {
    Map<String, Number> defaults = Engine.call(core::decodingDefaults);
    defaults.remove("steps");
    return new Builder(core, defaults, Ending.DEFAULT, new TreeMap<>());
  }

  /**
   * Starts from these settings.
   *
   * @return a builder
   */
  public Builder toBuilder() {
    return new Builder(core, new LinkedHashMap<>(settings), ending, logitBias);
  }

  /**
   * The loop around the iterations.
   *
   * @return the pipeline
   */
  public Pipeline pipeline() {
    return Pipeline.values()[settings.get("pipeline").intValue()];
  }

  /**
   * Which positions are revealed, and what their confidence is.
   *
   * @return the algorithm
   */
  public Algorithm algorithm() {
    return Algorithm.values()[settings.get("algorithm").intValue()];
  }

  /**
   * Iterations of the schedule; of a pipeline that decodes in blocks, over all of them.
   *
   * @return 1 to 1048576; empty: as many as the response has positions
   */
  public OptionalInt steps() {
    Number steps = settings.get("steps");
    return steps == null ? OptionalInt.empty() : OptionalInt.of(steps.intValue());
  }

  /**
   * How many of the most likely tokens are kept.
   *
   * @return at least 1, or 0: all
   */
  public int topK() {
    return settings.get("top_k").intValue();
  }

  /**
   * Which probabilities the confidence is taken from. Pipeline {@link Pipeline#DREAM} always takes those after temperature and filters.
   *
   * @return true: the model's own; false: those after temperature and filters
   */
  public boolean originalConfidence() {
    return settings.get("original_confidence").intValue() != 0;
  }

  /**
   * Among which tokens confidence is taken where the response is held to an automaton ({@link SessionBuilder#response(
   * io.github.dimple4j.structure.ByteAutomaton)}): see docs/structure.md.
   *
   * @return true (the default): among those that can stand at the position; false: among all
   */
  public boolean allowedConfidence() {
    return settings.get("allowed_confidence").intValue() != 0;
  }

  /**
   * Confidence above which pipeline {@link Pipeline#DIM} reveals a position; {@link Pipeline#LLADA} those that have at least it, and the
   * best one.
   *
   * @return finite, not negative; 0: off
   */
  public float threshold() {
    return settings.get("threshold").floatValue();
  }

  /**
   * How tokens are taken.
   *
   * @return 0: the most likely one; at least 1e-6: a draw from softmax(logits / temperature)
   */
  public float temperature() {
    return settings.get("temperature").floatValue();
  }

  /**
   * Until which probability mass the most likely tokens are kept.
   *
   * @return 0 to 1; 1: all
   */
  public float topP() {
    return settings.get("top_p").floatValue();
  }

  /**
   * How positions are taken.
   *
   * @return 0: the most confident ones; above: drawn from softmax(confidence / this)
   */
  public float algorithmTemperature() {
    return settings.get("algorithm_temperature").floatValue();
  }

  /**
   * The last noise level of the schedule.
   *
   * @return between 0 and 1, exclusive
   */
  public float epsilon() {
    return settings.get("epsilon").floatValue();
  }

  /**
   * The seed of the random draws. A draw depends on seed, iteration and position only, so that equal settings give equal results
   * whatever the number of threads.
   *
   * @return all 64 bits count
   */
  public long seed() {
    return settings.get("seed").longValue();
  }

  /**
   * How many positions are decoded before the next ones are begun. {@link Pipeline#LLADA} always decodes in blocks,
   * {@link Pipeline#DREAM} with a {@link #cache}.
   *
   * @return at least 1 (the last block may be shorter), or 0: what the file says, and the whole response if it says nothing
   */
  public int blockLength() {
    return settings.get("block_length").intValue();
  }

  /**
   * What is kept of the keys and values of the pass over everything that opens a block.
   *
   * @return the cache
   */
  public BlockCache cache() {
    return BlockCache.values()[settings.get("cache").intValue()];
  }

  /**
   * What happens where the authors' code of a pipeline that decodes in blocks runs idle or leaves positions masked.
   *
   * @return true: idle iterations are left out, and further ones reveal what is left; false: as the authors' code
   */
  public boolean complete() {
    return settings.get("complete").intValue() != 0;
  }

  /**
   * Whether {@link Pipeline#LLADA} never takes the end-of-text token.
   *
   * @return true: never
   */
  public boolean noEosLogits() {
    return settings.get("no_eos_logits").intValue() != 0;
  }

  /**
   * Whether the tokens that end the text or the turn have no share in the confidences of {@link Pipeline#LLADA}, so that they are revealed
   * last.
   *
   * @return true: they have none
   */
  public boolean noEosConfidence() {
    return settings.get("no_eos_confidence").intValue() != 0;
  }

  /**
   * How sure {@link Pipeline#LLADA} has to be of several positions at a time: the n best are revealed if the n-th has a confidence of at least
   * 1 - factor / (n + 1). Comes before {@link #threshold}.
   *
   * @return finite, not negative; 0: off
   */
  public float factor() {
    return settings.get("factor").floatValue();
  }

  /**
   * How far {@link Pipeline#LLADA} moves away from what the model would say without the prompt: logits are u + (scale + 1) (c - u), where u
   * are those without. Takes a second pass in every iteration.
   *
   * @return finite, not negative; 0: off
   */
  public float guidanceScale() {
    return settings.get("guidance_scale").floatValue();
  }

  /**
   * Whether the decoding ends as soon as its text is complete: when every position before the first end of text (with a {@link Template}: in
   * every slot) is revealed. What comes behind does not change {@link Generation#text()}, but takes iterations.
   *
   * @return true unless it was switched off; with {@link Algorithm#WINO} and {@link Algorithm#TOKEN_EDITING}, which may
   *     take back what they have revealed, only if it was switched on
   */
  public boolean earlyStop() {
    return ending.early().orElse(!algorithm().revises());
  }

  /**
   * Texts that end the text (with a {@link Template}: a slot) where they first stand in it, as an end-of-text token does.
   *
   * @return unmodifiable
   */
  public List<String> stop() {
    return ending.stops();
  }

  /**
   * How many iterations there are at most, whatever the schedule asks for. Positions may be left masked then.
   *
   * @return at least 1; empty: no limit
   */
  public OptionalInt iterationBudget() {
    return ending.iterations();
  }

  /**
   * How long a decoding goes on: when so much time has passed since it began, no further iteration begins. Positions may be left masked then.
   *
   * @return above 0; empty: no limit
   */
  public Optional<Duration> timeBudget() {
    return ending.time();
  }

  /**
   * Whether positions behind an end-of-text token are no longer computed while others before it are still masked. That saves the rows of a
   * long response, and changes what the model says of the others a little: they see what stands behind as it was.
   *
   * @return false unless it was switched on
   */
  public boolean prune() {
    return ending.pruned();
  }

  /**
   * What is added to the logits of tokens at all positions in every iteration, before temperature and filters: to favour tokens, to disfavour
   * them, or, with {@link Float#NEGATIVE_INFINITY}, to ban them. A structure comes first: a banned token stands where no other can.
   *
   * @return by token id, ascending; unmodifiable
   */
  public SortedMap<Integer, Float> logitBias() {
    return logitBias;
  }

  Ending ending() {
    return ending;
  }

  /**
   * Whether the mask token has no share in the probabilities of {@link Pipeline#LLADA}, where it is never a candidate in any case.
   *
   * @return true: it has none
   */
  public boolean noMaskLogits() {
    return settings.get("no_mask_logits").intValue() != 0;
  }

  /**
   * What {@link Algorithm#ENTROPY_BOUND} ranks positions by.
   *
   * @return the order
   */
  public BoundOrder order() {
    return BoundOrder.values()[settings.get("order").intValue()];
  }

  /**
   * How much entropy {@link Algorithm#ENTROPY_BOUND} reveals at a time, beside the largest.
   *
   * @return nats; finite, not negative
   */
  public float gamma() {
    return settings.get("gamma").floatValue();
  }

  /**
   * How little the distribution of a position that {@link Algorithm#KLASS} calls ready has changed from one iteration to the next.
   *
   * @return nats of Kullback-Leibler divergence; finite, not negative
   */
  public float klThreshold() {
    return settings.get("kl_threshold").floatValue();
  }

  /**
   * How many times in a row {@link #klThreshold} has to be kept.
   *
   * @return 1 to 64
   */
  public int klHistory() {
    return settings.get("kl_history").intValue();
  }

  /**
   * Which of the positions that are ready {@link Algorithm#KLASS} reveals.
   *
   * @return which
   */
  public Unmask unmask() {
    return Unmask.values()[settings.get("unmask").intValue()];
  }

  /**
   * How much credits raise the logits of {@link Algorithm#CREDIT}.
   *
   * @return finite, not negative
   */
  public float creditAlpha() {
    return settings.get("credit_alpha").floatValue();
  }

  /**
   * What {@link Algorithm#CREDIT} gives the best token of a position: its probability to this power.
   *
   * @return finite, not negative
   */
  public float boostGamma() {
    return settings.get("boost_gamma").floatValue();
  }

  /**
   * What is left of a credit of {@link Algorithm#CREDIT} an iteration later.
   *
   * @return 0 to 1
   */
  public float decayBeta() {
    return settings.get("decay_beta").floatValue();
  }

  /**
   * Confidence above which {@link Algorithm#HIERARCHY} reveals the best position of a run of masks.
   *
   * @return 0 to 1; 0: always
   */
  public float lowThreshold() {
    return settings.get("low_threshold").floatValue();
  }

  /**
   * How many tokens {@link Algorithm#CREDIT} and {@link Algorithm#HIERARCHY} expect of an iteration, where they are not {@link #complete}.
   *
   * @return at least 1
   */
  public int expectedTpf() {
    return settings.get("expected_tpf").intValue();
  }

  /**
   * How many iterations the same run at most before they look whether the block is full.
   *
   * @return at least 1
   */
  public int maximumUnroll() {
    return settings.get("maximum_unroll").intValue();
  }

  /**
   * The probability below which {@link Algorithm#WINO} masks a revealed token again, the model not seeing it.
   *
   * @return 0 to 1
   */
  public float thresholdBack() {
    return settings.get("threshold_back").floatValue();
  }

  /**
   * {@link Pipeline#FAST_DLLM_V2}: how many positions of a block are filled before the next ones.
   *
   * @return at least 1, a divisor of the block's length; 0: 8, or all of a block whose length is no multiple of 8
   */
  public int subBlockLength() {
    return settings.get("sub_block_length").intValue();
  }

  /**
   * {@link Pipeline#FAST_DLLM_V2}: whether passes run a sub-block alone where they can, beside what the block's latest whole pass left. Faster, and an
   * approximation.
   *
   * @return true if they do
   */
  public boolean blockCache() {
    return settings.get("block_cache").intValue() != 0;
  }

  /**
   * {@link Pipeline#FAST_DLLM_V2}: whether a block that holds the end of the text is filled to its end, as its authors evaluate; otherwise the decoding is
   * over as soon as nothing before the end is masked.
   *
   * @return true if it is
   */
  public boolean fillLastBlock() {
    return settings.get("fill_last_block").intValue() != 0;
  }

  /**
   * {@link Algorithm#TOKEN_EDITING}: above which probability another token takes the place of one that is revealed.
   *
   * @return 0 to 1
   */
  public float editingThreshold() {
    return settings.get("editing_threshold").floatValue();
  }

  /**
   * {@link Algorithm#TOKEN_EDITING}: how many passes run at most over a block that is full.
   *
   * @return at least 0
   */
  public int maxPostSteps() {
    return settings.get("max_post_steps").intValue();
  }

  /**
   * {@link Algorithm#TOKEN_EDITING}: how many masks a pass reveals at least.
   *
   * @return at least 1
   */
  public int numToTransfer() {
    return settings.get("num_to_transfer").intValue();
  }

  /**
   * {@link Pipeline#LLADA2}: whether the decoding stops at the end of the text as its authors' code does when asked to: with
   * {@link Algorithm#LOW_CONFIDENCE_DYNAMIC} within a block, with {@link Algorithm#TOKEN_EDITING} behind it.
   *
   * @return true if it does
   */
  public boolean eosEarlyStop() {
    return settings.get("eos_early_stop").intValue() != 0;
  }

  /**
   * {@link Pipeline#DIFFUSION_GEMMA}: what logits are divided by towards the end of a canvas: iteration n of {@link #steps}, counted down, divides by
   * t_min + (t_max - t_min) n / steps.
   *
   * @return finite, not negative; with {@link #tMax} 0: 1, and the most likely token is taken instead of a draw
   */
  public float tMin() {
    return settings.get("t_min").floatValue();
  }

  /**
   * {@link Pipeline#DIFFUSION_GEMMA}: what logits are divided by at the beginning of a canvas.
   *
   * @return finite, not negative; see {@link #tMin}
   */
  public float tMax() {
    return settings.get("t_max").floatValue();
  }

  /**
   * {@link Pipeline#DIFFUSION_GEMMA}: for how many iterations a canvas's most likely tokens stay the same before it may be settled.
   *
   * @return 0 to 64
   */
  public int stabilityThreshold() {
    return settings.get("stability_threshold").intValue();
  }

  /**
   * {@link Pipeline#DIFFUSION_GEMMA}: the mean entropy below which a canvas that is stable is settled.
   *
   * @return nats, finite, not negative
   */
  public float confidenceThreshold() {
    return settings.get("confidence_threshold").floatValue();
  }

  /** What the core is given for a response of that many positions. */
  Map<String, Number> settings(int responseLength) {
    Map<String, Number> complete = new LinkedHashMap<>(settings);
    complete.putIfAbsent("steps", pipeline().usualSteps(responseLength));
    return complete;
  }

  /**
   * Compares all settings.
   *
   * @param other anything
   * @return true for equal settings
   */
  @Override
  public boolean equals(Object other) {
    return other instanceof Decoding decoding && settings.equals(decoding.settings) && ending.equals(decoding.ending)
        && logitBias.equals(decoding.logitBias);
  }

  @Override
  public int hashCode() {
    return Objects.hash(settings, ending, logitBias);
  }

  /**
   * The settings by the names that the core gives them, and when it ends, for logs.
   *
   * @return for example {@code "Decoding[pipeline=0, algorithm=3, top_k=0, ..., early_stop=true, stop=[]]"}
   */
  @Override
  public String toString() {
    return settings.entrySet().stream().map(Map.Entry::toString).collect(Collectors.joining(", ", "Decoding[", ", early_stop=" + earlyStop() + ", stop=" + stop() + (prune() ? ", prune=true" : "")
        + ending.iterations().stream().mapToObj(most -> ", iterations<=" + most).collect(Collectors.joining())
        + ending.time().map(most -> ", time<=" + most).orElse("") + (logitBias.isEmpty() ? "" : ", logit_bias=" + logitBias) + "]"));
  }

  /** Collects settings; what is not set is as in {@link Decoding#defaults}. For one thread. */
  public static final class Builder {
    private static final float LARGEST_BIAS = 65_536; // dimple.h

    private final Core core;
    private final Map<String, Number> settings;
    private Ending ending;
    private SortedMap<Integer, Float> logitBias;

    private Builder(Core core, Map<String, Number> settings, Ending ending, SortedMap<Integer, Float> logitBias) {
      this.core = core;
      this.settings = settings;
      this.ending = ending;
      this.logitBias = logitBias;
    }

    private Builder set(String name, Number value) {
      settings.put(name, value);
      return this;
    }

    /**
     * Sets the pipeline.
     *
     * @param pipeline see {@link Decoding#pipeline()}
     * @return this
     */
    public Builder pipeline(Pipeline pipeline) {
      return set("pipeline", Objects.requireNonNull(pipeline, "pipeline").ordinal());
    }

    /**
     * Sets the algorithm.
     *
     * @param algorithm see {@link Decoding#algorithm()}
     * @return this
     */
    public Builder algorithm(Algorithm algorithm) {
      return set("algorithm", Objects.requireNonNull(algorithm, "algorithm").ordinal());
    }

    /**
     * Sets the number of iterations of the schedule.
     *
     * @param steps see {@link Decoding#steps()}
     * @return this
     */
    public Builder steps(int steps) {
      return set("steps", steps);
    }

    /**
     * Sets how many tokens to draw from.
     *
     * @param topK see {@link Decoding#topK()}
     * @return this
     */
    public Builder topK(int topK) {
      return set("top_k", topK);
    }

    /**
     * Sets where confidence is taken from.
     *
     * @param originalConfidence see {@link Decoding#originalConfidence()}
     * @return this
     */
    public Builder originalConfidence(boolean originalConfidence) {
      return set("original_confidence", originalConfidence ? 1 : 0);
    }

    /**
     * Sets among which tokens confidence is taken under an automaton.
     *
     * @param allowedConfidence see {@link Decoding#allowedConfidence()}
     * @return this
     */
    public Builder allowedConfidence(boolean allowedConfidence) {
      return set("allowed_confidence", allowedConfidence ? 1 : 0);
    }

    /**
     * Sets the threshold.
     *
     * @param threshold see {@link Decoding#threshold()}
     * @return this
     */
    public Builder threshold(float threshold) {
      return set("threshold", threshold);
    }

    /**
     * Sets the temperature.
     *
     * @param temperature see {@link Decoding#temperature()}
     * @return this
     */
    public Builder temperature(float temperature) {
      return set("temperature", temperature);
    }

    /**
     * Sets the probability mass to draw from.
     *
     * @param topP see {@link Decoding#topP()}
     * @return this
     */
    public Builder topP(float topP) {
      return set("top_p", topP);
    }

    /**
     * Sets the temperature of the choice of positions.
     *
     * @param algorithmTemperature see {@link Decoding#algorithmTemperature()}
     * @return this
     */
    public Builder algorithmTemperature(float algorithmTemperature) {
      return set("algorithm_temperature", algorithmTemperature);
    }

    /**
     * Sets the last noise level.
     *
     * @param epsilon see {@link Decoding#epsilon()}
     * @return this
     */
    public Builder epsilon(float epsilon) {
      return set("epsilon", epsilon);
    }

    /**
     * Sets the seed.
     *
     * @param seed see {@link Decoding#seed()}
     * @return this
     */
    public Builder seed(long seed) {
      return set("seed", seed);
    }

    /**
     * Sets the length of a block.
     *
     * @param blockLength see {@link Decoding#blockLength()}
     * @return this
     */
    public Builder blockLength(int blockLength) {
      return set("block_length", blockLength);
    }

    /**
     * Sets what is kept while a block is decoded.
     *
     * @param cache see {@link Decoding#cache()}
     * @return this
     */
    public Builder cache(BlockCache cache) {
      return set("cache", Objects.requireNonNull(cache, "cache").ordinal());
    }

    /**
     * Sets what happens where the authors' code runs idle or leaves positions masked.
     *
     * @param complete see {@link Decoding#complete()}
     * @return this
     */
    public Builder complete(boolean complete) {
      return set("complete", complete ? 1 : 0);
    }

    /**
     * Sets whether the end-of-text token is forbidden.
     *
     * @param noEosLogits see {@link Decoding#noEosLogits()}
     * @return this
     */
    public Builder noEosLogits(boolean noEosLogits) {
      return set("no_eos_logits", noEosLogits ? 1 : 0);
    }

    /**
     * Sets whether tokens that end the text or the turn are revealed last.
     *
     * @param noEosConfidence see {@link Decoding#noEosConfidence()}
     * @return this
     */
    public Builder noEosConfidence(boolean noEosConfidence) {
      return set("no_eos_confidence", noEosConfidence ? 1 : 0);
    }

    /**
     * Sets the factor.
     *
     * @param factor see {@link Decoding#factor()}
     * @return this
     */
    public Builder factor(float factor) {
      return set("factor", factor);
    }

    /**
     * Sets the scale of classifier-free guidance.
     *
     * @param guidanceScale see {@link Decoding#guidanceScale()}
     * @return this
     */
    public Builder guidanceScale(float guidanceScale) {
      return set("guidance_scale", guidanceScale);
    }

    /**
     * Chooses whether the decoding ends as soon as its text is complete.
     *
     * @param earlyStop see {@link Decoding#earlyStop()}
     * @return this
     */
    public Builder earlyStop(boolean earlyStop) {
      ending = ending.withEarly(earlyStop);
      return this;
    }

    /**
     * Sets the texts that end the text. Needs a tokenizer.
     *
     * @param texts see {@link Decoding#stop()}
     * @return this
     * @throws InvalidArgumentException if one is empty, or has half of a surrogate pair
     */
    public Builder stop(String... texts) {
      ending = ending.withStops(Elements.of(texts, "texts"));
      return this;
    }

    /**
     * Chooses whether positions behind an end of text are no longer computed. Not with {@link Pipeline#LLADA} or a {@link BlockCache}; under
     * a constraint it does nothing.
     *
     * @param prune see {@link Decoding#prune()}
     * @return this
     */
    public Builder prune(boolean prune) {
      ending = ending.withPruned(prune);
      return this;
    }

    /**
     * Favours, disfavours or bans tokens, in the place of what was set before.
     *
     * @param bias see {@link Decoding#logitBias()}
     * @return this
     * @throws InvalidArgumentException if a token id is negative, or a value is not from -65536 to 65536 and not negative infinity. Ids that the
     *     model has not are refused by the session
     */
    public Builder logitBias(Map<Integer, Float> bias) {
      Objects.requireNonNull(bias, "bias").forEach((token, value) -> {
        if (token < 0) {
          throw new InvalidArgumentException("a bias for token " + token + ", expected an id of at least 0");
        }
        if (!(Math.abs(value) <= LARGEST_BIAS) && value != Float.NEGATIVE_INFINITY) {
          throw new InvalidArgumentException("a bias of " + value + " for token " + token + ", expected -65536 to 65536, or negative infinity");
        }
      });
      logitBias = new TreeMap<>(bias);
      return this;
    }

    /**
     * Limits the iterations.
     *
     * @param iterations see {@link Decoding#iterationBudget()}
     * @return this
     * @throws InvalidArgumentException if it is less than 1
     */
    public Builder iterationBudget(int iterations) {
      ending = ending.withIterations(iterations);
      return this;
    }

    /**
     * Limits the time. It is looked at between iterations, so that a decoding may take an iteration (the first one with the prefill) longer.
     *
     * @param time see {@link Decoding#timeBudget()}
     * @return this
     * @throws InvalidArgumentException if it is not above 0
     */
    public Builder timeBudget(Duration time) {
      Objects.requireNonNull(time, "time");
      ending = ending.withTime(time);
      return this;
    }

    /**
     * Sets whether the mask token has no share in probabilities.
     *
     * @param noMaskLogits see {@link Decoding#noMaskLogits()}
     * @return this
     */
    public Builder noMaskLogits(boolean noMaskLogits) {
      return set("no_mask_logits", noMaskLogits ? 1 : 0);
    }

    /**
     * Sets what {@link Algorithm#ENTROPY_BOUND} ranks positions by.
     *
     * @param order see {@link Decoding#order()}
     * @return this
     */
    public Builder order(BoundOrder order) {
      return set("order", Objects.requireNonNull(order, "order").ordinal());
    }

    /**
     * Sets the bound of {@link Algorithm#ENTROPY_BOUND}.
     *
     * @param gamma see {@link Decoding#gamma()}
     * @return this
     */
    public Builder gamma(float gamma) {
      return set("gamma", gamma);
    }

    /**
     * Sets the threshold of {@link Algorithm#KLASS} for changes.
     *
     * @param klThreshold see {@link Decoding#klThreshold()}
     * @return this
     */
    public Builder klThreshold(float klThreshold) {
      return set("kl_threshold", klThreshold);
    }

    /**
     * Sets how many times in a row {@link Decoding#klThreshold} has to be kept.
     *
     * @param klHistory see {@link Decoding#klHistory()}
     * @return this
     */
    public Builder klHistory(int klHistory) {
      return set("kl_history", klHistory);
    }

    /**
     * Sets which ready positions {@link Algorithm#KLASS} reveals.
     *
     * @param unmask see {@link Decoding#unmask()}
     * @return this
     */
    public Builder unmask(Unmask unmask) {
      return set("unmask", Objects.requireNonNull(unmask, "unmask").ordinal());
    }

    /**
     * Sets how much credits raise logits.
     *
     * @param creditAlpha see {@link Decoding#creditAlpha()}
     * @return this
     */
    public Builder creditAlpha(float creditAlpha) {
      return set("credit_alpha", creditAlpha);
    }

    /**
     * Sets the power of a probability that is a credit.
     *
     * @param boostGamma see {@link Decoding#boostGamma()}
     * @return this
     */
    public Builder boostGamma(float boostGamma) {
      return set("boost_gamma", boostGamma);
    }

    /**
     * Sets what is left of a credit an iteration later.
     *
     * @param decayBeta see {@link Decoding#decayBeta()}
     * @return this
     */
    public Builder decayBeta(float decayBeta) {
      return set("decay_beta", decayBeta);
    }

    /**
     * Sets the threshold of runs of masks.
     *
     * @param lowThreshold see {@link Decoding#lowThreshold()}
     * @return this
     */
    public Builder lowThreshold(float lowThreshold) {
      return set("low_threshold", lowThreshold);
    }

    /**
     * Sets how many tokens are expected of an iteration.
     *
     * @param expectedTpf see {@link Decoding#expectedTpf()}
     * @return this
     */
    public Builder expectedTpf(int expectedTpf) {
      return set("expected_tpf", expectedTpf);
    }

    /**
     * Sets how many iterations run before a look at the block.
     *
     * @param maximumUnroll see {@link Decoding#maximumUnroll()}
     * @return this
     */
    public Builder maximumUnroll(int maximumUnroll) {
      return set("maximum_unroll", maximumUnroll);
    }

    /**
     * Sets the probability below which a revealed token is masked again.
     *
     * @param thresholdBack see {@link Decoding#thresholdBack()}
     * @return this
     */
    public Builder thresholdBack(float thresholdBack) {
      return set("threshold_back", thresholdBack);
    }

    /**
     * Sets the length of a sub-block.
     *
     * @param subBlockLength see {@link Decoding#subBlockLength()}
     * @return this
     */
    public Builder subBlockLength(int subBlockLength) {
      return set("sub_block_length", subBlockLength);
    }

    /**
     * Sets whether passes may run a sub-block alone.
     *
     * @param blockCache see {@link Decoding#blockCache()}
     * @return this
     */
    public Builder blockCache(boolean blockCache) {
      return set("block_cache", blockCache ? 1 : 0);
    }

    /**
     * Sets whether the last block is filled behind the end of the text.
     *
     * @param fillLastBlock see {@link Decoding#fillLastBlock()}
     * @return this
     */
    public Builder fillLastBlock(boolean fillLastBlock) {
      return set("fill_last_block", fillLastBlock ? 1 : 0);
    }

    /**
     * Sets the threshold of edits.
     *
     * @param editingThreshold see {@link Decoding#editingThreshold()}
     * @return this
     */
    public Builder editingThreshold(float editingThreshold) {
      return set("editing_threshold", editingThreshold);
    }

    /**
     * Sets the bound of passes over a full block.
     *
     * @param maxPostSteps see {@link Decoding#maxPostSteps()}
     * @return this
     */
    public Builder maxPostSteps(int maxPostSteps) {
      return set("max_post_steps", maxPostSteps);
    }

    /**
     * Sets how much a pass reveals at least.
     *
     * @param numToTransfer see {@link Decoding#numToTransfer()}
     * @return this
     */
    public Builder numToTransfer(int numToTransfer) {
      return set("num_to_transfer", numToTransfer);
    }

    /**
     * Sets whether the decoding stops early as the authors' code can.
     *
     * @param eosEarlyStop see {@link Decoding#eosEarlyStop()}
     * @return this
     */
    public Builder eosEarlyStop(boolean eosEarlyStop) {
      return set("eos_early_stop", eosEarlyStop ? 1 : 0);
    }

    /**
     * Sets what logits are divided by towards the end of a canvas.
     *
     * @param tMin see {@link Decoding#tMin()}
     * @return this
     */
    public Builder tMin(float tMin) {
      return set("t_min", tMin);
    }

    /**
     * Sets what logits are divided by at the beginning of a canvas.
     *
     * @param tMax see {@link Decoding#tMax()}
     * @return this
     */
    public Builder tMax(float tMax) {
      return set("t_max", tMax);
    }

    /**
     * Sets for how many iterations a canvas has to stay the same.
     *
     * @param stabilityThreshold see {@link Decoding#stabilityThreshold()}
     * @return this
     */
    public Builder stabilityThreshold(int stabilityThreshold) {
      return set("stability_threshold", stabilityThreshold);
    }

    /**
     * Sets the mean entropy below which a stable canvas is settled.
     *
     * @param confidenceThreshold see {@link Decoding#confidenceThreshold()}
     * @return this
     */
    public Builder confidenceThreshold(float confidenceThreshold) {
      return set("confidence_threshold", confidenceThreshold);
    }

    /**
     * Has the core check the settings.
     *
     * @return the settings
     * @throws InvalidArgumentException if a value is out of range, or does not go with another; the message names the setting
     */
    public Decoding build() {
      Engine.call(() -> {
        core.validate(settings);
        return null;
      });
      Decoding decoding = new Decoding(core, new LinkedHashMap<>(settings), ending, logitBias);
      if (decoding.prune() && (decoding.pipeline() != Pipeline.DIM && decoding.pipeline() != Pipeline.DREAM || decoding.cache() != BlockCache.MODEL)) {
        throw new InvalidArgumentException("decoding: prune goes with pipelines dim and dream, without a cache of blocks");
      }
      return decoding;
    }

    /**
     * The settings so far, unchecked, for logs.
     *
     * @return names and numbers as the core has them
     */
    @Override
    public String toString() {
      return "Decoding.Builder" + settings;
    }
  }
}
