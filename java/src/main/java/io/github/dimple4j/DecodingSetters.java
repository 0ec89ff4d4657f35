package io.github.dimple4j;

import io.github.dimple4j.arguments.Elements;
import java.time.Duration;
import java.util.Map;
import java.util.Objects;
import java.util.SortedMap;

/** Takes a value for each setting of a {@link Decoding}. */
abstract sealed class DecodingSetters permits Decoding.Builder {
  private static final float LARGEST_BIAS = 65_536; // dimple.h

  /** By the core's names, unchecked. */
  final Map<String, Number> settings;

  Ending ending;
  SortedMap<Integer, Float> logitBias;

  DecodingSetters(Map<String, Number> settings, Ending ending, SortedMap<Integer, Float> logitBias) {
    this.settings = settings;
    this.ending = ending;
    this.logitBias = logitBias;
  }

  private Decoding.Builder builder() {
    return (Decoding.Builder) this;
  }

  private Decoding.Builder set(String name, Number value) {
    settings.put(name, value);
    return builder();
  }

  /**
   * Sets the pipeline.
   *
   * @param pipeline see {@link Decoding#pipeline()}
   * @return this
   */
  public Decoding.Builder pipeline(Pipeline pipeline) {
    return set("pipeline", Objects.requireNonNull(pipeline, "pipeline").ordinal());
  }

  /**
   * Sets the algorithm.
   *
   * @param algorithm see {@link Decoding#algorithm()}
   * @return this
   */
  public Decoding.Builder algorithm(Algorithm algorithm) {
    return set("algorithm", Objects.requireNonNull(algorithm, "algorithm").ordinal());
  }

  /**
   * Sets the number of iterations of the schedule.
   *
   * @param steps see {@link Decoding#steps()}
   * @return this
   */
  public Decoding.Builder steps(int steps) {
    return set("steps", steps);
  }

  /**
   * Sets how many tokens to draw from.
   *
   * @param topK see {@link Decoding#topK()}
   * @return this
   */
  public Decoding.Builder topK(int topK) {
    return set("top_k", topK);
  }

  /**
   * Sets where confidence is taken from.
   *
   * @param originalConfidence see {@link Decoding#originalConfidence()}
   * @return this
   */
  public Decoding.Builder originalConfidence(boolean originalConfidence) {
    return set("original_confidence", originalConfidence ? 1 : 0);
  }

  /**
   * Sets among which tokens confidence is taken under an automaton.
   *
   * @param allowedConfidence see {@link Decoding#allowedConfidence()}
   * @return this
   */
  public Decoding.Builder allowedConfidence(boolean allowedConfidence) {
    return set("allowed_confidence", allowedConfidence ? 1 : 0);
  }

  /**
   * Sets the threshold.
   *
   * @param threshold see {@link Decoding#threshold()}
   * @return this
   */
  public Decoding.Builder threshold(float threshold) {
    return set("threshold", threshold);
  }

  /**
   * Sets the temperature.
   *
   * @param temperature see {@link Decoding#temperature()}
   * @return this
   */
  public Decoding.Builder temperature(float temperature) {
    return set("temperature", temperature);
  }

  /**
   * Sets the probability mass to draw from.
   *
   * @param topP see {@link Decoding#topP()}
   * @return this
   */
  public Decoding.Builder topP(float topP) {
    return set("top_p", topP);
  }

  /**
   * Sets the temperature of the choice of positions.
   *
   * @param algorithmTemperature see {@link Decoding#algorithmTemperature()}
   * @return this
   */
  public Decoding.Builder algorithmTemperature(float algorithmTemperature) {
    return set("algorithm_temperature", algorithmTemperature);
  }

  /**
   * Sets the last noise level.
   *
   * @param epsilon see {@link Decoding#epsilon()}
   * @return this
   */
  public Decoding.Builder epsilon(float epsilon) {
    return set("epsilon", epsilon);
  }

  /**
   * Sets the seed.
   *
   * @param seed see {@link Decoding#seed()}
   * @return this
   */
  public Decoding.Builder seed(long seed) {
    return set("seed", seed);
  }

  /**
   * Sets the length of a block.
   *
   * @param blockLength see {@link Decoding#blockLength()}
   * @return this
   */
  public Decoding.Builder blockLength(int blockLength) {
    return set("block_length", blockLength);
  }

