package io.github.dimple4j.cli;

import io.github.dimple4j.Algorithm;
import io.github.dimple4j.BlockCache;
import io.github.dimple4j.BoundOrder;
import io.github.dimple4j.Decoding;
import io.github.dimple4j.DimpleModel;
import io.github.dimple4j.Generation;
import io.github.dimple4j.InvalidArgumentException;
import io.github.dimple4j.Pipeline;
import io.github.dimple4j.SessionBuilder;
import io.github.dimple4j.Unmask;
import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.GgufFile;
import io.github.dimple4j.gguf.MetadataValue;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;
import tools.jackson.core.JsonGenerator;

/** How a response is decoded. The defaults are the paper's confident decoding. */
final class DecodingOptions {
  /** Options that are not called as the core calls their setting. */
  private static final Map<String, String> OPTIONS = Map.of("algorithm", "--alg", "algorithm_temperature", "--alg-temp", "epsilon", "--eps");

  /** What the core says of a setting that is out of range. */
  private static final Pattern OUT_OF_RANGE = Pattern.compile("decoding: (?<setting>\\w+) is (?<value>.*), expected (?<range>.*)");

  /** What it says of a setting that is of no use beside others. */
  static final Pattern OUT_OF_PLACE = Pattern.compile("decoding: (?<setting>\\w+) does not go with (?<other>\\w+)(?<rest>.*)");

  /** Options that say something to these algorithms only. */
  private static final Map<String, Set<Algorithm>> OF_ALGORITHMS = Map.ofEntries(Map.entry("--gamma", Set.of(Algorithm.ENTROPY_BOUND)),
      Map.entry("--order", Set.of(Algorithm.ENTROPY_BOUND)), Map.entry("--kl-threshold", Set.of(Algorithm.KLASS)),
      Map.entry("--kl-history", Set.of(Algorithm.KLASS)), Map.entry("--unmask", Set.of(Algorithm.KLASS)),
      Map.entry("--credit-alpha", Set.of(Algorithm.CREDIT)), Map.entry("--boost-gamma", Set.of(Algorithm.CREDIT)),
      Map.entry("--decay-beta", Set.of(Algorithm.CREDIT)), Map.entry("--low-threshold", Set.of(Algorithm.HIERARCHY)),
      Map.entry("--expected-tpf", EnumSet.of(Algorithm.CREDIT, Algorithm.HIERARCHY)),
      Map.entry("--maximum-unroll", EnumSet.of(Algorithm.CREDIT, Algorithm.HIERARCHY)),
      Map.entry("--threshold-back", Set.of(Algorithm.WINO)), Map.entry("--editing-threshold", Set.of(Algorithm.TOKEN_EDITING)),
      Map.entry("--max-post-steps", Set.of(Algorithm.TOKEN_EDITING)), Map.entry("--num-to-transfer", Set.of(Algorithm.TOKEN_EDITING)));

  /** Options of one pipeline, or of two, of which the first has them where no file says which. */
  private static final Map<String, List<Pipeline>> OWNED = Map.ofEntries(
      Map.entry("--sub-block-length", List.of(Pipeline.FAST_DLLM_V2)), Map.entry("--block-cache", List.of(Pipeline.FAST_DLLM_V2)),
      Map.entry("--fill-last-block", List.of(Pipeline.FAST_DLLM_V2)), Map.entry("--eos-early-stop", List.of(Pipeline.LLADA2)),
      Map.entry("--t-min", List.of(Pipeline.DIFFUSION_GEMMA)), Map.entry("--t-max", List.of(Pipeline.DIFFUSION_GEMMA)),
      Map.entry("--stability-threshold", List.of(Pipeline.DIFFUSION_GEMMA)), Map.entry("--confidence-threshold", List.of(Pipeline.DIFFUSION_GEMMA)),
      Map.entry("--eos-penalty", List.of(Pipeline.DREAM)), Map.entry("--grow-to", List.of(Pipeline.DREAMON)),
      Map.entry("--expand-budget", List.of(Pipeline.DREAMON)), Map.entry("--number-transfer-tokens", List.of(Pipeline.DREAMON)),
      Map.entry("--pad-delete-to-right", List.of(Pipeline.DREAMON)), Map.entry("--tail-repeats", List.of(Pipeline.SDAR)),
      Map.entry("--schedule-shift", List.of(Pipeline.LAVIDA, Pipeline.LAVIDA_DREAM)));

