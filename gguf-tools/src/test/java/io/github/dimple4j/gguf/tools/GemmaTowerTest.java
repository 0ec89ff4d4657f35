package io.github.dimple4j.gguf.tools;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.GgufFile;
import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.TensorInfo;
import io.github.dimple4j.gguf.TensorType;
import io.github.dimple4j.gguf.core.ModelCheck;
import io.github.dimple4j.gguf.core.TensorRows;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.node.ObjectNode;

/** The vision tower of a checkpoint with Gemma 4's names, into a file of its own. Its features are gemma4_tower_test's of the core. */
class GemmaTowerTest {
  private static final int WIDTH = 24;
  private static final int INNER = 20;
  private static final int PATCH = 4;
  private static final int POSITIONS = 16;
  private static final int OUT = 32;

  @TempDir private Path folder;
  private Path target;
  private TestCheckpoint checkpoint;
  private final Random random = new Random(3);

  @BeforeEach
  void make() throws IOException {
    target = folder.resolve("mmproj.gguf");
    checkpoint = TestCheckpoint.golden("gamma");
    checkpoint.config.removeAll();
    checkpoint.tensors.clear();
    make("model.encoder.", false);
  }

  private void make(String prefix, boolean clipped) {
    ObjectNode config = checkpoint.config.put("model_type", "diffusion_gemma");
    config.putObject("text_config").put("hidden_size", OUT);
    ObjectNode vision = config.putObject("vision_config").put("model_type", "gemma4_vision").put("hidden_size", WIDTH).put("head_dim", 8);
    vision.put("num_attention_heads", 3).put("num_key_value_heads", 3).put("num_hidden_layers", 2).put("intermediate_size", INNER)
        .put("patch_size", PATCH).put("pooling_kernel_size", 3).put("position_embedding_size", POSITIONS).put("standardize", true)
        .put("use_clipped_linears", clipped).put("hidden_activation", "gelu_pytorch_tanh").put("rms_norm_eps", 1e-6);
    checkpoint.tensors.clear();
    String tower = prefix + "vision_tower.";
    put("model.decoder.embed_tokens.weight", 96, OUT); // the text model's
    put(prefix + "embed_vision.embedding_projection.weight", OUT, WIDTH);
    put(tower + "patch_embedder.input_proj.weight", WIDTH, 3 * PATCH * PATCH);
    put(tower + "patch_embedder.position_embedding_table", 2, POSITIONS, WIDTH);
    put(tower + "std_bias", WIDTH);
    put(tower + "std_scale", WIDTH);
    for (int i = 0; i < 2; i++) {
      String layer = tower + "encoder.layers." + i + ".";
      for (String norm : List.of("input", "post_attention", "pre_feedforward", "post_feedforward")) {
        put(layer + norm + "_layernorm.weight", WIDTH);
      }
      put(layer + "self_attn.q_norm.weight", 8);
      put(layer + "self_attn.k_norm.weight", 8);
      Map<String, long[]> linear = new LinkedHashMap<>();
      List.of("q", "k", "v", "o").forEach(name -> linear.put("self_attn." + name + "_proj", new long[] {WIDTH, WIDTH}));
      linear.put("mlp.gate_proj", new long[] {INNER, WIDTH});
      linear.put("mlp.up_proj", new long[] {INNER, WIDTH});
      linear.put("mlp.down_proj", new long[] {WIDTH, INNER});
      linear.forEach((name, shape) -> {
        put(layer + name + ".linear.weight", shape);
        for (String bound : clipped ? List.of("input_min", "input_max", "output_min", "output_max") : List.<String>of()) {
          put(layer + name + "." + bound);
        }
      });
    }
  }

