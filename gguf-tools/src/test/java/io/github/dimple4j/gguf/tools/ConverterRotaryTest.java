package io.github.dimple4j.gguf.tools;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.github.dimple4j.gguf.GgufFile;
import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.core.ModelCheck;
import java.io.IOException;
import java.nio.file.Files;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.node.ObjectNode;

/** Rotary embeddings: their base, their sections, and how they are stretched. */
class ConverterRotaryTest extends ConverterFixture {
  /** A configuration's rotary scaling in llama.cpp's keys, which load; the magnitude is what is left beside 1 + log(factor) / 10. */
  @Test
  void rotaryScalingIsWritten() throws IOException {
    checkpoint.makeDream();
    assertThat(scalingKeys("rope_scaling", "{\"type\": \"linear\", \"factor\": 2}")).isEqualTo(Map.of(
        "type", MetadataValue.string("linear"), "factor", MetadataValue.float32(2)));
    assertThat(scalingKeys("rope_parameters", "{\"rope_type\": \"default\", \"rope_theta\": 100.0}")).isEmpty();
    Map<String, MetadataValue> yarn = Map.of("type", MetadataValue.string("yarn"), "factor", MetadataValue.float32(4),
        "original_context_length", MetadataValue.uint32(64));
    assertThat(scalingKeys("rope_scaling", "{\"rope_type\": \"yarn\", \"factor\": 4.0, \"original_max_position_embeddings\": 64}")).isEqualTo(yarn);
    Map<String, MetadataValue> all = scalingKeys("rope_parameters", "{\"rope_type\": \"yarn\", \"rope_theta\": 100.0, \"factor\": 4.0,"
        + " \"original_max_position_embeddings\": 64, \"attention_factor\": 1.5, \"beta_fast\": 16, \"beta_slow\": 2, \"truncate\": false}");
    assertThat(all).containsAllEntriesOf(yarn).containsEntry("yarn_beta_fast", MetadataValue.float32(16))
        .containsEntry("yarn_beta_slow", MetadataValue.float32(2)).containsEntry("yarn_truncate", MetadataValue.bool(false)).hasSize(7);
    assertThat(((Number) all.get("attn_factor").value()).doubleValue()).isCloseTo(1.5 / (1 + 0.1 * Math.log(4)), within(1e-6));
    Map<String, MetadataValue> scaled = scalingKeys("rope_scaling", "{\"type\": \"yarn\", \"factor\": 4.0, \"mscale\": 1.0, \"mscale_all_dim\": 0.5}");
    assertThat(((Number) scaled.get("attn_factor").value()).doubleValue()).isCloseTo(1 / (1 + 0.05 * Math.log(4)), within(1e-6));
    assertThat(scaled).containsEntry("original_context_length", MetadataValue.uint32(checkpoint.config.path("max_position_embeddings").intValue()));
  }

