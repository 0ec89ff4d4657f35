package io.github.dimple4j;

import java.util.Arrays;
import java.util.Map;
import java.util.Objects;
import java.util.function.Function;
import java.util.stream.Collectors;

/** The loop around the iterations. In the order of the core's numbers. */
public enum Pipeline {
  /** Dimple's: the threshold first, then the schedule counted from what is still masked; ends when nothing is. */
  DIM("dim"),
  /** Dream's: a fixed schedule, always as many iterations as were asked for; no threshold. With a cache, block after block. */
  DREAM("dream"),
  /** LLaDA's and Fast-dLLM's: block after block, by quotas, a threshold or a factor. */
  LLADA("llada"),
  /** dLLM's MDLM: block after block, each by a schedule of its own, every pass over everything. */
  MDLM("mdlm"),
  /** dLLM's BD3LM: the same, but a position sees its block and those before it alone; blocks are counted from the prompt's end. */
  BD3LM("bd3lm"),
  /**
   * SDAR's: the same, but blocks are counted from the beginning of the prompt ({@link SessionBuilder#wholeBlocks}), and
   * {@link Decoding#steps} are those of a block.
   */
  SDAR("sdar"),
  /**
   * Fast-dLLM v2's: as SDAR's, for models whose rows score the next position. Blocks are filled {@linkplain Decoding#subBlockLength sub-block} after
   * sub-block by the threshold alone, {@link Decoding#steps} do not count, and a block's first token is that of the pass over the block before it.
   */
  FAST_DLLM_V2("fast-dllm-v2"),
  /**
   * LLaDA2.0's and LLaDA2.1's: as SDAR's, {@link Algorithm#LOW_CONFIDENCE_DYNAMIC} being the loop of 2.0 and {@link Algorithm#TOKEN_EDITING} that of
   * 2.1.
   */
  LLADA2("llada2"),
  /**
   * DiffusionGemma's: canvas after canvas of {@link Decoding#blockLength} positions, which begin as random tokens. Every iteration draws a token for each
   * position from probabilities at a temperature between {@link Decoding#tMax} and {@link Decoding#tMin}, accepts the surest ones up to an entropy of
   * {@link Decoding#gamma}, and puts random tokens at the others; nothing is final before the canvas is settled, as its most likely tokens, when it is
   * stable or after {@link Decoding#steps}.
   */
  DIFFUSION_GEMMA("diffusion-gemma"),
  /**
   * RND1's: every pass runs over everything, and after iteration n of {@link Decoding#steps} as many of all masks are left, those of the highest
   * entropies, as is their share of the time left, rounded down.
   */
  RND1("rnd1"),
  /**
   * Stable-DiffCoder's: as SDAR's, but {@link Decoding#steps} are shared out among the blocks, the last of which may be a short one;
   * {@link Algorithm#LOW_CONFIDENCE_DYNAMIC} reveals every position of at least the threshold, and the best in any case; and of the block that holds the
   * end of the text all that is behind it becomes ends.
   */
  STABLE_DIFFCODER("stable-diffcoder"),
  /**
   * DreamOn's: the response finds its own length. An iteration decides {@link Decoding#numberTransferTokens} positions; one that becomes an end of text goes
   * out, and one that becomes the model's expand token becomes two masks, up to {@link Decoding#growTo} positions and {@link Decoding#expandBudget} times.
   * {@link Decoding#steps} do not count. For a response in one canvas that no structure holds.
   */
  DREAMON("dreamon"),
  /**
   * LLaDA-V's: as {@link #LLADA}'s by quotas, but over with the turn. Once the last slot holds the end of turn that the file names, only positions before it
   * are revealed, and when none of these is masked the decoding ends, whatever is masked behind it. A block that is full is over before its steps are.
   */
  LLADA_V("llada-v"),
  /**
   * LaViDa's: as {@link #LLADA}'s by quotas, or by a {@linkplain Decoding#scheduleShift shifted schedule}, but the prompt does not see the response: its keys and
   * values are computed once, and exactly. A block that is full is over before its steps are.
   */
  LAVIDA("lavida"),
  /**
   * LaViDa's of models whose rows score the next position: the prompt does not see the response either, and its last row gives the response's first token, the
   * likeliest at any temperature, in an iteration before the {@link Decoding#steps}. These follow {@link #DREAM}'s schedule, or a
   * {@linkplain Decoding#scheduleShift shifted one}.
   */
  LAVIDA_DREAM("lavida-dream"),
  /**
   * LLaDA2.2's: as {@link #LLADA2}'s with {@link Algorithm#TOKEN_EDITING}, where two tokens of the model edit the block that is being filled: one takes its position
   * out, the other has a mask come in before it ({@link Step#origins}). The block keeps its length. For a response that no structure holds, whose given tokens are
   * at its beginning, at temperature 0.
   */
  LLADA22("llada22");

