/* Weights that are NaN or infinite, and numbers that overflow, wherever they stand in a model: every way to logits fails, on every backend, and
 * none makes tokens of them. */
#include <stdlib.h>

#include "error.h"
#include "gguf/gguf.h"
#include "quant/block_formats.h"
#include "test/expect.h"
#include "test/files.h"
#include "test/random_model.h"

enum { NUMBERS_WIDTH = 64, PROMPT_SIZE = 4, RESPONSE = 3, SIDE = 8 };

static const char *const backends[] = {"ref", "cpu-plain", "cpu-avx2", "cpu-avx-vnni", "cpu-avx512-vnni", "cpu-amx", "ggml:CPU"};
enum { BACKENDS = sizeof backends / sizeof *backends };

/* A bad number, as the first bytes of a row of a type. */
typedef struct bad_number {
  const char *what;
  uint32_t single;
  uint16_t half, bfloat16;
} bad_number;

static const bad_number bad_numbers[] = {{"NaN", 0x7fc00000, 0x7e00, 0x7fc0}, {"infinity", 0x7f800000, 0x7c00, 0x7f80}, {"-infinity", 0xff800000, 0xfc00, 0xff80}};
enum { BAD_NUMBERS = sizeof bad_numbers / sizeof *bad_numbers };

/* Puts the number at the beginning of every row of a tensor, or of the last one alone, as an element or as the scale of a block. */
static void spoil(FILE *file, const gguf_file *g, const gguf_tensor *t, const bad_number *bad, bool last) {
  const char *start = gguf_metadata_at(g, 0)->key - 32; /* the first key stands behind the header and its own length */
  const uint16_t half = t->type == DIMPLE_TENSOR_BF16 ? bad->bfloat16 : bad->half;
  int64_t row_size = block_format_row_size(block_format_of(t->type), t->dimensions[0]);
  for (int64_t at = last ? t->size - row_size : 0; at < t->size; at += row_size) {
    fseek(file, (long)((const char *)t->data - start + at), SEEK_SET);
    if (t->type == DIMPLE_TENSOR_F32) fwrite(&bad->single, 4, 1, file);
    else fwrite(&half, 2, 1, file);
  }
}

/* A copy of the model with one tensor spoilt; its path is the caller's to unlink. */
static void spoilt_copy(const char *path, int64_t tensor, const bad_number *bad, bool last, char copy[64]) {
  char buffer[1 << 14];
  gguf_file *g = NULL;
  new_file(copy);
  FILE *from = fopen(path, "rb"), *to = fopen(copy, "wb");
  for (size_t size; (size = fread(buffer, 1, sizeof buffer, from)) > 0;) fwrite(buffer, 1, size, to);
  EXPECT_OK(gguf_open(path, &g));
  spoil(to, g, gguf_tensor_at(g, tensor), bad, last);
  gguf_close(g);
  fclose(from);
  EXPECT(fclose(to) == 0, "%s was not written", copy);
}

/* A prompt of text, with a picture before it where the model takes one, and a masked response. */
static dimple_session *open_session(dimple_model *m) {
  dimple_session *s = NULL;
  dimple_image_grid grid = {0};
  dimple_model_info info;
  uint8_t rgb[3 * SIDE * SIDE];
  int32_t prompt[64], count = 0;
  const int32_t response[RESPONSE] = {MASK, MASK, MASK};
  for (int i = 0; i < 3 * SIDE * SIDE; i++) rgb[i] = (uint8_t)(i * 37);
  dimple_image image = {rgb, SIDE, SIDE, 3 * SIDE};
  EXPECT_OK(dimple_model_get_info(m, &info));
  if (info.has_vision) EXPECT_OK(dimple_model_get_image_grid(m, SIDE, SIDE, &grid));
  while (count < grid.tokens) prompt[count++] = IMAGE;
  for (int i = 0; i < PROMPT_SIZE; i++) prompt[count++] = 3 + i;
  EXPECT_OK(dimple_session_create(m, NULL, &s));
  EXPECT_OK(dimple_session_set_prompt(s, prompt, count, &image, info.has_vision));
  EXPECT_OK(dimple_session_set_response(s, response, RESPONSE));
  return s;
}

static dimple_status logits_of(dimple_session *s) {
  static float logits[(64 + RESPONSE) * VOCAB];
  for (int64_t rows = RESPONSE + 1; rows < 64; rows++) {
    dimple_status status = dimple_session_get_logits(s, logits, rows * VOCAB);
    if (status != DIMPLE_ERROR_ARGUMENT) return status;
  }
  return DIMPLE_OK;
}

static dimple_status first_step(dimple_session *s, const dimple_decoding *decoding) {
  dimple_step step;
  DIMPLE_TRY(dimple_session_begin(s, decoding));
  return dimple_session_step(s, &step);
}

