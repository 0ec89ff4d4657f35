package io.github.dimple4j.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine.TypeConversionException;

class SlotTemplateTest {
  @ParameterizedTest
  @ValueSource(strings = {"{{slot:8}}", "{\"a\": \"{{slot:8}}\", \"b\": {{slot:2}}}", "{{slot:1}}{{slot:2}}", "{{x}} {{slot:3}} {{slot:}}"})
  void takesTextWithSlots(String text) {
    assertThat(new SlotTemplate().convert(text)).isNotNull();
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "no slot", "{{slot:}}", "{{slot:-1}}", "{{slot:0}}", "{{slot:12345678}}", "{slot:8}"})
  void refusesTextWithoutAGoodSlot(String text) {
    assertThatThrownBy(() -> new SlotTemplate().convert(text)).isInstanceOf(TypeConversionException.class);
  }

  @Test
  void refusalsShowTheFormat() {
    assertThatThrownBy(() -> new SlotTemplate().convert("x")).hasMessageContaining("{{slot:8}}");
  }
}
