/* What small machines are offered: weights that stay in the file, and keys and values in fewer bits. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/session_fixture.h"

static float *picture_logits(dimple_model *m, int32_t kv_type) {
  dimple_session *s = NULL;
  EXPECT_OK(dimple_session_create(m, &(dimple_session_options){.threads = 2, .prefill = 1, .kv_type = kv_type}, &s));
  int32_t tokens[PICTURE_PROMPT];
  dimple_image image = picture();
  EXPECT_OK(dimple_session_set_prompt(s, tokens, picture_prompt(tokens), &image, 1));
  float *logits = logits_of(s, PICTURE_PROMPT);
  dimple_session_free(s);
  return logits;
}

static int64_t weight_size_of(const dimple_model *m) {
  dimple_model_info info;
  EXPECT_OK(dimple_model_get_info(m, &info));
  return info.weight_size;
}

/* A family whose queries and keys are reordered keeps these packed. */
static void unpacked_weights_give_the_same(model_family family, int32_t type) {
  char path[64];
  model_shape shape = {.family = family, .vision = family == FAMILY_DIMPLE, .type = type};
  random_model_save(&shape, path);
  dimple_model *packed = NULL, *unpacked = NULL;
  EXPECT_OK(load_model(path, NULL, &packed));
  EXPECT_OK(dimple_model_load(path, &(dimple_model_options){.backend = backend_under_test(), .unpacked = 1, .threads = 2}, &unpacked));
  dimple_session *a = text_session(packed, 1, 1), *b = text_session(unpacked, 2, 1);
  float *expected = logits_of(a, PROMPT + RESPONSE), *found = logits_of(b, PROMPT + RESPONSE);
  EXPECT(memcmp(expected, found, sizeof(float) * (PROMPT + RESPONSE) * VOCAB) == 0, "family %d, type %d: other logits", (int)family, type);
  free(expected);
  free(found);
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  outcome first = decode(a, &d), second = decode(b, &d);
  EXPECT(same_outcome(&first, &second), "family %d, type %d: another result", (int)family, type);
  dimple_model_info info;
  EXPECT_OK(dimple_model_get_info(unpacked, &info));
  if (strncmp(info.backend, "cpu-", 4) == 0)
    EXPECT(weight_size_of(unpacked) < weight_size_of(packed) * 3 / 4, "%lld bytes, packed %lld", (long long)weight_size_of(unpacked),
           (long long)weight_size_of(packed));
  dimple_session_free(a);
  dimple_session_free(b);
  dimple_model_free(packed);
  dimple_model_free(unpacked);
  remove(path);
}

/* Where packed weights would take more than they may, experts stay in the file, the last layers' first, and nothing else does. */
static void experts_stay_where_memory_is_short(model_family family, int32_t type) {
  char path[64];
  model_shape shape = {.family = family, .type = type};
  random_model_save(&shape, path);
  dimple_model *packed = NULL;
  EXPECT_OK(dimple_model_load(path, &(dimple_model_options){.backend = backend_under_test(), .weight_memory = INT64_MAX}, &packed));
  dimple_model_info all, info;
  EXPECT_OK(dimple_model_get_info(packed, &all));
  EXPECT(all.unpacked_size == 0, "%lld bytes are not packed", (long long)all.unpacked_size);
  dimple_session *a = text_session(packed, 1, 1);
  float *expected = logits_of(a, PROMPT + RESPONSE);
  int64_t before = 0;
  const int64_t limits[] = {all.weight_size * 9 / 10, all.weight_size / 2, 1};
  for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
    dimple_model *m = NULL;
    EXPECT_OK(dimple_model_load(path, &(dimple_model_options){.backend = backend_under_test(), .weight_memory = limits[i], .threads = 2}, &m));
    EXPECT_OK(dimple_model_get_info(m, &info));
    dimple_session *b = text_session(m, 2, 1);
    float *found = logits_of(b, PROMPT + RESPONSE);
    EXPECT(memcmp(expected, found, sizeof(float) * (PROMPT + RESPONSE) * VOCAB) == 0, "limit %lld: other logits", (long long)limits[i]);
    if (strncmp(info.backend, "cpu-", 4) == 0) {
      EXPECT(info.unpacked_size > before || i == 1, "limit %lld: %lld bytes are not packed, %lld with a higher one", (long long)limits[i],
             (long long)info.unpacked_size, (long long)before);
      EXPECT(info.weight_size < all.weight_size && info.weight_size > 0, "%lld bytes packed", (long long)info.weight_size);
      EXPECT(info.unpacked_size < info.file_size, "%lld bytes of %lld", (long long)info.unpacked_size, (long long)info.file_size);
      before = info.unpacked_size;
    }
    free(found);
    dimple_session_free(b);
    dimple_model_free(m);
  }
  free(expected);
  dimple_session_free(a);
  dimple_model_free(packed);
  remove(path);
}

