package io.github.dimple4j.gguf.architecture;

import io.github.dimple4j.gguf.MetadataType;
import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.checkpoint.JsonSettings;
import io.github.dimple4j.gguf.checkpoint.PreTokenizer;
import io.github.dimple4j.gguf.checkpoint.SpecialTokens;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import tools.jackson.databind.JsonNode;

/**
 * DiffusionGemma's text model: Gemma 4's layers, which go over settled tokens and over a canvas, with a scalar behind each that differs. Keys and
 * tensors are those of llama.cpp's pull requests 24423 and 24427. The vision tower goes into a file of its own ({@link GemmaVision}).
 */
public final class DiffusionGemma implements Architecture {
  /** The core's limit, csrc/transformer/limits.h. */
  private static final int WIDEST = 1 << 17;
  private static final String TURNING_PART = "partial_rotary_factor";
  private static final String NAME = "diffusion-gemma";
  /** {@code <mask>} in Gemma's tokenizer: it stands for what is not written yet; no pass ever sees it. */
  private static final int MASK = 4;
  private static final String OUTPUT = "lm_head.weight";
  private static final String EMBEDDING = "embed_tokens.weight";
  private static final String DECODER = "model.decoder.";
  private static final String ENCODER = "model.encoder.language_model.";
  /** What divides an angle that is not to turn. */
  private static final float STILL = 1e30f;

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public List<String> modelTypes() {
    return List.of("diffusion_gemma");
  }

  @Override
  public ModelLayout layout(JsonSettings config, JsonSettings preprocessor, Set<String> tensors) {
    JsonSettings text = config.section("text_config");
    config.requireFlag("tie_word_embeddings", true);
    config.passOver(List.of("vision_config", "vision_soft_tokens_per_image")); // which is the tower's file's
    Shape shape = Shape.read(text);
    Map<String, MetadataValue> metadata = new LinkedHashMap<>(shape.metadata());
    if (config.has("image_token_id")) {
      metadata.put(NAME + ".image_token_id", MetadataValue.uint32(config.size("image_token_id")));
    }
    metadata.put("diffusion.canvas_length", MetadataValue.uint32(config.size("canvas_length")));
    metadata.put("diffusion.pipeline", MetadataValue.string("diffusion-gemma"));
    return new ModelLayout(NAME, shape.vocabulary(), metadata, tensors(shape, tensors), PreTokenizer.QWEN2, SpecialTokens.read(text).withMask(MASK),
        elsewhere(tensors));
  }

  @Override
  public Map<String, String> twins(Set<String> tensors) {
    Map<String, String> twins = new TreeMap<>();
    for (String name : tensors) {
      String decoders = name.startsWith(ENCODER) && !name.endsWith(".layer_scalar") ? DECODER + name.substring(ENCODER.length()) : "";
      if (tensors.contains(decoders)) {
        twins.put(name, decoders);
      }
    }
    if (tensors.contains(OUTPUT)) {
      twins.put(OUTPUT, (tensors.contains(DECODER + EMBEDDING) ? DECODER : ENCODER) + EMBEDDING);
    }
    return twins;
  }

  /** The entropy-bound sampler's settings, under the names that llama.cpp's programs read; what the checkpoint leaves out has the library's default there, too. */
  @Override
  public Map<String, MetadataValue> decoding(JsonSettings generation) {
    Map<String, MetadataValue> keys = new LinkedHashMap<>();
    if (generation.has("max_denoising_steps")) {
      keys.put("diffusion.eb_max_steps", MetadataValue.uint32(generation.size("max_denoising_steps")));
    }
    if (generation.has("stability_threshold")) {
      keys.put("diffusion.eb_stability_threshold", MetadataValue.uint32(atLeastZero(generation, "stability_threshold")));
    }
    putPositive(keys, "diffusion.eb_t_min", generation, "t_min");
    putPositive(keys, "diffusion.eb_t_max", generation, "t_max");
    putPositive(keys, "diffusion.eb_confidence_threshold", generation, "confidence_threshold");
    if (generation.has("sampler_config")) {
      JsonSettings sampler = generation.section("sampler_config");
      sampler.requireText("_cls_name", "EntropyBoundSamplerConfig");
      putPositive(keys, "diffusion.eb_entropy_bound", sampler, "entropy_bound");
    }
    return keys;
  }

  private static int atLeastZero(JsonSettings settings, String name) {
    return settings.token(name).orElseThrow(() -> settings.wrong(name, "an integer from 0 on"));
  }

