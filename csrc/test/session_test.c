/* The life of models and sessions through the public interface, on small random models written by the test itself. */
#include <float.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "draws.h"
#include "dimple.h"
#include "test/expect.h"

/* ------------------------------------------------------------------------------------------------------- writing models */

enum {
  LAYERS = 2, WIDTH = 32, HEADS = 4, KV_HEADS = 2, FEED_FORWARD = 48, VOCAB = 96, CONTEXT = 64,
  MASK = 95, IMAGE = 94, EOS = 93, PAD = 92,
  VISION_LAYERS = 2, VISION_WIDTH = 16, VISION_HEADS = 2, VISION_FEED_FORWARD = 24, PATCH = 2, MERGE = 2
};

typedef struct model_shape {
  bool text, vision;
  bool causal, unshifted, without_mask;
  const char *missing; /* a tensor left out */
} model_shape;

/* A GGUF file is header, keys, tensor descriptions and data; the middle two are collected first. */
typedef struct bytes {
  uint8_t data[1 << 18];
  size_t size;
} bytes;

static bytes keys, descriptions, values;
static uint64_t key_count, tensor_count;
static const model_shape *written;

static void put(bytes *b, const void *data, size_t size) {
  if (b->size + size > sizeof b->data) {
    printf("the test's model does not fit its buffer\n");
    exit(1);
  }
  memcpy(b->data + b->size, data, size);
  b->size += size;
}

static void put_u32(bytes *b, uint32_t x) { put(b, &x, sizeof x); }

static void put_u64(bytes *b, uint64_t x) { put(b, &x, sizeof x); }

static void put_string(bytes *b, const char *s) {
  put_u64(b, strlen(s));
  put(b, s, strlen(s));
}

static void put_key(const char *name, uint32_t type) {
  put_string(&keys, name);
  put_u32(&keys, type);
  key_count++;
}

static void key_u32(const char *name, uint32_t x) {
  put_key(name, DIMPLE_METADATA_UINT32);
  put_u32(&keys, x);
}

static void key_f32(const char *name, float x) {
  put_key(name, DIMPLE_METADATA_FLOAT32);
  put(&keys, &x, sizeof x);
}

static void key_bool(const char *name, bool x) {
  put_key(name, DIMPLE_METADATA_BOOL);
  put(&keys, &(uint8_t){x}, 1);
}

static void key_text(const char *name, const char *s) {
  put_key(name, DIMPLE_METADATA_STRING);
  put_string(&keys, s);
}

static void key_ints(const char *name, const int32_t *x, uint64_t count) {
  put_key(name, DIMPLE_METADATA_ARRAY);
  put_u32(&keys, DIMPLE_METADATA_INT32);
  put_u64(&keys, count);
  put(&keys, x, count * sizeof *x);
}

/* Random numbers that depend on the tensor's name alone, evenly in centre +- spread. */
static void put_tensor(const char *name, int64_t rows, int64_t columns, float centre, float spread) {
  if (written->missing && strcmp(name, written->missing) == 0) return;
  put_string(&descriptions, name);
  put_u32(&descriptions, rows > 0 ? 2 : 1);
  put_u64(&descriptions, (uint64_t)columns);
  if (rows > 0) put_u64(&descriptions, (uint64_t)rows);
  put_u32(&descriptions, DIMPLE_TENSOR_F32);
  put_u64(&descriptions, values.size);
  tensor_count++;
  uint64_t seed = 0;
  for (const char *c = name; *c; c++) seed = seed * 31 + (uint8_t)*c;
  for (int64_t i = 0; i < (rows > 0 ? rows : 1) * columns; i++) {
    float x = centre + spread * (2 * draw_uniform(seed, (uint32_t)i, 0, 0, 0) - 1);
    put(&values, &x, sizeof x);
  }
  while (values.size % 32) put(&values, "", 1);
}

/* "<prefix>.<part>.weight" and, if wanted, its bias. */
static void put_linear(const char *prefix, const char *part, int64_t rows, int64_t columns, bool bias) {
  char name[80];
  snprintf(name, sizeof name, "%s%s.weight", prefix, part);
  put_tensor(name, rows, columns, 0, 2.0f / sqrtf((float)columns));
  snprintf(name, sizeof name, "%s%s.bias", prefix, part);
  if (bias) put_tensor(name, 0, rows, 0, 0.5f);
}

static void put_norm(const char *prefix, const char *part, int64_t width) {
  char name[80];
  snprintf(name, sizeof name, "%s%s.weight", prefix, part);
  put_tensor(name, 0, width, 1, 0.3f);
}

static void put_block(const char *prefix, const char *norm1, const char *norm2, const char *output, int64_t width, int64_t kv_width,
                      int64_t feed_forward, bool biases) {
  put_norm(prefix, norm1, width);
  put_norm(prefix, norm2, width);
  put_linear(prefix, "attn_q", width, width, true);
  put_linear(prefix, "attn_k", kv_width, width, true);
  put_linear(prefix, "attn_v", kv_width, width, true);
  put_linear(prefix, output, width, width, biases);
  put_linear(prefix, "ffn_gate", feed_forward, width, biases);
  put_linear(prefix, "ffn_up", feed_forward, width, biases);
  put_linear(prefix, "ffn_down", width, feed_forward, biases);
}

/* The head just written gives the mask token a logit of 0, so that it is never the best one. (Models do reveal masks as masks
 * when it is.) */
static void silence_mask(void) {
  size_t row = WIDTH * sizeof(float);
  memset(values.data + values.size - (VOCAB - MASK) * row, 0, row);
}

static void put_text(void) {
  static const int32_t sections[4] = {1, 1, 2, 0};
  key_u32("dimple.context_length", CONTEXT);
  key_u32("dimple.embedding_length", WIDTH);
  key_u32("dimple.block_count", LAYERS);
  key_u32("dimple.feed_forward_length", FEED_FORWARD);
  key_u32("dimple.attention.head_count", HEADS);
  key_u32("dimple.attention.head_count_kv", KV_HEADS);
  key_f32("dimple.attention.layer_norm_rms_epsilon", 1e-6f);
  key_bool("dimple.attention.causal", written->causal);
  key_f32("dimple.rope.freq_base", 1e4f);
  key_ints("dimple.rope.dimension_sections", sections, 4);
  key_bool("diffusion.shift_logits", !written->unshifted);
  key_u32("dimple.image_token_id", IMAGE);
  if (!written->without_mask) key_u32("tokenizer.ggml.mask_token_id", MASK);
  key_u32("tokenizer.ggml.eos_token_id", EOS);
  key_u32("tokenizer.ggml.padding_token_id", PAD);
  put_tensor("token_embd.weight", VOCAB, WIDTH, 0, 1);
  put_norm("", "output_norm", WIDTH);
  put_tensor("output.weight", VOCAB, WIDTH, 0, 1);
  silence_mask();
  for (int i = 0; i < LAYERS; i++) {
    char prefix[16];
    snprintf(prefix, sizeof prefix, "blk.%d.", i);
    put_block(prefix, "attn_norm", "ffn_norm", "attn_output", WIDTH, WIDTH / HEADS * KV_HEADS, FEED_FORWARD, false);
  }
}

static void put_vision(void) {
  static const int32_t full[1] = {1};
  key_bool("clip.has_vision_encoder", true);
  key_text("clip.projector_type", "qwen2.5vl_merger");
  key_u32("clip.vision.patch_size", PATCH);
  key_u32("clip.vision.embedding_length", VISION_WIDTH);
  key_u32("clip.vision.feed_forward_length", VISION_FEED_FORWARD);
  key_u32("clip.vision.block_count", VISION_LAYERS);
  key_u32("clip.vision.attention.head_count", VISION_HEADS);
  key_u32("clip.vision.projection_dim", WIDTH);
  key_ints("clip.vision.fullatt_block_indexes", full, 1);
  key_u32("clip.vision.window_size", 2 * PATCH * MERGE);
  key_u32("clip.vision.spatial_merge_size", MERGE);
  key_u32("clip.vision.temporal_patch_size", 2);
  key_u32("clip.vision.image_min_pixels", 32);
  key_u32("clip.vision.image_max_pixels", 256);
  put_tensor("v.patch_embd.weight", VISION_WIDTH, 3 * PATCH * PATCH, 0, 0.4f);
  put_tensor("v.patch_embd.weight.1", VISION_WIDTH, 3 * PATCH * PATCH, 0, 0.4f);
  for (int i = 0; i < VISION_LAYERS; i++) {
    char prefix[16];
    snprintf(prefix, sizeof prefix, "v.blk.%d.", i);
    put_block(prefix, "ln1", "ln2", "attn_out", VISION_WIDTH, VISION_WIDTH, VISION_FEED_FORWARD, true);
  }
  int64_t merged = VISION_WIDTH * MERGE * MERGE;
  put_norm("v.", "post_ln", VISION_WIDTH);
  put_linear("mm.", "0", merged, merged, true);
  put_linear("mm.", "2", WIDTH, merged, true);
  put_linear("mm.", "img_projector.0", WIDTH, WIDTH, true);
  put_linear("mm.", "img_projector.2", WIDTH, WIDTH, true);
}

