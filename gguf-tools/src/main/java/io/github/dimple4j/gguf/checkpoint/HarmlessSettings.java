package io.github.dimple4j.gguf.checkpoint;

import java.util.Set;
import tools.jackson.databind.JsonNode;

/**
 * Settings of a checkpoint's JSON files that change neither its weights nor what is computed with them: where it comes from, how it was trained, how
 * a program runs it, how it is decoded. Whatever is in none of these lists, and is asked for by nobody, may be what tells one model from another.
 */
final class HarmlessSettings {
  /** Of every {@code config.json} of the transformers library (PretrainedConfig), decoding among them, which it no longer belongs to. */
  private static final Set<String> GENERAL = Set.of("architectures", "auto_map", "chunk_size_feed_forward", "dtype", "finetuning_task", "id2label", "is_decoder",
      "is_encoder_decoder", "keys_to_ignore_at_inference", "label2id", "model_type", "num_labels", "output_attentions", "output_hidden_states", "prefix",
      "problem_type", "return_dict", "return_dict_in_generate", "task_specific_params", "tf_legacy_loss", "tie_encoder_decoder", "tokenizer_class",
      "torch_dtype", "torchscript", "transformers_version", "unsloth_fixed", "unsloth_version", "use_bfloat16", "use_cache", "bad_words_ids",
      "begin_suppress_tokens", "decoder_start_token_id", "diversity_penalty", "do_sample", "early_stopping", "encoder_no_repeat_ngram_size",
      "exponential_decay_length_penalty", "forced_bos_token_id", "forced_eos_token_id", "length_penalty", "max_length", "max_new_tokens", "min_length",
      "no_repeat_ngram_size", "num_beam_groups", "num_beams", "num_return_sequences", "output_scores", "remove_invalid_values", "repetition_penalty",
      "sep_token_id", "suppress_tokens", "temperature", "top_k", "top_p", "typical_p");
  /** Of training, of which dropouts are a part: nothing drops out of a model that answers. */
  private static final Set<String> TRAINING = Set.of("attention_dropout", "attn_pdrop", "classifier_dropout", "dropout", "embd_pdrop", "embedding_dropout",
      "freeze_mm_mlp_adapter", "freeze_mm_vision_resampler", "fuse_cross_entropy", "gradient_checkpointing", "hidden_dropout", "ignore_index", "init_cutoff_factor",
      "init_device", "init_fn", "init_std", "initializer_factor", "initializer_range", "mm_projector_lr", "mm_tunable_parts", "mm_vision_tower_lr",
      "output_dropout", "output_router_logits", "pos_skipping_range", "residual_dropout", "resid_pdrop", "router_aux_loss_coef", "router_z_loss_coef",
      "tokenizer_model_max_length", "tokenizer_padding_side", "tune_mm_mlp_adapter", "tune_mm_vision_resampler", "unfreeze_mm_vision_tower",
      "use_pos_skipping", "vision_tower_pretrained");
  /** Of programs: how numbers are computed that are the same ones. */
  private static final Set<String> RUNNING = Set.of("attn_impl", "attn_implementation", "block_group_size", "debug", "ep_size", "experts_implementation", "flash_attention", "micro_forward", "moe_backend", "precision",
      "pretraining_tp", "rope_full_precision", "router_dtype", "skip_checkpoint", "use_deepep", "use_flash_attn");
  /** For who writes prompts, and of videos, which are not taken. */
  private static final Set<String> PROMPTS = Set.of("audio_token_id", "boa_token_id", "boi_token_id", "eoa_token_id", "eoa_token_index", "eoi_token_id", "faster_token_stride", "force_sample", "image_crop_resolution", "image_seq_length",
      "image_split_resolution", "image_token_id", "mm_newline_position", "mm_spatial_pool_mode", "mm_spatial_pool_stride", "mm_vision_select_feature",
      "mrope_section", "tokens_per_second", "use_mm_proj", "use_mrope", "video_token_id", "video_token_index", "vision_end_token_id", "vision_start_token_id",
      "vision_token_id");
  /** Of the preparation of pictures: names of classes, and how arrays are handed over. */
  private static final Set<String> PICTURES = Set.of("crop_size", "data_format", "default_to_square", "device", "disable_grouping", "feature_extractor_type",
      "image_processor_type", "input_data_format", "processor_class", "return_tensors");

  /** Of a tokenizer: names of classes and files, and what is done to lists of texts. Names of tokens end as such. */
  private static final Set<String> TOKENIZER = Set.of("added_tokens_decoder", "additional_special_tokens", "auto_map", "backend", "chat_template", "errors", "extra_special_tokens", "is_local", "legacy",
      "max_length", "model_input_names", "model_max_length", "model_specific_special_tokens", "name_or_path", "pad_to_multiple_of", "pad_token_type_id", "padding", "padding_side", "processor_class",
      "response_schema", "return_token_type_ids", "special_tokens_map_file", "stride", "tokenizer_class", "tokenizer_file", "transformers_version", "trim_offsets",
      "truncation", "truncation_side", "truncation_strategy", "unsloth_version", "use_fast", "vocab_file");

  private HarmlessSettings() {}

  /** Whether a setting that nobody has asked for may be passed over; one that is false or empty asks for nothing, and no layer is another one than the others. */
  static boolean includes(String name, JsonNode value) {
    return asksNothing(value) || name.startsWith("_") || GENERAL.contains(name) || TRAINING.contains(name) || RUNNING.contains(name)
        || PROMPTS.contains(name) || PICTURES.contains(name) || name.equals("layer_types") && isPlain(value);
  }

  /** Whether a setting of a tokenizer that nobody has asked for may be passed over: those of its file decide of tokens. */
  static boolean ofTokenizer(String name, JsonNode value) {
    return asksNothing(value) || name.startsWith("_") || name.endsWith("_token") || TOKENIZER.contains(name);
  }

  private static boolean asksNothing(JsonNode value) {
    return value.isBoolean() ? !value.booleanValue() : value.isString() ? value.stringValue().isEmpty() : value.isContainer() && value.isEmpty();
  }

  private static boolean isPlain(JsonNode types) {
    return types.isArray() && types.valueStream().allMatch(type -> type.asString("").equals("full_attention"));
  }
}