  /**
   * Sets what is kept while a block is decoded.
   *
   * @param cache see {@link Decoding#cache()}
   * @return this
   */
  public Decoding.Builder cache(BlockCache cache) {
    return set("cache", Objects.requireNonNull(cache, "cache").ordinal());
  }

  /**
   * Sets what happens where the authors' code runs idle or leaves positions masked.
   *
   * @param complete see {@link Decoding#complete()}
   * @return this
   */
  public Decoding.Builder complete(boolean complete) {
    return set("complete", complete ? 1 : 0);
  }

  /**
   * Sets whether the end-of-text token is forbidden.
   *
   * @param noEosLogits see {@link Decoding#noEosLogits()}
   * @return this
   */
  public Decoding.Builder noEosLogits(boolean noEosLogits) {
    return set("no_eos_logits", noEosLogits ? 1 : 0);
  }

  /**
   * Sets whether tokens that end the text or the turn are revealed last.
   *
   * @param noEosConfidence see {@link Decoding#noEosConfidence()}
   * @return this
   */
  public Decoding.Builder noEosConfidence(boolean noEosConfidence) {
    return set("no_eos_confidence", noEosConfidence ? 1 : 0);
  }

  /**
   * Sets the factor.
   *
   * @param factor see {@link Decoding#factor()}
   * @return this
   */
  public Decoding.Builder factor(float factor) {
    return set("factor", factor);
  }

  /**
   * Sets the scale of classifier-free guidance.
   *
   * @param guidanceScale see {@link Decoding#guidanceScale()}
   * @return this
   */
  public Decoding.Builder guidanceScale(float guidanceScale) {
    return set("guidance_scale", guidanceScale);
  }

  /**
   * Chooses whether the decoding ends as soon as its text is complete.
   *
   * @param earlyStop see {@link Decoding#earlyStop()}
   * @return this
   */
  public Decoding.Builder earlyStop(boolean earlyStop) {
    ending = ending.withEarly(earlyStop);
    return builder();
  }

  /**
   * Sets the texts that end the text. Needs a tokenizer, and a response without a structure, which a text that is cut off would not fit.
   *
   * @param texts see {@link Decoding#stop()}
   * @return this
   * @throws InvalidArgumentException if one is empty, or has half of a surrogate pair
   */
  public Decoding.Builder stop(String... texts) {
    ending = ending.withStops(Elements.of(texts, "texts"));
    return builder();
  }

  /**
   * Chooses whether positions behind an end of text are no longer computed. Pipelines {@link Pipeline#DIM} and
   * {@link Pipeline#DREAM} alone, without a {@link BlockCache} and without a structure.
   *
   * @param prune see {@link Decoding#prune()}
   * @return this
   */
  public Decoding.Builder prune(boolean prune) {
    ending = ending.withPruned(prune);
    return builder();
  }

  /**
   * Favours, disfavours or bans tokens, in the place of what was set before.
   *
   * @param bias see {@link Decoding#logitBias()}
   * @return this
   * @throws InvalidArgumentException if a token id is negative, or a value is not from -65536 to 65536 and not negative infinity. Ids that the
   *     model has not are refused by the session
   */
  public Decoding.Builder logitBias(Map<Integer, Float> bias) {
    SortedMap<Integer, Float> given = Elements.of(bias, "bias");
    given.forEach((token, value) -> {
      if (token < 0) {
        throw new InvalidArgumentException("a bias for token " + token + ", expected an id of at least 0");
      }
      if (!(Math.abs(value) <= LARGEST_BIAS) && value != Float.NEGATIVE_INFINITY) {
        throw new InvalidArgumentException(
            "a bias of " + value + " for token " + token + ", expected -65536 to 65536, or negative infinity");
      }
    });
    logitBias = given;
    return builder();
  }

  /**
   * Limits the iterations.
   *
   * @param iterations see {@link Decoding#iterationBudget()}
   * @return this
   * @throws InvalidArgumentException if it is less than 1
   */
  public Decoding.Builder iterationBudget(int iterations) {
    ending = ending.withIterations(iterations);
    return builder();
  }

  /**
   * Limits the time. It is looked at between iterations, so that a decoding may take an iteration (the first one with the prefill) longer.
   *
   * @param time see {@link Decoding#timeBudget()}
   * @return this
   * @throws InvalidArgumentException if it is not above 0
   */
  public Decoding.Builder timeBudget(Duration time) {
    Objects.requireNonNull(time, "time");
    ending = ending.withTime(time);
    return builder();
  }