/* Writes a model to a new temporary file; `path` receives its name. */
static void write_model(const model_shape *shape, char path[64]) {
  keys.size = descriptions.size = values.size = 0;
  key_count = tensor_count = 0;
  written = shape;
  key_text("general.architecture", shape->text ? "dimple" : "clip");
  key_u32("general.alignment", 32);
  if (shape->text) put_text();
  if (shape->vision) put_vision();
  strcpy(path, "/tmp/dimple-session-test-XXXXXX");
  int descriptor = mkstemp(path);
  FILE *f = descriptor < 0 ? NULL : fdopen(descriptor, "wb");
  if (!f) {
    perror(path);
    exit(1);
  }
  fwrite("GGUF\3\0\0\0", 1, 8, f);
  fwrite(&tensor_count, sizeof tensor_count, 1, f);
  fwrite(&key_count, sizeof key_count, 1, f);
  fwrite(keys.data, 1, keys.size, f);
  fwrite(descriptions.data, 1, descriptions.size, f);
  static const uint8_t zeros[32];
  size_t head = 24 + keys.size + descriptions.size;
  fwrite(zeros, 1, (32 - head % 32) % 32, f);
  fwrite(values.data, 1, values.size, f);
  if (fclose(f) != 0) {
    perror(path);
    exit(1);
  }
}

static const char *backend; /* the one under test */

static dimple_status load_file(const char *path, const char *mmproj, dimple_model **m) {
  return dimple_model_load(path, &(dimple_model_options){.backend = backend, .mmproj_path = mmproj, .threads = 2}, m);
}

/* Writes, loads and deletes: the mapping outlives the name. */
static dimple_model *make_model(model_shape shape) {
  char path[64];
  dimple_model *m = NULL;
  write_model(&shape, path);
  EXPECT_OK(load_file(path, NULL, &m));
  unlink(path);
  return m;
}

static dimple_model *text_model, *vision_model; /* shared by the tests */

/* ------------------------------------------------------------------------------------------------------------- sessions */

enum { PROMPT = 7, RESPONSE = 16 };

static const int32_t prompt[PROMPT] = {5, 17, 42, 8, 60, 33, 2};

/* A picture of 16 x 8 pixels: 8 x 4 patches, 4 x 2 merged tokens. */
enum { PICTURE_WIDTH = 16, PICTURE_HEIGHT = 8, PICTURE_TOKENS = 8 };

static uint8_t picture_bytes[PICTURE_WIDTH * PICTURE_HEIGHT * 3];

static dimple_image picture(void) {
  for (uint32_t i = 0; i < sizeof picture_bytes; i++) picture_bytes[i] = (uint8_t)(draw_word(9, i, 0, 0, 0) >> 24);
  return (dimple_image){picture_bytes, PICTURE_WIDTH, PICTURE_HEIGHT, PICTURE_WIDTH * 3};
}

/* Two words, the picture, three words. */
static int32_t picture_prompt(int32_t *tokens) {
  int32_t count = 0;
  tokens[count++] = 5;
  tokens[count++] = 6;
  for (int i = 0; i < PICTURE_TOKENS; i++) tokens[count++] = IMAGE;
  for (int i = 0; i < 3; i++) tokens[count++] = 40 + i;
  return count;
}

static dimple_session *open_session(dimple_model *m, int32_t threads, int32_t prefill) {
  dimple_session *s = NULL;
  EXPECT_OK(dimple_session_create(m, &(dimple_session_options){.threads = threads, .prefill = prefill}, &s));
  return s;
}

static void set_masks(dimple_session *s, int32_t count) {
  int32_t response[CONTEXT];
  for (int32_t i = 0; i < count; i++) response[i] = MASK;
  EXPECT_OK(dimple_session_set_response(s, response, count));
}

static dimple_session *text_session(dimple_model *m, int32_t threads, int32_t prefill) {
  dimple_session *s = open_session(m, threads, prefill);
  EXPECT_OK(dimple_session_set_prompt(s, prompt, PROMPT, NULL, 0));
  set_masks(s, RESPONSE);
  return s;
}

static dimple_session *picture_session(dimple_model *m, int32_t threads, int32_t prefill) {
  dimple_session *s = open_session(m, threads, prefill);
  int32_t tokens[CONTEXT], count = picture_prompt(tokens);
  dimple_image image = picture();
  EXPECT_OK(dimple_session_set_prompt(s, tokens, count, &image, 1));
  set_masks(s, RESPONSE);
  return s;
}

static dimple_decoding decoding_of(int32_t pipeline, int32_t algorithm) {
  dimple_decoding d;
  dimple_decoding_defaults(&d);
  d.pipeline = pipeline;
  d.algorithm = algorithm;
  d.steps = RESPONSE;
  d.threshold = 0;
  return d;
}

/* A whole decoding. */
typedef struct outcome {
  int32_t iterations, remaining, forward_passes;
  int32_t drawn_masks; /* positions revealed as what they were, the mask token */
  int32_t tokens[CONTEXT];
  int32_t when[CONTEXT]; /* iteration that revealed a position last; -1: none */
  float confidence[CONTEXT];
} outcome;

/* Notes one step in `o` and checks what every step promises. */
static void note_step(const dimple_step *step, outcome *o) {
  EXPECT(step->iteration == o->iterations, "iteration %d, not %d", step->iteration, o->iterations);
  EXPECT(step->revealed_count >= 0 && step->revealed_count <= step->canvas_length, "%d revealed", step->revealed_count);
  int32_t masks = 0;
  for (int32_t i = 0; i < step->canvas_length; i++) {
    EXPECT(step->canvas[i] >= 0 && step->canvas[i] < VOCAB, "token %d", step->canvas[i]);
    masks += step->canvas[i] == MASK;
    o->tokens[i] = step->canvas[i];
  }
  EXPECT(step->remaining == masks, "%d remaining, %d masks", step->remaining, masks);
  for (int32_t i = 0; i < step->revealed_count; i++) {
    int32_t at = step->revealed[i];
    EXPECT(at > (i ? step->revealed[i - 1] : -1) && at < step->canvas_length, "revealed %d is %d", i, at);
    EXPECT(step->confidence[i] <= 1 && step->confidence[i] >= -10, "confidence %g", (double)step->confidence[i]);
    o->drawn_masks += step->canvas[at] == MASK;
    o->when[at] = step->iteration;
    o->confidence[at] = step->confidence[i];
  }
  EXPECT(step->forward_passes >= o->forward_passes && step->nanoseconds > 0, "%d passes", step->forward_passes);
  o->forward_passes = step->forward_passes;
  o->remaining = step->remaining;
  o->iterations++;
}

static outcome fresh_outcome(void) {
  outcome o;
  memset(&o, 0, sizeof o);
  for (int i = 0; i < CONTEXT; i++) o.when[i] = -1;
  return o;
}

static outcome decode(dimple_session *s, const dimple_decoding *d) {
  outcome o = fresh_outcome();
  EXPECT_OK(dimple_session_begin(s, d));
  for (dimple_step step = {0}; !step.done && o.iterations < d->steps;) {
    dimple_status status = dimple_session_step(s, &step);
    EXPECT(status == DIMPLE_OK, "step %d: %s", o.iterations, dimple_last_error());
    if (status != DIMPLE_OK) return o;
    note_step(&step, &o);
    EXPECT(step.done || o.iterations < d->steps, "not done after all %d steps", d->steps);
  }
  dimple_step step;
  EXPECT_FAILS(dimple_session_step(s, &step), DIMPLE_ERROR_STATE, "done");
  return o;
}

static bool same_outcome(const outcome *a, const outcome *b) {
  return a->iterations == b->iterations && a->remaining == b->remaining && memcmp(a->tokens, b->tokens, sizeof a->tokens) == 0 &&
         memcmp(a->when, b->when, sizeof a->when) == 0 && memcmp(a->confidence, b->confidence, sizeof a->confidence) == 0;
}

/* Logits [rows x VOCAB] of prompt + response as set. */
static float *logits_of(dimple_session *s, int32_t rows) {
  float *z = malloc((size_t)rows * VOCAB * sizeof *z);
  EXPECT_OK(dimple_session_get_logits(s, z, (int64_t)rows * VOCAB));
  return z;
}