/* Greedy and drawn tokens from the head's summary, filtered ones from whole rows of logits, and each of them a second time. */
static void expect_no_tokens(dimple_session *s, const char *path, const char *what) {
  dimple_decoding decoding[3];
  for (int i = 0; i < 3; i++) dimple_decoding_defaults(&decoding[i]);
  decoding[1].temperature = decoding[2].temperature = 0.7f;
  decoding[2].top_k = 5;
  for (int i = 0; i < 6; i++) {
    dimple_status status = first_step(s, &decoding[i % 3]);
    EXPECT(status == DIMPLE_ERROR_MODEL, "%s: step %d gave %d", what, i, (int)status);
    EXPECT(strstr(dimple_last_error(), path) && strstr(dimple_last_error(), "NaN or infinite"), "\"%s\"", dimple_last_error());
  }
}

/* Tables are looked at while a model is loaded; what goes to a device, too. */
static bool is_refused(dimple_status status) { return status == DIMPLE_ERROR_FORMAT && strstr(dimple_last_error(), "expected finite numbers"); }

/* Whether the backend is there. */
static bool try_spoilt(const char *path, const char *backend, const char *what, bool steps) {
  dimple_model *m = NULL;
  dimple_status status = dimple_model_load(path, &(dimple_model_options){.backend = backend, .threads = 1}, &m);
  if (status == DIMPLE_ERROR_UNSUPPORTED) return false;
  if (is_refused(status)) return true;
  EXPECT(status == DIMPLE_OK, "%s: %s", what, dimple_last_error());
  dimple_session *s = open_session(m);
  status = logits_of(s);
  EXPECT(status == DIMPLE_ERROR_MODEL, "%s on %s: the logits came with %d", what, backend, (int)status);
  if (steps) expect_no_tokens(s, path, what);
  dimple_session_free(s);
  dimple_model_free(m);
  return true;
}

/* The tensors of what a canvas is told of the one before, which logits do not go through: some iteration fails. */
static void try_canvases(const char *path, const char *backend, const char *what) {
  dimple_model *m = NULL;
  dimple_decoding decoding;
  dimple_step step = {0};
  dimple_decoding_defaults(&decoding);
  decoding.pipeline = DIMPLE_PIPELINE_DIFFUSION_GEMMA;
  decoding.algorithm = DIMPLE_ALGORITHM_ENTROPY_BOUND;
  dimple_status status = dimple_model_load(path, &(dimple_model_options){.backend = backend, .threads = 1}, &m);
  if (status == DIMPLE_ERROR_UNSUPPORTED || is_refused(status)) return;
  dimple_session *s = open_session(m);
  status = dimple_session_begin(s, &decoding);
  while (status == DIMPLE_OK && !step.done) status = dimple_session_step(s, &step);
  EXPECT(status == DIMPLE_ERROR_MODEL, "%s on %s: decoding ended with %d: %s", what, backend, (int)status, dimple_last_error());
  dimple_session_free(s);
  dimple_model_free(m);
}

/* Of a tensor: ref, what is no CPU's, and every other one of the CPU's kernels, which differ in their instructions, and not in where the numbers are
 * noticed. The next tensor, and the same one of the next model of its family, have those that this one has not. */
static bool is_turn(int backend, int64_t tensor, int model) {
  return strncmp(backends[backend], "cpu-", 4) != 0 || (backend + tensor + model / 2) % 2 == 0;
}

/* Every tensor of a model in turn. */
static void spoil_each(model_shape shape) {
  char path[64];
  gguf_file *g = NULL;
  static int model;
  int by_backend[BACKENDS] = {0}, all = 0;
  random_model_save(&shape, path);
  EXPECT_OK(gguf_open(path, &g));
  for (int64_t t = 0; t < gguf_tensor_count(g); t++) {
    const bad_number *bad = &bad_numbers[t % BAD_NUMBERS];
    char copy[64], what[128];
    spoilt_copy(path, t, bad, false, copy);
    snprintf(what, sizeof what, "%s in %s of type %d", bad->what, gguf_tensor_at(g, t)->name, gguf_tensor_at(g, t)->type);
    bool steps = t % 5 == 0 && shape.family != FAMILY_LLADA2 && shape.family != FAMILY_LLADA22 && shape.family != FAMILY_DIFFUSION_GEMMA; /* which have pipelines of their own */
    bool conditioning = strncmp(gguf_tensor_at(g, t)->name, "self_cond_", 10) == 0;
    for (int b = 0; b < BACKENDS && conditioning; b++) try_canvases(copy, backends[b], what);
    for (int b = 0; b < BACKENDS && !conditioning; b++) by_backend[b] += is_turn(b, t, model) && try_spoilt(copy, backends[b], what, steps);
    all += !conditioning;
    remove(copy);
  }
  EXPECT(by_backend[0] == all && by_backend[1] >= all / 2 - 1 && all > 4, "of %d tensors ref was given %d, plain C %d", all, by_backend[0], by_backend[1]);
  model++;
  gguf_close(g);
  remove(path);
}

