package io.github.dimple4j;

import io.github.dimple4j.core.Core;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
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
public final class Decoding extends DecodingValues {
  private final Core core; // which checked them, and checks what is made of them

  private Decoding(Core core, Map<String, Number> settings, Ending ending, SortedMap<Integer, Float> logitBias) {
    super(settings, ending, logitBias);
    this.core = core;
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
    String ends = ", early_stop=" + earlyStop() + ", stop=" + stop() + (prune() ? ", prune=true" : "")
        + ending.iterations().stream().mapToObj(most -> ", iterations<=" + most).collect(Collectors.joining())
        + ending.time().map(most -> ", time<=" + most).orElse("");
    return settings.entrySet().stream().map(Map.Entry::toString)
        .collect(Collectors.joining(", ", "Decoding[", ends + (logitBias.isEmpty() ? "" : ", logit_bias=" + logitBias) + "]"));
  }

  /** Collects settings; what is not set is as in {@link Decoding#defaults}. For one thread. */
  public static final class Builder extends DecodingSetters {
    private final Core core;

    private Builder(Core core, Map<String, Number> settings, Ending ending, SortedMap<Integer, Float> logitBias) {
      super(settings, ending, logitBias);
      this.core = core;
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
      if (decoding.prune()) {
        checkPruning(decoding);
      }
      return decoding;
    }

    private static void checkPruning(Decoding decoding) {
      Pipeline pipeline = decoding.pipeline();
      if (pipeline.seesBlocks() || pipeline == Pipeline.DIFFUSION_GEMMA || pipeline == Pipeline.LAVIDA
          || pipeline == Pipeline.LAVIDA_DREAM) {
        throw new InvalidArgumentException("decoding: prune does not go with pipeline " + pipeline.label()
            + ", which works on a part of the response at a time, and ends with it");
      }
      if (pipeline.changesLength()) {
        throw new InvalidArgumentException("decoding: prune does not go with pipeline " + pipeline.label() + ", which takes positions out itself");
      }
      if (decoding.algorithm().revises()) {
        throw new InvalidArgumentException("decoding: prune does not go with algorithm " + decoding.algorithm().label()
            + ", which may mask the end of the text again");
      }
      if (decoding.guidanceScale() > 0) {
        throw new InvalidArgumentException("decoding: prune does not go with guidance_scale, whose second pass takes the place of what the others go "
            + "on to see");
      }
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
