/* Every family of models in every kind of file: on the backend under test as on ref, and decoded to the end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "draws.h"
#include "test/session_fixture.h"

/* Logits [PROMPT x VOCAB] of the prompt on a backend; the caller frees them. */
static float *prompt_logits(const char *path, const char *backend) {
  dimple_model *m = NULL;
  EXPECT_OK(dimple_model_load(path, &(dimple_model_options){.backend = backend, .threads = 2}, &m));
  if (!m) return NULL;
  dimple_session *s = open_session(m, 2, 1);
  EXPECT_OK(dimple_session_set_prompt(s, prompt_tokens, PROMPT, NULL, 0));
  float *z = logits_of(s, PROMPT);
  dimple_session_free(s);
  dimple_model_free(m);
  return z;
}

/* The root mean square of the differences, in units of the values' own. */
static double distance(const float *a, const float *b, int32_t count) {
  double differences = 0, values = 0;
  for (int32_t i = 0; i < count; i++) {
    differences += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    values += (double)b[i] * b[i];
  }
  return sqrt(differences / values);
}

/* Q4_0's and Q8_0's kernels round activations to 8 bits, which ref does not; GGML's to the weights' 16. AMX leaves out 2^-18 of a product with
 * weights of 16 bits (floats_amx.h), which comes to 1.6e-5 here. */
static void backends_agree(void) {
  bool device = backend_under_test() && backend_is_device(backend_under_test());
  const struct {
    int32_t type;
    double limit;
  } types[] = {{DIMPLE_TENSOR_F32, 1e-5}, {DIMPLE_TENSOR_F16, device ? 2e-3 : 3e-5}, {DIMPLE_TENSOR_BF16, device ? 0.015 : 3e-5},
               {DIMPLE_TENSOR_Q8_0, 0.03}, {DIMPLE_TENSOR_Q4_0, 0.03}};
  for (int family = FAMILY_DIMPLE; family < FAMILY_COUNT; family++) {
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
      char path[64];
      random_model_save(&(model_shape){.family = (model_family)family, .type = types[t].type}, path);
      float *z = prompt_logits(path, backend_under_test()), *expected = prompt_logits(path, "ref");
      remove(path);
      if (z && expected) {
        double off = distance(z, expected, PROMPT * VOCAB);
        EXPECT(off < types[t].limit, "family %d, type %d: off by %g", family, types[t].type, off);
      }
      free(z);
      free(expected);
    }
  }
}

/* One that decodes the family's models. */
static int32_t pipeline_of_family(int family) {
  static const int32_t of_blocks[] = {[FAMILY_SDAR] = DIMPLE_PIPELINE_SDAR, [FAMILY_FAST_DLLM_V2] = DIMPLE_PIPELINE_FAST_DLLM_V2,
                                      [FAMILY_LLADA2] = DIMPLE_PIPELINE_LLADA2, [FAMILY_SDAR_MOE] = DIMPLE_PIPELINE_SDAR,
                                      [FAMILY_RND1] = DIMPLE_PIPELINE_RND1, [FAMILY_STABLE_DIFFCODER] = DIMPLE_PIPELINE_STABLE_DIFFCODER, [FAMILY_DIFFUSION_GEMMA] = DIMPLE_PIPELINE_DIFFUSION_GEMMA,
                                      [FAMILY_DIMPLE_BLOCK] = DIMPLE_PIPELINE_FAST_DLLM_V2, [FAMILY_SDAR_VL] = DIMPLE_PIPELINE_SDAR, [FAMILY_LLADA_V] = DIMPLE_PIPELINE_LLADA_V,
                                      [FAMILY_LAVIDA_DREAM] = DIMPLE_PIPELINE_LAVIDA_DREAM, [FAMILY_LLADA22] = DIMPLE_PIPELINE_LLADA22,
                                      [FAMILY_COUNT] = 0};
  return of_blocks[family]; /* 0: DIMPLE_PIPELINE_DIM */
}