/* One expert's scores, which softmax and sigmoid would make numbers of. */
static void spoil_router(model_family family) {
  char path[64], copy[64];
  gguf_file *g = NULL;
  int found = 0;
  random_model_save(&(model_shape){.family = family, .width = NUMBERS_WIDTH, .feed_forward = NUMBERS_WIDTH}, path);
  EXPECT_OK(gguf_open(path, &g));
  for (int64_t t = 0; t < gguf_tensor_count(g); t++) {
    const char *name = gguf_tensor_at(g, t)->name;
    if (!strstr(name, "ffn_gate_inp.weight") && !strstr(name, "exp_probs_b")) continue;
    for (int i = 0; i < BAD_NUMBERS; i++, found++) {
      char what[128];
      spoilt_copy(path, t, &bad_numbers[i], strstr(name, "weight"), copy);
      snprintf(what, sizeof what, "%s in one row of %s, family %d", bad_numbers[i].what, name, family);
      for (int b = 0; b < BACKENDS; b++) try_spoilt(copy, backends[b], what, false);
      remove(copy);
    }
  }
  EXPECT(found >= BAD_NUMBERS, "family %d has no router", family);
  gguf_close(g);
  remove(path);
}

/* One token's row of the table that a canvas takes means of: its weight in them is 0 perhaps, and it is noticed all the same. */
static void spoil_one_token(int32_t type) {
  char path[64], copy[64];
  gguf_file *g = NULL;
  int found = 0;
  random_model_save(&(model_shape){.family = FAMILY_DIFFUSION_GEMMA, .width = NUMBERS_WIDTH, .feed_forward = NUMBERS_WIDTH, .type = type}, path);
  EXPECT_OK(gguf_open(path, &g));
  for (int64_t t = 0; t < gguf_tensor_count(g); t++) {
    if (strcmp(gguf_tensor_at(g, t)->name, "token_embd.weight") != 0) continue;
    for (int i = 0; i < BAD_NUMBERS; i++, found++) {
      char what[128];
      spoilt_copy(path, t, &bad_numbers[i], true, copy);
      snprintf(what, sizeof what, "%s in the last token's row, of type %d", bad_numbers[i].what, gguf_tensor_at(g, t)->type);
      for (int b = 0; b < BACKENDS; b++) try_canvases(copy, backends[b], what);
      remove(copy);
    }
  }
  EXPECT(found == BAD_NUMBERS, "there is no such tensor");
  gguf_close(g);
  remove(path);
}

/* A matrix of one number, beside others of a type. */
typedef struct overflow {
  const char *name;
  uint64_t rows;
  float value;
  int32_t type;
  int first_backend;
} overflow;

static void try_overflow(const overflow *o, model_family family) {
  char path[64];
  gguf_writer w = {0};
  int64_t count = (int64_t)o->rows * NUMBERS_WIDTH;
  float *values = malloc((size_t)count * sizeof *values);
  for (int64_t i = 0; i < count; i++) values[i] = i < (int64_t)(NUMBERS_WIDTH * NUMBERS_WIDTH) ? o->value : 0;
  gguf_writer_tensor(&w, o->name, 2, (uint64_t[]){NUMBERS_WIDTH, o->rows}, DIMPLE_TENSOR_F32, values);
  random_model_write(&w, &(model_shape){.family = family, .width = NUMBERS_WIDTH, .feed_forward = NUMBERS_WIDTH, .type = o->type});
  temporary_file(&w, path);
  for (int b = o->first_backend; b < BACKENDS; b++) {
    if (family == FAMILY_DIFFUSION_GEMMA) try_canvases(path, backends[b], o->name);
    else try_spoilt(path, backends[b], o->name, true);
  }
  free(values);
  remove(path);
}

/* Weights that are numbers, of models whose numbers are none: some vanish on the way where nobody looks, in norms, at the softcap, in rounding to 8
 * bits. ref adds up squares in double, and they do not overflow there. */