static int32_t best_of(const float *z) {
  int32_t best = 0;
  for (int32_t i = 1; i < VOCAB; i++) best = z[i] > z[best] ? i : best;
  return best;
}

static double probability_of(const float *z, int32_t token) {
  double sum = 0;
  for (int32_t i = 0; i < VOCAB; i++) sum += exp((double)z[i] - z[token]);
  return 1 / sum;
}

/* ------------------------------------------------------------------------------------------------------ wrong arguments */

static void null_arguments(void) {
  dimple_model *m = NULL;
  dimple_session *s = NULL;
  dimple_model_info info;
  dimple_metadata value;
  dimple_image_grid grid;
  dimple_step step;
  dimple_timings timings;
  dimple_decoding d = decoding_of(0, 0);
  dimple_image image = picture();
  float f = 0;
  int32_t id = 1;
#define NULL_REFUSED(call) EXPECT_FAILS(call, DIMPLE_ERROR_ARGUMENT, "null")
  NULL_REFUSED(dimple_model_load(NULL, NULL, &m));
  NULL_REFUSED(dimple_model_load("x", NULL, NULL));
  NULL_REFUSED(dimple_model_get_info(NULL, &info));
  NULL_REFUSED(dimple_model_get_info(text_model, NULL));
  NULL_REFUSED(dimple_model_find_metadata(NULL, "x", &value));
  NULL_REFUSED(dimple_model_find_metadata(text_model, NULL, &value));
  NULL_REFUSED(dimple_model_find_metadata(text_model, "x", NULL));
  NULL_REFUSED(dimple_model_get_metadata(NULL, 0, &value));
  NULL_REFUSED(dimple_model_get_metadata(text_model, 0, NULL));
  NULL_REFUSED(dimple_model_get_image_grid(NULL, 8, 8, &grid));
  NULL_REFUSED(dimple_model_get_image_grid(vision_model, 8, 8, NULL));
  NULL_REFUSED(dimple_model_preprocess(NULL, &image, &f, 1, NULL));
  NULL_REFUSED(dimple_model_preprocess(vision_model, NULL, &f, 1, NULL));
  NULL_REFUSED(dimple_model_preprocess(vision_model, &image, NULL, 1, NULL));
  NULL_REFUSED(dimple_session_create(NULL, NULL, &s));
  NULL_REFUSED(dimple_session_create(text_model, NULL, NULL));
  NULL_REFUSED(dimple_session_set_prompt(NULL, &id, 1, NULL, 0));
  NULL_REFUSED(dimple_session_set_response(NULL, &id, 1));
  NULL_REFUSED(dimple_session_prefill(NULL));
  NULL_REFUSED(dimple_session_begin(NULL, &d));
  NULL_REFUSED(dimple_session_step(NULL, &step));
  NULL_REFUSED(dimple_session_get_timings(NULL, &timings));
  NULL_REFUSED(dimple_session_get_logits(NULL, &f, 1));
  NULL_REFUSED(dimple_session_get_image_features(NULL, &f, 1));
  NULL_REFUSED(dimple_session_replay_draws(NULL, NULL, NULL, 0, NULL, 0));
  EXPECT(m == NULL && s == NULL, "outputs touched");
  s = text_session(text_model, 1, 1);
  NULL_REFUSED(dimple_session_set_prompt(s, NULL, 1, NULL, 0));
  NULL_REFUSED(dimple_session_set_prompt(s, &id, 1, NULL, 1));
  NULL_REFUSED(dimple_session_set_response(s, NULL, 1));
  NULL_REFUSED(dimple_session_begin(s, NULL));
  NULL_REFUSED(dimple_session_step(s, NULL));
  NULL_REFUSED(dimple_session_get_timings(s, NULL));
  NULL_REFUSED(dimple_session_get_logits(s, NULL, (PROMPT + RESPONSE) * VOCAB));
  NULL_REFUSED(dimple_session_replay_draws(s, NULL, NULL, 1, NULL, 0));
  dimple_session_free(s);
  dimple_session_free(NULL);
  dimple_session_cancel(NULL);
  dimple_model_free(NULL);
}

static void unloadable_files(void) {
  dimple_model *m = NULL;
  char path[64], vision_path[64];
  EXPECT_FAILS(load_file("/tmp/dimple-there-is-no-such-file", NULL, &m), DIMPLE_ERROR_IO, "dimple-there-is-no-such-file");
  EXPECT_FAILS(load_file("/tmp", NULL, &m), DIMPLE_ERROR_IO, "/tmp");
  write_model(&(model_shape){.text = true}, path);
  EXPECT_FAILS(dimple_model_load(path, &(dimple_model_options){.backend = "abacus"}, &m), DIMPLE_ERROR_UNSUPPORTED, "abacus");
  EXPECT_FAILS(dimple_model_load(path, &(dimple_model_options){.threads = -1}, &m), DIMPLE_ERROR_ARGUMENT, "threads is -1");
  EXPECT_FAILS(load_file(path, "/tmp/dimple-there-is-no-such-file", &m), DIMPLE_ERROR_IO, "no-such-file");
  EXPECT_FAILS(load_file(path, path, &m), DIMPLE_ERROR_FORMAT, "no vision encoder");
  unlink(path);
  write_model(&(model_shape){.text = true, .vision = true}, path);
  EXPECT_FAILS(load_file(path, path, &m), DIMPLE_ERROR_ARGUMENT, "vision tower of its own");
  unlink(path);
  write_model(&(model_shape){.vision = true}, vision_path);
  EXPECT_FAILS(load_file(vision_path, NULL, &m), DIMPLE_ERROR_UNSUPPORTED, "clip");
  unlink(vision_path);
  static const char *const missing[] = {"token_embd.weight", "output_norm.weight", "blk.1.attn_v.bias", "blk.0.ffn_down.weight",
                                        "v.patch_embd.weight.1", "v.blk.1.ffn_gate.bias", "v.post_ln.weight", "mm.2.bias",
                                        "mm.img_projector.0.weight"};
  for (size_t i = 0; i < sizeof missing / sizeof missing[0]; i++) {
    write_model(&(model_shape){.text = true, .vision = true, .missing = missing[i]}, path);
    EXPECT_FAILS(load_file(path, NULL, &m), DIMPLE_ERROR_FORMAT, missing[i]);
    unlink(path);
  }
  EXPECT(m == NULL, "output touched");
}

static void bad_session_options(void) {
  dimple_session *s = NULL;
  static const struct {
    dimple_session_options options;
    const char *text;
  } bad[] = {{{.threads = -1}, "threads is -1"},
             {{.threads = 100000}, "threads is 100000"},
             {{.prefill = 2}, "prefill is 2"},
             {{.prefill = -1}, "prefill is -1"},
             {{.context_length = -1}, "context_length is -1"},
             {{.context_length = CONTEXT + 1}, "context_length is 65"}};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    EXPECT_FAILS(dimple_session_create(text_model, &bad[i].options, &s), DIMPLE_ERROR_ARGUMENT, bad[i].text);
  EXPECT(s == NULL, "output touched");
  EXPECT_OK(dimple_session_create(text_model, NULL, &s));
  dimple_session_free(s);
}

static void wrong_order(void) {
  dimple_session *s = open_session(text_model, 1, 1);
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  dimple_step step;
  float z[VOCAB];
  int32_t mask = MASK;
  EXPECT_FAILS(dimple_session_set_response(s, &mask, 1), DIMPLE_ERROR_STATE, "no prompt");
  EXPECT_FAILS(dimple_session_prefill(s), DIMPLE_ERROR_STATE, "no prompt");
  EXPECT_FAILS(dimple_session_begin(s, &d), DIMPLE_ERROR_STATE, "no prompt");
  EXPECT_FAILS(dimple_session_step(s, &step), DIMPLE_ERROR_STATE, "begin");
  EXPECT_FAILS(dimple_session_get_logits(s, z, VOCAB), DIMPLE_ERROR_STATE, "no prompt");
  EXPECT_FAILS(dimple_session_get_image_features(s, z, 0), DIMPLE_ERROR_STATE, "no prompt");
  EXPECT_OK(dimple_session_set_prompt(s, prompt, PROMPT, NULL, 0));
  EXPECT_FAILS(dimple_session_prefill(s), DIMPLE_ERROR_STATE, "no response");
  EXPECT_FAILS(dimple_session_begin(s, &d), DIMPLE_ERROR_STATE, "no response");
  EXPECT_FAILS(dimple_session_step(s, &step), DIMPLE_ERROR_STATE, "begin");
  set_masks(s, 4);
  EXPECT_FAILS(dimple_session_step(s, &step), DIMPLE_ERROR_STATE, "begin");
  EXPECT_OK(dimple_session_prefill(s));
  EXPECT_FAILS(dimple_session_step(s, &step), DIMPLE_ERROR_STATE, "begin");
  d.top_p = 2;
  EXPECT_FAILS(dimple_session_begin(s, &d), DIMPLE_ERROR_ARGUMENT, "top_p is 2");
  EXPECT_FAILS(dimple_session_step(s, &step), DIMPLE_ERROR_STATE, "begin");
  d.top_p = 1;
  outcome o = decode(s, &d);
  EXPECT(o.remaining == 0, "%d left", o.remaining);
  set_masks(s, 4); /* ends the decoding */
  EXPECT_FAILS(dimple_session_step(s, &step), DIMPLE_ERROR_STATE, "begin");
  EXPECT_OK(dimple_session_set_prompt(s, prompt, 2, NULL, 0)); /* discards the response */
  EXPECT_FAILS(dimple_session_begin(s, &d), DIMPLE_ERROR_STATE, "no response");
  dimple_session_free(s);
}