/* Decoded to the end, the same with one thread and with three, and with the embedding as head. */
static void every_family_decodes(void) {
  for (int family = FAMILY_DIMPLE; family < FAMILY_COUNT; family++) {
    for (int variant = 0; variant < 4; variant++) {
      dimple_model *m = random_model((model_shape){.family = (model_family)family, .tied = variant & 1, .type = variant & 2 ? DIMPLE_TENSOR_Q8_0 : 0});
      if (!m) continue;
      dimple_session *s = text_session(m, 1, 1), *t = text_session(m, 3, 1);
      bool canvases = family == FAMILY_DIFFUSION_GEMMA;
      dimple_decoding d = decoding_of(pipeline_of_family(family), canvases ? DIMPLE_ALGORITHM_ENTROPY_BOUND : family == FAMILY_LLADA22
                                                                  ? DIMPLE_ALGORITHM_TOKEN_EDITING : DIMPLE_ALGORITHM_MASKGIT_PLUS);
      outcome a = decode(s, &d), b = decode(t, &d);
      EXPECT(canvases ? a.remaining == 0 : a.remaining == a.drawn_masks, "family %d, variant %d: %d left", family, variant, a.remaining);
      EXPECT(same_outcome(&a, &b), "family %d, variant %d: threads matter", family, variant);
      dimple_session_free(s);
      dimple_session_free(t);
      dimple_model_free(m);
    }
  }
}

/* What a file says of the shift, or its family where it says nothing. */
static void shift_is_the_familys_or_the_files(void) {
  static const bool shifted[] = {[FAMILY_DIMPLE] = true, [FAMILY_DREAM] = true, [FAMILY_FAST_DLLM_V2] = true, [FAMILY_DIFFUSE_DREAM] = true, [FAMILY_RND1] = true,
                                 [FAMILY_DREAM_VL] = true, [FAMILY_DIMPLE_BLOCK] = true, [FAMILY_LAVIDA_DREAM] = true,
                                 [FAMILY_COUNT] = false};
  for (int family = FAMILY_DIMPLE; family < FAMILY_COUNT; family++) {
    for (int unshifted = 0; unshifted < 2; unshifted++) {
      dimple_model *m = random_model((model_shape){.family = (model_family)family, .unshifted = unshifted});
      dimple_model_info info = {0};
      EXPECT_OK(dimple_model_get_info(m, &info));
      EXPECT(info.shift_logits == (shifted[family] && !unshifted), "family %d: %d", family, info.shift_logits);
      dimple_model_free(m);
    }
  }
}

/* -------------------------------------------------------------------------------------------------------- equivalences */

static void fill(float *values, int32_t count, uint64_t seed) {
  for (int32_t i = 0; i < count; i++) values[i] = draw_uniform(seed, (uint32_t)i, 0, 0, 0) - 0.5f;
}

static void expect_same_logits(gguf_writer *one, gguf_writer *other, const char *what) {
  char paths[2][64];
  temporary_file(one, paths[0]);
  temporary_file(other, paths[1]);
  float *a = prompt_logits(paths[0], backend_under_test()), *b = prompt_logits(paths[1], backend_under_test());
  if (a && b) {
    double off = distance(a, b, PROMPT * VOCAB);
    EXPECT(off < 1e-5, "%s: off by %g", what, off);
  }
  for (int i = 0; i < 2; i++) remove(paths[i]);
  free(a);
  free(b);
}

/* LLaDA rotates neighbours, Dream elements half a head apart: with the rows of Q and K in the other order, and without biases, one
 * model is the other. */
