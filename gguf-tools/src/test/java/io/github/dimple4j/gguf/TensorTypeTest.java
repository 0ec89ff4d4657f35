package io.github.dimple4j.gguf;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.dimple4j.bindings.Dimple;
import io.github.dimple4j.bindings.dimple_tensor_type_info;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class TensorTypeTest {
  @ParameterizedTest
  @EnumSource
  void agreesWithTheCore(TensorType type) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment info = dimple_tensor_type_info.allocate(arena);
      assertThat(Dimple.dimple_tensor_type_get_info(type.number(), info)).isEqualTo(Dimple.DIMPLE_OK());
      assertThat(dimple_tensor_type_info.name(info).getString(0)).isEqualTo(type.toString());
      assertThat(dimple_tensor_type_info.block_length(info)).isEqualTo(type.blockLength());
      assertThat(dimple_tensor_type_info.block_size(info)).isEqualTo(type.blockSize());
    }
  }

  @ParameterizedTest
  @EnumSource
  void isFoundByNumberAndName(TensorType type) {
    assertThat(TensorType.of(type.number())).contains(type);
    assertThat(TensorType.of(type.toString())).contains(type);
  }

  @Test
  void othersAreUnknown() {
    assertThat(TensorType.of(99)).isEmpty();
    assertThat(TensorType.of("q9_z")).isEmpty();
  }
}
