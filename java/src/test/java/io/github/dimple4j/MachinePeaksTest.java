package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

class MachinePeaksTest {
  @Test
  void everyMachineHasThem() {
    MachinePeaks peaks = MachinePeaks.measure(ModelOptions.builder().threads(1).build());
    assertThat(peaks.f32Products()).isBetween(10_000_000L, 10_000_000_000_000L);
    assertThat(peaks.memoryBytes()).isBetween(10_000_000L, 10_000_000_000_000L);
    assertThat(peaks.int8Products()).isGreaterThanOrEqualTo(0).isLessThan(1_000_000_000_000_000L);
    assertThat(peaks.toString()).matches("int8 [0-9.]+ G products/s, f32 [0-9.]+ G products/s, memory [0-9.]+ GB/s");
  }

  /** Plain C multiplies quantized weights as floats. */
  @Test
  void plainKernelsHaveNoIntegers() {
    assertThat(MachinePeaks.measure(ModelOptions.builder().threads(1).backend("cpu-plain").build()).int8Products()).isZero();
  }

  @Test
  void whatCannotSayIsRefused() {
    assertThatThrownBy(() -> MachinePeaks.measure(ModelOptions.builder().backend("ref").build())).isInstanceOf(UnsupportedException.class)
        .hasMessageContaining("backend ref");
    assertThatThrownBy(() -> MachinePeaks.measure(ModelOptions.builder().backend("abacus").build())).isInstanceOf(UnsupportedException.class)
        .hasMessageContaining("abacus");
    assertThatThrownBy(() -> MachinePeaks.measure(ModelOptions.builder().threads(5000).build())).isInstanceOf(InvalidArgumentException.class)
        .hasMessageContaining("5000");
    assertThatThrownBy(() -> MachinePeaks.measure(null)).isInstanceOf(NullPointerException.class).hasMessage("options");
  }
}