  private static final Map<String, Pipeline> BY_LABEL =
      Arrays.stream(values()).collect(Collectors.toUnmodifiableMap(Pipeline::label, Function.identity()));

  private static final String NAMES = Arrays.stream(values()).map(Pipeline::label).collect(Collectors.joining(", "))
      .replaceFirst(", (?=[^,]*$)", " or ");

  private final String label;

  Pipeline(String label) {
    this.label = label;
  }

  /**
   * The authors' name, as in settings and on the command line.
   *
   * @return for example {@code dim}
   */
  public String label() {
    return label;
  }

  /**
   * Whether a position sees its block and those before it alone, so that what is before a block is computed once for all that follows. A canvas of
   * {@link #DIFFUSION_GEMMA} sees itself and what is before it, where a position sees those before it.
   *
   * @return true: it does; false: all others
   */
  public boolean seesBlocks() {
    return this == BD3LM || this == STABLE_DIFFCODER || this == DIFFUSION_GEMMA || countsFromPrompt();
  }

  /**
   * Whether a response ends with a block, where blocks are counted from the beginning of the prompt ({@link SessionBuilder#wholeBlocks}).
   *
   * @return true if they are
   */
  public boolean countsFromPrompt() {
    return this == SDAR || this == FAST_DLLM_V2 || this == LLADA2 || this == LLADA22;
  }

  /**
   * Whether iterations change how many positions the response has ({@link Step#origins}).
   *
   * @return true if they do
   */
  public boolean changesLength() {
    return this == DREAMON;
  }

  /**
   * What its authors decode with.
   *
   * @return the algorithm
   */
  public Algorithm usualAlgorithm() {
    return switch (this) {
      case MDLM, BD3LM, STABLE_DIFFCODER -> Algorithm.LOW_CONFIDENCE_STATIC;
      case SDAR, FAST_DLLM_V2, LLADA2 -> Algorithm.LOW_CONFIDENCE_DYNAMIC;
      case DIFFUSION_GEMMA -> Algorithm.ENTROPY_BOUND;
      case RND1, DREAMON -> Algorithm.ENTROPY;
      case LAVIDA_DREAM -> Algorithm.TOPK_MARGIN;
      case LLADA22 -> Algorithm.TOKEN_EDITING;
      case DIM, DREAM, LLADA, LLADA_V, LAVIDA -> Algorithm.MASKGIT_PLUS;
    };
  }

  /**
   * How many iterations its authors take where nobody says otherwise.
   *
   * @param responseLength positions of the response
   * @return as many as it has positions, or for {@link #DIFFUSION_GEMMA} 48 for each canvas
   */
  public int usualSteps(int responseLength) {
    return this == DIFFUSION_GEMMA ? 48 : responseLength;
  }

  /**
   * The threshold of its authors, or of those of the algorithm.
   *
   * @param algorithm any
   * @return 0 where they have none
   */
  public float usualThreshold(Algorithm algorithm) {
    Objects.requireNonNull(algorithm, "algorithm");
    if (this == DIM) {
      return 0.95f;
    }
    return switch (algorithm) {
      case CONFIDENCE_THRESHOLD, KLASS, CREDIT -> 0.9f;
      case HIERARCHY -> 1;
      case WINO -> 0.6f;
      case LOW_CONFIDENCE_DYNAMIC -> this == LLADA2 || this == STABLE_DIFFCODER ? 0.95f : this == FAST_DLLM_V2 ? 0.9f : 0.85f;
      case TOKEN_EDITING -> this == LLADA22 ? 0.5f : 0.7f;
      default -> 0;
    };
  }

  /**
   * The {@linkplain Decoding#editingThreshold editing threshold} of its authors.
   *
   * @return 0 to 1
   */
  public float usualEditingThreshold() {
    return this == LLADA22 ? 0 : 0.5f;
  }

  /**
   * Finds a pipeline by its name.
   *
   * @param label for example {@code dim}
   * @return the pipeline
   * @throws InvalidArgumentException for any other name
   */
  public static Pipeline of(String label) {
    Objects.requireNonNull(label, "label");
    Pipeline found = BY_LABEL.get(label);
    if (found == null) {
      throw new InvalidArgumentException("unknown pipeline \"" + label + "\", expected " + NAMES);
    }
    return found;
  }
}