  @Spec(Spec.Target.MIXEE) private CommandSpec spec;

  @Option(names = "--steps", paramLabel = "S", description = "Iterations of the schedule, with pipelines sdar, llada2 and diffusion-gemma of each "
      + "block; fast-dllm-v2 and dreamon have none (default: as many as the response has tokens, or diffusion-gemma's 48).")
  private Integer steps;

  @Option(names = "--pipeline", paramLabel = "NAME", converter = PipelineName.class, completionCandidates = PipelineName.class,
      description = "dim: threshold first, ends when nothing is masked; dream: a fixed schedule; llada and mdlm: block after block; bd3lm, sdar, "
          + "fast-dllm-v2 and llada2: the same, a block seeing what is before it; stable-diffcoder: as sdar, its steps shared out; diffusion-gemma: "
          + "canvases of random tokens; rnd1: the lowest entropies, the same share of all masks each time; dreamon: a response that grows and "
          + "shrinks; llada-v: as llada, ending with the turn; lavida: as llada, the prompt not seeing the response; lavida-dream: the same, as "
          + "dream; llada22: as llada2, its blocks edited (default: what the file says, or dim).")
  private Pipeline pipeline;

  private Pipeline byFile = Pipeline.DIM; // of the model, once it is loaded
  private Decoding usual; // of a model's file; null: none was loaded yet

  private boolean complete = true;

  @Option(names = "--alg", paramLabel = "NAME", converter = AlgorithmName.class, completionCandidates = AlgorithmName.class,
      description = "Which positions the schedule reveals: ${COMPLETION-CANDIDATES} (default: low_confidence_static with pipelines mdlm, bd3lm and "
          + "stable-diffcoder, low_confidence_dynamic with sdar, fast-dllm-v2 and llada2, entropy_bound with diffusion-gemma, entropy with rnd1 and "
          + "dreamon, topk_margin with lavida-dream, token_editing with llada22, otherwise maskgit_plus).")
  private Algorithm algorithm;

  @Option(names = "--threshold", paramLabel = "P",
      description = "Reveal every position whose confidence is above; 0: off (default: 0.95 with pipeline dim, otherwise off).")
  private Float threshold;

  @Option(names = "--factor", paramLabel = "F", description = "Pipeline llada: reveal the n best positions while the n-th has a confidence of "
      + "1 - F / (n + 1); 0: off (default: off).")
  private Float factor;

  @Option(names = "--block-length", paramLabel = "N", description = "Pipelines that decode in blocks, and dream with a cache: decode N positions "
      + "before the next ones (default: what the file says, or all at once).")
  private Integer blockLength;

  @Option(names = "--cache", paramLabel = "NAME", converter = CacheName.class, completionCandidates = CacheName.class,
      description = "The same: keep keys and values of each block's first pass: ${COMPLETION-CANDIDATES} (default: what the file says, or none; "
          + "pipeline llada then runs every step, as LLaDA's own code).")
  private BlockCache cache;

  @Option(names = "--eps", paramLabel = "E", description = "The last noise level of the schedule (default: 0.001).")
  private Float epsilon;

  @Option(names = "--guidance-scale", paramLabel = "W", description = "Pipelines llada, mdlm and llada-v: classifier-free guidance; 0: off "
      + "(default: off).")
  private Float guidanceScale;

  @Option(names = "--gamma", paramLabel = "G", description = "entropy_bound: most entropy revealed at a time beside the largest, in nats "
      + "(default: 0.1).")
  private Float gamma;

  @Option(names = "--order", paramLabel = "NAME", converter = OrderName.class, completionCandidates = OrderName.class,
      description = "entropy_bound: what positions are ranked by: ${COMPLETION-CANDIDATES} (default: entropy).")
  private BoundOrder order;

  @Option(names = "--kl-threshold", paramLabel = "K", description = "klass: a position is ready when its distribution changes by less, in nats "
      + "(default: 0.01),")
  private Float klThreshold;

  @Option(names = "--kl-history", paramLabel = "H", description = "so many times in a row (default: 2).")
  private Integer klHistory;

  @Option(names = "--unmask", paramLabel = "WHICH", converter = UnmaskName.class, completionCandidates = UnmaskName.class,
      description = "klass: which of the ready positions are revealed: ${COMPLETION-CANDIDATES} (default: all).")
  private Unmask unmask;

