package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * What a program left.
 *
 * @param status its exit status
 * @param out its standard output
 * @param err its standard error
 */
public record Outcome(int status, String out, String err) {
  Outcome assertDone() {
    assertThat(err).isEmpty();
    assertThat(status).isZero();
    return this;
  }

  /** For commands that write figures to standard error. */
  Outcome assertStatus(int expected) {
    assertThat(status).as(err).isEqualTo(expected);
    return this;
  }

  /** A failure is a status and exactly one line, which says what is wrong and comes from no stack trace. */
  void assertFailed(int expectedStatus, String... parts) {
    assertThat(err).startsWith("dimple: ").endsWith("\n").doesNotContain("\tat ", "Exception", "unexpected").contains(parts);
    assertThat(err.strip().lines()).as(err).hasSize(1);
    assertThat(status).isEqualTo(expectedStatus);
    assertThat(out).isEmpty();
  }
}
