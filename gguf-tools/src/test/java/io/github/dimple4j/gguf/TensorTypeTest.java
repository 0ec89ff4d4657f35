package io.github.dimple4j.gguf;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.dimple4j.core.Core;
import io.github.dimple4j.core.TensorFacts;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class TensorTypeTest {
  @ParameterizedTest
  @EnumSource
  void agreesWithTheCore(TensorType type) {
    TensorFacts facts = Core.instance().tensorType(type.number()).orElseThrow();
    assertThat(facts.name()).isEqualTo(type.toString());
    assertThat(facts.blockLength()).isEqualTo(type.blockLength());
    assertThat(facts.blockSize()).isEqualTo(type.blockSize());
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
    assertThat(TensorType.nameOf(99)).isEqualTo("type 99");
    assertThat(TensorType.nameOf(41)).isEqualTo("q1_0 (type 41)");
    assertThat(TensorType.nameOf(TensorType.IQ3_S.number())).isEqualTo("iq3_s");
  }
}
