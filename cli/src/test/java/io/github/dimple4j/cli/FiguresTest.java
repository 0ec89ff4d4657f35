package io.github.dimple4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class FiguresTest {
  @ParameterizedTest
  @CsvSource({"0, 0.00 ms", "1234567, 1.23 ms", "99990000, 99.99 ms", "123456789, 123 ms", "999000000, 999 ms", "1234567890, 1.23 s",
      "125000000000, 125.00 s"})
  void timesAreShort(long nanos, String text) {
    assertThat(Figures.time(nanos)).isEqualTo(text);
  }
}
