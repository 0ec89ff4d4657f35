/* Bad files of every family: a key or tensor that is missing or surplus, files cut short, bits flipped. Each is refused by a message that names what is
 * wrong, or is the same model. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/session_fixture.h"

/* What optional keys say of the model: without them it is another one, by llama.cpp's defaults or ours (docs/file-layout.md). */
static const char *const optional[] = {"rope.dimension_count", "expert_weights_scale", "diffusion.block_length", "final_logit_softcapping", "output.weight"};

/* Keys whose defaults do not fit the tensors or keys that are there: these are named. */
static const char *const defaulted[] = {"attention.head_count_kv", "expert_feed_forward_length", "expert_shared_count", "leading_dense_block_count",
                                        "clip.has_vision_encoder", "clip.vision.image_min_pixels"};

/* Whether the name ends with one of these. */
static bool is_among(const char *name, const char *const *list, size_t count) {
  size_t length = strlen(name);
  for (size_t i = 0; i < count; i++) {
    size_t part = strlen(list[i]);
    if (part <= length && strcmp(name + length - part, list[i]) == 0) return true;
  }
  return false;
}

#define IS_AMONG(name, list) is_among(name, list, sizeof list / sizeof *list)

typedef struct damage {
  int opened, refused;
} damage;

/* Logits [PROMPT x VOCAB] of the prompt, which the caller frees; null: the file is refused. */
static float *logits_if_loaded(const char *path) {
  dimple_model *m = NULL;
  if (load_model(path, NULL, &m) != DIMPLE_OK) return NULL;
  dimple_session *s = open_session(m, 2, 1);
  float *z = NULL;
  if (dimple_session_set_prompt(s, prompt_tokens, PROMPT, NULL, 0) == DIMPLE_OK) z = malloc(sizeof *z * PROMPT * VOCAB);
  if (z && dimple_session_get_logits(s, z, PROMPT * VOCAB) != DIMPLE_OK) { /* what overflows is named, too */
    free(z);
    z = NULL;
  }
  dimple_session_free(s);
  dimple_model_free(m);
  return z;
}

static float *logits_of_shape(const model_shape *shape) {
  char path[64];
  random_model_save(shape, path);
  float *z = logits_if_loaded(path);
  remove(path);
  return z;
}

/* Every key and tensor in turn is left out. */
static void missing_parts(const model_shape *whole) {
  gguf_writer w = {0};
  random_model_write(&w, whole);
  float *expected = logits_of_shape(whole);
  EXPECT(expected != NULL, "family %d: the whole file does not load: %s", whole->family, dimple_last_error());
  damage d = {0};
  for (size_t at = 0; at < w.names.size && expected; at += strlen((const char *)w.names.data + at) + 1) {
    const char *name = (const char *)w.names.data + at;
    model_shape shape = *whole;
    shape.missing = name;
    float *z = logits_of_shape(&shape);
    if (!z) {
      const char *said = dimple_last_error();
      bool named = strstr(said, name) || (IS_AMONG(name, defaulted) && (strstr(said, "tensor") || strstr(said, "pixels")));
      EXPECT(named, "family %d without %s: \"%s\"", whole->family, name, said);
      d.refused++;
    } else {
      bool same = memcmp(z, expected, sizeof *z * PROMPT * VOCAB) == 0;
      EXPECT(same || IS_AMONG(name, optional), "family %d without %s: another model", whole->family, name);
      d.opened++;
    }
    free(z);
  }
  EXPECT(d.refused >= 15, "family %d: %d refused, %d opened", whole->family, d.refused, d.opened);
  free(expected);
  gguf_writer_free(&w);
}

/* Of a name that no file has, and of one that another family has. */
static void surplus_parts(const model_shape *whole, const char *architecture) {
  const float values[WIDTH] = {0};
  static const char *const tensors[] = {"blk.0.surplus.weight", "blk.2.attn_norm.weight", "blk.0.attn_sinks.weight", "surplus"};
  for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
    gguf_writer w = {0};
    char path[64];
    dimple_model *m = NULL;
    gguf_writer_tensor(&w, tensors[i], 1, (uint64_t[]){WIDTH}, DIMPLE_TENSOR_F32, values);
    random_model_write(&w, whole);
    temporary_file(&w, path);
    EXPECT_FAILS(load_model(path, NULL, &m), DIMPLE_ERROR_UNSUPPORTED, tensors[i]);
    remove(path);
  }
  static const char *const keys[] = {"surplus", "attention.surplus", "ssm.state_size"};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    gguf_writer w = {0};
    char path[64], name[80];
    dimple_model *m = NULL;
    snprintf(name, sizeof name, "%s.%s", architecture, keys[i]);
    gguf_writer_u32(&w, name, 3);
    random_model_write(&w, whole);
    temporary_file(&w, path);
    EXPECT_FAILS(load_model(path, NULL, &m), DIMPLE_ERROR_UNSUPPORTED, name);
    remove(path);
  }
}