static void wrong_tokens_and_lengths(void) {
  int32_t many[CONTEXT + 1];
  for (int i = 0; i <= CONTEXT; i++) many[i] = 1;
  dimple_session *s = open_session(text_model, 1, 1);
  EXPECT_FAILS(dimple_session_set_prompt(s, prompt, 0, NULL, 0), DIMPLE_ERROR_ARGUMENT, "at least 1");
  EXPECT_FAILS(dimple_session_set_prompt(s, prompt, -1, NULL, 0), DIMPLE_ERROR_ARGUMENT, "at least 1");
  EXPECT_FAILS(dimple_session_set_prompt(s, (int32_t[]){1, VOCAB}, 2, NULL, 0), DIMPLE_ERROR_ARGUMENT, "token 1 of the prompt is 96");
  EXPECT_FAILS(dimple_session_set_prompt(s, (int32_t[]){-1}, 1, NULL, 0), DIMPLE_ERROR_ARGUMENT, "is -1");
  EXPECT_FAILS(dimple_session_set_prompt(s, many, CONTEXT + 1, NULL, 0), DIMPLE_ERROR_LIMIT, "64");
  EXPECT_OK(dimple_session_set_prompt(s, prompt, PROMPT, NULL, 0));
  EXPECT_FAILS(dimple_session_set_response(s, many, 0), DIMPLE_ERROR_ARGUMENT, "at least 1");
  EXPECT_FAILS(dimple_session_set_response(s, many, -5), DIMPLE_ERROR_ARGUMENT, "at least 1");
  EXPECT_FAILS(dimple_session_set_response(s, (int32_t[]){MASK, VOCAB}, 2), DIMPLE_ERROR_ARGUMENT, "token 1 of the response is 96");
  EXPECT_FAILS(dimple_session_set_response(s, many, CONTEXT - PROMPT + 1), DIMPLE_ERROR_LIMIT, "64");
  set_masks(s, CONTEXT - PROMPT);
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  d.steps = 2;
  outcome o = decode(s, &d);
  EXPECT(o.remaining == 0, "%d left of a full context", o.remaining);
  dimple_session_free(s);

  EXPECT_OK(dimple_session_create(text_model, &(dimple_session_options){.context_length = 10}, &s));
  EXPECT_OK(dimple_session_set_prompt(s, prompt, PROMPT, NULL, 0));
  EXPECT_FAILS(dimple_session_set_response(s, many, 4), DIMPLE_ERROR_LIMIT, "10");
  EXPECT_OK(dimple_session_set_response(s, many, 3));
  dimple_session_free(s);

  dimple_model *m = make_model((model_shape){.text = true, .without_mask = true});
  s = open_session(m, 1, 1);
  EXPECT_OK(dimple_session_set_prompt(s, prompt, PROMPT, NULL, 0));
  EXPECT_FAILS(dimple_session_set_response(s, many, 3), DIMPLE_ERROR_UNSUPPORTED, "mask");
  dimple_session_free(s);
  dimple_model_free(m);
}

static void wrong_images(void) {
  int32_t tokens[CONTEXT], count = picture_prompt(tokens);
  dimple_image image = picture(), two[2] = {image, image};
  dimple_session *s = open_session(vision_model, 1, 1);
  EXPECT_FAILS(dimple_session_set_prompt(s, tokens, count, NULL, 0), DIMPLE_ERROR_ARGUMENT, "placeholder");
  EXPECT_FAILS(dimple_session_set_prompt(s, tokens, count, two, 2), DIMPLE_ERROR_ARGUMENT, "2 images");
  EXPECT_FAILS(dimple_session_set_prompt(s, tokens, count, &image, -1), DIMPLE_ERROR_ARGUMENT, "-1");
  EXPECT_FAILS(dimple_session_set_prompt(s, prompt, PROMPT, &image, 1), DIMPLE_ERROR_ARGUMENT, "placeholder");
  EXPECT_FAILS(dimple_session_set_prompt(s, tokens, 2 + PICTURE_TOKENS - 1, &image, 1), DIMPLE_ERROR_ARGUMENT, "8 placeholders");
  tokens[2 + PICTURE_TOKENS] = IMAGE;
  EXPECT_FAILS(dimple_session_set_prompt(s, tokens, count, &image, 1), DIMPLE_ERROR_ARGUMENT, "placeholder");
  count = picture_prompt(tokens);
  tokens[5] = 1; /* a gap */
  EXPECT_FAILS(dimple_session_set_prompt(s, tokens, count, &image, 1), DIMPLE_ERROR_ARGUMENT, "8 placeholders");
  count = picture_prompt(tokens);
  static const struct {
    int32_t width, height;
    int64_t stride;
    const char *text;
  } bad[] = {{0, 8, 48, "0 x 8"}, {16, -1, 48, "16 x -1"}, {16, 8, 47, "row_stride is 47"}, {16, 8, -48, "row_stride is -48"},
             {3, 8, 48, "3 x 8"}, {16, 3, 48, "16 x 3"}, {INT32_MAX, 4, 3LL * INT32_MAX, "aspect ratio"}};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    dimple_image wrong = {picture_bytes, bad[i].width, bad[i].height, bad[i].stride};
    EXPECT_FAILS(dimple_session_set_prompt(s, tokens, count, &wrong, 1), DIMPLE_ERROR_ARGUMENT, bad[i].text);
  }
  image.rgb = NULL;
  EXPECT_FAILS(dimple_session_set_prompt(s, tokens, count, &image, 1), DIMPLE_ERROR_ARGUMENT, "null");
  dimple_session_free(s);

  image = picture();
  dimple_image_grid grid;
  s = open_session(text_model, 1, 1);
  EXPECT_FAILS(dimple_session_set_prompt(s, tokens, count, &image, 1), DIMPLE_ERROR_UNSUPPORTED, "vision");
  EXPECT_FAILS(dimple_model_get_image_grid(text_model, 16, 8, &grid), DIMPLE_ERROR_UNSUPPORTED, "vision");
  /* Without a tower the placeholder is a word like any other. */
  EXPECT_OK(dimple_session_set_prompt(s, tokens, count, NULL, 0));
  dimple_session_free(s);
}

/* "When it is not DIMPLE_OK, nothing was changed": a refused prompt or response leaves the decoding under way alone. */
static void refusals_change_nothing(void) {
  dimple_session *s = picture_session(vision_model, 1, 1), *untouched = picture_session(vision_model, 1, 1);
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  outcome expected = decode(untouched, &d), o = fresh_outcome();
  int32_t tokens[CONTEXT], count = picture_prompt(tokens), kind = DIMPLE_DRAW_UNIFORM, length = 1;
  dimple_image image = picture(), small = {picture_bytes, 3, 8, 9};
  dimple_decoding bad = d;
  bad.steps = 0;
  EXPECT_OK(dimple_session_begin(s, &d));
  for (dimple_step step = {0}; !step.done && o.iterations < d.steps;) {
    EXPECT_FAILS(dimple_session_set_prompt(s, (int32_t[]){VOCAB}, 1, NULL, 0), DIMPLE_ERROR_ARGUMENT, "96");
    EXPECT_FAILS(dimple_session_set_prompt(s, tokens, count, &small, 1), DIMPLE_ERROR_ARGUMENT, "3 x 8");
    EXPECT_FAILS(dimple_session_set_prompt(s, tokens, count - 5, &image, 1), DIMPLE_ERROR_ARGUMENT, "8 placeholders");
    EXPECT_FAILS(dimple_session_set_prompt(s, tokens, count, NULL, 0), DIMPLE_ERROR_ARGUMENT, "placeholder");
    EXPECT_FAILS(dimple_session_set_response(s, (int32_t[]){VOCAB}, 1), DIMPLE_ERROR_ARGUMENT, "96");
    EXPECT_FAILS(dimple_session_begin(s, &bad), DIMPLE_ERROR_ARGUMENT, "steps is 0");
    EXPECT_FAILS(dimple_session_replay_draws(s, &kind, &length, 1, &(double){2}, 1), DIMPLE_ERROR_ARGUMENT, "record 0");
    dimple_status status = dimple_session_step(s, &step);
    EXPECT(status == DIMPLE_OK, "step %d: %s", o.iterations, dimple_last_error());
    if (status != DIMPLE_OK) break;
    note_step(&step, &o);
  }
  EXPECT(same_outcome(&o, &expected), "refused calls changed the result");
  dimple_session_free(s);
  dimple_session_free(untouched);
}