  /**
   * Sets whether the mask token has no share in probabilities.
   *
   * @param noMaskLogits see {@link Decoding#noMaskLogits()}
   * @return this
   */
  public Decoding.Builder noMaskLogits(boolean noMaskLogits) {
    return set("no_mask_logits", noMaskLogits ? 1 : 0);
  }

  /**
   * Sets what {@link Algorithm#ENTROPY_BOUND} ranks positions by.
   *
   * @param order see {@link Decoding#order()}
   * @return this
   */
  public Decoding.Builder order(BoundOrder order) {
    return set("order", Objects.requireNonNull(order, "order").ordinal());
  }

  /**
   * Sets the bound of {@link Algorithm#ENTROPY_BOUND}.
   *
   * @param gamma see {@link Decoding#gamma()}
   * @return this
   */
  public Decoding.Builder gamma(float gamma) {
    return set("gamma", gamma);
  }

  /**
   * Sets the threshold of {@link Algorithm#KLASS} for changes.
   *
   * @param klThreshold see {@link Decoding#klThreshold()}
   * @return this
   */
  public Decoding.Builder klThreshold(float klThreshold) {
    return set("kl_threshold", klThreshold);
  }

  /**
   * Sets how many times in a row {@link Decoding#klThreshold} has to be kept.
   *
   * @param klHistory see {@link Decoding#klHistory()}
   * @return this
   */
  public Decoding.Builder klHistory(int klHistory) {
    return set("kl_history", klHistory);
  }

  /**
   * Sets which ready positions {@link Algorithm#KLASS} reveals.
   *
   * @param unmask see {@link Decoding#unmask()}
   * @return this
   */
  public Decoding.Builder unmask(Unmask unmask) {
    return set("unmask", Objects.requireNonNull(unmask, "unmask").ordinal());
  }

  /**
   * Sets how much credits raise logits.
   *
   * @param creditAlpha see {@link Decoding#creditAlpha()}
   * @return this
   */
  public Decoding.Builder creditAlpha(float creditAlpha) {
    return set("credit_alpha", creditAlpha);
  }

  /**
   * Sets the power of a probability that is a credit.
   *
   * @param boostGamma see {@link Decoding#boostGamma()}
   * @return this
   */
  public Decoding.Builder boostGamma(float boostGamma) {
    return set("boost_gamma", boostGamma);
  }

  /**
   * Sets what is left of a credit an iteration later.
   *
   * @param decayBeta see {@link Decoding#decayBeta()}
   * @return this
   */
  public Decoding.Builder decayBeta(float decayBeta) {
    return set("decay_beta", decayBeta);
  }

  /**
   * Sets the threshold of runs of masks.
   *
   * @param lowThreshold see {@link Decoding#lowThreshold()}
   * @return this
   */
  public Decoding.Builder lowThreshold(float lowThreshold) {
    return set("low_threshold", lowThreshold);
  }

  /**
   * Sets how many tokens are expected of an iteration.
   *
   * @param expectedTpf see {@link Decoding#expectedTpf()}
   * @return this
   */
  public Decoding.Builder expectedTpf(int expectedTpf) {
    return set("expected_tpf", expectedTpf);
  }

  /**
   * Sets how many iterations run before a look at the block.
   *
   * @param maximumUnroll see {@link Decoding#maximumUnroll()}
   * @return this
   */
  public Decoding.Builder maximumUnroll(int maximumUnroll) {
    return set("maximum_unroll", maximumUnroll);
  }

  /**
   * Sets the probability below which a revealed token is masked again.
   *
   * @param thresholdBack see {@link Decoding#thresholdBack()}
   * @return this
   */
  public Decoding.Builder thresholdBack(float thresholdBack) {
    return set("threshold_back", thresholdBack);
  }

  /**
   * Sets the length of a sub-block.
   *
   * @param subBlockLength see {@link Decoding#subBlockLength()}
   * @return this
   */
  public Decoding.Builder subBlockLength(int subBlockLength) {
    return set("sub_block_length", subBlockLength);
  }

  /**
   * Sets whether passes may run a sub-block alone.
   *
   * @param blockCache see {@link Decoding#blockCache()}
   * @return this
   */
  public Decoding.Builder blockCache(boolean blockCache) {
    return set("block_cache", blockCache ? 1 : 0);
  }

  /**
   * Sets whether the last block is filled behind the end of the text.
   *
   * @param fillLastBlock see {@link Decoding#fillLastBlock()}
   * @return this
   */
  public Decoding.Builder fillLastBlock(boolean fillLastBlock) {
    return set("fill_last_block", fillLastBlock ? 1 : 0);
  }