/* A model without experts is packed whatever it takes. */
static void dense_models_are_packed(void) {
  char path[64];
  model_shape shape = {.family = FAMILY_LLADA, .type = DIMPLE_TENSOR_Q8_0};
  random_model_save(&shape, path);
  dimple_model *m = NULL;
  dimple_model_info info;
  EXPECT_OK(dimple_model_load(path, &(dimple_model_options){.backend = backend_under_test(), .weight_memory = 1}, &m));
  EXPECT_OK(dimple_model_get_info(m, &info));
  EXPECT(info.unpacked_size == 0, "%lld bytes are not packed", (long long)info.unpacked_size);
  dimple_model_free(m);
  EXPECT_FAILS(dimple_model_load(path, &(dimple_model_options){.weight_memory = -1}, &m), DIMPLE_ERROR_ARGUMENT, "weight_memory is -1");
  remove(path);
}

static double furthest(const float *a, const float *b, int64_t count) {
  double most = 0;
  for (int64_t i = 0; i < count; i++) most = fmax(most, fabs((double)a[i] - b[i]));
  return most;
}

/* Rounding moves logits by a little of the largest, and by something. */
static void packed_caches_are_close(dimple_model *m, int32_t kv_type, double most) {
  float *expected = picture_logits(m, DIMPLE_TENSOR_F32), *found = picture_logits(m, kv_type);
  float zeros[PICTURE_PROMPT * VOCAB] = {0};
  double off = furthest(expected, found, PICTURE_PROMPT * VOCAB) / furthest(expected, zeros, PICTURE_PROMPT * VOCAB);
  EXPECT(off > 0 && off < most, "type %d: logits are off by %g of the largest", kv_type, off);
  free(expected);
  free(found);
}

static dimple_session *packed_session(dimple_model *m, int32_t kv_type, int32_t threads) {
  dimple_session *s = NULL;
  EXPECT_OK(dimple_session_create(m, &(dimple_session_options){.threads = threads, .prefill = 1, .kv_type = kv_type}, &s));
  EXPECT_OK(dimple_session_set_prompt(s, prompt_tokens, PROMPT, NULL, 0));
  set_masks(s, RESPONSE);
  return s;
}

/* `part` of 64 of what floats take. */
static void packed_caches_take_less(dimple_model *m, int32_t kv_type, int32_t part) {
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  dimple_session *full = text_session(m, 1, 1), *packed = packed_session(m, kv_type, 1), *other = packed_session(m, kv_type, 3);
  decode(full, &d);
  outcome one = decode(packed, &d), two = decode(other, &d);
  EXPECT(one.remaining == 0 && same_outcome(&one, &two), "threads change the result");
  dimple_timings of_full, of_packed;
  EXPECT_OK(dimple_session_get_timings(full, &of_full));
  EXPECT_OK(dimple_session_get_timings(packed, &of_packed));
  EXPECT(of_packed.kv_bytes * 64 == of_full.kv_bytes * part, "%lld bytes, as floats %lld", (long long)of_packed.kv_bytes, (long long)of_full.kv_bytes);
  EXPECT(of_packed.scratch_bytes > of_full.scratch_bytes, "what rows are before they are packed is not counted");
  dimple_session_free(full);
  dimple_session_free(packed);
  dimple_session_free(other);
}

