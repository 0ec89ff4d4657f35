/* What a model's keys and tensors must be: required and optional ones, ranges, and what must agree. */
#include <string.h>

#include "model/model.h"
#include "test/expect.h"
#include "test/random_model.h"

static const model_shape dimple = {.family = FAMILY_DIMPLE, .vision = true}, dream = {.family = FAMILY_DREAM}, llada_moe = {.family = FAMILY_LLADA_MOE},
                         a2d = {.family = FAMILY_A2D_QWEN2}, sdar = {.family = FAMILY_SDAR},
                         dimple_block = {.family = FAMILY_DIMPLE_BLOCK, .vision = true},
                         llada22 = {.family = FAMILY_LLADA22}, llada_v = {.family = FAMILY_LLADA_V, .vision = true}, lavida_dream = {.family = FAMILY_LAVIDA_DREAM, .vision = true};

/* The model of what the writer has and the rest of the shape is refused. */
static void expect_refused(gguf_writer *w, const model_shape *shape, dimple_status status, const char *text) {
  char path[64];
  dimple_model *m = NULL;
  random_model_write(w, shape);
  temporary_file(w, path);
  EXPECT_FAILS(load_model(path, NULL, &m), status, text);
  EXPECT(!m, "output touched: %s", text);
  remove(path);
}

/* It loads; the caller frees it. */
static dimple_model *expect_taken(gguf_writer *w, const model_shape *shape) {
  char path[64];
  dimple_model *m = NULL;
  random_model_write(w, shape);
  temporary_file(w, path);
  EXPECT_OK(load_model(path, NULL, &m));
  remove(path);
  return m;
}

static void required_keys(void) {
  static const struct {
    const model_shape *shape;
    const char *key;
  } keys[] = {{&dimple, "general.architecture"},
              {&dimple, "dimple.block_count"},
              {&dimple, "dimple.embedding_length"},
              {&dimple, "dimple.feed_forward_length"},
              {&dimple, "dimple.attention.head_count"},
              {&dimple, "dimple.context_length"},
              {&dimple, "dimple.attention.layer_norm_rms_epsilon"},
              {&dimple, "dimple.rope.freq_base"},
              {&dimple, "dimple.rope.dimension_sections"},
              {&dimple, "diffusion.shift_logits"},
              {&dimple, "dimple.image_token_id"},
              {&dimple, "clip.projector_type"},
              {&dimple, "clip.vision.patch_size"},
              {&dimple, "clip.vision.block_count"},
              {&dimple, "clip.vision.embedding_length"},
              {&dimple, "clip.vision.feed_forward_length"},
              {&dimple, "clip.vision.attention.head_count"},
              {&dimple, "clip.vision.projection_dim"},
              {&dream, "dream.feed_forward_length"},
              {&dream, "dream.attention.layer_norm_rms_epsilon"},
              {&llada_moe, "llada-moe.expert_count"},
              {&llada_moe, "llada-moe.expert_used_count"},
              {&a2d, "a2d-qwen2.rope.freq_base"},
              {&sdar, "sdar.rope.freq_base"},
              {&dimple_block, "dimple-block.rope.freq_base"},
              {&dimple_block, "dimple-block.rope.dimension_sections"},
              {&dimple_block, "dimple-block.image_token_id"},
              {&dimple_block, "diffusion.block_length"},
              {&dimple_block, "diffusion.shift_logits"},
              {&llada_v, "llada-v.rope.freq_base"},
              {&llada_v, "llada-v.image_token_id"},
              {&llada_v, "diffusion.block_length"},
              {&llada_v, "diffusion.shift_logits"},
              {&llada_v, "diffusion.suppress_tokens"},
              {&llada_v, "tokenizer.ggml.eot_token_id"},
              {&llada_v, "clip.vision.anyres_rules"},
              {&lavida_dream, "lavida-dream.rope.freq_base"},
              {&lavida_dream, "lavida-dream.image_token_id"},
              {&lavida_dream, "diffusion.shift_logits"},
              {&lavida_dream, "diffusion.suppress_tokens"},
              {&lavida_dream, "clip.vision.mm_spatial_pool_mode"},
              {&llada22, "llada22.rope.freq_base"},
              {&llada22, "llada22.expert_group_count"},
              {&llada22, "llada22.expert_block_size"},
              {&llada22, "llada22.expert_capacity"},
              {&llada22, "diffusion.block_length"},
              {&llada22, "tokenizer.ggml.mask_token_id"},
              {&llada22, "tokenizer.ggml.delete_token_id"},
              {&llada22, "tokenizer.ggml.split_token_id"}};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    gguf_writer w = {0};
    gguf_writer_leave_out(&w, keys[i].key);
    expect_refused(&w, keys[i].shape, DIMPLE_ERROR_FORMAT, keys[i].key);
  }
}

