package io.github.dimple4j.gguf.tools;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.fail;
import static org.assertj.core.api.Assertions.tuple;
import static org.assertj.core.api.Assertions.within;

import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.GgufFile;
import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.TensorInfo;
import io.github.dimple4j.gguf.TensorType;
import io.github.dimple4j.gguf.architecture.QwenTower;
import io.github.dimple4j.gguf.architecture.QwenVision;
import io.github.dimple4j.gguf.architecture.TensorSource;
import io.github.dimple4j.gguf.core.TensorRows;
import java.io.IOException;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import tools.jackson.databind.JsonNode;

class SynthTest {
  @TempDir private Path folder;

  @Test
  void theSameSeedGivesTheSameFile() throws IOException {
    Path first = folder.resolve("1.gguf");
    Path second = folder.resolve("2.gguf");
    Path other = folder.resolve("3.gguf");
    Synth.of("dimple-mini").seed(5).write(first);
    Synth.of("dimple-mini").seed(5).write(second);
    Synth.of("dimple-mini").seed(6).write(other);
    assertThat(second).hasSameBinaryContentAs(first);
    try (GgufFile a = GgufFile.open(first); GgufFile b = GgufFile.open(other)) {
      TensorInfo tensor = a.tensor("blk.0.attn_q.weight").orElseThrow();
      assertThat(TensorRows.read(a, tensor, 0, 1)).isNotEqualTo(TensorRows.read(b, tensor, 0, 1));
    }
  }

  /** Directly made blocks and encoded floats have the same mean and deviation. */
  @ParameterizedTest
  @EnumSource(names = {"F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K"})
  void weightsHaveTheWantedSpread(TensorType type) throws IOException {
    Path path = folder.resolve("x.gguf");
    Synth.of("dimple-mini").type(type).write(path);
    try (GgufFile file = GgufFile.open(path)) {
      TensorInfo tensor = file.tensor("blk.1.ffn_down.weight").orElseThrow();
      assertThat(tensor.type()).contains(type);
      float[] weights = TensorRows.read(file, tensor, 0, (int) tensor.rows());
      double sum = 0;
      double squares = 0;
      for (float weight : weights) {
        sum += weight;
        squares += weight * weight;
      }
      double wanted = 1 / Math.sqrt(512);
      assertThat(Math.sqrt(squares / weights.length)).isCloseTo(wanted, within(0.06 * wanted));
      assertThat(sum / weights.length).isCloseTo(0, within(0.02 * wanted));
      float[] norm = TensorRows.read(file, file.tensor("output_norm.weight").orElseThrow(), 0, 1);
      assertThat(norm[0]).isBetween(0.9f, 1.1f).isNotEqualTo(norm[1]);
    }
  }

  @Test
  void theLargePresetHasTheRealModelsShape() {
    QwenTower tower = new QwenTower(32, 1280, 16, 3420, 14, 2, 3584, 3136, 1003520, QwenTower.CLIP_MEAN, QwenTower.CLIP_DEVIATION);
    QwenVision vision = new QwenVision(tower, 112, List.of(7, 15, 23, 31));
    assertThat(Synth.presets()).contains("dimple-7b");
    assertThat(vision.tensors()).hasSize(2 + 32 * 16 + 1 + 4);
    // SPEC section 2: patch embedding, 32 blocks, merger
    long block = 2 * 1280 + 3840 * 1280 + 3840 + 1280 * 1280 + 1280 + 3 * 3420 * 1280 + 2 * 3420 + 1280;
    assertThat(vision.tensors().stream().mapToLong(TensorSource::elements).sum())
        .isEqualTo(1280L * 1176 + 32 * block + 1280 + 5120L * 5120 + 5120 + 3584L * 5120 + 3584);
  }

