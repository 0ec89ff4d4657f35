package io.github.dimple4j.gguf.architecture;

import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.checkpoint.JsonSettings;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * The shape of Gemma 4's vision tower, which DiffusionGemma has, too, and where its checkpoints have it.
 *
 * @param headSize of a query, key or value
 * @param pool patches per side of a square that becomes a token
 * @param positions rows of each table of positions
 * @param tokens that a picture has at most
 * @param clipped whether linear layers have bounds
 * @param standardized whether tokens are shifted and scaled
 * @param outputWidth width of the projected tokens
 * @param prefix of the checkpoint's names: of the tower and of what projects its tokens
 */
public record GemmaVision(int layers, int width, int heads, int headSize, int feedForward, int patchSize, int pool, int positions, int tokens,
    boolean clipped, boolean standardized, int outputWidth, double epsilon, String prefix) {
  private static final int CHANNELS = 3;
  /** llama.cpp's converter writes a size that no picture has. */
  private static final int NOMINAL_IMAGE_SIZE = 224;
  private static final List<Float> ZEROS = List.of(0f, 0f, 0f);
  private static final List<Float> ONES = List.of(1f, 1f, 1f);
  private static final double ROTARY_BASE = 100;
  private static final List<String> BOUNDS = List.of("input_min", "input_max", "output_min", "output_max");

  /** Whether a {@code config.json} describes such a tower. */
  static boolean describes(JsonSettings config) {
    return config.has("vision_config") && config.section("vision_config").text("model_type", "").equals("gemma4_vision");
  }

  /**
   * Reads {@code vision_config}; what it leaves out has the values of the authors' configuration class.
   *
   * @param config {@code config.json}
   * @param preprocessor how pictures are prepared, empty where nothing says so: their budget of tokens counts before that of the model
   * @param tensors the names of the checkpoint's tensors
   */
  static GemmaVision read(JsonSettings config, JsonSettings preprocessor, Set<String> tensors) {
    JsonSettings vision = config.section("vision_config");
    vision.requireText("hidden_activation", "gelu_pytorch_tanh");
    vision.requireFlag("attention_bias", false);
    int width = vision.size("hidden_size");
    int heads = vision.size("num_attention_heads");
    int headSize = vision.size("head_dim", width / heads);
    if (headSize * heads != width || headSize % 4 != 0) {
      throw vision.wrong("head_dim", "a multiple of 4 that is hidden_size " + width + " divided by num_attention_heads " + heads);
    }
    if (vision.size("num_key_value_heads", heads) != heads) {
      throw vision.wrong("num_key_value_heads", "num_attention_heads, " + heads);
    }
    if (vision.has("rope_parameters")) {
      JsonSettings rope = vision.section("rope_parameters");
      rope.requireText("rope_type", "default");
      if (rope.positive("rope_theta", ROTARY_BASE) != ROTARY_BASE) {
        throw rope.wrong("rope_theta", "100");
      }
    }
    vision.passOver(List.of("max_position_embeddings")); // its positions have a table of position_embedding_size
    String prefix = tensors.stream().anyMatch(name -> name.startsWith("model.encoder.vision_tower.")) ? "model.encoder." : "model.";
    int patchSize = vision.size("patch_size", 16);
    int pool = vision.size("pooling_kernel_size", 3);
    requirePreparation(preprocessor);
    requireEqual(preprocessor, "patch_size", patchSize);
    requireEqual(preprocessor, "pooling_kernel_size", pool);
    int tokens = preprocessor.size("max_soft_tokens", config.size("vision_soft_tokens_per_image", vision.size("default_output_length", 280)));
    return new GemmaVision(vision.count("num_hidden_layers"), width, heads, headSize, vision.size("intermediate_size"), patchSize, pool,
        vision.size("position_embedding_size", 10240), tokens, vision.flag("use_clipped_linears", false), vision.flag("standardize", false), config.section("text_config").size("hidden_size"), vision.positive("rms_norm_eps", 1e-6), prefix);
  }

  /** Numbers from 0 to 1 as they are: means of 0 and deviations of 1 leave them so. */
  private static void requirePreparation(JsonSettings preprocessor) {
    Preparation.require(preprocessor);
    preprocessor.passOver(List.of("size")); // which all such files have and their code does not read
    boolean normalized = preprocessor.flag("do_normalize", true);
    if (!preprocessor.floats("image_mean", CHANNELS, ZEROS).equals(ZEROS) && normalized) {
      throw preprocessor.wrong("image_mean", "[0, 0, 0]");
    }
    if (!preprocessor.floats("image_std", CHANNELS, ONES).equals(ONES) && normalized) {
      throw preprocessor.wrong("image_std", "[1, 1, 1]");
    }
  }

  private static void requireEqual(JsonSettings preprocessor, String key, int expected) {
    if (preprocessor.size(key, expected) != expected) {
      throw preprocessor.wrong(key, "that of config.json, " + expected);
    }
  }

  /** llama.cpp's keys of a {@code gemma4v} mmproj file, and those that it leaves to the program. */
  Map<String, MetadataValue> metadata() {
    long area = Math.multiplyExact((long) tokens, (long) patchSize * pool * patchSize * pool);
    if (area > Integer.MAX_VALUE) {
      throw new GgufException("config.json: pictures of " + tokens + " tokens of " + patchSize * pool + " pixels a side are beyond 2^31 pixels");
    }
    return new ClipKeys().projectorOfVision("gemma4v")
        .sizes(NOMINAL_IMAGE_SIZE, patchSize, width, feedForward, layers, outputWidth).colours(ZEROS, ONES).attention(heads, epsilon)
        .pool(pool).mostPixels((int) area).metadata();
  }

  /** llama.cpp's tensors of a {@code gemma4v}. */
  List<TensorSource> tensors() {
    String tower = prefix + "vision_tower.";
    List<TensorSource> list = new ArrayList<>();
    list.add(TensorSource.channelsFirst("v.patch_embd.weight", tower + "patch_embedder.input_proj.weight", width, patchSize, CHANNELS));
    list.add(TensorSource.whole("v.position_embd.weight", tower + "patch_embedder.position_embedding_table", 2, positions, width));
    for (int i = 0; i < layers; i++) {
      String to = "v.blk." + i + ".";
      String from = tower + "encoder.layers." + i + ".";
      list.add(TensorSource.whole(to + "ln1.weight", from + "input_layernorm.weight", width));
      addLinear(list, to + "attn_q", from + "self_attn.q_proj", width, width);
      addLinear(list, to + "attn_k", from + "self_attn.k_proj", width, width);
      addLinear(list, to + "attn_v", from + "self_attn.v_proj", width, width);
      list.add(TensorSource.whole(to + "attn_q_norm.weight", from + "self_attn.q_norm.weight", headSize));
      list.add(TensorSource.whole(to + "attn_k_norm.weight", from + "self_attn.k_norm.weight", headSize));
      addLinear(list, to + "attn_out", from + "self_attn.o_proj", width, width);
      list.add(TensorSource.whole(to + "attn_post_norm.weight", from + "post_attention_layernorm.weight", width));
      list.add(TensorSource.whole(to + "ln2.weight", from + "pre_feedforward_layernorm.weight", width));
      addLinear(list, to + "ffn_gate", from + "mlp.gate_proj", feedForward, width);
      addLinear(list, to + "ffn_up", from + "mlp.up_proj", feedForward, width);
      addLinear(list, to + "ffn_down", from + "mlp.down_proj", width, feedForward);
      list.add(TensorSource.whole(to + "ffn_post_norm.weight", from + "post_feedforward_layernorm.weight", width));
    }
    if (standardized) {
      list.add(TensorSource.whole("v.std_bias", tower + "std_bias", width));
      list.add(TensorSource.whole("v.std_scale", tower + "std_scale", width));
    }
    list.add(TensorSource.whole("mm.input_projection.weight", prefix + "embed_vision.embedding_projection.weight", outputWidth, width));
    return list;
  }

  private void addLinear(List<TensorSource> list, String to, String from, long rows, long columns) {
    list.add(TensorSource.whole(to + ".weight", from + ".linear.weight", rows, columns));
    if (clipped) {
      BOUNDS.forEach(bound -> list.add(TensorSource.scalar(to + "." + bound, from + "." + bound)));
    }
  }
}