  @Option(names = "--credit-alpha", paramLabel = "A", description = "credit: how much credits raise logits; 0: dInfer's plain threshold "
      + "(default: 0.7).")
  private Float creditAlpha;

  @Option(names = "--boost-gamma", paramLabel = "G", description = "credit: one is a probability to this power (default: 0.2).")
  private Float boostGamma;

  @Option(names = "--decay-beta", paramLabel = "B", description = "credit: what is left of one an iteration later (default: 0.8).")
  private Float decayBeta;

  @Option(names = "--low-threshold", paramLabel = "P", description = "hierarchy: reveal the best position of each run of masks above it; 0: always "
      + "(default: 0.4).")
  private Float lowThreshold;

  @Option(names = "--expected-tpf", paramLabel = "N", description = "credit and hierarchy, trace only: tokens expected of an iteration "
      + "(default: 8),")
  private Integer expectedTpf;

  @Option(names = "--maximum-unroll", paramLabel = "N", description = "and most iterations without a look at the block (default: 4).")
  private Integer maximumUnroll;

  @Option(names = "--threshold-back", paramLabel = "B", description = "wino: mask a revealed token again when the model, not seeing it, gives it "
      + "less (default: 0.9).")
  private Float thresholdBack;

  @Option(names = "--sub-block-length", paramLabel = "N", description = "Pipeline fast-dllm-v2: fill N positions of a block before the next ones "
      + "(default: 8).")
  private Integer subBlockLength;

  @Option(names = "--block-cache", description = "Pipeline fast-dllm-v2: run sub-blocks alone where that can be.")
  private boolean blockCache;

  @Option(names = "--fill-last-block", description = "Pipeline fast-dllm-v2: fill a block that holds the end of text to its end, as the authors "
      + "evaluate.")
  private boolean fillLastBlock;

  @Option(names = "--editing-threshold", paramLabel = "P", description = "token_editing: another token takes the place of a revealed one when its "
      + "probability is above (default: 0.5, or 0 with pipeline llada22).")
  private Float editingThreshold;

  @Option(names = "--max-post-steps", paramLabel = "N", description = "token_editing: most passes over a block that is full (default: 16).")
  private Integer maxPostSteps;

  @Option(names = "--num-to-transfer", paramLabel = "N", description = "token_editing: masks that a pass reveals at least (default: 1).")
  private Integer numToTransfer;

  @Option(names = "--eos-early-stop", description = "Pipeline llada2, trace only: stop at the end of text as the authors' code can.")
  private boolean eosEarlyStop;

  @Option(names = "--t-min", paramLabel = "T",
      description = "Pipeline diffusion-gemma: logits are divided by this at the end of a canvas (default: 0.4),")
  private Float tMin;

  @Option(names = "--t-max", paramLabel = "T", description = "and by this at its beginning (default: 0.8).")
  private Float tMax;

  @Option(names = "--stability-threshold", paramLabel = "N", description = "The same: a canvas is settled when its tokens stay for N iterations "
      + "(default: 1),")
  private Integer stabilityThreshold;

  @Option(names = "--confidence-threshold", paramLabel = "H", description = "and its mean entropy is below, in nats (default: 0.005).")
  private Float confidenceThreshold;

  @Option(names = "--eos-penalty", paramLabel = "X",
      description = "Pipeline dream without a cache: disfavour the padding token, the more the earlier (default: 0).")
  private Float eosPenalty;

  @Option(names = "--grow-to", paramLabel = "N",
      description = "Pipeline dreamon: most tokens that the response may grow to (default: as many as it begins with),")
  private Integer growTo;

  @Option(names = "--expand-budget", paramLabel = "N",
      description = "and most that may come in, those counted that go out again; -1: twice as many as there "
      + "is room for (default: -1).")
  private Integer expandBudget;

  @Option(names = "--number-transfer-tokens", paramLabel = "N", description = "The same: tokens that an iteration decides (default: 1).")
  private Integer numberTransferTokens;

  @Option(names = "--pad-delete-to-right", description = "The same: what goes out takes along all behind it that is masked.")
  private boolean padDeleteToRight;