/* ------------------------------------------------------------------------------------------------------------- decoding */

static void facts_of_the_model(void) {
  dimple_model_info info;
  EXPECT_OK(dimple_model_get_info(vision_model, &info));
  EXPECT(strcmp(info.architecture, "dimple") == 0 && info.backend[0], "\"%s\" on \"%s\"", info.architecture, info.backend);
  EXPECT(info.vocab_size == VOCAB && info.context_length == CONTEXT && info.layer_count == LAYERS, "%d", info.vocab_size);
  EXPECT(info.embedding_length == WIDTH && info.head_count == HEADS && info.head_count_kv == KV_HEADS, "%d", info.head_count);
  EXPECT(info.head_size == WIDTH / HEADS && info.bidirectional && info.shift_logits, "head size %d", info.head_size);
  EXPECT(info.mask_token_id == MASK && info.eos_token_id == EOS && info.pad_token_id == PAD, "mask %d", info.mask_token_id);
  EXPECT(info.image_token_id == IMAGE && info.bos_token_id == -1, "bos %d", info.bos_token_id);
  EXPECT(info.has_vision && info.patch_size == PATCH && info.merge_size == MERGE, "patch %d", info.patch_size);
  EXPECT(info.min_pixels == 32 && info.max_pixels == 256, "max %d", (int)info.max_pixels);
  EXPECT(info.parameter_count > 0 && info.file_size > info.parameter_count * 4, "%d", (int)info.parameter_count);
  EXPECT(info.kv_bytes_per_token == 2 * LAYERS * KV_HEADS * WIDTH / HEADS * 4, "%d", (int)info.kv_bytes_per_token);
  EXPECT_OK(dimple_model_get_info(text_model, &info));
  EXPECT(!info.has_vision && info.patch_size == 0 && info.merge_size == 0, "patch %d", info.patch_size);
  dimple_metadata value;
  EXPECT_OK(dimple_model_find_metadata(text_model, "dimple.block_count", &value));
  EXPECT(value.type == DIMPLE_METADATA_UINT32 && value.size == 4 && value.data[0] == LAYERS, "type %d", value.type);
  EXPECT_FAILS(dimple_model_find_metadata(text_model, "dimple.blocks", &value), DIMPLE_ERROR_NOT_FOUND, "dimple.blocks");
  EXPECT_OK(dimple_model_get_metadata(text_model, 0, &value));
  EXPECT(value.key_size == 20 && memcmp(value.key, "general.architecture", 20) == 0, "%.*s", (int)value.key_size, value.key);
  EXPECT_FAILS(dimple_model_get_metadata(text_model, -1, &value), DIMPLE_ERROR_NOT_FOUND, "-1");
  EXPECT_FAILS(dimple_model_get_metadata(text_model, 1000, &value), DIMPLE_ERROR_NOT_FOUND, "1000");
}

/* Every pipeline and algorithm runs to its end on both models, with and without prefill, greedily and drawing. */
static void every_decoding_ends(void) {
  for (int32_t variant = 0; variant < 8; variant++) {
    dimple_session *s = variant & 1 ? picture_session(vision_model, 2, variant >> 1 & 1) : text_session(text_model, 2, variant >> 1 & 1);
    for (int32_t pipeline = 0; pipeline < 2; pipeline++) {
      for (int32_t algorithm = 0; algorithm <= DIMPLE_ALGORITHM_ENTROPY; algorithm++) {
        if (pipeline == DIMPLE_PIPELINE_DREAM && algorithm == DIMPLE_ALGORITHM_ORIGIN_RATIO) continue;
        dimple_decoding d = decoding_of(pipeline, algorithm);
        d.temperature = variant & 4 ? 0.7f : 0;
        d.threshold = variant & 4 ? 0.5f : 0;
        d.top_p = variant & 4 ? 0.9f : 1;
        outcome o = decode(s, &d);
        int32_t masks = 0;
        for (int32_t i = 0; i < RESPONSE; i++) masks += o.tokens[i] == MASK;
        EXPECT(o.remaining == masks, "%d and %d", o.remaining, masks);
        EXPECT(o.remaining == 0 || (variant & 4 && o.drawn_masks > 0), "pipeline %d algorithm %d variant %d: %d masks left", pipeline,
               algorithm, variant, o.remaining);
        EXPECT(pipeline == DIMPLE_PIPELINE_DIM || o.iterations == RESPONSE, "%d iterations", o.iterations);
        EXPECT(o.forward_passes >= 1 && o.forward_passes <= o.iterations, "%d passes in %d iterations", o.forward_passes,
               o.iterations);
      }
    }
    dimple_session_free(s);
  }
}

/* One iteration that reveals everything takes the best token of every scoring row, with its probability. */
static void first_iteration_follows_the_logits(void) {
  for (int32_t unshifted = 0; unshifted < 2; unshifted++) {
    dimple_model *m = make_model((model_shape){.text = true, .unshifted = unshifted});
    dimple_session *s = text_session(m, 2, 1);
    dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
    d.steps = 1;
    outcome o = decode(s, &d);
    float *z = logits_of(s, PROMPT + RESPONSE);
    for (int32_t i = 0; i < RESPONSE; i++) {
      const float *row = z + (PROMPT + i - !unshifted) * VOCAB;
      int32_t best = best_of(row);
      EXPECT(o.tokens[i] == best, "position %d: %d, not %d", i, o.tokens[i], best);
      EXPECT(fabs(o.confidence[i] - probability_of(row, best)) < 1e-5, "position %d: %g, not %g", i, (double)o.confidence[i],
             probability_of(row, best));
    }
    free(z);
    dimple_session_free(s);
    dimple_model_free(m);
  }
}

/* Without prefill every iteration is a full pass over the canvas: the same as a fresh session with that canvas as response. */
static void later_iterations_follow_the_logits(void) {
  dimple_session *s = picture_session(vision_model, 1, 0), *fresh = picture_session(vision_model, 1, 0);
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  int32_t canvas[RESPONSE], rows = 2 + PICTURE_TOKENS + 3 + RESPONSE;
  for (int32_t i = 0; i < RESPONSE; i++) canvas[i] = MASK;
  EXPECT_OK(dimple_session_begin(s, &d));
  for (dimple_step step = {0}; !step.done;) {
    EXPECT_OK(dimple_session_set_response(fresh, canvas, RESPONSE));
    float *z = logits_of(fresh, rows);
    if (dimple_session_step(s, &step) != DIMPLE_OK) {
      EXPECT(false, "%s", dimple_last_error());
      free(z);
      break;
    }
    EXPECT(step.revealed_count >= 1, "iteration %d reveals nothing", step.iteration);
    for (int32_t i = 0; i < step.revealed_count; i++) {
      int32_t at = step.revealed[i];
      const float *row = z + (rows - RESPONSE + at - 1) * VOCAB;
      EXPECT(canvas[at] == MASK && step.canvas[at] == best_of(row), "iteration %d position %d: %d", step.iteration, at,
             step.canvas[at]);
      EXPECT(fabs(step.confidence[i] - probability_of(row, step.canvas[at])) < 1e-4, "iteration %d position %d: %g",
             step.iteration, at, (double)step.confidence[i]);
    }
    memcpy(canvas, step.canvas, sizeof canvas);
    free(z);
  }
  dimple_session_free(s);
  dimple_session_free(fresh);
}