static void rotated_pairs_are_an_order_of_rows(void) {
  enum { SIZE = WIDTH / HEADS, HALF = SIZE / 2 };
  static float halves[WIDTH * WIDTH], neighbours[WIDTH * WIDTH];
  static const float zeros[WIDTH] = {0};
  gguf_writer dream = {0}, llada = {0};
  for (int layer = 0; layer < LAYERS; layer++) {
    for (int k = 0; k < 2; k++) {
      char name[32];
      int32_t rows = k ? KV_HEADS * SIZE : WIDTH;
      fill(halves, rows * WIDTH, (uint64_t)(2 * layer + k));
      for (int32_t row = 0; row < rows; row++) {
        int32_t j = row % SIZE, from = row - j + (j % 2 ? HALF : 0) + j / 2;
        memcpy(neighbours + row * WIDTH, halves + from * WIDTH, WIDTH * sizeof *halves);
      }
      snprintf(name, sizeof name, "blk.%d.attn_%c.weight", layer, k ? 'k' : 'q');
      gguf_writer_tensor(&dream, name, 2, (uint64_t[]){WIDTH, (uint64_t)rows}, DIMPLE_TENSOR_F32, halves);
      gguf_writer_tensor(&llada, name, 2, (uint64_t[]){WIDTH, (uint64_t)rows}, DIMPLE_TENSOR_F32, neighbours);
    }
    for (int part = 0; part < 3; part++) {
      char name[32];
      snprintf(name, sizeof name, "blk.%d.attn_%c.bias", layer, "qkv"[part]);
      gguf_writer_tensor(&dream, name, 1, (uint64_t[]){part ? KV_HEADS * SIZE : WIDTH}, DIMPLE_TENSOR_F32, zeros);
    }
  }
  random_model_write(&dream, &(model_shape){.family = FAMILY_DREAM});
  random_model_write(&llada, &(model_shape){.family = FAMILY_LLADA});
  expect_same_logits(&dream, &llada, "the order of rows");
}

/* Experts that are all alike and all used are one expert. */
static void equal_experts_are_one(void) {
  static float matrix[EXPERTS * WIDTH * FEED_FORWARD];
  static const char *const parts[] = {"gate", "up", "down"};
  gguf_writer many = {0}, one = {0};
  for (int layer = 0; layer < LAYERS; layer++) {
    for (int part = 0; part < 3; part++) {
      char name[40];
      uint64_t columns = part == 2 ? FEED_FORWARD : WIDTH, rows = part == 2 ? WIDTH : FEED_FORWARD;
      fill(matrix, WIDTH * FEED_FORWARD, (uint64_t)(10 + 3 * layer + part));
      for (int e = 1; e < EXPERTS; e++) memcpy(matrix + e * WIDTH * FEED_FORWARD, matrix, WIDTH * FEED_FORWARD * sizeof *matrix);
      snprintf(name, sizeof name, "blk.%d.ffn_%s_exps.weight", layer, parts[part]);
      gguf_writer_tensor(&many, name, 3, (uint64_t[]){columns, rows, EXPERTS}, DIMPLE_TENSOR_F32, matrix);
      gguf_writer_tensor(&one, name, 3, (uint64_t[]){columns, rows, 1}, DIMPLE_TENSOR_F32, matrix);
    }
    char router[40];
    snprintf(router, sizeof router, "blk.%d.ffn_gate_inp.weight", layer);
    gguf_writer_tensor(&one, router, 2, (uint64_t[]){WIDTH, 1}, DIMPLE_TENSOR_F32, matrix);
  }
  gguf_writer_u32(&many, "llada-moe.expert_used_count", EXPERTS);
  gguf_writer_u32(&one, "llada-moe.expert_used_count", 1);
  gguf_writer_u32(&one, "llada-moe.expert_count", 1);
  random_model_write(&many, &(model_shape){.family = FAMILY_LLADA_MOE});
  random_model_write(&one, &(model_shape){.family = FAMILY_LLADA_MOE});
  expect_same_logits(&many, &one, "equal experts");
}