  @Option(names = "--tail-repeats", paramLabel = "N", description = "Pipeline sdar: a text is over when its end repeats itself N times; 0: never "
      + "(default: what the file says, or 0).")
  private Integer tailRepeats;

  @Option(names = "--schedule-shift", paramLabel = "S", description = "Pipelines lavida and lavida-dream: below 1 the first steps of a block reveal most, above 1 the "
      + "last ones; 0: each as many, or dream's schedule (default: 0).")
  private Float scheduleShift;

  @Option(names = "--no-mask-logits", description = "Pipeline llada: the mask token has no share in probabilities.")
  private boolean noMaskLogits;

  @Option(names = "--no-eos-logits", description = "Pipeline llada: never take the end-of-text token.")
  private boolean noEosLogits;

  @Option(names = "--no-eos-confidence", description = "Pipeline llada: reveal tokens that end text or turn last.")
  private boolean noEosConfidence;

  @Option(names = "--temperature", paramLabel = "T", defaultValue = "0",
      description = "0: the most likely token; above: a draw (default: ${DEFAULT-VALUE}).")
  private float temperature;

  @Option(names = "--top-p", paramLabel = "P", defaultValue = "1",
      description = "Keep tokens until this probability mass (default: ${DEFAULT-VALUE}).")
  private float topP;

  @Option(names = "--top-k", paramLabel = "K", defaultValue = "0", description = "Keep the K best tokens; 0: all (default: ${DEFAULT-VALUE}).")
  private int topK;

  @Option(names = "--alg-temp", paramLabel = "T", defaultValue = "0",
      description = "0: the most confident positions; above: a draw (default: ${DEFAULT-VALUE}).")
  private float algorithmTemperature;

  @Option(names = "--seed", paramLabel = "S", defaultValue = "0", converter = Seed.class,
      description = "Seed of the draws, 0 to 2^64 - 1 (default: ${DEFAULT-VALUE}).")
  private long seed;

  @Option(names = "--original-confidence", negatable = true, defaultValue = "true", fallbackValue = "true",
      description = "Take confidences from the untouched logits (the default) or after temperature and filters.")
  private boolean originalConfidence;

  @Option(names = "--allowed-confidence", negatable = true, defaultValue = "true", fallbackValue = "true",
      description = "With a JSON schema, take confidences among the tokens that can stand at a position (the default) or among all.")
  private boolean allowedConfidence;

  @Option(names = "--prefill", negatable = true, defaultValue = "true", fallbackValue = "true",
      description = "Keep the prompt's keys and values from the first pass (the default) or recompute it in every iteration.")
  private boolean prefill;

  /** Decodes as the authors' code does, idle iterations and left masks included. */
  void asTheAuthors() {
    complete = false;
  }

  /**
   * Has the core check the settings, before anything is loaded.
   *
   * @param model whose pipeline counts where none is given; null: the bundled one
   * @param held whether a schema holds the answers: otherwise there is nothing that is allowed at a position
   */
  void check(Path model, boolean held) {
    byFile = model == null ? Pipeline.DIM : pipelineOf(EngineOptions.file(model));
    if (!held && !allowedConfidence) {
      throw new ParameterException(spec.commandLine(), "--no-allowed-confidence goes with --json-schema");
    }
    check();
  }

  /** Of a file that cannot be read, or names none that is known, loading says what there is to say. */
  private static Pipeline pipelineOf(Path model) {
    try (GgufFile file = GgufFile.open(model)) {
      MetadataValue name = file.metadata().get("diffusion.pipeline");
      Pipeline unnamed = file.metadata().containsKey("diffusion.canvas_length") ? Pipeline.DIFFUSION_GEMMA : Pipeline.DIM; // as DimpleModel.decoding
      return name == null ? unnamed : Pipeline.of((String) name.value());
    } catch (IOException | GgufException | InvalidArgumentException | ClassCastException e) {
      return Pipeline.DIM;
    }
  }

  private void check() {
    ParseResult given = spec.commandLine().getParseResult();
    Pipeline named = byFile;
    if (named == Pipeline.DIM) {
      OWNED.keySet().stream().filter(given::hasMatchedOption).forEach(option -> byFile = OWNED.get(option).getFirst()); // of a file that cannot be read
    }
    decoding();
    byFile = named;
    OF_ALGORITHMS.keySet().stream().sorted().filter(given::hasMatchedOption).forEach(option -> {
      if (!OF_ALGORITHMS.get(option).contains(algorithm())) {
        throw new ParameterException(spec.commandLine(), needed(option));
      }
    });
  }

