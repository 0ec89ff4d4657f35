package io.github.dimple4j;

/**
 * The paper's confident decoding (section 4.1): each iteration reveals every masked position whose confidence is above a
 * threshold, so that easy answers take few iterations and hard ones more.
 */
public final class ConfidentDecoding {
  private ConfidentDecoding() {}

  /**
   * Decoding with a threshold; everything else as in {@link Decoding#defaults()}, to be changed by the copies of
   * {@link Decoding}: {@code ConfidentDecoding.threshold(0.95f).steps(32).seed(7)}.
   *
   * @param threshold confidence above which a position is revealed; the paper uses 0.95
   * @return the settings
   */
  public static Decoding threshold(float threshold) {
    return Decoding.defaults().threshold(threshold);
  }
}
