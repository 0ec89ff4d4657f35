package io.github.dimple4j;

import java.util.Optional;

/**
 * What became of one prompt of a {@linkplain DimpleModel#batch batch}: one of the two is there.
 *
 * @param index of the prompt, from 0
 * @param generation the answer
 * @param failure why there is none
 */
public record BatchResult(long index, Optional<Generation> generation, Optional<DimpleException> failure) {
  /**
   * The answer, or its failure.
   *
   * @return the answer
   * @throws DimpleException if there is none: the failure
   */
  public Generation get() {
    if (failure.isPresent()) {
      throw failure.get();
    }
    return generation.orElseThrow();
  }
}
