package io.github.dimple4j;

/** What {@link Algorithm#ENTROPY_BOUND} ranks positions by; the bound is on their entropies in any case. In the order of the core's numbers. */
public enum BoundOrder {
  /** The lowest entropy first. */
  ENTROPY("entropy"),
  /** The highest probability. */
  CONFIDENCE("confidence"),
  /** The largest gap between best and second best probability. */
  MARGIN("margin");

  private final String label;

  BoundOrder(String label) {
    this.label = label;
  }

  /**
   * The name on the command line.
   *
   * @return {@code entropy}, {@code confidence} or {@code margin}
   */
  public String label() {
    return label;
  }
}