static void optional_keys(void) {
  static const struct {
    const model_shape *shape;
    const char *key;
  } keys[] = {{&dimple, "dimple.attention.causal"},        {&dimple, "tokenizer.ggml.mask_token_id"},
              {&dimple, "tokenizer.ggml.eos_token_id"},    {&dimple, "clip.vision.spatial_merge_size"},
              {&dimple, "clip.vision.window_size"},        {&dimple, "clip.vision.fullatt_block_indexes"},
              {&dimple, "clip.vision.temporal_patch_size"}, {&dream, "dream.image_token_id"}};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    gguf_writer w = {0};
    gguf_writer_leave_out(&w, keys[i].key);
    dimple_model_free(expect_taken(&w, keys[i].shape));
  }
}

static void whole_numbers(void) {
  static const struct {
    const model_shape *shape;
    const char *key;
    uint32_t value;
    dimple_status status;
    const char *text;
  } bad[] = {{&dimple, "dimple.block_count", 0, DIMPLE_ERROR_FORMAT, "dimple.block_count"},
             {&dimple, "dimple.block_count", 5000, DIMPLE_ERROR_FORMAT, "dimple.block_count"},
             {&dimple, "dimple.block_count", 3, DIMPLE_ERROR_FORMAT, "blk.2."},
             {&dimple, "dimple.embedding_length", 0, DIMPLE_ERROR_FORMAT, "dimple.embedding_length"},
             {&dimple, "dimple.feed_forward_length", 0, DIMPLE_ERROR_FORMAT, "dimple.feed_forward_length"},
             {&dimple, "dimple.attention.head_count", 0, DIMPLE_ERROR_FORMAT, "dimple.attention.head_count"},
             {&dimple, "dimple.attention.head_count", 32, DIMPLE_ERROR_FORMAT, "head size 1"},
             {&dimple, "dimple.attention.head_count_kv", 3, DIMPLE_ERROR_FORMAT, "cannot share 3 key heads"},
             {&dimple, "dimple.attention.key_length", 3, DIMPLE_ERROR_FORMAT, "head size 3"},
             {&dimple, "dimple.attention.key_length", 16, DIMPLE_ERROR_FORMAT, "dimple.rope.dimension_sections"},
             {&dimple, "dimple.context_length", 1, DIMPLE_ERROR_FORMAT, "dimple.context_length"},
             {&dimple, "dimple.rope.dimension_count", 6, DIMPLE_ERROR_UNSUPPORTED, "rope.dimension_count is 6"},
             {&dimple, "dimple.vocab_size", VOCAB + 1, DIMPLE_ERROR_FORMAT, "vocab_size is 97"},
             {&dimple, "tokenizer.ggml.mask_token_id", VOCAB, DIMPLE_ERROR_FORMAT, "mask token's id is 96"},
             {&dimple, "tokenizer.ggml.bos_token_id", VOCAB, DIMPLE_ERROR_FORMAT, "bos token's id is 96"},
             {&dimple, "tokenizer.ggml.eos_token_id", VOCAB, DIMPLE_ERROR_FORMAT, "eos token's id is 96"},
             {&dimple, "tokenizer.ggml.expand_token_id", VOCAB, DIMPLE_ERROR_FORMAT, "expand token's id is 96"},
             {&llada22, "tokenizer.ggml.delete_token_id", VOCAB, DIMPLE_ERROR_FORMAT, "delete token's id is 96"},
             {&llada22, "tokenizer.ggml.split_token_id", VOCAB, DIMPLE_ERROR_FORMAT, "split token's id is 96"},
             {&llada22, "tokenizer.ggml.split_token_id", DELETE, DIMPLE_ERROR_FORMAT, "are 87, 87 and 95, expected three tokens"},
             {&llada22, "tokenizer.ggml.delete_token_id", MASK, DIMPLE_ERROR_FORMAT, "are 95, 86 and 95, expected three tokens"},
             {&llada22, "llada22.expert_block_size", 0, DIMPLE_ERROR_FORMAT, "llada22.expert_block_size"},
             {&llada22, "llada22.expert_block_size", 3, DIMPLE_ERROR_FORMAT, "a power of two that divides diffusion.block_length, 4"},
             {&llada22, "llada22.expert_block_size", 8, DIMPLE_ERROR_FORMAT, "a power of two that divides diffusion.block_length, 4"},
             {&llada22, "llada22.expert_block_size", 512, DIMPLE_ERROR_FORMAT, "llada22.expert_block_size"},
             {&llada22, "llada22.expert_block_size", 4, DIMPLE_OK, ""},
             {&llada22, "llada22.expert_capacity", 1, DIMPLE_ERROR_FORMAT, "llada22.expert_capacity"},
             {&llada22, "llada22.expert_capacity", 5, DIMPLE_ERROR_FORMAT, "llada22.expert_capacity"},
             {&llada22, "llada22.expert_capacity", EXPERTS, DIMPLE_OK, ""},
             {&llada22, "llada22.expert_group_count", 2, DIMPLE_ERROR_FORMAT, "llada22.expert_group_count is 2, expected 1"},
             {&llada22, "llada22.leading_dense_block_count", LAYERS, DIMPLE_ERROR_FORMAT, "no layer has experts"},
             {&dimple, "diffusion.block_length", 0, DIMPLE_ERROR_FORMAT, "diffusion.block_length"},
             {&dimple, "diffusion.block_length", 32, DIMPLE_OK, ""},
             {&dimple, "tokenizer.ggml.eot_token_id", VOCAB, DIMPLE_ERROR_FORMAT, "eot token's id is 96"},
             {&dimple, "tokenizer.ggml.padding_token_id", VOCAB, DIMPLE_ERROR_FORMAT, "padding token's id is 96"},
             {&dimple, "dimple.image_token_id", VOCAB, DIMPLE_ERROR_FORMAT, "image token's id is 96"},
             {&dimple, "clip.vision.attention.head_count", 3, DIMPLE_ERROR_FORMAT, "vision width 16 over 3 heads"},
             {&dimple, "clip.vision.attention.head_count", 8, DIMPLE_ERROR_FORMAT, "multiple of 4"},
             {&dimple, "clip.vision.window_size", 3, DIMPLE_ERROR_FORMAT, "window_size is 3 pixels"},
             {&dimple, "clip.vision.image_min_pixels", 300, DIMPLE_ERROR_FORMAT, "image_min_pixels 300"},
             {&dimple, "clip.vision.image_max_pixels", 15, DIMPLE_ERROR_FORMAT, "image_max_pixels 15"},
             {&dimple, "clip.vision.spatial_merge_size", 17, DIMPLE_ERROR_FORMAT, "spatial_merge_size"},
             {&dimple, "clip.vision.temporal_patch_size", 9, DIMPLE_ERROR_FORMAT, "temporal_patch_size"},
             {&dimple, "clip.vision.temporal_patch_size", 3, DIMPLE_ERROR_FORMAT, "v.patch_embd.weight.2"},
             {&dimple, "clip.vision.n_wa_pattern", 100000, DIMPLE_OK, ""}, /* not looked at beside an explicit list */
             {&llada_moe, "llada-moe.expert_count", 0, DIMPLE_ERROR_FORMAT, "llada-moe.expert_count"},
             {&llada_moe, "llada-moe.expert_count", EXPERTS + 1, DIMPLE_ERROR_FORMAT, "ffn_gate_inp"},
             {&llada_moe, "llada-moe.expert_used_count", EXPERTS + 1, DIMPLE_ERROR_FORMAT, "llada-moe.expert_used_count"},
             {&llada_moe, "llada-moe.expert_feed_forward_length", FEED_FORWARD / 2, DIMPLE_ERROR_FORMAT, "ffn_gate_exps"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    gguf_writer w = {0};
    gguf_writer_u32(&w, bad[i].key, bad[i].value);
    if (bad[i].status != DIMPLE_OK)
      expect_refused(&w, bad[i].shape, bad[i].status, bad[i].text);
    else
      dimple_model_free(expect_taken(&w, bad[i].shape));
  }
}

/* Block length and cache of the file are those of a decoding that names none. */
static void blocks(void) {
  static const char *const names[] = {"none", "prefix", "dual"};
  for (int32_t i = 0; i < 4; i++) {
    gguf_writer w = {0};
    gguf_writer_u32(&w, "diffusion.block_length", 2);
    if (i < 3) gguf_writer_string(&w, "diffusion.cache", names[i]);
    dimple_model *m = expect_taken(&w, &dimple);
    if (!m) continue;
    EXPECT(m->text.block_length == 2 && m->text.cache == (i < 3 ? DIMPLE_CACHE_NONE + i : DIMPLE_CACHE_MODEL), "cache %d", m->text.cache);
    dimple_model_free(m);
  }
  gguf_writer w = {0};
  gguf_writer_string(&w, "diffusion.cache", "model");
  expect_refused(&w, &dimple, DIMPLE_ERROR_FORMAT, "diffusion.cache is \"model\", expected none, prefix or dual");
}

/* Who decodes heeds it; a name that nobody knows would be passed over in silence. */
static void pipelines_of_files(void) {
  static const char *const names[] = {"dim", "dream", "llada", "mdlm", "bd3lm", "sdar", "fast-dllm-v2", "llada2", "diffusion-gemma", "rnd1",
                                      "stable-diffcoder", "dreamon", "llada-v", "lavida", "lavida-dream", "llada22"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    gguf_writer w = {0};
    gguf_writer_string(&w, "diffusion.pipeline", names[i]);
    dimple_model_free(expect_taken(&w, &dimple));
  }
  for (int32_t i = 0; i < 2; i++) {
    gguf_writer w = {0};
    gguf_writer_string(&w, "diffusion.pipeline", i ? "" : "ar");
    expect_refused(&w, &dimple, DIMPLE_ERROR_FORMAT, i ? "diffusion.pipeline is \"\", expected dim" : "diffusion.pipeline is \"ar\", expected dim");
  }
}

/* Tokens that no position becomes are of the vocabulary, each once, and leave one beside the mask. */
static void suppressed_tokens(void) {
  static const struct {
    int32_t ids[3];
    int count;
    const char *message;
  } bad[] = {{{-1}, 1, "has -1, expected ascending"}, {{5, 5}, 2, "has 5, expected ascending"}, {{5, 4}, 2, "has 4, expected ascending"},
             {{3, VOCAB}, 2, "2 tokens up to 96, expected ids below the vocabulary's 96"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    gguf_writer w = {0};
    gguf_writer_ints(&w, "diffusion.suppress_tokens", bad[i].ids, bad[i].count);
    expect_refused(&w, &dimple, DIMPLE_ERROR_FORMAT, bad[i].message);
  }
  int32_t all[VOCAB];
  for (int32_t i = 0; i < VOCAB; i++) all[i] = i;
  gguf_writer some = {0}, every = {0};
  gguf_writer_ints(&some, "diffusion.suppress_tokens", all, MASK - 1);
  dimple_model *m = expect_taken(&some, &dimple);
  EXPECT(m->text.suppressed_count == MASK - 1 && m->text.suppressed[3] == 3, "%d tokens", m->text.suppressed_count);
  dimple_model_free(m);
  gguf_writer_ints(&every, "diffusion.suppress_tokens", all, MASK);
  expect_refused(&every, &dimple, DIMPLE_ERROR_FORMAT, "95 tokens up to 94, expected ids below the vocabulary's 96, and one left beside the mask");
  gguf_writer canvases = {0}; /* whose tokens are drawn from all */
  gguf_writer_ints(&canvases, "diffusion.suppress_tokens", all, 1);
  expect_refused(&canvases, &(model_shape){.family = FAMILY_DIFFUSION_GEMMA}, DIMPLE_ERROR_UNSUPPORTED, "no token of a canvas is barred");
}

static void other_numbers(void) {
  static const struct {
    const char *key;
    float value;
    const char *text;
  } bad[] = {{"dimple.attention.layer_norm_rms_epsilon", 0, "expected a value between 0 and 1"},
             {"dimple.attention.layer_norm_rms_epsilon", 1, "expected a value between 0 and 1"},
             {"clip.vision.attention.layer_norm_epsilon", -1, "expected a value between 0 and 1"},
             {"dimple.rope.freq_base", 0, "expected a positive number"},
             {"dimple.rope.freq_base", -1, "expected a positive number"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    gguf_writer w = {0};
    gguf_writer_f32(&w, bad[i].key, bad[i].value);
    expect_refused(&w, &dimple, DIMPLE_ERROR_FORMAT, bad[i].text);
  }
}

static void lists(void) {
  static const int32_t sections[][4] = {{1, 1, 1, 0}, {1, 1, 1, 1}, {-1, 3, 2, 0}, {9, 0, 0, 0}, {2, 2, 1, 0}}, layers[] = {-1, VISION_LAYERS};
  static const float rgb[][3] = {{0.5f, 0, 0.5f}, {0.5f, -1, 0.5f}, {0.5f, INFINITY, 0.5f}};
  for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
    gguf_writer w = {0};
    gguf_writer_ints(&w, "dimple.rope.dimension_sections", sections[i], 4);
    expect_refused(&w, &dimple, DIMPLE_ERROR_FORMAT, "add up to half the head size, 4");
  }
  for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
    gguf_writer w = {0};
    gguf_writer_ints(&w, "clip.vision.fullatt_block_indexes", &layers[i], 1);
    expect_refused(&w, &dimple, DIMPLE_ERROR_FORMAT, "fullatt_block_indexes names layer");
  }
  for (size_t i = 0; i < sizeof rgb / sizeof *rgb; i++) {
    gguf_writer w = {0};
    gguf_writer_floats(&w, "clip.vision.image_std", rgb[i], 3);
    expect_refused(&w, &dimple, DIMPLE_ERROR_FORMAT, "clip.vision.image_std");
  }
  gguf_writer w = {0};
  gguf_writer_floats(&w, "clip.vision.image_mean", rgb[0], 2);
  expect_refused(&w, &dimple, DIMPLE_ERROR_FORMAT, "clip.vision.image_mean is not an array of three");
}

static void names(void) {
  gguf_writer w = {0};
  gguf_writer_string(&w, "general.architecture", "abacus");
  expect_refused(&w, &dimple, DIMPLE_ERROR_UNSUPPORTED, "\"abacus\"");
  gguf_writer_string(&w, "clip.projector_type", "abacus");
  expect_refused(&w, &dimple, DIMPLE_ERROR_UNSUPPORTED, "\"abacus\"");
}

/* Without its key the placeholder is the token that Qwen's vocabulary has for it. */
static void placeholder_by_name(void) {
  static const char *const tokens[] = {"a", "<|image_pad", "<|image_pad|>", "<|image_pad|>"};
  gguf_writer w = {0};
  dimple_model_info info = {0};
  gguf_writer_leave_out(&w, "dimple.image_token_id");
  gguf_writer_strings(&w, "tokenizer.ggml.tokens", tokens, 4);
  dimple_model *m = expect_taken(&w, &dimple);
  EXPECT_OK(dimple_model_get_info(m, &info));
  EXPECT(info.image_token_id == 2, "token %d", info.image_token_id);
  dimple_model_free(m);
  gguf_writer_leave_out(&w, "dimple.image_token_id");
  gguf_writer_strings(&w, "tokenizer.ggml.tokens", tokens, 2);
  expect_refused(&w, &dimple, DIMPLE_ERROR_FORMAT, "<|image_pad|>");
}

/* Of a file that lists its ends of text and names none, the first in the vocabulary is the one, and ends a decoding in blocks. */
static void end_of_a_list(void) {
  static const int32_t ends[] = {VOCAB, PAD, EOS};
  gguf_writer w = {0};
  dimple_model_info info = {0};
  gguf_writer_leave_out(&w, "tokenizer.ggml.eos_token_id");
  gguf_writer_ints(&w, "tokenizer.ggml.eos_token_ids", ends, 3);
  dimple_model *m = expect_taken(&w, &dimple);
  EXPECT_OK(dimple_model_get_info(m, &info));
  EXPECT(info.eos_token_id == PAD, "token %d", info.eos_token_id);
  int32_t masks[4 * BLOCK];
  for (int32_t i = 0; i < 4 * BLOCK; i++) masks[i] = MASK;
  dimple_session *s = NULL;
  dimple_decoding d;
  dimple_decoding_defaults(&d);
  d.pipeline = DIMPLE_PIPELINE_BD3LM;
  d.block_length = BLOCK;
  EXPECT_OK(dimple_session_create(m, &(dimple_session_options){.threads = 1, .prefill = 1}, &s));
  EXPECT_OK(dimple_session_set_prompt(s, (int32_t[]){5}, 1, NULL, 0));
  EXPECT_OK(dimple_session_set_response(s, masks, 4 * BLOCK));
  EXPECT_OK(dimple_session_begin(s, &d));
  dimple_step step = {0};
  int32_t iterations = 0;
  for (; !step.done && iterations < 8 * BLOCK; iterations++) {
    EXPECT_OK(dimple_session_set_bias(s, (int32_t[]){PAD}, (float[]){50}, 1));
    EXPECT_OK(dimple_session_step(s, &step));
  }
  EXPECT(iterations <= BLOCK + 1 && step.remaining == 0 && step.canvas[4 * BLOCK - 1] == PAD, "%d iterations, %d left", iterations, step.remaining);
  dimple_session_free(s);
  dimple_model_free(m);
}

/* Without its key an expert's width is an equal share of what all used ones have together. */
static void width_of_experts(void) {
  gguf_writer w = {0};
  gguf_writer_leave_out(&w, "llada-moe.expert_feed_forward_length");
  gguf_writer_u32(&w, "llada-moe.feed_forward_length", EXPERTS_USED * FEED_FORWARD);
  dimple_model_free(expect_taken(&w, &llada_moe));
  gguf_writer_leave_out(&w, "llada-moe.expert_feed_forward_length");
  gguf_writer_u32(&w, "llada-moe.feed_forward_length", EXPERTS_USED - 1);
  expect_refused(&w, &llada_moe, DIMPLE_ERROR_FORMAT, "llada-moe.feed_forward_length");
}

static void shapes_and_types_of_tensors(void) {
  static const float zeros[VOCAB * WIDTH] = {0};
  gguf_writer w = {0};
  gguf_writer_tensor(&w, "token_embd.weight", 1, (uint64_t[]){VOCAB * WIDTH}, DIMPLE_TENSOR_F32, zeros);
  expect_refused(&w, &dimple, DIMPLE_ERROR_FORMAT, "token_embd.weight has 1 dimensions");
  gguf_writer_tensor(&w, "output.weight", 2, (uint64_t[]){WIDTH, VOCAB - 1}, DIMPLE_TENSOR_F32, zeros);
  expect_refused(&w, &dimple, DIMPLE_ERROR_FORMAT, "output.weight has shape [32, 95, 1, 1], expected 96 rows of 32");
  gguf_writer_tensor(&w, "blk.1.attn_k.weight", 2, (uint64_t[]){WIDTH, WIDTH}, DIMPLE_TENSOR_F32, zeros);
  expect_refused(&w, &dimple, DIMPLE_ERROR_FORMAT, "blk.1.attn_k.weight has shape");
  gguf_writer_tensor(&w, "output_norm.weight", 1, (uint64_t[]){WIDTH + 1}, DIMPLE_TENSOR_F32, zeros);
  expect_refused(&w, &dimple, DIMPLE_ERROR_FORMAT, "expected 1 row of 32");
  /* A kernel of patches may keep its dimensions: columns are spread over three of them. */
  gguf_writer_tensor(&w, "v.patch_embd.weight", 4, (uint64_t[]){PATCH, PATCH, 3, VISION_WIDTH}, DIMPLE_TENSOR_F32, zeros);
  dimple_model_free(expect_taken(&w, &dimple));
  /* A type of later days: described by hand, in front of the others. */
  gguf_writer_leave_out(&w, "blk.0.attn_q.weight");
  gguf_put_tensor(&w.tensors, "blk.0.attn_q.weight", 2, (uint64_t[]){WIDTH, WIDTH}, 42, 0);
  gguf_put_zeros(&w.data, GGUF_ALIGNMENT);
  w.tensor_count++;
  expect_refused(&w, &dimple, DIMPLE_ERROR_UNSUPPORTED, "blk.0.attn_q.weight has type Q2_0 (42), which this library does not read; make the file");
}

/* A tower without Dimple's projector must give features of the text model's width. */
static void features_fit_the_text(void) {
  static const float zeros[VISION_WIDTH * MERGE * MERGE * WIDTH] = {0};
  model_shape shape = {.family = FAMILY_DREAM, .vision = true, .without_projector = true};
  gguf_writer w = {0};
  dimple_model_free(expect_taken(&w, &shape));
  gguf_writer_u32(&w, "clip.vision.projection_dim", WIDTH / 2);
  gguf_writer_tensor(&w, "mm.2.weight", 2, (uint64_t[]){VISION_WIDTH * MERGE * MERGE, WIDTH / 2}, DIMPLE_TENSOR_F32, zeros);
  gguf_writer_tensor(&w, "mm.2.bias", 1, (uint64_t[]){WIDTH / 2}, DIMPLE_TENSOR_F32, zeros);
  expect_refused(&w, &shape, DIMPLE_ERROR_FORMAT, "gives 16 features, the text model takes 32");
}

/* Attention cannot be causal and see whole blocks. */
static void causal_blocks(void) {
  static const model_family families[] = {FAMILY_SDAR, FAMILY_SDAR_MOE, FAMILY_SDAR_VL, FAMILY_FAST_DLLM_V2, FAMILY_LLADA2, FAMILY_STABLE_DIFFCODER, FAMILY_LLADA22};
  for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
    gguf_writer w = {0};
    expect_refused(&w, &(model_shape){.family = families[i], .causal = true}, DIMPLE_ERROR_UNSUPPORTED, ".attention.causal is true, expected false");
  }
}

int main(void) {
  required_keys();
  causal_blocks();
  optional_keys();
  whole_numbers();
  blocks();
  pipelines_of_files();
  suppressed_tokens();
  other_numbers();
  lists();
  names();
  placeholder_by_name();
  end_of_a_list();
  width_of_experts();
  shapes_and_types_of_tensors();
  features_fit_the_text();
  return expect_summary("keys");
}
