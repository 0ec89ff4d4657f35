package io.github.dimple4j;

import java.time.Duration;

/**
 * Wall times of the parts of a decoding. A prefill shared by several decodings counts in each of them.
 *
 * @param vision preprocessing and vision tower of the prompt's pictures
 * @param prefill first pass over prompt and response, without its head
 * @param steps the iterations since the decoding began, without vision and prefill done inside them
 */
public record Timings(Duration vision, Duration prefill, Duration steps) {
  /**
   * The sum of the three.
   *
   * @return the sum
   */
  public Duration total() {
    return vision.plus(prefill).plus(steps);
  }
}