  private Map<String, MetadataValue> scalingKeys(String key, String json) throws IOException {
    checkpoint.config.remove(List.of("rope_scaling", "rope_parameters"));
    if (json.contains("rope_theta")) {
      checkpoint.config.put("rope_theta", 100.0);
    }
    checkpoint.config.set(key, TestCheckpoint.JSON.readTree(json));
    Files.deleteIfExists(target);
    convert();
    assertThat(ModelCheck.of(target, false)).isEmpty();
    Map<String, MetadataValue> keys = new LinkedHashMap<>();
    try (GgufFile file = GgufFile.open(target)) {
      String prefix = file.metadata().get("general.architecture").value() + ".rope.scaling.";
      file.metadata().forEach((name, value) -> {
        if (name.startsWith(prefix)) {
          keys.put(name.substring(prefix.length()), value);
        }
      });
    }
    return keys;
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
      "{\"rope_type\": \"dynamic\", \"factor\": 2.0} | \"rope_scaling.rope_type\" is \"dynamic\"; expected \"default\", \"mrope\", \"linear\" or \"yarn\"",
      "{\"type\": \"longrope\", \"short_factor\": [1]} | \"rope_scaling.type\" is \"longrope\"",
      "{\"rope_type\": \"llama3\", \"factor\": 8} | \"rope_scaling.rope_type\" is \"llama3\"",
      "{\"type\": \"linear\"} | \"rope_scaling.factor\" is missing",
      "{\"type\": \"linear\", \"factor\": -2} | \"rope_scaling.factor\" is -2",
      "{\"type\": \"yarn\", \"factor\": 2, \"partial_rotary_factor\": 0.5} | \"rope_scaling.partial_rotary_factor\" is 0.5; expected 1",
      "{\"rope_type\": \"default\", \"partial_rotary_factor\": 0.5} | \"rope_scaling.partial_rotary_factor\" is 0.5; expected 1",
      "{\"rope_type\": \"default\", \"rope_theta\": 7} | \"rope_scaling.rope_theta\" is 7; expected",
      "{\"rope_type\": \"default\", \"low_freq_factor\": 1} | \"rope_scaling.low_freq_factor\" is 1; expected no such setting"})
  void otherRotaryScalingIsRefused(String json, String message) throws IOException {
    checkpoint.config.set("rope_scaling", TestCheckpoint.JSON.readTree(json));
    refuses(checkpoint.write(folder.resolve("hf")), message);
    checkpoint.makeLlada(); // which has no such key in its released configuration
    checkpoint.config.set("rope_scaling", TestCheckpoint.JSON.readTree(json));
    refuses(checkpoint.write(folder.resolve("hf")), message);
  }

  /** The frequency's base stands beside the kind of rotary embedding, or without it; there is none that all families take by default. */
  @Test
  void baseOfFrequenciesIsFound() throws IOException {
    checkpoint.makeDream();
    checkpoint.config.remove("rope_theta");
    refuses(checkpoint.write(folder.resolve("hf")), "\"rope_theta\" is missing; expected a positive number");
    checkBases();
    checkpoint.makeLlada();
    checkBases();
  }

  private void checkBases() throws IOException {
    for (String parameters : List.of("{\"rope_type\": \"default\", \"rope_theta\": 100.0}", "{\"rope_type\": \"default\"}", "null", "false")) {
      checkpoint.config.put("rope_theta", parameters.contains("100") ? 100.0 : 5000.0).set("rope_parameters", TestCheckpoint.JSON.readTree(parameters));
      Files.deleteIfExists(target);
      convert();
      try (GgufFile file = GgufFile.open(target)) {
        assertThat(file.metadata()).containsEntry(file.metadata().get("general.architecture").value() + ".rope.freq_base",
            MetadataValue.float32(parameters.contains("100") ? 100 : 5000));
      }
    }
  }

  /** Where two places say two things, the authors' codes and the versions of the transformers library take one or the other. */
  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
      "{\"rope_theta\": 7, \"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 8}} | \"rope_theta\" is 7; expected that of rope_parameters, 8.0",
      "{\"rope_scaling\": {\"rope_type\": \"yarn\", \"type\": \"linear\", \"factor\": 2}} | \"rope_scaling.type\" is \"linear\"; expected that of rope_type",
      "{\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2}, \"rope_parameters\": {\"rope_type\": \"linear\", \"factor\": 3}} | \"rope_parameters\" is {",
      "{\"rope_scaling\": {\"type\": \"mrope\", \"mrope_section\": [1, 2, 5]}} | \"rope_scaling.mrope_section\" is [1,2,5]; expected that beside it, [2, 3, 3]"})
  void settingsThatContradictEachOtherAreRefused(String json, String message) throws IOException {
    checkpoint.config.setAll((ObjectNode) TestCheckpoint.JSON.readTree(json));
    refuses(message);
  }

  /** The sections of a rotary embedding may stand with its kind alone, as Qwen2-VL's do. */
  @Test
  void sectionsStandWithTheKind() throws IOException {
    checkpoint.config.remove("mrope_section");
    checkpoint.config.putObject("rope_scaling").put("type", "mrope").put("rope_type", "default").putArray("mrope_section").add(1).add(2).add(5);
    convert();
    try (GgufFile file = GgufFile.open(target)) {
      assertThat(file.metadata()).containsEntry("dimple.rope.dimension_sections", MetadataValue.int32s(1, 2, 5, 0));
    }
  }
}