/* With prefill the first iteration is the same, and later ones cost rows of the response only but give other numbers. */
static void prefill_keeps_the_first_iteration(void) {
  dimple_session *on = picture_session(vision_model, 1, 1), *off = picture_session(vision_model, 1, 0);
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  outcome a = decode(on, &d), b = decode(off, &d);
  int32_t first = -1;
  for (int32_t i = 0; i < RESPONSE; i++) first = a.when[i] == 0 ? i : first;
  EXPECT(first >= 0 && b.when[first] == 0 && a.tokens[first] == b.tokens[first] && a.confidence[first] == b.confidence[first],
         "position %d", first);
  EXPECT(memcmp(a.confidence, b.confidence, sizeof a.confidence) != 0, "prefill changes nothing at all");
  EXPECT(a.forward_passes == a.iterations && b.forward_passes == b.iterations, "%d and %d passes", a.forward_passes,
         b.forward_passes);
  dimple_session_free(on);
  dimple_session_free(off);
}

static void begin_again_repeats(void) {
  for (int32_t prefill = 0; prefill < 2; prefill++) {
    dimple_session *s = picture_session(vision_model, 2, prefill);
    dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS), other = decoding_of(1, DIMPLE_ALGORITHM_ORIGIN);
    d.temperature = other.temperature = 0.7f;
    dimple_timings before, after;
    EXPECT_OK(dimple_session_prefill(s));
    EXPECT_OK(dimple_session_get_timings(s, &before));
    EXPECT(before.vision > 0 && before.prefill > 0 && before.steps == 0 && before.forward_passes == 1, "%d passes",
           (int)before.forward_passes);
    EXPECT(before.kv_bytes == (2 + PICTURE_TOKENS + 3 + RESPONSE) * (int64_t)(2 * LAYERS * KV_HEADS * WIDTH / HEADS * 4),
           "%d bytes", (int)before.kv_bytes);
    EXPECT(before.scratch_bytes > 0, "%d bytes", (int)before.scratch_bytes);
    EXPECT_OK(dimple_session_prefill(s)); /* again: nothing to do */
    outcome first = decode(s, &d);
    decode(s, &other);
    EXPECT_OK(dimple_session_begin(s, &d));
    dimple_step step;
    EXPECT_OK(dimple_session_step(s, &step)); /* left half-way */
    outcome again = decode(s, &d);
    EXPECT(same_outcome(&first, &again), "another result the second time");
    EXPECT(again.forward_passes == first.forward_passes, "%d passes, then %d", first.forward_passes, again.forward_passes);
    EXPECT_OK(dimple_session_get_timings(s, &after));
    EXPECT(after.prefill == before.prefill && after.vision == before.vision && after.steps > 0, "the prefill ran again");
    dimple_session_free(s);

    s = picture_session(vision_model, 2, prefill);
    outcome implicit = decode(s, &d);
    EXPECT(same_outcome(&first, &implicit), "prefill by the first step gives another result");
    dimple_session_free(s);
  }
}

/* Looking at logits and features in the middle of a decoding does not disturb it. */
static void looking_changes_nothing(void) {
  dimple_session *s = picture_session(vision_model, 1, 1);
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_TOPK_MARGIN);
  outcome expected = decode(s, &d), o = fresh_outcome();
  float features[PICTURE_TOKENS * WIDTH];
  EXPECT_OK(dimple_session_begin(s, &d));
  for (dimple_step step = {0}; !step.done && o.iterations < d.steps;) {
    free(logits_of(s, 2 + PICTURE_TOKENS + 3 + RESPONSE));
    EXPECT_OK(dimple_session_get_image_features(s, features, PICTURE_TOKENS * WIDTH));
    EXPECT_OK(dimple_session_step(s, &step));
    note_step(&step, &o);
  }
  EXPECT(same_outcome(&o, &expected), "another result");
  EXPECT_FAILS(dimple_session_get_logits(s, features, 7), DIMPLE_ERROR_ARGUMENT, "count is 7");
  EXPECT_FAILS(dimple_session_get_image_features(s, features, 7), DIMPLE_ERROR_ARGUMENT, "count is 7");
  dimple_session_free(s);
}

static void threads_do_not_matter(void) {
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_ENTROPY);
  d.temperature = 0.7f;
  outcome expected;
  float *z[2];
  int32_t rows = 2 + PICTURE_TOKENS + 3 + RESPONSE;
  for (int32_t threads = 1; threads <= 7; threads += 2) {
    dimple_session *s = picture_session(vision_model, threads, 1);
    outcome o = decode(s, &d);
    z[threads > 1] = logits_of(s, rows);
    dimple_session_free(s);
    if (threads == 1) {
      expected = o;
      continue;
    }
    EXPECT(same_outcome(&o, &expected), "%d threads give another result", threads);
    EXPECT(memcmp(z[0], z[1], (size_t)rows * VOCAB * sizeof(float)) == 0, "%d threads give other logits", threads);
    free(z[1]);
  }
  free(z[0]);
}

static void seeds_matter(void) {
  for (int32_t pipeline = 0; pipeline < 2; pipeline++) {
    for (int32_t algorithm = 0; algorithm <= DIMPLE_ALGORITHM_ENTROPY; algorithm++) {
      if (pipeline == DIMPLE_PIPELINE_DREAM && algorithm == DIMPLE_ALGORITHM_ORIGIN_RATIO) continue;
      dimple_decoding d = decoding_of(pipeline, algorithm);
      d.temperature = 0.7f;
      dimple_session *s = text_session(text_model, 1, 1), *t = text_session(text_model, 2, 1);
      d.seed = 1;
      outcome a = decode(s, &d), b = decode(t, &d);
      d.seed = 1u + (1ull << 32); /* the upper half counts too */
      outcome c = decode(s, &d);
      EXPECT(same_outcome(&a, &b), "pipeline %d algorithm %d: one seed, two results", pipeline, algorithm);
      EXPECT(memcmp(a.tokens, c.tokens, sizeof a.tokens) != 0, "pipeline %d algorithm %d: two seeds, one result", pipeline, algorithm);
      dimple_session_free(s);
      dimple_session_free(t);
    }
  }
}

static void fixed_tokens_stay(void) {
  int32_t response[RESPONSE];
  for (int32_t i = 0; i < RESPONSE; i++) response[i] = i % 3 == 0 ? 10 + i : MASK;
  for (int32_t prefill = 0; prefill < 2; prefill++) {
    dimple_session *s = text_session(text_model, 1, prefill);
    EXPECT_OK(dimple_session_set_response(s, response, RESPONSE));
    dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
    outcome o = decode(s, &d);
    for (int32_t i = 0; i < RESPONSE; i++)
      EXPECT(i % 3 ? o.when[i] >= 0 : o.when[i] == -1 && o.tokens[i] == 10 + i, "position %d is %d from iteration %d", i,
             o.tokens[i], o.when[i]);
    for (int32_t i = 0; i < RESPONSE; i++) response[i] = response[i] == MASK ? 3 : response[i];
    EXPECT_OK(dimple_session_set_response(s, response, RESPONSE)); /* nothing is masked */
    o = decode(s, &d);
    EXPECT(o.iterations == 1 && o.forward_passes == 0 && memcmp(o.tokens, response, sizeof response) == 0,
           "%d iterations, %d passes", o.iterations, o.forward_passes);
    for (int32_t i = 0; i < RESPONSE; i++) response[i] = i % 3 == 0 ? 10 + i : MASK;
    dimple_session_free(s);
  }
}

static void shortest_prompt_and_response(void) {
  for (int32_t prefill = 0; prefill < 2; prefill++) {
    dimple_session *s = open_session(text_model, 1, prefill);
    EXPECT_OK(dimple_session_set_prompt(s, prompt, 1, NULL, 0));
    set_masks(s, 1);
    for (int32_t pipeline = 0; pipeline < 2; pipeline++) {
      dimple_decoding d = decoding_of(pipeline, DIMPLE_ALGORITHM_MASKGIT_PLUS);
      d.steps = 3;
      outcome o = decode(s, &d);
      EXPECT(o.remaining == 0 && o.iterations == (pipeline ? 3 : 1), "%d iterations", o.iterations);
    }
    dimple_session_free(s);
  }
}

static void autoregressive_needs_enough_steps(void) {
  dimple_session *s = text_session(text_model, 1, 1);
  for (int32_t pipeline = 0; pipeline < 2; pipeline++) {
    dimple_decoding d = decoding_of(pipeline, DIMPLE_ALGORITHM_AUTOREGRESSIVE);
    d.steps = 5;
    outcome o = decode(s, &d);
    EXPECT(o.iterations == 5 && o.remaining == RESPONSE - 5, "%d left after %d iterations", o.remaining, o.iterations);
    for (int32_t i = 0; i < RESPONSE; i++) EXPECT(o.when[i] == (i < 5 ? i : -1), "position %d in iteration %d", i, o.when[i]);
  }
  dimple_session_free(s);
}

