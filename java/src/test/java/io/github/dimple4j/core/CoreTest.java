package io.github.dimple4j.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.github.dimple4j.Algorithm;
import io.github.dimple4j.Pipeline;
import io.github.dimple4j.bindings.Dimple;
import io.github.dimple4j.core.CoreException.Kind;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** The core as Java sees it, where no model is needed. */
class CoreTest {
  private final Core core = Core.instance();

  @Test
  void enumsFollowTheCoresNumbers() throws ReflectiveOperationException {
    for (Algorithm algorithm : Algorithm.values()) {
      assertThat(Dimple.class.getMethod("DIMPLE_ALGORITHM_" + algorithm.name()).invoke(null)).isEqualTo(algorithm.ordinal());
    }
    for (Pipeline pipeline : Pipeline.values()) {
      assertThat(Dimple.class.getMethod("DIMPLE_PIPELINE_" + pipeline.name()).invoke(null)).isEqualTo(pipeline.ordinal());
    }
  }

  @Test
  void settingsGoByTheNamesOfTheHeader() {
    Map<String, Number> defaults = core.decodingDefaults();
    assertThat(defaults).containsEntry("steps", 64).containsEntry("threshold", 0.95f).containsEntry("seed", 0L)
        .containsEntry("original_confidence", 1);
    core.validate(defaults);
    core.validate(Map.of("top_k", 5));
    assertThatExceptionOfType(CoreException.class).isThrownBy(() -> core.validate(Map.of("steps", 0)))
        .withMessageStartingWith("decoding: steps is 0, expected 1 .. ").matches(e -> e.kind() == Kind.ARGUMENT);
    assertThatIllegalArgumentException().isThrownBy(() -> core.validate(Map.of("colour", 1))).withMessageContaining("colour");
  }

  @Test
  void threads() {
    assertThat(core.resolveThreads(0)).isPositive();
    assertThat(core.resolveThreads(3)).isEqualTo(3);
    assertThatExceptionOfType(CoreException.class).isThrownBy(() -> core.resolveThreads(-1)).withMessageContaining("-1");
    assertThat(core.cpuDescription()).contains("plain");
  }

  @Test
  void rowsThereAndBack() {
    int type = Dimple.DIMPLE_TENSOR_Q8_0();
    assertThat(core.tensorType(type)).contains(new TensorFacts("q8_0", 32, 34, true));
    assertThat(core.tensorType(99)).isEmpty();
    ByteBuffer floats = ByteBuffer.allocateDirect(32 * Float.BYTES).order(ByteOrder.nativeOrder());
    for (int i = 0; i < 32; i++) {
      floats.putFloat(i * Float.BYTES, i == 5 ? 127 : i);
    }
    ByteBuffer encoded = ByteBuffer.allocateDirect(34);
    core.quantizeRows(type, floats, 1, 32, null, encoded);
    ByteBuffer decoded = ByteBuffer.allocateDirect(32 * Float.BYTES).order(ByteOrder.nativeOrder());
    core.dequantizeRows(type, encoded, 1, 32, decoded);
    assertThat(decoded).isEqualTo(floats);
    assertThatExceptionOfType(CoreException.class).isThrownBy(() -> core.quantizeRows(type, floats, 1, 31, null, encoded))
        .matches(e -> e.kind() == Kind.ARGUMENT);
    assertThatIllegalArgumentException().isThrownBy(() -> core.dequantizeRows(type, encoded, 2, 32, decoded));
    assertThatIllegalArgumentException().isThrownBy(() -> core.dequantizeRows(type, ByteBuffer.allocate(34), 1, 32, decoded));
  }

  @Test
  void aFileThatIsMissing() {
    assertThatExceptionOfType(CoreException.class).isThrownBy(() -> core.load("no/such.gguf", null, null, 0, false, false, 0, 0, false))
        .withMessageContaining("no/such.gguf").matches(e -> e.kind() == Kind.IO);
  }
}