/* Blocks replace rows between a prefix and a suffix that are kept. */
static void packed_caches_serve_blocks(dimple_model *m, int32_t kv_type) {
  dimple_decoding d = decoding_of(DIMPLE_PIPELINE_LLADA, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  d.block_length = 4;
  d.cache = DIMPLE_CACHE_DUAL;
  dimple_session *s = packed_session(m, kv_type, 2);
  outcome o = decode(s, &d);
  EXPECT(o.remaining == 0, "%d masks are left", o.remaining);
  dimple_session_free(s);
}

static void caches_are_packed(void) {
  dimple_model *wide = random_model((model_shape){.vision = true, .width = 128, .heads = 2}); /* heads of 64 */
  packed_caches_are_close(vision_model, DIMPLE_TENSOR_F16, 2e-3);
  packed_caches_are_close(wide, DIMPLE_TENSOR_Q8_0, 3e-2);
  packed_caches_take_less(text_model, DIMPLE_TENSOR_F16, 32);
  packed_caches_take_less(wide, DIMPLE_TENSOR_Q8_0, 17);
  packed_caches_serve_blocks(text_model, DIMPLE_TENSOR_F16);
  packed_caches_serve_blocks(wide, DIMPLE_TENSOR_Q8_0);
  dimple_model_free(wide);
}

static void bad_options(void) {
  dimple_session *s = NULL;
  EXPECT_FAILS(dimple_session_create(text_model, &(dimple_session_options){.kv_type = DIMPLE_TENSOR_Q4_0}, &s), DIMPLE_ERROR_ARGUMENT, "kv_type is 2");
  EXPECT_FAILS(dimple_session_create(text_model, &(dimple_session_options){.kv_type = DIMPLE_TENSOR_Q8_0}, &s), DIMPLE_ERROR_UNSUPPORTED,
               "heads of 8 are no whole ones");
  dimple_model *m = NULL;
  EXPECT_FAILS(dimple_model_load("none.gguf", &(dimple_model_options){.unpacked = -1}, &m), DIMPLE_ERROR_ARGUMENT, "unpacked is -1");
  EXPECT_FAILS(dimple_model_load("none.gguf", &(dimple_model_options){.unpacked = 1, .weight_memory = 1}, &m), DIMPLE_ERROR_ARGUMENT,
               "weight_memory does not go with unpacked");
  EXPECT_FAILS(dimple_model_load("none.gguf", &(dimple_model_options){.unpacked = 1, .pack_cache = 1}, &m), DIMPLE_ERROR_ARGUMENT,
               "pack_cache does not go with unpacked");
}

int main(void) {
  if (fixture_open()) {
    unpacked_weights_give_the_same(FAMILY_DIMPLE, DIMPLE_TENSOR_F32);
    unpacked_weights_give_the_same(FAMILY_DIMPLE, DIMPLE_TENSOR_Q4_0);
    unpacked_weights_give_the_same(FAMILY_LLADA, DIMPLE_TENSOR_F16);
    unpacked_weights_give_the_same(FAMILY_LLADA_MOE, DIMPLE_TENSOR_Q8_0);
    experts_stay_where_memory_is_short(FAMILY_LLADA_MOE, DIMPLE_TENSOR_Q4_0);
    experts_stay_where_memory_is_short(FAMILY_DIFFUSION_GEMMA, DIMPLE_TENSOR_Q8_0);
    dense_models_are_packed();
    caches_are_packed();
    bad_options();
  }
  fixture_close();
  return expect_summary("small_memory");
}