  private static String needed(String option) {
    return option + " goes with --alg " + OF_ALGORITHMS.get(option).stream().map(Algorithm::label).collect(Collectors.joining(" or "));
  }

  /** Takes over what a model's file says. */
  void follow(DimpleModel model) {
    usual = model.decoding();
    byFile = usual.pipeline();
  }

  /** What the file says of the decoding, where it is the file's pipeline that decodes. */
  private void takeSampler(Decoding.Builder builder) {
    if (usual != null && pipeline() == usual.pipeline() && pipeline() == Pipeline.SDAR) {
      builder.tailRepeats(usual.tailRepeats());
    }
    if (usual != null && pipeline() == usual.pipeline() && pipeline() == Pipeline.DIFFUSION_GEMMA) {
      usual.steps().ifPresent(builder::steps);
      builder.gamma(usual.gamma()).tMin(usual.tMin()).tMax(usual.tMax()).stabilityThreshold(usual.stabilityThreshold())
          .confidenceThreshold(usual.confidenceThreshold());
    }
  }

  private Pipeline pipeline() {
    return pipeline != null ? pipeline : byFile;
  }

  private Algorithm algorithm() {
    boolean edits = pipeline() == Pipeline.LLADA2 && (editingThreshold != null || maxPostSteps != null || numToTransfer != null);
    return algorithm != null ? algorithm : edits ? Algorithm.TOKEN_EDITING : pipeline().usualAlgorithm();
  }

  /** Sets what a session has to know of the decoding. */
  SessionBuilder fit(SessionBuilder session) {
    return session.prefillCache(prefill).wholeBlocks(decoding());
  }

  /** The same, but that the response begins as the authors' code makes it. */
  SessionBuilder fitAuthors(SessionBuilder session, DimpleModel model, Prompt prompt) {
    fit(session);
    int last = prompt.length().getAsInt() - 1;
    if (pipeline() == Pipeline.RND1 && last > 0 && prompt.template() == null && !prompt.prior().containsKey(last)) {
      model.info().padTokenId().ifPresent(pad -> session.prior(last, pad)); // which they reserve for the end of the text
    }
    if (pipeline() == Pipeline.DIFFUSION_GEMMA) {
      session.wholeCanvases(blockLength(model));
    }
    return pipeline() == Pipeline.FAST_DLLM_V2 ? session.budgetOfBlocks(blockLength(model)) : session;
  }

  private int blockLength(DimpleModel model) {
    int fromFile = model.metadata(pipeline() == Pipeline.DIFFUSION_GEMMA ? "diffusion.canvas_length" : "diffusion.block_length")
        .map(length -> ((Number) length).intValue()).orElse(1);
    return blockLength == null || blockLength < 1 ? fromFile : blockLength;
  }

  /** The settings as the authors count: LLaDA2's steps are no more than the tokens asked for, and as many as a block has positions. */
  Decoding authors(Decoding decoding, DimpleModel model, int asked) {
    if (pipeline() != Pipeline.LLADA2 && pipeline() != Pipeline.LLADA22) {
      return decoding;
    }
    return decoding.toBuilder().steps(Math.min(asked, steps != null ? steps : blockLength(model))).build();
  }

  /** What the authors' function returns of a response of which so many tokens were asked for. */
  int[] returned(Generation answer, DimpleModel model, int asked) {
    int[] tokens = pipeline() == Pipeline.LLADA2 || pipeline() == Pipeline.LLADA22 ? Arrays.copyOf(answer.tokens(), Math.min(asked, answer.tokens().length)) : answer.tokens();
    int mask = model.info().maskTokenId().orElse(-1);
    if (pipeline() == Pipeline.DIFFUSION_GEMMA) {
      return Arrays.copyOf(tokens, begun(tokens, mask, blockLength(model)));
    }
    if (pipeline() == Pipeline.STABLE_DIFFCODER) {
      return Arrays.copyOf(tokens, begun(tokens, mask, 1));
    }
    int end = indexOf(tokens, model.info().eosTokenId().orElse(-1));
    if (!pipeline().countsFromPrompt() || pipeline() == Pipeline.SDAR || end == tokens.length) {
      return tokens;
    }
    if (!fillLastBlock) {
      return Arrays.copyOf(tokens, end + 1);
    }
    int[] filled = Arrays.copyOf(tokens, indexOf(tokens, mask));
    if (filled.length < tokens.length) { // a text that ends with the last token does not end in a block
      Arrays.fill(filled, end + 1, filled.length, model.info().padTokenId().orElse(tokens[end]));
    }
    return filled;
  }