static void overflows(void) {
  static const overflow list[] = {{"blk.0.attn_output.weight", NUMBERS_WIDTH, 3e38f, DIMPLE_TENSOR_F32, 0},
                                  {"blk.1.ffn_down.weight", NUMBERS_WIDTH, 3e38f, DIMPLE_TENSOR_F32, 0},
                                  {"blk.0.attn_q.weight", NUMBERS_WIDTH, 3e38f, DIMPLE_TENSOR_F32, 0},
                                  {"output.weight", VOCAB, 3e38f, DIMPLE_TENSOR_F32, 0},
                                  {"blk.0.attn_output.weight", NUMBERS_WIDTH, 1e21f, DIMPLE_TENSOR_F32, 1},
                                  {"blk.1.ffn_down.weight", NUMBERS_WIDTH, 1e24f, DIMPLE_TENSOR_Q8_0, 1},
                                  {"blk.1.attn_k.weight", NUMBERS_WIDTH / 2, 3e38f, DIMPLE_TENSOR_Q8_0, 0},
                                  {"blk.1.attn_v.weight", NUMBERS_WIDTH / 2, 3e38f, DIMPLE_TENSOR_Q8_0, 0},
                                  {"blk.1.ffn_up.weight", NUMBERS_WIDTH, 3e38f, DIMPLE_TENSOR_Q8_0, 0}};
  for (size_t i = 0; i < sizeof list / sizeof *list; i++) try_overflow(&list[i], FAMILY_DREAM);
  const overflow capped = {"token_embd.weight", VOCAB, 1e37f, DIMPLE_TENSOR_F32, 1};
  try_overflow(&capped, FAMILY_DIFFUSION_GEMMA);
}

/* Features alone fail, too. */
static void image_features(void) {
  char path[64], copy[64];
  gguf_file *g = NULL;
  dimple_model *m = NULL;
  static float features[64 * NUMBERS_WIDTH];
  random_model_save(&(model_shape){.vision = true, .width = NUMBERS_WIDTH}, path);
  EXPECT_OK(gguf_open(path, &g));
  for (int64_t t = 0; t < gguf_tensor_count(g); t++) {
    if (strcmp(gguf_tensor_at(g, t)->name, "v.blk.1.ffn_up.bias") != 0) continue;
    spoilt_copy(path, t, &bad_numbers[0], false, copy);
    EXPECT_OK(load_model(copy, NULL, &m));
    dimple_session *s = open_session(m);
    dimple_status status = DIMPLE_ERROR_ARGUMENT;
    for (int64_t tokens = 1; tokens < 64 && status == DIMPLE_ERROR_ARGUMENT; tokens++)
      status = dimple_session_get_image_features(s, features, tokens * NUMBERS_WIDTH);
    EXPECT(status == DIMPLE_ERROR_MODEL && strstr(dimple_last_error(), "image features"), "%d: %s", (int)status, dimple_last_error());
    dimple_session_free(s);
    dimple_model_free(m);
    remove(copy);
  }
  EXPECT(m, "there is no such tensor");
  gguf_close(g);
  remove(path);
}

int main(void) {
  static const int32_t types[] = {DIMPLE_TENSOR_F32, DIMPLE_TENSOR_F16, DIMPLE_TENSOR_BF16, DIMPLE_TENSOR_Q8_0, DIMPLE_TENSOR_Q4_0};
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    spoil_each((model_shape){.family = FAMILY_DREAM, .width = NUMBERS_WIDTH, .feed_forward = NUMBERS_WIDTH, .type = types[i]});
    spoil_each((model_shape){.family = FAMILY_LLADA_MOE, .width = NUMBERS_WIDTH, .feed_forward = NUMBERS_WIDTH, .layers = 1, .type = types[i]});
  }
  spoil_each((model_shape){.family = FAMILY_DIMPLE, .vision = true, .width = NUMBERS_WIDTH, .feed_forward = NUMBERS_WIDTH, .layers = 1});
  spoil_each((model_shape){.family = FAMILY_DREAM, .width = 256, .feed_forward = 256, .layers = 1, .type = DIMPLE_TENSOR_Q4_K});
  spoil_each((model_shape){.family = FAMILY_LLADA2, .width = NUMBERS_WIDTH, .feed_forward = NUMBERS_WIDTH});
  spoil_each((model_shape){.family = FAMILY_LLADA22, .width = NUMBERS_WIDTH, .feed_forward = NUMBERS_WIDTH});
  spoil_each((model_shape){.family = FAMILY_DIFFUSION_GEMMA, .width = NUMBERS_WIDTH, .feed_forward = NUMBERS_WIDTH});
  spoil_each((model_shape){.family = FAMILY_DREAM_VL, .vision = true, .width = NUMBERS_WIDTH, .feed_forward = NUMBERS_WIDTH, .layers = 1});
  static const model_family mixtures[] = {FAMILY_LLADA_MOE, FAMILY_SDAR_MOE, FAMILY_LLADA2, FAMILY_DIFFUSION_GEMMA, FAMILY_LLADA22};
  for (size_t i = 0; i < sizeof mixtures / sizeof *mixtures; i++) spoil_router(mixtures[i]);
  spoil_one_token(DIMPLE_TENSOR_F32);
  spoil_one_token(DIMPLE_TENSOR_Q8_0);
  overflows();
  image_features();
  return expect_summary("numbers");
}