  private static void putPositive(Map<String, MetadataValue> keys, String key, JsonSettings settings, String name) {
    if (settings.has(name)) {
      keys.put(key, MetadataValue.float32(settings.positive(name, 1)));
    }
  }

  /** The released 26B-A4B with another number of layers; what its tokenizer's tokens are, the caller says. */
  public static ModelLayout released(int layers, SpecialTokens special) {
    List<Boolean> sliding = new ArrayList<>();
    for (int i = 0; i < layers; i++) {
      sliding.add(i % 6 != 5);
    }
    Shape shape = new Shape(262144, 262144, 2816, 2112, 16, List.copyOf(sliding), 8, 2, 256, 512, 1024, 1e4, 1e6, 0.25, 1, 128, 8, 704, 1e-6, 30);
    Map<String, MetadataValue> metadata = new LinkedHashMap<>(shape.metadata());
    metadata.put("diffusion.canvas_length", MetadataValue.uint32(256));
    metadata.put("diffusion.pipeline", MetadataValue.string("diffusion-gemma"));
    return new ModelLayout(NAME, shape.vocabulary(), metadata, tensors(shape, Set.of(DECODER + "embed_tokens.weight")), PreTokenizer.QWEN2, special);
  }

  /** The tower, and what both halves of the model share and a checkpoint may hold under the names of either. */
  private Set<String> elsewhere(Set<String> tensors) {
    Set<String> names = new TreeSet<>(twins(tensors).keySet());
    for (String name : tensors) {
      if (name.startsWith("model.encoder.vision_tower.") || name.startsWith("model.encoder.embed_vision.")) {
        names.add(name);
      }
    }
    return names;
  }

