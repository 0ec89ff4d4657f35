package io.github.dimple4j;

/** Which of the positions that are ready {@link Algorithm#KLASS} reveals. In the order of the core's numbers. */
public enum Unmask {
  /** All of them. */
  ALL("all"),
  /** The most confident one. */
  MAX_CONFIDENCE("max_conf"),
  /** The one that has changed least since the iteration before. */
  MIN_KL("min_kl");

  private final String label;

  Unmask(String label) {
    this.label = label;
  }

  /**
   * The name on the command line.
   *
   * @return {@code all}, {@code max_conf} or {@code min_kl}
   */
  public String label() {
    return label;
  }
}