  private void put(String name, long... shape) {
    int count = 1;
    for (long size : shape) {
      count *= (int) size;
    }
    ByteBuffer bytes = ByteBuffer.allocate(4 * count).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < count; i++) {
      bytes.putFloat((float) random.nextGaussian());
    }
    checkpoint.tensors.put(name, new TestCheckpoint.Tensor("F32", Arrays.stream(shape).boxed().toList(), bytes.array()));
  }

  @ParameterizedTest
  @ValueSource(strings = {"model.encoder.", "model."})
  void everyTensorArrivesAtItsPlace(String prefix) throws IOException {
    make(prefix, true);
    Converter.of(checkpoint.write(folder.resolve("hf"))).to(Quantization.F16).mmproj(true).write(target);
    try (GgufFile file = GgufFile.open(target)) {
      assertThat(file.metadata()).containsEntry("general.architecture", MetadataValue.string("clip"))
          .containsEntry("clip.vision.projector_type", MetadataValue.string("gemma4v"))
          .containsEntry("clip.vision.projection_dim", MetadataValue.uint32(OUT))
          .containsEntry("clip.vision.image_max_pixels", MetadataValue.uint32(280 * 144))
          .doesNotContainKey("tokenizer.ggml.tokens");
      assertThat(file.tensors()).hasSize(5 + 2 * (6 + 7 * 5));
      assertThat(file.tensor("v.position_embd.weight").orElseThrow().type()).contains(TensorType.F32);
      assertThat(file.tensor("v.blk.1.ffn_down.weight").orElseThrow().type()).contains(TensorType.F16);
      assertThat(file.tensor("v.blk.1.ffn_down.output_max").orElseThrow().dimensions()).containsExactly(1L);
      TensorInfo patches = file.tensor("v.patch_embd.weight").orElseThrow();
      assertThat(patches.dimensions()).containsExactly(4L, 4L, 3L, 24L);
      float[] kernel = TensorRows.read(file, patches, 0, (int) patches.rows());
      TestCheckpoint.Tensor original = checkpoint.tensors.get(prefix + "vision_tower.patch_embedder.input_proj.weight");
      for (int i = 0; i < kernel.length; i++) { // [width][channel][row][column] of [width][row][column][channel]
        int from = i / 48 * 48 + i % 16 * 3 + i / 16 % 3;
        assertThat(kernel[i]).isEqualTo(Float.float16ToFloat(Float.floatToFloat16(original.get(from))));
      }
      TensorInfo bound = file.tensor("v.blk.0.attn_q.input_min").orElseThrow();
      assertThat(TensorRows.read(file, bound, 0, 1)[0])
          .isEqualTo(checkpoint.tensors.get(prefix + "vision_tower.encoder.layers.0.self_attn.q_proj.input_min").get(0));
    }
    assertThat(ModelCheck.of(target, false)).isEmpty();
  }

  /** The budget of a picture is the processor's, which newer checkpoints have in one file with the rest. */
  @ParameterizedTest
  @ValueSource(strings = {"preprocessor_config.json", "processor_config.json"})
  void theProcessorSaysHowLargePicturesAre(String name) throws IOException {
    checkpoint.config.put("vision_soft_tokens_per_image", 140);
    Path hf = checkpoint.write(folder.resolve("hf"));
    Converter converter = Converter.of(hf).mmproj(true).overwrite(true);
    assertThat(area(converter)).isEqualTo(MetadataValue.uint32(140 * 144));
    String settings = "{\"max_soft_tokens\": 70, \"patch_size\": %d}";
    String file = name.startsWith("pre") ? settings : "{\"image_processor\": " + settings + "}";
    Files.writeString(hf.resolve(name), file.formatted(PATCH));
    assertThat(area(converter)).isEqualTo(MetadataValue.uint32(70 * 144));
    Files.writeString(hf.resolve(name), file.formatted(PATCH + 1));
    assertThatThrownBy(() -> converter.write(target)).isInstanceOf(GgufException.class).hasMessageContaining(name).hasMessageContaining("patch_size");
  }

  private MetadataValue area(Converter converter) throws IOException {
    converter.write(target);
    try (GgufFile file = GgufFile.open(target)) {
      return file.metadata().get("clip.vision.image_max_pixels");
    }
  }

  @Test
  void otherTowersAreRefused() throws IOException {
    ((ObjectNode) checkpoint.config.get("vision_config")).put("hidden_activation", "silu");
    refuses("\"vision_config.hidden_activation\"");
    checkpoint.config.putObject("vision_config").put("model_type", "siglip");
    refuses("\"vision_config\"");
    checkpoint.config.remove("vision_config");
    refuses("\"vision_config\"");
  }

  private void refuses(String message) throws IOException {
    Path hf = checkpoint.write(folder.resolve("hf"));
    assertThatThrownBy(() -> Converter.of(hf).mmproj(true).write(target)).isInstanceOf(GgufException.class).hasMessageContaining(message);
  }
}
