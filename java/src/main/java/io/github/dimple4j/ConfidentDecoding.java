package io.github.dimple4j;

/**
 * The paper's confident decoding (section 4.1): each iteration reveals every masked position whose confidence is above a
 * threshold, so that easy answers take few iterations and hard ones more.
 */
public final class ConfidentDecoding {
  private ConfidentDecoding() {}

  /**
   * Decoding with a threshold; everything else as in {@link Decoding#defaults()}, to be changed through
   * {@link Decoding#toBuilder}: {@code ConfidentDecoding.threshold(0.95f).toBuilder().steps(32).seed(7).build()}.
   *
   * @param threshold confidence above which a position is revealed; the paper uses 0.95
   * @return the settings
   * @throws InvalidArgumentException if it is negative or not finite
   */
  public static Decoding threshold(float threshold) {
    return Decoding.builder().threshold(threshold).build();
  }
}