/* Pipeline dream passes empty iterations without running the model. */
static void empty_iterations_cost_nothing(void) {
  dimple_session *s = text_session(text_model, 1, 1);
  set_masks(s, 8);
  dimple_decoding d = decoding_of(1, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  d.steps = 32;
  outcome o = decode(s, &d);
  EXPECT(o.iterations == 32 && o.remaining == 0 && o.forward_passes == 7, "%d iterations, %d passes", o.iterations, o.forward_passes);
  dimple_session_free(s);
}

/* In a causally trained model a row knows nothing of what follows it. */
static void causal_models_do_not_look_ahead(void) {
  for (int32_t causal = 0; causal < 2; causal++) {
    dimple_model *m = make_model((model_shape){.text = true, .causal = causal});
    dimple_session *s = open_session(m, 1, 1);
    int32_t tokens[PROMPT];
    memcpy(tokens, prompt, sizeof tokens);
    EXPECT_OK(dimple_session_set_prompt(s, tokens, PROMPT, NULL, 0));
    float *before = logits_of(s, PROMPT);
    tokens[PROMPT - 1]++;
    EXPECT_OK(dimple_session_set_prompt(s, tokens, PROMPT, NULL, 0));
    float *after = logits_of(s, PROMPT);
    bool same = memcmp(before, after, (PROMPT - 1) * VOCAB * sizeof *before) == 0;
    EXPECT(same == (causal == 1), "causal %d: earlier rows are the same: %d", causal, same);
    EXPECT(memcmp(before + (PROMPT - 1) * VOCAB, after + (PROMPT - 1) * VOCAB, VOCAB * sizeof *before) != 0, "the last row");
    free(before);
    free(after);
    dimple_session_free(s);
    dimple_model_free(m);
  }
}

static void pictures_are_seen(void) {
  float features[2][PICTURE_TOKENS * WIDTH];
  int32_t tokens[CONTEXT], count = picture_prompt(tokens);
  float *z[2];
  for (int i = 0; i < 2; i++) {
    dimple_session *s = open_session(vision_model, 1, 1);
    dimple_image image = picture();
    picture_bytes[100] ^= (uint8_t)(i << 7);
    EXPECT_OK(dimple_session_set_prompt(s, tokens, count, &image, 1));
    memset(picture_bytes, 0, sizeof picture_bytes); /* the session has its own copy */
    EXPECT_OK(dimple_session_get_image_features(s, features[i], PICTURE_TOKENS * WIDTH));
    z[i] = logits_of(s, count);
    dimple_session_free(s);
  }
  EXPECT(memcmp(features[0], features[1], sizeof features[0]) != 0, "one pixel changes no feature");
  EXPECT(memcmp(z[0], z[1], (size_t)count * VOCAB * sizeof(float)) != 0, "one pixel changes no logit");
  free(z[0]);
  free(z[1]);
}

/* The tower may lie in a file of its own. */
static void separate_vision_file(void) {
  char text_path[64], vision_path[64];
  dimple_model *m = NULL;
  write_model(&(model_shape){.text = true}, text_path);
  write_model(&(model_shape){.vision = true}, vision_path);
  EXPECT_OK(load_file(text_path, vision_path, &m));
  unlink(text_path);
  unlink(vision_path);
  dimple_session *s = picture_session(m, 1, 1), *t = picture_session(vision_model, 1, 1);
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_TOPK_MARGIN);
  outcome a = decode(s, &d), b = decode(t, &d);
  EXPECT(same_outcome(&a, &b), "one file or two: another result");
  dimple_session_free(s);
  dimple_session_free(t);
  dimple_model_free(m);
}

/* --------------------------------------------------------------------------------------------------------------- replay */

static void replayed_draws(void) {
  dimple_session *s = text_session(text_model, 1, 1);
  set_masks(s, 3);
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_ORIGIN);
  d.steps = 4; /* reveals 1, 1, 1 */
  d.temperature = 0.5f;
  static const int32_t kinds[] = {DIMPLE_DRAW_CATEGORICAL, DIMPLE_DRAW_PERMUTATION, DIMPLE_DRAW_CATEGORICAL, DIMPLE_DRAW_PERMUTATION};
  static const int32_t lengths[] = {3, 3, 2, 2};
  static const double drawn[] = {7, 8, 9, 2, 0, 1, 20, 21, 1, 0};
  dimple_step step;
  outcome generated = decode(s, &d);
  for (int round = 0; round < 2; round++) { /* each decoding starts with the first record */
    if (round == 0) EXPECT_OK(dimple_session_replay_draws(s, kinds, lengths, 4, drawn, 10));
    EXPECT_OK(dimple_session_begin(s, &d));
    EXPECT_OK(dimple_session_step(s, &step));
    EXPECT(step.revealed_count == 1 && step.revealed[0] == 2 && step.canvas[2] == 9, "token %d", step.canvas[2]);
    EXPECT_OK(dimple_session_step(s, &step));
    EXPECT(step.canvas[1] == 21, "token %d", step.canvas[1]);
    for (int again = 0; again < 2; again++)
      EXPECT_FAILS(dimple_session_step(s, &step), DIMPLE_ERROR_STATE, "all 4 records are used");
  }
  EXPECT_OK(dimple_session_replay_draws(s, kinds + 1, lengths + 1, 1, drawn + 3, 3));
  EXPECT_OK(dimple_session_begin(s, &d));
  for (int again = 0; again < 2; again++) /* a failed step has not happened and used nothing */
    EXPECT_FAILS(dimple_session_step(s, &step), DIMPLE_ERROR_STATE, "record 0 is a permutation of 3");
  EXPECT_OK(dimple_session_replay_draws(s, kinds, lengths, 2, (double[]){1, 2, VOCAB, 0, 1, 2}, 6));
  EXPECT_OK(dimple_session_begin(s, &d));
  EXPECT_FAILS(dimple_session_step(s, &step), DIMPLE_ERROR_STATE, "token 96");
  EXPECT_FAILS(dimple_session_replay_draws(s, kinds, lengths, 1, drawn, 10), DIMPLE_ERROR_ARGUMENT, "value_count is 10");
  EXPECT_FAILS(dimple_session_replay_draws(s, kinds, lengths, -1, drawn, 10), DIMPLE_ERROR_ARGUMENT, "record_count");
  EXPECT_OK(dimple_session_replay_draws(s, NULL, NULL, 0, NULL, 0));
  outcome again = decode(s, &d);
  EXPECT(same_outcome(&generated, &again), "the generator is back");
  dimple_session_free(s);
}

static void replay_ends_a_decoding(void) {
  dimple_session *s = text_session(text_model, 1, 1);
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_ORIGIN);
  dimple_step step;
  EXPECT_OK(dimple_session_begin(s, &d));
  EXPECT_OK(dimple_session_step(s, &step));
  EXPECT_OK(dimple_session_replay_draws(s, &(int32_t){DIMPLE_DRAW_UNIFORM}, &(int32_t){1}, 1, &(double){0.5}, 1));
  EXPECT_FAILS(dimple_session_step(s, &step), DIMPLE_ERROR_STATE, "begin");
  dimple_session_free(s);
}

/* ------------------------------------------------------------------------------------------------------- several threads */

static void cancelled_calls_can_be_repeated(void) {
  dimple_session *s = picture_session(vision_model, 2, 1), *t = picture_session(vision_model, 2, 1);
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_ORIGIN);
  d.temperature = 0.7f;
  outcome expected = decode(t, &d), o = fresh_outcome();
  float features[PICTURE_TOKENS * WIDTH];
  dimple_session_cancel(s);
  EXPECT_FAILS(dimple_session_get_image_features(s, features, PICTURE_TOKENS * WIDTH), DIMPLE_ERROR_CANCELLED, "cancel");
  dimple_session_cancel(s);
  dimple_session_cancel(s); /* one request */
  EXPECT_FAILS(dimple_session_prefill(s), DIMPLE_ERROR_CANCELLED, "cancel");
  EXPECT_OK(dimple_session_begin(s, &d));
  for (dimple_step step = {0}; !step.done && o.iterations < d.steps;) {
    dimple_session_cancel(s);
    EXPECT_FAILS(dimple_session_step(s, &step), DIMPLE_ERROR_CANCELLED, "cancel");
    dimple_status status = dimple_session_step(s, &step);
    EXPECT(status == DIMPLE_OK, "step %d: %s", o.iterations, dimple_last_error());
    if (status != DIMPLE_OK) break;
    note_step(&step, &o);
  }
  EXPECT(same_outcome(&o, &expected), "cancelled iterations change the result");
  dimple_session_free(s);
  dimple_session_free(t);
}

typedef struct visitor {
  dimple_session *session;
  atomic_bool stop;
  float pause; /* microseconds, about one iteration */
  atomic_int refused;
  int32_t served, failed;
} visitor;