  /**
   * Sets the threshold of edits.
   *
   * @param editingThreshold see {@link Decoding#editingThreshold()}
   * @return this
   */
  public Decoding.Builder editingThreshold(float editingThreshold) {
    return set("editing_threshold", editingThreshold);
  }

  /**
   * Sets the bound of passes over a full block.
   *
   * @param maxPostSteps see {@link Decoding#maxPostSteps()}
   * @return this
   */
  public Decoding.Builder maxPostSteps(int maxPostSteps) {
    return set("max_post_steps", maxPostSteps);
  }

  /**
   * Sets how much a pass reveals at least.
   *
   * @param numToTransfer see {@link Decoding#numToTransfer()}
   * @return this
   */
  public Decoding.Builder numToTransfer(int numToTransfer) {
    return set("num_to_transfer", numToTransfer);
  }

  /**
   * Sets whether the decoding stops early as the authors' code can.
   *
   * @param eosEarlyStop see {@link Decoding#eosEarlyStop()}
   * @return this
   */
  public Decoding.Builder eosEarlyStop(boolean eosEarlyStop) {
    return set("eos_early_stop", eosEarlyStop ? 1 : 0);
  }

  /**
   * Sets what logits are divided by towards the end of a canvas.
   *
   * @param tMin see {@link Decoding#tMin()}
   * @return this
   */
  public Decoding.Builder tMin(float tMin) {
    return set("t_min", tMin);
  }

  /**
   * Sets what logits are divided by at the beginning of a canvas.
   *
   * @param tMax see {@link Decoding#tMax()}
   * @return this
   */
  public Decoding.Builder tMax(float tMax) {
    return set("t_max", tMax);
  }

  /**
   * Sets for how many iterations a canvas has to stay the same.
   *
   * @param stabilityThreshold see {@link Decoding#stabilityThreshold()}
   * @return this
   */
  public Decoding.Builder stabilityThreshold(int stabilityThreshold) {
    return set("stability_threshold", stabilityThreshold);
  }

  /**
   * Sets the mean entropy below which a stable canvas is settled.
   *
   * @param confidenceThreshold see {@link Decoding#confidenceThreshold()}
   * @return this
   */
  public Decoding.Builder confidenceThreshold(float confidenceThreshold) {
    return set("confidence_threshold", confidenceThreshold);
  }

  /**
   * Sets how many positions there may come to be to fill.
   *
   * @param growTo see {@link Decoding#growTo()}
   * @return this
   */
  public Decoding.Builder growTo(int growTo) {
    return set("grow_to", growTo);
  }

  /**
   * Sets how many positions may come in.
   *
   * @param expandBudget see {@link Decoding#expandBudget()}
   * @return this
   */
  public Decoding.Builder expandBudget(int expandBudget) {
    return set("expand_budget", expandBudget);
  }

  /**
   * Sets how many positions an iteration decides.
   *
   * @param numberTransferTokens see {@link Decoding#numberTransferTokens()}
   * @return this
   */
  public Decoding.Builder numberTransferTokens(int numberTransferTokens) {
    return set("number_transfer_tokens", numberTransferTokens);
  }

  /**
   * Sets whether a position that goes out takes along what is masked behind it.
   *
   * @param padDeleteToRight see {@link Decoding#padDeleteToRight()}
   * @return this
   */
  public Decoding.Builder padDeleteToRight(boolean padDeleteToRight) {
    return set("pad_delete_to_right", padDeleteToRight ? 1 : 0);
  }

  /**
   * Sets how much an early end of the text is disfavoured.
   *
   * @param eosPenalty see {@link Decoding#eosPenalty()}
   * @return this
   */
  public Decoding.Builder eosPenalty(float eosPenalty) {
    return set("eos_penalty", eosPenalty);
  }

  /**
   * Sets how often a text's end may repeat itself.
   *
   * @param tailRepeats see {@link Decoding#tailRepeats()}
   * @return this
   */
  public Decoding.Builder tailRepeats(int tailRepeats) {
    return set("tail_repeats", tailRepeats);
  }

  /**
   * Sets how unevenly a block's steps share out its positions.
   *
   * @param scheduleShift see {@link Decoding#scheduleShift()}
   * @return this
   */
  public Decoding.Builder scheduleShift(float scheduleShift) {
    return set("schedule_shift", scheduleShift);
  }
}