  /** Billions of parameters, as model cards and reports give them or as the weights of transformers' classes add up. */
  @ParameterizedTest
  @CsvSource({"llada2-mini, 16.26", "llada2.2-mini, 16.26", "fast-dllm-v2-7b, 7.616", "sdar-8b, 8.191", "sdar-1.7b, 1.721", "sdar-30b-a3b, 30.53", "rnd1-30b-a3b, 30.53",
      "stable-diffcoder-8b, 8.25", "dream-7b, 7.62", "llada-8b, 8.02", "llada-moe-7b-a1b, 7.36", "a2d-qwen3-0.6b, 0.596", "a2d-qwen2-0.5b, 0.494",
      "sdar-vl-4b, 4.834", "sdar-vl-8b, 8.625", "llada-v-8b, 8.435", "lavida-llada-8b, 8.435", "lavida-dream-7b, 8.03"})
  void presetsHaveAsManyParametersAsTheModels(String name, double billions) {
    ReleasedShapes shape = ReleasedShapes.ALL.stream().filter(candidate -> candidate.name().equals(name)).findFirst().orElseThrow();
    assertThat(Synth.presets()).contains(name);
    long elements = shape.layout(shape.layers()).tensors().stream().mapToLong(TensorSource::elements).sum();
    assertThat(elements / 1e9).isCloseTo(billions, within(0.005 * billions));
  }

  /** The ids that the authors' function bars and stops at are those of the tokens that the preset has there. */
  @Test
  void thePresetOfLladaVHasItsTokensWhereTheyAre() {
    ReleasedShapes shape = ReleasedShapes.ALL.stream().filter(candidate -> candidate.name().equals("llada-v-8b")).findFirst().orElseThrow();
    SyntheticVocabulary vocabulary = shape.vocabulary();
    assertThat(List.of(vocabulary.id("<|mdm_mask|>"), vocabulary.id("<|start_header_id|>"), vocabulary.id("<|end_header_id|>"), vocabulary.id("<|eot_id|>"),
        vocabulary.id("<image>"))).containsExactly(126336, 126346, 126347, 126348, 126349);
    List<?> barred = shape.layout(1).metadata().get("diffusion.suppress_tokens").elements();
    assertThat(barred).hasSize(4 + 126464 - 126349);
    assertThat(barred.subList(0, 5).toString()).isEqualTo("[126080, 126081, 126346, 126347, 126349]");
    assertThat(barred.getLast().toString()).isEqualTo("126463");
  }

  /** Of Dream's tokenizer what is behind the mask is barred, and the first of it is a picture. */
  @Test
  void thePresetOfLavidaOnDreamHasItsTokensWhereTheyAre() {
    ReleasedShapes shape = ReleasedShapes.ALL.stream().filter(candidate -> candidate.name().equals("lavida-dream-7b")).findFirst().orElseThrow();
    assertThat(List.of(shape.vocabulary().id("<|mask|>"), shape.vocabulary().id("<image>"))).containsExactly(151666, 151667);
    Map<String, MetadataValue> metadata = shape.layout(1).metadata();
    assertThat(metadata).containsEntry("lavida-dream.image_token_id", MetadataValue.uint32(151667));
    List<?> barred = metadata.get("diffusion.suppress_tokens").elements();
    assertThat(barred).hasSize(152064 - 151667);
    assertThat(List.of(barred.getFirst().toString(), barred.getLast().toString())).containsExactly("151667", "152063");
  }

  @Test
  void theVocabularyIsConsistent() {
    Map<String, MetadataValue> metadata = SyntheticVocabulary.QWEN.metadata();
    List<?> tokens = metadata.get("tokenizer.ggml.tokens").elements();
    List<?> types = metadata.get("tokenizer.ggml.token_type").elements();
    assertThat(tokens).hasSize(152064);
    assertThat(new HashSet<>(tokens)).hasSize(152064);
    assertThat(types).hasSize(152064);
    assertThat(tokens.get(151643)).isEqualTo("<|endoftext|>");
    assertThat(tokens.get(151655)).isEqualTo("<|image_pad|>");
    assertThat(tokens.get(151666)).isEqualTo("<|mask|>");
    assertThat(List.of(types.get(151642), types.get(151643), types.get(151657), types.get(151667))).isEqualTo(List.of(1L, 3L, 4L, 5L));
    HashSet<Object> known = new HashSet<>(tokens.subList(0, 256));
    List<?> merges = metadata.get("tokenizer.ggml.merges").elements();
    for (int i = 0; i < merges.size(); i++) { // both parts are tokens of lower ids, and the whole is the next token
      String[] parts = ((String) merges.get(i)).split(" ");
      if (!known.contains(parts[0]) || !known.contains(parts[1]) || !known.add(tokens.get(256 + i))
          || !tokens.get(256 + i).equals(parts[0] + parts[1])) {
        fail("merge %d, %s, does not make token %d, %s", i, merges.get(i), 256 + i, tokens.get(256 + i));
      }
    }
  }