static void *keep_cancelling(void *argument) {
  visitor *v = argument;
  for (uint32_t i = 0; !atomic_load(&v->stop); i++) {
    dimple_session_cancel(v->session);
    usleep((useconds_t)(v->pause * (0.5f + 3 * draw_uniform(3, i, 0, 0, 0))));
  }
  return NULL;
}

/* Cancelled at any moment, a decoding that goes on comes to the same end. */
static void cancelled_at_any_moment(void) {
  visitor v = {.session = picture_session(vision_model, 2, 1)};
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  d.temperature = 0.7f;
  d.top_k = 20;
  outcome expected = decode(v.session, &d);
  dimple_timings timings;
  EXPECT_OK(dimple_session_get_timings(v.session, &timings));
  v.pause = (float)timings.steps / 1000 / (float)expected.iterations;
  int32_t cancelled = 0;
  pthread_t thread;
  pthread_create(&thread, NULL, keep_cancelling, &v);
  for (int round = 0; round < 8 || (cancelled == 0 && round < 500); round++) { /* on a busy machine the other thread comes late */
    outcome o = fresh_outcome();
    EXPECT_OK(dimple_session_begin(v.session, &d));
    for (dimple_step step = {0}; !step.done && o.iterations < d.steps;) {
      dimple_status status = dimple_session_step(v.session, &step);
      cancelled += status == DIMPLE_ERROR_CANCELLED;
      EXPECT(status == DIMPLE_OK || status == DIMPLE_ERROR_CANCELLED, "%d: %s", status, dimple_last_error());
      if (status == DIMPLE_OK) note_step(&step, &o);
      if (status != DIMPLE_OK && status != DIMPLE_ERROR_CANCELLED) break;
    }
    EXPECT(same_outcome(&o, &expected), "round %d ends differently", round);
  }
  atomic_store(&v.stop, true);
  pthread_join(thread, NULL);
  EXPECT(cancelled > 0, "nothing was ever cancelled");
  dimple_session_free(v.session);
}

static void *keep_visiting(void *argument) {
  visitor *v = argument;
  dimple_decoding d = decoding_of(1, DIMPLE_ALGORITHM_ORIGIN);
  while (!atomic_load(&v->stop)) {
    dimple_timings timings;
    dimple_status status = dimple_session_get_timings(v->session, &timings);
    v->served += status == DIMPLE_OK;
    v->refused += status == DIMPLE_ERROR_STATE;
    v->failed += status != DIMPLE_OK && (status != DIMPLE_ERROR_STATE || !strstr(dimple_last_error(), "thread"));
    d.steps = 0; /* refused in any case */
    v->failed += dimple_session_begin(v->session, &d) == DIMPLE_OK;
  }
  return NULL;
}

/* A second thread is turned away and harms nothing. The owner, turned away in its turn, tries again. */
static void two_threads_in_one_session(void) {
  visitor v = {.session = picture_session(vision_model, 1, 1)};
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  outcome expected = decode(v.session, &d);
  pthread_t thread;
  pthread_create(&thread, NULL, keep_visiting, &v);
  for (int round = 0; round < 8 || (atomic_load(&v.refused) == 0 && round < 500); round++) {
    outcome o = fresh_outcome();
    dimple_step step = {0};
    dimple_status status;
    do status = dimple_session_begin(v.session, &d);
    while (status == DIMPLE_ERROR_STATE && strstr(dimple_last_error(), "thread"));
    EXPECT_OK(status);
    while (!step.done && o.iterations < d.steps) {
      status = dimple_session_step(v.session, &step);
      if (status == DIMPLE_ERROR_STATE && strstr(dimple_last_error(), "thread")) continue;
      EXPECT(status == DIMPLE_OK, "%d: %s", status, dimple_last_error());
      if (status != DIMPLE_OK) break;
      o.iterations++;
      o.remaining = step.remaining; /* its pointers may be stale: the visitor's calls come after */
    }
    EXPECT(o.iterations == expected.iterations && o.remaining == expected.remaining, "round %d: %d iterations", round, o.iterations);
  }
  atomic_store(&v.stop, true);
  pthread_join(thread, NULL);
  EXPECT(v.refused > 0 && v.failed == 0, "%d refused, %d served, %d failed", v.refused, v.served, v.failed);
  outcome after = decode(v.session, &d);
  EXPECT(same_outcome(&after, &expected), "the visitor changed the result");
  dimple_session_free(v.session);
}

typedef struct worker {
  dimple_session *session;
  dimple_decoding decoding;
  int32_t rounds, wrong;
  int32_t expected[RESPONSE];
} worker;

static void *keep_decoding(void *argument) {
  worker *w = argument;
  for (int32_t round = 0; round < w->rounds; round++) {
    dimple_step step = {0};
    dimple_status status = dimple_session_begin(w->session, &w->decoding);
    while (status == DIMPLE_OK && !step.done) status = dimple_session_step(w->session, &step);
    w->wrong += status != DIMPLE_OK || memcmp(step.canvas, w->expected, sizeof w->expected) != 0;
  }
  return NULL;
}

static void two_sessions_of_one_model(void) {
  worker workers[2];
  pthread_t threads[2];
  for (int i = 0; i < 2; i++) {
    workers[i] = (worker){.session = picture_session(vision_model, 2, 1), .decoding = decoding_of(i, DIMPLE_ALGORITHM_ENTROPY), .rounds = 5};
    outcome o = decode(workers[i].session, &workers[i].decoding);
    memcpy(workers[i].expected, o.tokens, sizeof workers[i].expected);
  }
  for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, keep_decoding, &workers[i]);
  for (int i = 0; i < 2; i++) {
    pthread_join(threads[i], NULL);
    EXPECT(workers[i].wrong == 0, "%d of %d decodings differ", workers[i].wrong, workers[i].rounds);
    dimple_session_free(workers[i].session);
  }
}

/* ------------------------------------------------------------------------------------------------------------ life spans */

static void sessions_outlive_their_model(void) {
  dimple_model *m = make_model((model_shape){.text = true, .vision = true});
  dimple_session *s = picture_session(m, 1, 1), *t = picture_session(m, 1, 1);
  dimple_model_free(m);
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  outcome a = decode(s, &d);
  dimple_session_free(s);
  outcome b = decode(t, &d);
  EXPECT(same_outcome(&a, &b), "another result");
  dimple_session_free(t);
}

static void a_hundred_lives(void) {
  char path[64];
  write_model(&(model_shape){.text = true, .vision = true}, path);
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  d.steps = 2;
  for (int life = 0; life < 100; life++) {
    dimple_model *m = NULL;
    EXPECT_OK(load_file(path, NULL, &m));
    dimple_session *s = picture_session(m, 2, life & 1);
    if (life % 4 == 3) dimple_model_free(m);
    if (life % 3 == 0) {
      EXPECT_OK(dimple_session_begin(s, &d)); /* left half-way */
      dimple_step step;
      EXPECT_OK(dimple_session_step(s, &step));
    }
    if (life % 5 == 0) set_masks(s, 4);
    dimple_session_free(s);
    if (life % 4 != 3) dimple_model_free(m);
  }
  unlink(path);
}

static void run_all(void) {
  text_model = make_model((model_shape){.text = true});
  vision_model = make_model((model_shape){.text = true, .vision = true});
  if (!text_model || !vision_model) return;
  null_arguments();
  unloadable_files();
  bad_session_options();
  wrong_order();
  wrong_tokens_and_lengths();
  wrong_images();
  refusals_change_nothing();
  facts_of_the_model();
  every_decoding_ends();
  first_iteration_follows_the_logits();
  later_iterations_follow_the_logits();
  prefill_keeps_the_first_iteration();
  begin_again_repeats();
  looking_changes_nothing();
  threads_do_not_matter();
  seeds_matter();
  fixed_tokens_stay();
  shortest_prompt_and_response();
  autoregressive_needs_enough_steps();
  empty_iterations_cost_nothing();
  causal_models_do_not_look_ahead();
  pictures_are_seen();
  separate_vision_file();
  replayed_draws();
  replay_ends_a_decoding();
  cancelled_calls_can_be_repeated();
  cancelled_at_any_moment();
  two_threads_in_one_session();
  two_sessions_of_one_model();
  sessions_outlive_their_model();
  a_hundred_lives();
  dimple_model_free(text_model);
  dimple_model_free(vision_model);
}

int main(void) {
  static const char *const backends[] = {"ref", "auto"};
  for (size_t i = 0; i < sizeof backends / sizeof backends[0]; i++) {
    backend = backends[i];
    run_all();
  }
  return expect_summary("session");
}