  /** Positions of canvases that were begun. */
  private static int begun(int[] tokens, int mask, int canvas) {
    int begun = tokens.length;
    while (begun > 0 && tokens[begun - 1] == mask) {
      begun--;
    }
    return Math.min(tokens.length, (begun + canvas - 1) / canvas * canvas);
  }

  private static int indexOf(int[] tokens, int token) {
    return (int) Arrays.stream(tokens).takeWhile(other -> other != token).count();
  }

  /** The settings. What the core refuses is wrong usage and not failed work. */
  Decoding decoding() {
    Decoding.Builder builder = Decoding.builder().pipeline(pipeline()).algorithm(algorithm()).topK(topK)
        .originalConfidence(originalConfidence).allowedConfidence(allowedConfidence).temperature(temperature).topP(topP)
        .algorithmTemperature(algorithmTemperature).seed(seed).complete(complete)
        .noEosLogits(noEosLogits).noEosConfidence(noEosConfidence).noMaskLogits(noMaskLogits);
    builder.threshold(pipeline().usualThreshold(algorithm())).editingThreshold(pipeline().usualEditingThreshold());
    takeSampler(builder);
    set(steps, builder::steps);
    set(threshold, builder::threshold);
    set(factor, builder::factor);
    set(blockLength, builder::blockLength);
    set(cache, builder::cache);
    set(epsilon, builder::epsilon);
    set(guidanceScale, builder::guidanceScale);
    set(gamma, builder::gamma);
    set(order, builder::order);
    set(klThreshold, builder::klThreshold);
    set(klHistory, builder::klHistory);
    set(unmask, builder::unmask);
    set(creditAlpha, builder::creditAlpha);
    set(boostGamma, builder::boostGamma);
    set(decayBeta, builder::decayBeta);
    set(lowThreshold, builder::lowThreshold);
    set(expectedTpf, builder::expectedTpf);
    set(maximumUnroll, builder::maximumUnroll);
    set(thresholdBack, builder::thresholdBack);
    set(subBlockLength, builder::subBlockLength);
    builder.blockCache(blockCache).fillLastBlock(fillLastBlock).eosEarlyStop(eosEarlyStop);
    set(editingThreshold, builder::editingThreshold);
    set(maxPostSteps, builder::maxPostSteps);
    set(numToTransfer, builder::numToTransfer);
    set(tMin, builder::tMin);
    set(tMax, builder::tMax);
    set(stabilityThreshold, builder::stabilityThreshold);
    set(confidenceThreshold, builder::confidenceThreshold);
    set(eosPenalty, builder::eosPenalty);
    set(growTo, builder::growTo);
    set(expandBudget, builder::expandBudget);
    set(numberTransferTokens, builder::numberTransferTokens);
    builder.padDeleteToRight(padDeleteToRight);
    set(tailRepeats, builder::tailRepeats);
    set(scheduleShift, builder::scheduleShift);
    try {
      return builder.build();
    } catch (InvalidArgumentException e) {
      throw new ParameterException(spec.commandLine(), usage(e.getMessage()));
    }
  }

  private static <T> void set(T value, Consumer<T> setting) {
    if (value != null) {
      setting.accept(value);
    }
  }

