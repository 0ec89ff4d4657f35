package io.github.dimple4j.gguf.tools;

import io.github.dimple4j.gguf.architecture.Architectures;
import io.github.dimple4j.gguf.architecture.ModelLayout;
import io.github.dimple4j.gguf.checkpoint.JsonSettings;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * The shapes of released checkpoints, by what their config.json says of them; what it does not need to say is left out.
 *
 * @param name of the preset
 * @param layers of the checkpoint
 * @param config the rest of its configuration, but for the number of layers and of tokens, which stand at the top and where {@link #SIZES} stands
 * @param vocabulary in the place of its tokenizer
 */
record ReleasedShapes(String name, int layers, String config, SyntheticVocabulary vocabulary) {
  /** In the place of the numbers of layers and of tokens. */
  private static final String SIZES = "$sizes";
  /** Qwen3-30B-A3B's. */
  private static final String EXPERTS =
      "\"num_experts\": 128, \"num_experts_per_tok\": 8, \"moe_intermediate_size\": 768, \"norm_topk_prob\": true";

  /** LLaDA-8B's body. */
  private static final String LLADA_SIZES = "\"d_model\": 4096, \"n_heads\": 32, \"n_kv_heads\": 32, \"mlp_hidden_size\": 12288, "
      + "\"activation_type\": \"silu\", \"layer_norm_type\": \"rms\", \"block_type\": \"llama\", \"rope\": true, \"rope_theta\": 500000, \"rms_norm_eps\": 1e-05, "
      + "\"alibi\": false, \"attention_layer_norm\": false, \"include_bias\": false, \"include_qkv_bias\": false, \"input_emb_norm\": false, \"scale_logits\": false, "
      + "\"max_sequence_length\": 4096";

  /** The tower of LaViDa's, and its tiles. */
  private static final String LAVIDA_VISION = "\"mm_vision_tower\": \"google/siglip-so400m-patch14-384\", \"mm_hidden_size\": 1152, "
      + "\"mm_projector_type\": \"mlp2x_gelu\", \"mm_patch_merge_type\": \"spatial_unpad\", \"mm_vision_select_layer\": -2, \"mm_spatial_pool_mode\": \"bilinear\", "
      + "\"image_aspect_ratio\": \"anyres\", \"image_grid_pinpoints\": [[384, 768], [768, 384], [768, 768], [1152, 384], [384, 1152]]";

  static final List<ReleasedShapes> ALL = List.of(
      llada2("llada2-mini", 20, 2048, 16, 5120, 512),
      llada2("llada2-flash", 32, 4096, 32, 9216, 1024),
      llada22("llada2.2-mini", llada2("", 20, 2048, 16, 5120, 512)),
      llada22("llada2.2-flash", llada2("", 32, 4096, 32, 9216, 1024)),
      qwen("fast-dllm-v2-1.5b", "Fast_dLLM_Qwen", 28, 1536, 12, 2, 128, 8960, 1e6, true, "\"bd_size\": 32, \"mask_token_id\": 151665"),
      qwen("fast-dllm-v2-7b", "Fast_dLLM_Qwen", 28, 3584, 28, 4, 128, 18944, 1e6, false, "\"bd_size\": 32, \"mask_token_id\": 151665"),
      qwen("sdar-4b", "sdar", 36, 2560, 32, 8, 128, 9728, 1e6, false, "\"block_size\": 4, \"mask_token_id\": 151669"),
      dreamVl(),
      qwen("a2d-qwen3-0.6b", "a2d-qwen3", 28, 1024, 16, 8, 128, 3072, 1e6, true, "\"mask_token_id\": 151669"),
      qwen("a2d-qwen2-0.5b", "a2d-qwen2", 24, 896, 14, 2, 64, 4864, 1e6, true, "\"mask_token_id\": 151665"),
      qwen("dream-7b", "Dream", 28, 3584, 28, 4, 128, 18944, 1e6, false, "\"mask_token_id\": 151666"),
      llada(),
      lladaMoe(),
      lladaV(),
      lavida(),
      lavidaDream(),
      stableDiffcoder(),
      qwen("sdar-1.7b", "sdar", 28, 2048, 16, 8, 128, 6144, 1e6, true, "\"block_size\": 4, \"mask_token_id\": 151669"),
      qwen("sdar-30b-a3b", "sdar_moe", 48, 2048, 32, 4, 128, 6144, 1e6, false, EXPERTS + ", \"block_size\": 4, \"mask_token_id\": 151669"),
      qwen("rnd1-30b-a3b", "rnd1", 48, 2048, 32, 4, 128, 6144, 1e6, false, EXPERTS),
      qwen("sdar-8b", "sdar", 36, 4096, 32, 8, 128, 12288, 1e6, false, "\"block_size\": 4, \"mask_token_id\": 151669"),
      sdarVl("sdar-vl-4b", 2560, 9728),
      sdarVl("sdar-vl-8b", 4096, 12288));

  /** What a file of so many layers holds. */
  ModelLayout layout(int wanted) {
    String sizes = "\"num_hidden_layers\": " + wanted + ", \"n_layers\": " + wanted + ", \"vocab_size\": " + vocabulary.size();
    JsonSettings settings = JsonSettings.of("the preset " + name, "{" + sizes + ", " + config.replace(SIZES, sizes) + "}");
    return Architectures.layout(settings, JsonSettings.empty(name), Set.of());
  }

  private static ReleasedShapes llada2(String name, int layers, int width, int heads, int dense, int expert) {
    return new ReleasedShapes(name, layers, ("\"model_type\": \"llada2_moe\", \"hidden_size\": %s, \"num_attention_heads\": %s, "
        + "\"num_key_value_heads\": 4, \"head_dim\": 128, \"intermediate_size\": %s, \"moe_intermediate_size\": %s, \"num_experts\": 256, "
        + "\"num_experts_per_tok\": 8, \"n_group\": 8, \"topk_group\": 4, \"num_shared_experts\": 1, \"routed_scaling_factor\": 2.5, "
        + "\"first_k_dense_replace\": 1, \"partial_rotary_factor\": 0.5, \"rope_theta\": 600000, \"rms_norm_eps\": 1e-06, \"max_position_embeddings\": 32768, \"eos_token_id\": 156892, "
        + "\"pad_token_id\": 156892").formatted(width, heads, dense, expert), SyntheticVocabulary.LING);
  }

  /** The same sizes, routed by blocks, with more positions. */
  private static ReleasedShapes llada22(String name, ReleasedShapes former) {
    String config = former.config.replace("\"rope_theta\": 600000", "\"rope_theta\": 3000000").replace("\"max_position_embeddings\": 32768",
        "\"max_position_embeddings\": 131072") + ", \"expert_capacity\": 48, \"block_size\": 32, \"delete_token_id\": 156930, \"split_token_id\": 156931";
    return new ReleasedShapes(name, former.layers, config, former.vocabulary);
  }

  /** LLaDA-8B's. */
  private static ReleasedShapes llada() {
    SyntheticVocabulary vocabulary = SyntheticVocabulary.LLADA;
    return new ReleasedShapes("llada-8b", 32, ("\"model_type\": \"llada\", " + LLADA_SIZES + ", \"eos_token_id\": %s, \"pad_token_id\": %s, \"mask_token_id\": %s")
        .formatted(vocabulary.id("<|endoftext|>"), vocabulary.id("<|endoftext|>"), vocabulary.id("<|mask|>")), vocabulary);
  }

  /** LaViDa's on LLaDA, by the scripts that trained it. */
  private static ReleasedShapes lavida() {
    return new ReleasedShapes("lavida-llada-8b", 32, "\"model_type\": \"llava_llada\", \"architectures\": [\"LlavaLladaForMaskedDiffusion\"], " + LLADA_SIZES
        + ", \"eos_token_id\": 126081, \"pad_token_id\": 126081, " + LAVIDA_VISION, SyntheticVocabulary.LLADA_V);
  }

  /** The same on Dream-7B. */
  private static ReleasedShapes lavidaDream() {
    return new ReleasedShapes("lavida-dream-7b", 28, "\"model_type\": \"llava_dream\", \"hidden_size\": 3584, \"num_attention_heads\": 28, "
        + "\"num_key_value_heads\": 4, \"intermediate_size\": 18944, \"rope_theta\": 1000000, \"rms_norm_eps\": 1e-06, \"max_position_embeddings\": 131072, "
        + "\"eos_token_id\": 151643, \"pad_token_id\": 151643, \"bos_token_id\": 151643, \"mask_token_id\": 151666, " + LAVIDA_VISION, SyntheticVocabulary.LAVIDA_DREAM);
  }

  /** LLaDA-MoE-7B-A1B's. */
  private static ReleasedShapes lladaMoe() {
    return new ReleasedShapes("llada-moe-7b-a1b", 16, "\"model_type\": \"llada\", \"hidden_size\": 2048, \"num_attention_heads\": 16, \"num_key_value_heads\": 16, "
        + "\"expert_intermediate_size\": 1024, \"num_experts\": 64, \"num_experts_per_tok\": 8, \"qk_layernorm\": true, \"hidden_act\": \"silu\", "
        + "\"moe_router_score_function\": \"softmax\", \"attention_bias\": false, \"norm_topk_prob\": false, \"moe_router_enable_expert_bias\": false, "
        + "\"rope_theta\": 50000, \"rms_norm_eps\": 1e-05, \"max_position_embeddings\": 8192, \"eos_token_id\": 156892, \"pad_token_id\": 156892, "
        + "\"mask_token_id\": 156895", SyntheticVocabulary.LING);
  }

  /** LLaDA-V's, by the configuration and scripts beside the authors' code. */
  private static ReleasedShapes lladaV() {
    return new ReleasedShapes("llada-v-8b", 32, "\"model_type\": \"llava_llada\", \"hidden_size\": 4096, \"num_attention_heads\": 32, "
        + "\"num_key_value_heads\": 32, \"intermediate_size\": 12288, \"rope_theta\": 500000, \"rms_norm_eps\": 1e-05, \"max_position_embeddings\": 16384, "
        + "\"bos_token_id\": 126080, \"eos_token_id\": 126081, \"mm_vision_tower\": \"google/siglip2-so400m-patch14-384\", \"mm_hidden_size\": 1152, "
        + "\"mm_projector_type\": \"mlp2x_gelu\", \"mm_patch_merge_type\": \"spatial_unpad\", \"mm_vision_select_layer\": -2, "
        + "\"image_aspect_ratio\": \"anyres_max_4\", \"image_grid_pinpoints\": \"(1x1),...,(6x6)\"", SyntheticVocabulary.LLADA_V);
  }

  /** Seed-Coder-8B's, by its report and configuration. */
  private static ReleasedShapes stableDiffcoder() {
    SyntheticVocabulary vocabulary = SyntheticVocabulary.SEED;
    return new ReleasedShapes("stable-diffcoder-8b", 32, ("\"model_type\": \"llama\", \"architectures\": [\"StableDiffcoderForCausalLM\"], \"hidden_size\": 4096, "
        + "\"num_attention_heads\": 32, \"num_key_value_heads\": 8, \"head_dim\": 128, \"intermediate_size\": 14336, \"rope_theta\": 500000, "
        + "\"rms_norm_eps\": 1e-06, \"max_position_embeddings\": 8192, \"bos_token_id\": %s, \"pad_token_id\": %s, \"eos_token_id\": %s, \"mask_token_id\": %s")
        .formatted(vocabulary.id("<|startoftext|>"), vocabulary.id("<|pad|>"), vocabulary.id("<|endoftext|>"), vocabulary.id("<|mask|>")), vocabulary);
  }

  private static ReleasedShapes dreamVl() {
    return new ReleasedShapes("dream-vl-7b", 28, "\"model_type\": \"dream-vl\", \"hidden_size\": 3584, \"num_attention_heads\": 28, \"num_key_value_heads\": 4, "
        + "\"intermediate_size\": 18944, \"rope_theta\": 1000000, \"rms_norm_eps\": 1e-06, \"max_position_embeddings\": 131072, \"eos_token_id\": 151643, "
        + "\"pad_token_id\": 151643, \"bos_token_id\": 151643, \"mask_token_id\": 151666, \"projector_hidden_act\": \"gelu\", \"vision_config\": {}",
        SyntheticVocabulary.QWEN);
  }

  /** By the configurations beside the authors' code. */
  private static ReleasedShapes sdarVl(String name, int width, int inner) {
    String pinpoints = IntStream.rangeClosed(1, 6).boxed().flatMap(rows -> IntStream.rangeClosed(1, 6).mapToObj(columns -> List.of(384 * rows, 384 * columns))).toList().toString();
    return new ReleasedShapes(name, 36, ("\"model_type\": \"sdar_v\", \"image_token_index\": 151655, \"vision_feature_layer\": -1, \"image_grid_pinpoints\": %s, "
        + "\"vision_config\": {\"model_type\": \"siglip_vision_model\", \"hidden_act\": \"gelu_pytorch_tanh\", \"hidden_size\": 1152, \"image_size\": 384, "
        + "\"intermediate_size\": 4304, \"num_attention_heads\": 16, \"num_hidden_layers\": 27, \"patch_size\": 14}, "
        + "\"text_config\": {\"model_type\": \"sdar\", %s, \"hidden_size\": %s, \"intermediate_size\": %s, \"num_attention_heads\": 32, \"num_key_value_heads\": 8, "
        + "\"head_dim\": 128, \"rope_theta\": 1000000, \"rms_norm_eps\": 1e-06, \"max_position_embeddings\": 32768, \"eos_token_id\": 151643, "
        + "\"bos_token_id\": 151643, \"block_size\": 4, \"mask_token_id\": 151669}").formatted(pinpoints, SIZES, width, inner),
        SyntheticVocabulary.QWEN.ofSize(151936));
  }

  private static ReleasedShapes qwen(String name, String type, int layers, int width, int heads, int keyValueHeads, int headSize, int inner,
      double ropeBase, boolean tied, String more) {
    SyntheticVocabulary vocabulary = SyntheticVocabulary.QWEN.ofSize(151936);
    return new ReleasedShapes(name, layers, String.format(Locale.ROOT, "\"model_type\": \"%s\", \"hidden_size\": %s, \"num_attention_heads\": %s, "
        + "\"num_key_value_heads\": %s, \"head_dim\": %s, \"intermediate_size\": %s, \"rope_theta\": %.0f, \"tie_word_embeddings\": %b, "
        + "\"max_position_embeddings\": 32768, \"eos_token_id\": 151645, \"pad_token_id\": 151643, %s", type, width, heads, keyValueHeads, headSize, inner,
        ropeBase, tied, more), vocabulary);
  }
}
