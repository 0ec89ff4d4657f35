package io.github.dimple4j;

import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.SortedMap;

/** What a {@link Decoding} says: a value for each setting. */
abstract sealed class DecodingValues permits Decoding {
  /** By the core's names (dimple_decoding), in its order; "steps" is missing while it follows the response. */
  final Map<String, Number> settings;

  final Ending ending;
  final SortedMap<Integer, Float> logitBias;

  DecodingValues(Map<String, Number> settings, Ending ending, SortedMap<Integer, Float> logitBias) {
    this.settings = Collections.unmodifiableMap(settings);
    this.ending = ending;
    this.logitBias = Collections.unmodifiableSortedMap(logitBias);
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
   * Iterations of the schedule: of {@link Pipeline#SDAR}, {@link Pipeline#LLADA2} and {@link Pipeline#DIFFUSION_GEMMA} those of each block or canvas, of
   * others that decode in blocks those of all of them. {@link Pipeline#FAST_DLLM_V2} and {@link Pipeline#DREAMON} have no schedule.
   *
   * @return 1 to 1048576; empty: {@link Pipeline#usualSteps}
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
   * Which probabilities the confidence is taken from. Pipelines {@link Pipeline#DREAM} and {@link Pipeline#LAVIDA_DREAM} always take those after
   * temperature and filters.
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
   * best one; {@link Pipeline#SDAR}, {@link Pipeline#FAST_DLLM_V2} and {@link Pipeline#LLADA2} those above it, if they are as many as are due.
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
   * How many positions are decoded before the next ones are begun. {@link Pipeline#DIM}, {@link Pipeline#RND1}, {@link Pipeline#DREAMON} and
   * {@link Pipeline#LAVIDA_DREAM} decode the response as a whole, {@link Pipeline#DREAM} without a {@link #cache}; all others decode in blocks.
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
   * What happens where the authors' code runs idle or leaves positions masked, as it does where a random token is the mask, or the steps are too few.
   *
   * @return true: idle iterations are left out, and further ones reveal what is left, but not behind {@link Pipeline#LLADA_V}'s end of turn; false:
   *     as the authors' code
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
   * How far {@link Pipeline#LLADA}, {@link Pipeline#MDLM} and {@link Pipeline#LLADA_V} move away from what the model would say without the prompt:
   * logits are u + (scale + 1) (c - u), where u are those without. Takes a second pass in every iteration.
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

  /**
   * {@link Pipeline#DREAMON}: how many positions there may come to be to fill, those that were given not counted. The session holds memory for as many.
   *
   * @return at least as many as are masked to begin with; 0: just these
   */
  public int growTo() {
    return settings.get("grow_to").intValue();
  }

  /**
   * {@link Pipeline#DREAMON}: how many positions may come in, those counted that go out again.
   *
   * @return at least 0; -1: twice as many as there may come to be from the first masked one on
   */
  public int expandBudget() {
    return settings.get("expand_budget").intValue();
  }

  /**
   * {@link Pipeline#DREAMON}: how many positions an iteration decides.
   *
   * @return at least 1
   */
  public int numberTransferTokens() {
    return settings.get("number_transfer_tokens").intValue();
  }

  /**
   * {@link Pipeline#DREAMON}: whether with a position that goes out all behind it go that were masked before the iteration.
   *
   * @return true: they do; false: it goes alone
   */
  public boolean padDeleteToRight() {
    return settings.get("pad_delete_to_right").intValue() != 0;
  }

  /**
   * {@link Pipeline#DREAM} without a {@linkplain #cache cache}: how much the padding token, by which Dream-VL ends its texts, is disfavoured in early iterations: its logits
   * get this times log(1 - t + {@link #epsilon}), t being the noise level, which falls from 1.
   *
   * @return finite; 0: nothing, below: it is favoured
   */
  public float eosPenalty() {
    return settings.get("eos_penalty").floatValue();
  }

  /**
   * {@link Pipeline#SDAR}: how often a text's end repeats itself before the text is over: behind a block with which the response ends in one run of
   * tokens, of any length, so many times in a row. A response that a template or schema holds ends where that says.
   *
   * @return at least 1, or 0: repetition ends no text
   */
  public int tailRepeats() {
    return settings.get("tail_repeats").intValue();
  }

  /**
   * {@link Pipeline#LAVIDA} and {@link Pipeline#LAVIDA_DREAM}, whose response is one block: what the steps of a block share out unevenly. The last of them, a
   * share t, reveal s t / (1 + (s - 1) t) of its masks, at least a position a step: with s below 1 the first steps reveal most, with s above 1 the last ones.
   *
   * @return s, 0.001 to 1000; 0: each step reveals as many, or of {@link Pipeline#LAVIDA_DREAM} what {@link Pipeline#DREAM}'s does
   */
  public float scheduleShift() {
    return settings.get("schedule_shift").floatValue();
  }
}