  /** The core's message in terms of the option. */
  private String usage(String message) {
    Matcher misplaced = OUT_OF_PLACE.matcher(message.replace("a cache", "cache"));
    if (misplaced.matches()) {
      String option = option(misplaced.group("setting"));
      if (OWNED.containsKey(option) && !OWNED.get(option).contains(pipeline())) {
        return option + " goes with --pipeline " + OWNED.get(option).stream().map(Pipeline::label).collect(Collectors.joining(" or "));
      }
      boolean bare = pipeline() == Pipeline.DIFFUSION_GEMMA || pipeline() == Pipeline.DREAMON || pipeline() == Pipeline.LAVIDA_DREAM;
      if (misplaced.group("other").equals("pipeline") && bare) {
        return option + " does not go with --pipeline " + pipeline().label();
      }
      if (misplaced.group("other").equals("pipeline")) { // llada takes all of them
        boolean dream = pipeline() == Pipeline.DIM && (option.equals("--block-length") || option.equals("--cache"));
        String causal = dream && option.equals("--block-length") ? ", mdlm, bd3lm, sdar, fast-dllm-v2, llada2, stable-diffcoder, llada-v, lavida or llada22" : "";
        if (option.equals("--guidance-scale")) {
          return option + " goes with --pipeline llada, mdlm or llada-v";
        }
        return option + " goes with --pipeline llada" + causal + (dream ? ", or dream with --cache prefix or dual" : "");
      }
      if (misplaced.group("other").equals("algorithm") && OF_ALGORITHMS.containsKey(option)) {
        return needed(option);
      }
      if (misplaced.group("other").equals("complete")) {
        return option + " goes with trace only";
      }
      return option + " does not go with " + option(misplaced.group("other")) + misplaced.group("rest");
    }
    Matcher found = OUT_OF_RANGE.matcher(message);
    if (!found.matches()) {
      return message;
    }
    String setting = found.group("setting");
    if (setting.equals("algorithm")) { // its name is checked already: what does not fit is the pipeline
      return "--alg " + algorithm().label() + " goes with --" + found.group("range") + " only";
    }
    String option = option(setting);
    String range = found.group("range").replace(" .. " + Integer.MAX_VALUE, " or more").replace(" .. ", " to ").replace(">= 0", "of 0 or more");
    return "Invalid value for option '" + option + "': " + spec.findOption(option).getValue() + ", expected " + range;
  }

  /** The option of a setting, of a pipeline and of an algorithm too. */
  static String option(String setting) {
    return OPTIONS.getOrDefault(setting, "--" + setting.replace('_', '-'));
  }

  /** What a trace calls the settings, and their values as they are used, but for those that stand further down in its file. */
  void write(JsonGenerator json, Decoding decoding, int responseLength) {
    json.writeNumberProperty("steps", decoding.steps().orElse(decoding.pipeline().usualSteps(responseLength)));
    json.writeStringProperty("pipeline", decoding.pipeline().label());
    json.writeStringProperty("alg", decoding.algorithm().label());
    json.writeNumberProperty("threshold", decoding.pipeline() == Pipeline.DREAM && Pipeline.DREAM.usualThreshold(decoding.algorithm()) == 0
        ? 0 : decoding.threshold());
    json.writeNumberProperty("temperature", decoding.temperature());
    json.writeNumberProperty("top_p", decoding.topP());
    json.writeNumberProperty("top_k", decoding.topK());
    json.writeNumberProperty("alg_temp", decoding.algorithmTemperature());
    json.writeName("seed");
    json.writeNumber(Long.toUnsignedString(decoding.seed()));
  }

