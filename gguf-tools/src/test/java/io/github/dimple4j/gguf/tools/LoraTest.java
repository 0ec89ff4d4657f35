package io.github.dimple4j.gguf.tools;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.GgufFile;
import io.github.dimple4j.gguf.TensorInfo;
import io.github.dimple4j.gguf.core.TensorRows;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.node.ObjectNode;

/** An adapter merged on the way is the same as a checkpoint into which it was merged before, by PEFT's formula in double precision. */
class LoraTest {
  private static final String MODULES = "base_model.model.";

  @TempDir private Path folder;
  private final Random random = new Random(14);
  private final Map<String, TestCheckpoint.Tensor> adapter = new LinkedHashMap<>();
  private final ObjectNode config = TestCheckpoint.JSON.createObjectNode().put("peft_type", "LORA").put("r", 3).put("lora_alpha", 6)
      .put("base_model_name_or_path", "somebody/model");
  private TestCheckpoint plain;
  private TestCheckpoint merged;

  @BeforeEach
  void load() throws IOException {
    plain = TestCheckpoint.golden("gamma");
    merged = TestCheckpoint.golden("gamma");
  }

  static float[] numbers(int count, long seed) {
    Random source = new Random(seed);
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) source.nextGaussian() * 0.3f;
    }
    return values;
  }

  static TestCheckpoint.Tensor tensor(float[] values, long... shape) {
    ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asFloatBuffer().put(values);
    List<Long> sizes = new ArrayList<>();
    for (long size : shape) {
      sizes.add(size);
    }
    return new TestCheckpoint.Tensor("F32", sizes, bytes.array());
  }

  private float[] numbers(long count) {
    return numbers((int) count, random.nextLong());
  }

  /** Gives a module an A and a B, and adds their product to the merged checkpoint. */
  private void adapt(String module, int rank, double scale, boolean embedding) {
    TestCheckpoint.Tensor weight = merged.tensors.get(module + ".weight");
    int rows = weight.shape().get(0).intValue();
    int columns = weight.shape().get(1).intValue();
    int in = embedding ? rows : columns;
    int out = embedding ? columns : rows;
    float[] a = numbers((long) rank * in);
    float[] b = numbers((long) out * rank);
    adapter.put(MODULES + module + (embedding ? ".lora_embedding_A" : ".lora_A.weight"), tensor(a, rank, in));
    adapter.put(MODULES + module + (embedding ? ".lora_embedding_B" : ".lora_B.weight"), tensor(b, out, rank));
    float[] sum = new float[rows * columns];
    for (int r = 0; r < rows; r++) {
      for (int c = 0; c < columns; c++) {
        double delta = 0;
        for (int k = 0; k < rank; k++) {
          delta += embedding ? b[c * rank + k] * (double) a[k * in + r] : b[r * rank + k] * (double) a[k * in + c];
        }
        sum[r * columns + c] = (float) (weight.get(r * columns + c) + scale * delta);
      }
    }
    merged.tensors.put(module + ".weight", tensor(sum, rows, columns));
  }

  private Path adapterFolder() throws IOException {
    Path directory = Files.createDirectories(folder.resolve("adapter"));
    Files.write(directory.resolve("adapter_config.json"), TestCheckpoint.JSON.writeValueAsBytes(config));
    Files.write(directory.resolve("adapter_model.safetensors"), TestCheckpoint.safetensors(adapter));
    return directory;
  }

  private void assertMerged() throws IOException {
    Path expected = folder.resolve("expected.gguf");
    Path found = folder.resolve("found.gguf");
    Path hf = Files.createDirectories(folder.resolve("hf"));
    Converter.of(merged.write(hf)).to(Quantization.F32).write(expected);
    WrittenFile written = Converter.of(plain.write(hf)).to(Quantization.F32).lora(adapterFolder()).write(found);
    assertSame(expected, found);
    assertThat(written.unread()).anyMatch(setting -> setting.contains("base_model_name_or_path, somebody/model;"));
  }

  private static void assertSame(Path expected, Path found) throws IOException {
    try (GgufFile wanted = GgufFile.open(expected); GgufFile file = GgufFile.open(found)) {
      assertThat(file.metadata()).isEqualTo(wanted.metadata());
      for (TensorInfo tensor : wanted.tensors()) {
        float[] values = TensorRows.read(wanted, tensor, 0, (int) tensor.rows());
        float[] others = TensorRows.read(file, file.tensor(tensor.name()).orElseThrow(), 0, (int) tensor.rows());
        assertThat(others).as(tensor.name()).hasSameSizeAs(values);
        float apart = 0;
        for (int i = 0; i < values.length; i++) {
          apart = Math.max(apart, Math.abs(values[i] - others[i]));
        }
        assertThat(apart).as(tensor.name()).isLessThan(2e-6f);
      }
    }
  }

  /** Adapters that PEFT itself saved, with what its merge_and_unload made of them: tests/reference/lora_goldens.py. */
  @ParameterizedTest
  @CsvSource({"layers, a2d-qwen3", "one-layer, a2d-qwen2", "excluded, a2d-qwen2", "expression, a2d-qwen3", "saved, sdar", "linear, a2d-qwen3", "embedding, sdar",
      "tied, a2d-qwen2", "tied-saved, a2d-qwen2", "pissa, a2d-qwen2"})
  void whatPeftSavedBecomesWhatPeftMerges(String name, String checkpoint) throws IOException {
    Path saved = TestCheckpoint.GOLDENS.resolve("lora").resolve(name);
    merged = TestCheckpoint.golden(checkpoint);
    merged.tensors.putAll(TestCheckpoint.read(saved.resolve("merged.safetensors")));
    Path hf = Files.createDirectories(folder.resolve("hf"));
    Path expected = folder.resolve("expected.gguf");
    Path found = folder.resolve("found.gguf");
    Converter.of(merged.write(hf)).to(Quantization.F32).write(expected);
    Converter.of(TestCheckpoint.golden(checkpoint).write(hf)).to(Quantization.F32).lora(saved).write(found);
    assertSame(expected, found);
    Map<String, TestCheckpoint.Tensor> tensors = TestCheckpoint.read(saved.resolve("adapter_model.safetensors"));
    config.setAll((ObjectNode) TestCheckpoint.JSON.readTree(Files.readAllBytes(saved.resolve("adapter_config.json"))));
    boolean untied = TestCheckpoint.golden(checkpoint).tensors.containsKey("lm_head.weight");
    for (String module : tensors.keySet().stream().map(key -> key.replaceFirst("\\.(base_layer\\.)?(lora_.*|weight|bias)$", "")).distinct().toList()) {
      adapter.putAll(tensors);
      adapter.keySet().removeIf(key -> key.startsWith(module + "."));
      if (!module.endsWith("lm_head") || untied) { // what stands for the embedding once more may be missing
        assertThatThrownBy(() -> Converter.of(TestCheckpoint.golden(checkpoint).write(hf)).to(Quantization.F32).lora(adapterFolder()).write(folder.resolve("refused.gguf")))
            .isInstanceOf(GgufException.class).hasMessageMatching(".*(: nothing of |the checkpoint has no ).*");
      }
    }
  }

  @Test
  void matricesOfEveryKindAreMerged() throws IOException {
    adapt("model.layers.0.self_attn.q_proj", 3, 2, false);
    adapt("model.layers.1.mlp.down_proj", 3, 2, false);
    adapt("visual.blocks.0.attn.qkv", 3, 2, false); // becomes three tensors
    adapt("model.embed_tokens", 3, 2, true);
    config.put("target_modules", "model\\.(embed_tokens|layers\\.(0\\.self_attn\\.q|1\\.mlp\\.down)_proj)|visual\\.blocks\\.0\\..*qkv");
    assertMerged();
  }

  @Test
  void ranksAndScalesOfModulesCount() throws IOException {
    config.put("use_rslora", true);
    config.putObject("rank_pattern").put("down_proj", 5).put("layers\\.1\\.self_attn\\.q_proj", 2);
    config.putObject("alpha_pattern").put("q_proj", 10);
    adapt("model.layers.0.mlp.down_proj", 5, 6 / Math.sqrt(5), false);
    adapt("model.layers.1.self_attn.q_proj", 2, 10 / Math.sqrt(2), false);
    adapt("model.layers.0.self_attn.q_proj", 3, 10 / Math.sqrt(3), false);
    adapt("model.layers.0.self_attn.v_proj", 3, 6 / Math.sqrt(3), false);
    assertMerged();
  }

  @Test
  void wholeTensorsTakeTheCheckpointsPlace() throws IOException {
    for (String name : List.of("lm_head.weight", "model.layers.0.self_attn.k_proj.bias")) {
      TestCheckpoint.Tensor old = plain.tensors.get(name);
      TestCheckpoint.Tensor other = tensor(numbers(old.count()), old.shape().stream().mapToLong(size -> size).toArray());
      merged.tensors.put(name, other);
      adapter.put(MODULES + name.replace("lm_head.", "lm_head.modules_to_save."), other);
    }
    adapt("model.layers.0.self_attn.o_proj", 3, 2, false);
    config.put("target_modules", "all-linear");
    assertMerged();
  }

  /** PEFT names a bias so that stands beside an A and a B, where it trained all biases. */
  @Test
  void biasesOfAdaptedModulesAreWhole() throws IOException {
    String name = "model.layers.0.self_attn.k_proj";
    TestCheckpoint.Tensor other = tensor(numbers(plain.tensors.get(name + ".bias").count()), plain.tensors.get(name + ".bias").shape().getFirst());
    merged.tensors.put(name + ".bias", other);
    adapter.put(MODULES + name + ".base_layer.bias", other);
    adapt(name, 3, 2, false);
    assertMerged();
  }

  /** The logits would be another matrix's than PEFT's, which adapts one of the two modules. */
  @Test
  void whatMakesTheLogitsTooIsNotAdaptedForBoth() throws IOException {
    plain.config.put("tie_word_embeddings", true);
    merged.config.put("tie_word_embeddings", true);
    plain.tensors.remove("lm_head.weight");
    merged.tensors.remove("lm_head.weight");
    adapt("model.embed_tokens", 3, 2, true);
    refuses("changes model.embed_tokens.weight, which makes this model's logits, too");
    config.put("ensure_weight_tying", true);
    assertMerged();
  }

  private void refuses(String message) throws IOException {
    Path hf = plain.write(Files.createDirectories(folder.resolve("hf")));
    Path directory = adapterFolder();
    Path target = folder.resolve("refused.gguf");
    assertThatThrownBy(() -> Converter.of(hf).to(Quantization.F32).lora(directory).write(target)).isInstanceOf(GgufException.class)
        .hasMessageContaining(message);
    assertThat(target).doesNotExist();
  }

  private void refuses(String key, Object value, String message) throws IOException {
    config.set(key, TestCheckpoint.JSON.valueToTree(value));
    refuses(message);
    config.remove(key);
    config.put("peft_type", "LORA").put("r", 3);
  }

  @Test
  void whatIsNotLoraIsRefusedByName() throws IOException {
    adapt("model.layers.0.self_attn.q_proj", 3, 2, false);
    refuses("peft_type", "IA3", "\"peft_type\"");
    refuses("use_dora", true, "\"use_dora\"");
    refuses("fan_in_fan_out", true, "\"fan_in_fan_out\"");
    refuses("init_lora_weights", "pissa_niter_4", "\"init_lora_weights\"");
    refuses("init_lora_weights", "lora_ga", "\"init_lora_weights\"");
    refuses("init_lora_weights", 1, "\"init_lora_weights\"");
    refuses("bias", "some", "\"bias\"");
    refuses("use_bdlora", Map.of("nblocks", 2), "\"use_bdlora\"");
    refuses("kasa_config", Map.of("beta", 1), "\"kasa_config\"");
    refuses("target_parameters", List.of("experts.gate_up_proj"), "\"target_parameters\"");
    refuses("target_parameters", "experts.gate_up_proj", "\"target_parameters\"");
    refuses("trainable_token_indices", List.of(3, 5), "\"trainable_token_indices\"");
    refuses("trainable_token_indices", Map.of("embed_tokens", List.of(3)), "\"trainable_token_indices\"");
    refuses("r", 4, "is not of rank 4");
    adapter.put(MODULES + "model.layers.0.self_attn.q_proj.lora_magnitude_vector", tensor(new float[1], 1));
    refuses("not merged (DoRA)");
  }

  @Test
  void whatMatchesNothingIsAnError() throws IOException {
    adapter.put(MODULES + "model.layers.7.self_attn.q_proj.lora_A.weight", tensor(new float[6], 3, 2));
    refuses("model.layers.7.self_attn.q_proj has [lora_A], expected an A and a B");
    adapter.put(MODULES + "model.layers.7.self_attn.q_proj.lora_B.weight", tensor(new float[6], 2, 3));
    refuses("changes model.layers.7.self_attn.q_proj.weight of shape [2, 2]; the checkpoint has no such tensor");
    adapter.clear();
    adapter.put(MODULES + "model.layers.0.self_attn.q_proj.lora_A.weight", tensor(new float[6], 3, 2));
    adapter.put(MODULES + "model.layers.0.self_attn.q_proj.lora_B.weight", tensor(new float[6], 2, 3));
    refuses("the checkpoint's has shape");
    adapter.clear();
    adapter.put(MODULES + "score.weight", tensor(new float[6], 3, 2));
    refuses("has no tensor score.weight");
    adapter.clear();
    adapter.put("model.layers.0.self_attn.q_proj.lora_A.weight", tensor(new float[6], 3, 2));
    refuses("does not begin with base_model.model.");
    adapter.clear();
    adapter.put(MODULES + "model.layers.0.self_attn.q_proj.lora_A.weight", tensor(new float[] {Float.NaN, 0, 0, 0, 0, 0}, 3, 2));
    adapter.put(MODULES + "model.layers.0.self_attn.q_proj.lora_B.weight", tensor(new float[6], 2, 3));
    refuses("element 0 is NaN");
  }

  /** What is missing would be the checkpoint's, and settings that nobody knows would be passed over. */
  @Test
  void whatIsMissingOrUnknownIsAnError() throws IOException {
    adapt("model.layers.0.self_attn.q_proj", 3, 2, false);
    refuses("modules_to_save", List.of("embed_tokens"), "nothing of module embed_tokens");
    config.remove("modules_to_save");
    refuses("target_modules", List.of("q_proj"), "nothing of model.layers.1.self_attn.q_proj.weight");
    refuses("target_modules", "model\\.layers\\.\\d+\\.self_attn\\.q_proj", "nothing of model.layers.1.self_attn.q_proj.weight");
    refuses("target_modules", "*q_proj", "\"target_modules\"");
    config.putArray("target_modules").add("q_proj");
    refuses("layers_to_transform", 1, "changes model.layers.0.self_attn.q_proj.weight, which adapter_config.json does not name");
    refuses("exclude_modules", List.of("model.layers.0.self_attn.q_proj"), "changes model.layers.0.self_attn.q_proj.weight, which");
    refuses("exclude_modules", List.of("1.self_attn.k_proj"), "nothing of model.layers.1.self_attn.q_proj.weight");
    refuses("layers_to_transform", -1, "\"layers_to_transform\"");
    refuses("layers_pattern", "(", "nothing of model.layers.1.self_attn.q_proj.weight"); // of no use without layers
    config.putArray("layers_to_transform").add(0);
    refuses("layers_pattern", "(", "\"layers_pattern\"");
    refuses("layers_pattern", "blocks", "changes model.layers.0.self_attn.q_proj.weight, which");
    refuses("bias", "lora_only", "nothing of model.layers.0.self_attn.q_proj.bias");
    refuses("alpha_in_layers", 3, "\"alpha_in_layers\": not known here");
    config.remove(List.of("alpha_in_layers", "peft_type"));
    config.put("peft_type", "LORA").putNull("eva_config").put("inference_mode", true);
    assertMerged();
  }

  @Test
  void whatIsThereTwiceIsAnError() throws IOException {
    adapter.put(MODULES + "lm_head.weight", plain.tensors.get("lm_head.weight"));
    adapter.put(MODULES + "lm_head.modules_to_save.weight", plain.tensors.get("lm_head.weight"));
    refuses("the adapter has it twice");
  }

  /** One adapter for a checkpoint that becomes two files: each has its own part of it. */
  @Test
  void anAdapterOfTwoFilesIsMergedIntoBoth() throws IOException {
    plain = TestCheckpoint.golden("diffusion-gemma");
    merged = TestCheckpoint.golden("diffusion-gemma");
    String text = module("layers.0.self_attn.q_proj", false);
    String vision = module("layers.0.self_attn.q_proj", true);
    adapt(text, 3, 2, false);
    adapt(vision, 3, 2, false);
    Path hf = Files.createDirectories(folder.resolve("hf"));
    for (boolean tower : new boolean[] {false, true}) {
      Path expected = folder.resolve("expected-" + tower);
      Path found = folder.resolve("found-" + tower);
      Converter.of(merged.write(hf)).to(Quantization.F32).mmproj(tower).write(expected);
      WrittenFile written = Converter.of(plain.write(hf)).to(Quantization.F32).mmproj(tower).lora(adapterFolder()).write(found);
      assertThat(written.leftOut()).contains((tower ? text : vision) + ".weight");
      assertSame(expected, found);
    }
    adapter.put(MODULES + "nobody.lora_A.weight", tensor(new float[6], 3, 2));
    adapter.put(MODULES + "nobody.lora_B.weight", tensor(new float[6], 2, 3));
    for (boolean tower : new boolean[] {false, true}) {
      assertThatThrownBy(() -> Converter.of(hf).mmproj(tower).lora(adapterFolder()).write(folder.resolve("refused.gguf")))
          .isInstanceOf(GgufException.class).hasMessageContaining("changes nobody.weight");
    }
  }

  private String module(String end, boolean vision) {
    return plain.tensors.keySet().stream().filter(name -> name.contains("vision") == vision && !name.contains(".encoder.language"))
        .filter(name -> name.matches(".*" + end + "(\\.linear)?\\.weight")).findFirst().orElseThrow().replaceFirst("\\.weight$", "");
  }

  @Test
  void foldersThatAreNoAdapters() throws IOException {
    Path hf = plain.write(Files.createDirectories(folder.resolve("hf")));
    Path empty = Files.createDirectories(folder.resolve("empty"));
    Path target = folder.resolve("refused.gguf");
    assertThatThrownBy(() -> Converter.of(hf).lora(empty).write(target)).hasMessageContaining("has no adapter_config.json");
    Files.write(empty.resolve("adapter_config.json"), TestCheckpoint.JSON.writeValueAsBytes(config));
    assertThatThrownBy(() -> Converter.of(hf).lora(empty).write(target)).hasMessageContaining("adapter_model.safetensors is missing");
    Files.writeString(empty.resolve("adapter_model.bin"), "pickle");
    assertThatThrownBy(() -> Converter.of(hf).lora(empty).write(target)).hasMessageContaining("is a pickle");
  }
}