  /** What of {@code config.json} shapes the text model. */
  private record Shape(int vocabulary, int context, int width, int dense, int heads, List<Boolean> sliding, int slidingKeyHeads, int fullKeyHeads,
      int slidingHead, int fullHead, int window, double slidingBase, double fullBase, double turning, double factor, int experts, int expertsUsed,
      int expertWidth, double epsilon, double softcap) {

    static Shape read(JsonSettings text) {
      text.requireText("hidden_activation", "gelu_pytorch_tanh");
      text.requireFlag("attention_bias", false);
      text.requireFlag("tie_word_embeddings", true);
      text.requireText("use_bidirectional_attention", "vision");
      text.requireFlag("enable_moe_block", true);
      text.passOver(List.of("attention_k_eq_v", "vocab_size_per_layer_input")); // tensors tell the former; nothing has the latter
      for (String key : List.of("num_kv_shared_layers", "hidden_size_per_layer_input")) {
        if (text.has(key) && !text.node(key).toString().equals("0")) {
          throw text.wrong(key, "0");
        }
      }
      JsonSettings ropes = text.section("rope_parameters");
      JsonSettings slidingRope = ropes.section("sliding_attention");
      JsonSettings fullRope = ropes.section("full_attention");
      requireRope(slidingRope, "default", Set.of("rope_type", "rope_theta"));
      requireRope(fullRope, "proportional", Set.of("rope_type", "rope_theta", TURNING_PART, "factor"));
      int experts = text.count("num_experts");
      int used = text.size("top_k_experts");
      if (used > experts) {
        throw text.wrong("top_k_experts", "at most num_experts " + experts);
      }
      int keyHeads = text.size("num_key_value_heads");
      int fullHead = text.size("global_head_dim");
      if (fullHead > WIDEST) { // a table of its angles is made before any tensor is looked at
        throw text.wrong("global_head_dim", "at most " + WIDEST);
      }
      return new Shape(text.size("vocab_size"), text.size("max_position_embeddings"), text.size("hidden_size"), text.size("intermediate_size"),
          text.size("num_attention_heads"), sliding(text), keyHeads, text.has("num_global_key_value_heads") ? text.size("num_global_key_value_heads")
              : keyHeads, text.size("head_dim"), fullHead, text.size("sliding_window"), slidingRope.positive("rope_theta", 1e4),
          fullRope.positive("rope_theta", 1e6), turningPart(fullRope), fullRope.positive("factor", 1), experts, used,
          text.size("moe_intermediate_size"), text.positive("rms_norm_eps", 1e-6), softcap(text));
    }

    /** Refuses any other kind of rotary embedding, and settings that the kind has not. */
    private static void requireRope(JsonSettings rope, String kind, Set<String> settings) {
      if (!rope.text("rope_type", "").equals(kind)) {
        throw rope.wrong("rope_type", "\"" + kind + "\"");
      }
      for (String name : rope.names()) {
        if (!settings.contains(name)) {
          throw rope.wrong(name, "no such setting with \"" + kind + "\"");
        }
      }
    }

    private static double turningPart(JsonSettings rope) {
      double part = rope.positive(TURNING_PART, 1);
      if (part > 1) {
        throw rope.wrong(TURNING_PART, "at most 1");
      }
      return part;
    }

    /** 0, none, where it is null. */
    private static double softcap(JsonSettings text) {
      double cap = text.node("final_logit_softcapping").isNull() ? 0 : text.positive("final_logit_softcapping", 30);
      if (cap != 0 && (float) cap == 0) { // which would be none
        throw text.wrong("final_logit_softcapping", "a float32 above 0, or null");
      }
      return cap;
    }

    private static List<Boolean> sliding(JsonSettings text) {
      List<Boolean> result = new ArrayList<>();
      for (JsonNode type : text.node("layer_types")) {
        String name = type.isString() ? type.stringValue() : "";
        if (!name.equals("sliding_attention") && !name.equals("full_attention")) {
          throw text.wrong("layer_types", "sliding_attention and full_attention");
        }
        result.add(name.equals("sliding_attention"));
      }
      if (result.size() != text.count("num_hidden_layers")) {
        throw text.wrong("layer_types", "one for each of num_hidden_layers " + text.count("num_hidden_layers"));
      }
      return result;
    }

    int layers() {
      return sliding.size();
    }

    int keyHeads(int layer) {
      return sliding.get(layer) ? slidingKeyHeads : fullKeyHeads;
    }

    int head(int layer) {
      return sliding.get(layer) ? slidingHead : fullHead;
    }

    /** One divisor of each angle of full layers: those behind the turning part stand still. */
    float[] divisors() {
      float[] result = new float[fullHead / 2];
      int turning = (int) (this.turning * fullHead / 2);
      for (int i = 0; i < result.length; i++) {
        result[i] = i < turning ? (float) factor : STILL;
      }
      return result;
    }

    Map<String, MetadataValue> metadata() {
      Map<String, MetadataValue> keys = new LinkedHashMap<>();
      List<Long> keyHeads = new ArrayList<>();
      for (int i = 0; i < layers(); i++) {
        keyHeads.add((long) keyHeads(i));
      }
      keys.put("block_count", MetadataValue.uint32(layers()));
      keys.put("context_length", MetadataValue.uint32(context));
      keys.put("embedding_length", MetadataValue.uint32(width));
      keys.put("feed_forward_length", MetadataValue.uint32(dense));
      keys.put("attention.head_count", MetadataValue.uint32(heads));
      keys.put("attention.head_count_kv", MetadataValue.array(MetadataType.INT32, keyHeads));
      keys.put("rope.freq_base", MetadataValue.float32(fullBase));
      keys.put("rope.freq_base_swa", MetadataValue.float32(slidingBase));
      keys.put("attention.layer_norm_rms_epsilon", MetadataValue.float32(epsilon));
      keys.put("expert_count", MetadataValue.uint32(experts));
      keys.put("expert_used_count", MetadataValue.uint32(expertsUsed));
      keys.put("attention.key_length", MetadataValue.uint32(fullHead));
      keys.put("attention.value_length", MetadataValue.uint32(fullHead));
      keys.put("final_logit_softcapping", MetadataValue.float32(softcap));
      keys.put("attention.sliding_window", MetadataValue.uint32(window));
      keys.put("attention.shared_kv_layers", MetadataValue.uint32(0));
      keys.put("embedding_length_per_layer_input", MetadataValue.uint32(0));
      keys.put("attention.sliding_window_pattern", MetadataValue.array(MetadataType.BOOL, sliding));
      keys.put("attention.key_length_swa", MetadataValue.uint32(slidingHead));
      keys.put("attention.value_length_swa", MetadataValue.uint32(slidingHead));
      keys.put("expert_feed_forward_length", MetadataValue.uint32(expertWidth));
      keys.put("rope.dimension_count", MetadataValue.uint32(fullHead));
      keys.put("rope.dimension_count_swa", MetadataValue.uint32(slidingHead));
      keys.put("attention.causal", MetadataValue.bool(false));
      Map<String, MetadataValue> metadata = new LinkedHashMap<>();
      keys.forEach((key, value) -> metadata.put(NAME + "." + key, value));
      return metadata;
    }
  }

