package io.github.dimple4j;

import java.util.Arrays;
import java.util.Map;
import java.util.Objects;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * What decoding in blocks keeps of the keys and values of a pass over prompt and response, with which each block begins (Fast-dLLM, arXiv
 * 2505.22618). What is kept was computed while the block was still masked: the result is another one than without. In the order of the
 * core's numbers.
 */
public enum BlockCache {
  /** What the file says (key diffusion.cache); where it says nothing, as {@link #NONE}. */
  MODEL("model"),
  /** Nothing: every pass runs over prompt and response. */
  NONE("none"),
  /** Those of prompt and earlier blocks: later passes run from the block on to the end. */
  PREFIX("prefix"),
  /** All but the block's own: later passes run over the block alone. */
  DUAL("dual");

  private static final Map<String, BlockCache> BY_LABEL =
      Arrays.stream(values()).collect(Collectors.toUnmodifiableMap(BlockCache::label, Function.identity()));

  private final String label;

  BlockCache(String label) {
    this.label = label;
  }

  /**
   * The name on the command line and in files.
   *
   * @return {@code model}, {@code none}, {@code prefix} or {@code dual}
   */
  public String label() {
    return label;
  }

  /**
   * Finds a cache by its name.
   *
   * @param label for example {@code dual}
   * @return the cache
   * @throws InvalidArgumentException for any other name
   */
  public static BlockCache of(String label) {
    Objects.requireNonNull(label, "label");
    BlockCache found = BY_LABEL.get(label);
    if (found == null) {
      throw new InvalidArgumentException("unknown cache \"" + label + "\", expected model, none, prefix or dual");
    }
    return found;
  }
}
