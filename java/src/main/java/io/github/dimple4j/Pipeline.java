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
  LLADA("llada");

  private static final Map<String, Pipeline> BY_LABEL =
      Arrays.stream(values()).collect(Collectors.toUnmodifiableMap(Pipeline::label, Function.identity()));

  private final String label;

  Pipeline(String label) {
    this.label = label;
  }

  /**
   * The authors' name, as in settings and on the command line.
   *
   * @return {@code dim}, {@code dream} or {@code llada}
   */
  public String label() {
    return label;
  }

  /**
   * Finds a pipeline by its name.
   *
   * @param label {@code dim}, {@code dream} or {@code llada}
   * @return the pipeline
   * @throws InvalidArgumentException for any other name
   */
  public static Pipeline of(String label) {
    Objects.requireNonNull(label, "label");
    Pipeline found = BY_LABEL.get(label);
    if (found == null) {
      throw new InvalidArgumentException("unknown pipeline \"" + label + "\", expected dim, dream or llada");
    }
    return found;
  }
}