static uint8_t *bytes_of(const char *path, size_t *size) {
  FILE *f = fopen(path, "rb");
  uint8_t *bytes = NULL;
  if (f && fseek(f, 0, SEEK_END) == 0) {
    *size = (size_t)ftell(f);
    bytes = malloc(*size);
    rewind(f);
    if (bytes && fread(bytes, 1, *size, f) != *size) *size = 0;
  }
  if (f) fclose(f);
  EXPECT(bytes != NULL, "%s cannot be read", path);
  return bytes;
}

static void rewrite(const char *path, const uint8_t *bytes, size_t size) {
  FILE *f = fopen(path, "wb");
  EXPECT(f && fwrite(bytes, 1, size, f) == size, "%s cannot be written", path);
  if (f) fclose(f);
}

/* A file that is cut anywhere is refused; one with a flipped bit before its data is refused or runs, and has the numbers it had where it was the data's
 * padding or a name that nobody reads. */
static void cut_and_flipped(const model_shape *whole, int flips) {
  enum { CUTS = 24 };
  char path[64];
  random_model_save(whole, path);
  size_t size = 0;
  uint8_t *bytes = bytes_of(path, &size);
  for (int i = 0; i < CUTS && bytes; i++) {
    dimple_model *m = NULL;
    rewrite(path, bytes, i == 0 ? size - 1 : (size_t)i * size / CUTS);
    dimple_status status = load_model(path, NULL, &m);
    EXPECT(status == DIMPLE_ERROR_FORMAT && strstr(dimple_last_error(), path), "family %d cut at %d of %d: %d, \"%s\"", whole->family, i, CUTS, (int)status,
           dimple_last_error());
    dimple_model_free(m);
  }
  size_t header = size < 8192 ? size : 8192;
  damage d = {0};
  for (int i = 0; i < flips && bytes; i++) {
    size_t at = ((size_t)i * 2654435761u + 977 * (size_t)whole->family) % header;
    bytes[at] ^= (uint8_t)(1 << i % 8);
    rewrite(path, bytes, size);
    float *z = logits_if_loaded(path); /* whatever they are */
    *(z ? &d.opened : &d.refused) += 1;
    free(z);
    bytes[at] ^= (uint8_t)(1 << i % 8);
  }
  EXPECT(d.refused > flips / 8, "family %d: %d flipped files refused, %d opened", whole->family, d.refused, d.opened);
  free(bytes);
  remove(path);
}

/* damaged_models_test [FLIPS]: with how many flipped bits each family is tried. */
int main(int argc, char **argv) {
  const int flips = argc > 1 ? atoi(argv[1]) : 96;
  for (model_family family = FAMILY_DIMPLE; family < FAMILY_COUNT; family++) {
    model_shape whole = {.family = family};
    dimple_model *m = random_model(whole);
    dimple_model_info info = {0};
    EXPECT_OK(dimple_model_get_info(m, &info));
    char architecture[64];
    snprintf(architecture, sizeof architecture, "%s", info.architecture);
    dimple_model_free(m);
    missing_parts(&whole);
    surplus_parts(&whole, architecture);
    cut_and_flipped(&whole, flips);
  }
  missing_parts(&(model_shape){.family = FAMILY_DREAM_VL, .vision = true});
  missing_parts(&(model_shape){.family = FAMILY_DIMPLE, .vision = true});
  missing_parts(&(model_shape){.family = FAMILY_DIMPLE_BLOCK, .vision = true});
  missing_parts(&(model_shape){.family = FAMILY_SDAR_VL, .vision = true});
  missing_parts(&(model_shape){.family = FAMILY_LLADA_V, .vision = true});
  missing_parts(&(model_shape){.family = FAMILY_LAVIDA_DREAM, .vision = true});
  missing_parts(&(model_shape){.family = FAMILY_LLADA22});
  return expect_summary("damaged_models");
}