  @Test
  void fewerLayersAreAsWide() throws IOException {
    Path whole = folder.resolve("whole.gguf");
    Path path = folder.resolve("x.gguf");
    Synth.of("dimple-mini").write(whole);
    Synth.of("dimple-mini").layers(1).write(path);
    try (GgufFile file = GgufFile.open(path); GgufFile four = GgufFile.open(whole)) {
      assertThat(file.tensor("blk.1.attn_q.weight")).isEmpty();
      TensorInfo tensor = file.tensor("blk.0.ffn_down.weight").orElseThrow();
      assertThat(TensorRows.read(file, tensor, 0, 2)).isEqualTo(TensorRows.read(four, four.tensor(tensor.name()).orElseThrow(), 0, 2));
    }
    assertThatThrownBy(() -> Synth.of("dimple-mini").layers(0)).isInstanceOf(GgufException.class).hasMessage("layers is 0; expected at least 1");
  }

  /** As the quantizer would from a file of the same shape. */
  @Test
  void aMixtureGivesEachMatrixItsType() throws IOException {
    Path source = folder.resolve("f16.gguf");
    Path quantized = folder.resolve("quantized.gguf");
    Path path = folder.resolve("x.gguf");
    Synth.of("dimple-mini").type(TensorType.F16).write(source);
    Quantizer.of(source).to(Quantization.Q4_K_M).write(quantized);
    Synth synth = Synth.of("dimple-mini").mixture(Quantization.Q4_K_M);
    synth.write(path);
    assertThat(synth).hasToString("Synth[dimple-mini, q4_k_m, seed 0]");
    try (GgufFile file = GgufFile.open(path); GgufFile expected = GgufFile.open(quantized)) {
      assertThat(file.tensors()).extracting(TensorInfo::name, TensorInfo::typeName)
          .containsExactlyInAnyOrderElementsOf(expected.tensors().stream().map(each -> tuple(each.name(), each.typeName())).toList());
      assertThat(file.tensors()).extracting(TensorInfo::typeName).contains("q4_k", "q6_k");
      assertThat(file.metadata().get("general.file_type")).isEqualTo(expected.metadata().get("general.file_type"));
    }
  }

  @Test
  void unknownPresetsAreRefused() {
    assertThatThrownBy(() -> Synth.of("gpt-5")).isInstanceOf(GgufException.class).hasMessageContaining("dimple-7b, dimple-mini");
  }

  @Test
  void inspectionShowsKeysAndTensors() throws IOException {
    Path path = folder.resolve("x.gguf");
    WrittenFile written = Synth.of("dimple-mini").write(path);
    try (GgufFile file = GgufFile.open(path)) {
      assertThat(Inspector.of(file, 3).text()).contains("126 tensors", "general.architecture", "\"dimple\"", "1,021 more",
          "blk.3.ffn_down.weight", "[512 x 256]");
      JsonNode root = TestCheckpoint.JSON.readTree(Inspector.of(file, 3).json());
      assertThat(root.path("size").longValue()).isEqualTo(written.fileSize());
      assertThat(root.at("/metadata/dimple.block_count/value").intValue()).isEqualTo(4);
      assertThat(root.at("/metadata/tokenizer.ggml.tokens/count").intValue()).isEqualTo(1024);
      assertThat(root.at("/metadata/tokenizer.ggml.tokens/value")).hasSize(3);
      JsonNode tensor = root.at("/tensors/1");
      assertThat(tensor.path("name").stringValue()).isEqualTo("blk.0.attn_norm.weight");
      assertThat(tensor.path("type").stringValue()).isEqualTo("f32");
      assertThat(tensor.at("/shape/0").intValue()).isEqualTo(256);
      assertThat(tensor.path("size").intValue()).isEqualTo(1024);
    }
  }

  @Test
  void progressReachesTheEnd() throws IOException {
    long[] last = new long[2];
    Synth.of("dimple-mini").progress((tensor, done, total) -> {
      assertThat(done).isBetween(last[0], total);
      last[0] = done;
      last[1] = total;
    }).write(folder.resolve("x.gguf"));
    assertThat(last[0]).isPositive().isEqualTo(last[1]);
  }
}