  /** Weights that both halves share stand under the decoder's names, or else the encoder's. */
  private static List<TensorSource> tensors(Shape shape, Set<String> tensors) {
    String shared = tensors.contains(DECODER + "embed_tokens.weight") ? DECODER : ENCODER;
    long width = shape.width();
    long dense = shape.dense();
    List<TensorSource> list = new ArrayList<>();
    list.add(TensorSource.whole("token_embd.weight", shared + "embed_tokens.weight", shape.vocabulary(), width));
    list.add(TensorSource.whole("output_norm.weight", shared + "norm.weight", width));
    list.add(TensorSource.constant("rope_freqs.weight", shape.divisors()));
    String conditioning = DECODER + "self_conditioning.";
    list.add(TensorSource.whole("self_cond_pre_norm.weight", conditioning + "pre_norm.weight", width));
    list.add(TensorSource.whole("self_cond_gate.weight", conditioning + "gate_proj.weight", dense, width));
    list.add(TensorSource.whole("self_cond_up.weight", conditioning + "up_proj.weight", dense, width));
    list.add(TensorSource.whole("self_cond_down.weight", conditioning + "down_proj.weight", width, dense));
    for (int i = 0; i < shape.layers(); i++) {
      addAttention(list, shape, i, shared + "layers." + i + ".");
      addFeedForward(list, shape, i, shared + "layers." + i + ".");
      String to = "blk." + i + ".";
      list.add(TensorSource.whole(to + "layer_output_scale.weight", DECODER + "layers." + i + ".layer_scalar", 1));
      list.add(TensorSource.whole(to + "enc_layer_output_scale.weight", ENCODER + "layers." + i + ".layer_scalar", 1));
    }
    return list;
  }

  private static void addAttention(List<TensorSource> list, Shape shape, int layer, String from) {
    String to = "blk." + layer + ".";
    long width = shape.width();
    long queries = (long) shape.heads() * shape.head(layer);
    long keys = (long) shape.keyHeads(layer) * shape.head(layer);
    list.add(TensorSource.whole(to + "attn_norm.weight", from + "input_layernorm.weight", width));
    list.add(TensorSource.whole(to + "attn_q.weight", from + "self_attn.q_proj.weight", queries, width));
    list.add(TensorSource.whole(to + "attn_k.weight", from + "self_attn.k_proj.weight", keys, width));
    if (shape.sliding().get(layer)) {
      list.add(TensorSource.whole(to + "attn_v.weight", from + "self_attn.v_proj.weight", keys, width));
    }
    list.add(TensorSource.whole(to + "attn_output.weight", from + "self_attn.o_proj.weight", width, queries));
    list.add(TensorSource.whole(to + "attn_q_norm.weight", from + "self_attn.q_norm.weight", shape.head(layer)));
    list.add(TensorSource.whole(to + "attn_k_norm.weight", from + "self_attn.k_norm.weight", shape.head(layer)));
    list.add(TensorSource.whole(to + "post_attention_norm.weight", from + "post_attention_layernorm.weight", width));
  }

  private static void addFeedForward(List<TensorSource> list, Shape shape, int layer, String from) {
    String to = "blk." + layer + ".";
    long width = shape.width();
    long dense = shape.dense();
    long experts = shape.experts();
    long inner = shape.expertWidth();
    list.add(TensorSource.whole(to + "ffn_norm.weight", from + "pre_feedforward_layernorm.weight", width));
    list.add(TensorSource.whole(to + "ffn_gate.weight", from + "mlp.gate_proj.weight", dense, width));
    list.add(TensorSource.whole(to + "ffn_up.weight", from + "mlp.up_proj.weight", dense, width));
    list.add(TensorSource.whole(to + "ffn_down.weight", from + "mlp.down_proj.weight", width, dense));
    list.add(TensorSource.whole(to + "post_ffw_norm_1.weight", from + "post_feedforward_layernorm_1.weight", width));
    list.add(TensorSource.whole(to + "pre_ffw_norm_2.weight", from + "pre_feedforward_layernorm_2.weight", width));
    list.add(TensorSource.whole(to + "ffn_gate_inp.weight", from + "router.proj.weight", experts, width));
    list.add(TensorSource.whole(to + "ffn_gate_inp.scale", from + "router.scale", width));
    list.add(TensorSource.whole(to + "ffn_gate_up_exps.weight", from + "experts.gate_up_proj", experts, 2 * inner, width));
    list.add(TensorSource.whole(to + "ffn_down_exps.weight", from + "experts.down_proj", experts, width, inner));
    list.add(TensorSource.whole(to + "ffn_down_exps.scale", from + "router.per_expert_scale", experts));
    list.add(TensorSource.whole(to + "post_ffw_norm_2.weight", from + "post_feedforward_layernorm_2.weight", width));
    list.add(TensorSource.whole(to + "post_ffw_norm.weight", from + "post_feedforward_layernorm.weight", width));
  }
}