/* The same tensors under diffuse-cpp's keys: Dream is Dream, and its LLaDA is a Dream whose biases are 0. */
static void files_of_diffuse_cpp_are_dream_and_llada(void) {
  gguf_writer dream = {0}, theirs = {0}, unbiased = {0}, llada = {0};
  gguf_writer_f32(&dream, "dream.rope.freq_base", 1e6f); /* their default */
  gguf_writer_f32(&unbiased, "dream.rope.freq_base", 1e6f);
  random_model_write(&dream, &(model_shape){.family = FAMILY_DREAM});
  random_model_write(&theirs, &(model_shape){.family = FAMILY_DIFFUSE_DREAM});
  expect_same_logits(&theirs, &dream, "diffuse, dream");
  static const float zeros[WIDTH];
  for (int i = 0; i < LAYERS; i++) {
    static const char *const names[] = {"attn_q", "attn_k", "attn_v"};
    for (int k = 0; k < 3; k++) {
      char name[64];
      snprintf(name, sizeof name, "blk.%d.%s.bias", i, names[k]);
      uint64_t length = k == 0 ? WIDTH : WIDTH / HEADS * KV_HEADS;
      gguf_writer_tensor(&unbiased, name, 1, &length, DIMPLE_TENSOR_F32, zeros);
    }
  }
  random_model_write(&unbiased, &(model_shape){.family = FAMILY_DREAM});
  random_model_write(&llada, &(model_shape){.family = FAMILY_DIFFUSE_LLADA});
  expect_same_logits(&llada, &unbiased, "diffuse, llada");
  gguf_writer other = {0};
  char path[64];
  dimple_model *m = NULL;
  gguf_writer_string(&other, "diffuse.model_type", "mmada");
  random_model_write(&other, &(model_shape){.family = FAMILY_DIFFUSE_LLADA});
  temporary_file(&other, path);
  EXPECT_FAILS(load_model(path, NULL, &m), DIMPLE_ERROR_UNSUPPORTED, "diffuse.model_type is \"mmada\", expected dream or llada");
  remove(path);
}

/* Of Qwen2-VL's tower nothing may be missing, and of Qwen2.5-VL's nothing there in its place. */
static void a_tower_with_layer_norms_is_whole(void) {
  static const char *const parts[] = {"v.blk.1.ln1.bias", "v.blk.0.ln2.bias", "v.post_ln.bias", "v.blk.1.ffn_up.bias", "v.patch_embd.weight.1", "mm.2.weight",
                                      "mm.img_projector.2.bias", "clip.vision.patch_size", "dream-vl.vision_start_token_id", "dream-vl.rope.dimension_sections"};
  char path[64];
  dimple_model *m = NULL;
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    random_model_save(&(model_shape){.family = FAMILY_DREAM_VL, .vision = true, .missing = parts[i]}, path);
    EXPECT_FAILS(load_model(path, NULL, &m), DIMPLE_ERROR_FORMAT, parts[i]);
    remove(path);
  }
  gguf_writer surplus = {0}, plain = {0};
  static const float zeros[VISION_FEED_FORWARD];
  gguf_writer_tensor(&surplus, "v.blk.0.ffn_gate.bias", 1, (uint64_t[]){VISION_FEED_FORWARD}, DIMPLE_TENSOR_F32, zeros);
  random_model_write(&surplus, &(model_shape){.family = FAMILY_DREAM_VL, .vision = true});
  temporary_file(&surplus, path);
  EXPECT_FAILS(load_model(path, NULL, &m), DIMPLE_ERROR_UNSUPPORTED, "v.blk.0.ffn_gate.bias");
  remove(path);
  gguf_writer_bool(&plain, "clip.use_gelu", true);
  random_model_write(&plain, &(model_shape){.family = FAMILY_DREAM_VL, .vision = true});
  temporary_file(&plain, path);
  EXPECT_FAILS(load_model(path, NULL, &m), DIMPLE_ERROR_UNSUPPORTED, "clip.use_gelu");
  remove(path);
}

int main(void) {
  backends_agree();
  every_family_decodes();
  shift_is_the_familys_or_the_files();
  rotated_pairs_are_an_order_of_rows();
  equal_experts_are_one();
  files_of_diffuse_cpp_are_dream_and_llada();
  a_tower_with_layer_norms_is_whole();
  return expect_summary("architecture");
}