  /** Settings of pipelines that decode in blocks and of their algorithms, which stand at the end of a trace's. */
  static void writeBlocks(JsonGenerator json, Decoding decoding) {
    json.writeNumberProperty("block_length", decoding.blockLength());
    json.writeStringProperty("cache", decoding.cache().label());
    json.writeNumberProperty("factor", decoding.factor());
    json.writeNumberProperty("guidance_scale", decoding.guidanceScale());
    json.writeBooleanProperty("no_eos_logits", decoding.noEosLogits());
    json.writeBooleanProperty("no_eos_confidence", decoding.noEosConfidence());
    json.writeBooleanProperty("no_mask_logits", decoding.noMaskLogits());
    if (decoding.pipeline() == Pipeline.LLADA2) {
      json.writeBooleanProperty("eos_early_stop", decoding.eosEarlyStop());
    }
    if (decoding.pipeline() == Pipeline.FAST_DLLM_V2) {
      json.writeNumberProperty("sub_block_length", decoding.subBlockLength());
      json.writeBooleanProperty("block_cache", decoding.blockCache());
      json.writeBooleanProperty("fill_last_block", decoding.fillLastBlock());
    }
    if (decoding.pipeline() == Pipeline.DIFFUSION_GEMMA) {
      json.writeNumberProperty("t_min", decoding.tMin());
      json.writeNumberProperty("t_max", decoding.tMax());
      json.writeNumberProperty("stability_threshold", decoding.stabilityThreshold());
      json.writeNumberProperty("confidence_threshold", decoding.confidenceThreshold());
    }
    if (decoding.pipeline() == Pipeline.SDAR) {
      json.writeNumberProperty("tail_repeats", decoding.tailRepeats());
    }
    if (decoding.pipeline() == Pipeline.LAVIDA || decoding.pipeline() == Pipeline.LAVIDA_DREAM) {
      json.writeNumberProperty("schedule_shift", decoding.scheduleShift());
    }
    if (decoding.pipeline() == Pipeline.DREAM) {
      json.writeNumberProperty("eos_penalty", decoding.eosPenalty());
    }
    if (decoding.pipeline() == Pipeline.DREAMON) {
      json.writeNumberProperty("grow_to", decoding.growTo());
      json.writeNumberProperty("expand_budget", decoding.expandBudget());
      json.writeNumberProperty("number_transfer_tokens", decoding.numberTransferTokens());
      json.writeBooleanProperty("pad_delete_to_right", decoding.padDeleteToRight());
    }
    switch (decoding.algorithm()) {
      case ENTROPY_BOUND -> {
        json.writeNumberProperty("gamma", decoding.gamma());
        json.writeStringProperty("order", decoding.order().label());
      }
      case KLASS -> {
        json.writeNumberProperty("kl_threshold", decoding.klThreshold());
        json.writeNumberProperty("kl_history", decoding.klHistory());
        json.writeStringProperty("unmask", decoding.unmask().label());
      }
      case CREDIT -> {
        json.writeNumberProperty("credit_alpha", decoding.creditAlpha());
        json.writeNumberProperty("boost_gamma", decoding.boostGamma());
        json.writeNumberProperty("decay_beta", decoding.decayBeta());
      }
      case WINO -> json.writeNumberProperty("threshold_back", decoding.thresholdBack());
      case TOKEN_EDITING -> {
        json.writeNumberProperty("editing_threshold", decoding.editingThreshold());
        json.writeNumberProperty("max_post_steps", decoding.maxPostSteps());
        json.writeNumberProperty("num_to_transfer", decoding.numToTransfer());
      }
      case HIERARCHY -> json.writeNumberProperty("low_threshold", decoding.lowThreshold());
      default -> { } // has no settings of its own
    }
  }

  boolean prefill() {
    return prefill;
  }

  /** Names of a choice, as converter and for the help text. */
  abstract static class Names<T> implements ITypeConverter<T>, Iterable<String> {
    private final T[] values;
    private final Function<T, String> label;

    Names(T[] values, Function<T, String> label) {
      this.values = values;
      this.label = label;
    }

    @Override
    public T convert(String name) {
      return Arrays.stream(values).filter(v -> label.apply(v).equals(name)).findFirst()
          .orElseThrow(() -> new TypeConversionException("'" + name + "' is not one of " + String.join(", ", this)));
    }

    @Override
    public Iterator<String> iterator() {
      return Arrays.stream(values).map(label).iterator();
    }
  }

  /** The names of the pipelines. */
  static final class PipelineName extends Names<Pipeline> {
    PipelineName() {
      super(Pipeline.values(), Pipeline::label);
    }
  }

  /** The names of the algorithms. */
  static final class AlgorithmName extends Names<Algorithm> {
    AlgorithmName() {
      super(Algorithm.values(), Algorithm::label);
    }
  }

  /** The names of what blocks keep. */
  static final class CacheName extends Names<BlockCache> {
    CacheName() {
      super(BlockCache.values(), BlockCache::label);
    }
  }

  /** The names of orders. */
  static final class OrderName extends Names<BoundOrder> {
    OrderName() {
      super(BoundOrder.values(), BoundOrder::label);
    }
  }

  /** The names of what is revealed of the ready. */
  static final class UnmaskName extends Names<Unmask> {
    UnmaskName() {
      super(Unmask.values(), Unmask::label);
    }
  }

  /** A 64-bit number, signed or unsigned. */
  static final class Seed implements ITypeConverter<Long> {
    @Override
    public Long convert(String text) {
      try {
        return text.startsWith("-") ? Long.parseLong(text) : Long.parseUnsignedLong(text);
      } catch (NumberFormatException e) {
        throw new TypeConversionException("'" + text + "' is not a whole number of 64 bits");
      }
    }
  }
}
