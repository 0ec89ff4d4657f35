package io.github.dimple4j;

import java.util.Arrays;
import java.util.Map;
import java.util.Objects;
import java.util.function.Function;
import java.util.stream.Collectors;

/** Which of the masked positions are revealed when the schedule says how many. In the order of the core's numbers. */
public enum Algorithm {
  /** A random subset of the scheduled size. */
  ORIGIN("origin"),
  /** Each position with the scheduled probability; {@link Pipeline#DIM} only. */
  ORIGIN_RATIO("origin-ratio"),
  /** The leftmost masked position. */
  AUTOREGRESSIVE("autoregressive"),
  /** The highest probabilities. */
  MASKGIT_PLUS("maskgit_plus"),
  /** The largest gaps between best and second best probability. */
  TOPK_MARGIN("topk_margin"),
  /** The lowest entropies; with {@link Pipeline#LLADA}, as in KLASS's code, the highest. */
  ENTROPY("entropy"),
  /** Probabilities of at least the threshold, and the best; {@link Pipeline#DREAM} with a cache only. */
  CONFIDENCE_THRESHOLD("confidence_threshold"),
  /** EB-Sampler: the surest ones whose entropies, without the largest, add up to at most {@link Decoding#gamma}; {@link Pipeline#LLADA}. */
  ENTROPY_BOUND("entropy_bound"),
  /** KLASS: those above the threshold whose distribution has settled; {@link Pipeline#LLADA} and {@link Pipeline#DREAM}. */
  KLASS("klass"),
  /** dInfer's: as the threshold, on logits raised by what earlier iterations favoured; {@link Pipeline#LLADA}. */
  CREDIT("credit"),
  /** dInfer's: the surest of every run of masks, and those above the threshold; {@link Pipeline#LLADA}. */
  HIERARCHY("hierarchy"),
  /** WINO: those above the threshold; masks again what the model believes in no more; {@link Pipeline#LLADA}. */
  WINO("wino"),
  /** As many as are scheduled, from the left; {@link Pipeline#SDAR}. */
  SEQUENTIAL("sequential"),
  /** As many as are scheduled, the highest probabilities; {@link Pipeline#SDAR}, {@link Pipeline#MDLM}, {@link Pipeline#BD3LM}. */
  LOW_CONFIDENCE_STATIC("low_confidence_static"),
  /** Probabilities above the threshold if they are as many as are scheduled, or else the highest; {@link Pipeline#SDAR}. */
  LOW_CONFIDENCE_DYNAMIC("low_confidence_dynamic"),
  /**
   * LLaDA2.1's: probabilities above the threshold, and gives revealed positions of the block another token where the model is sure enough of it;
   * {@link Pipeline#LLADA2}.
   */
  TOKEN_EDITING("token_editing");

  private static final Map<String, Algorithm> BY_LABEL =
      Arrays.stream(values()).collect(Collectors.toUnmodifiableMap(Algorithm::label, Function.identity()));

  private static final String NAMES = Arrays.stream(values()).map(Algorithm::label).collect(Collectors.joining(", "))
      .replaceFirst(", (?=[^,]*$)", " or ");

  private final String label;

  Algorithm(String label) {
    this.label = label;
  }

  /**
   * The authors' name, as in settings and on the command line.
   *
   * @return for example {@code maskgit_plus}
   */
  public String label() {
    return label;
  }

  /** Whether it may take back what it has revealed. */
  boolean revises() {
    return this == WINO || this == TOKEN_EDITING;
  }

  /**
   * Finds an algorithm by its name.
   *
   * @param label for example {@code origin-ratio}
   * @return the algorithm
   * @throws InvalidArgumentException for an unknown name
   */
  public static Algorithm of(String label) {
    Objects.requireNonNull(label, "label");
    Algorithm found = BY_LABEL.get(label);
    if (found == null) {
      throw new InvalidArgumentException("unknown algorithm \"" + label + "\", expected " + NAMES);
    }
    return found;
  }
}
