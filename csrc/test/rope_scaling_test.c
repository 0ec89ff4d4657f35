/* The keys of a scaled rotary embedding: the frequencies and magnitudes that follow from them, and which of them are refused. */
#include <stdlib.h>

#include "gguf/gguf.h"
#include "model/rope.h"
#include "test/expect.h"
#include "test/random_model.h"

enum { SIZE = 16, HALF = SIZE / 2 };

/* A key behind "dream.rope.", with a text or a number. */
typedef struct scaling_key {
  const char *name, *text;
  float number;
} scaling_key;

enum { MAX_KEYS = 6 };

typedef struct scaling_case {
  const char *what;
  scaling_key keys[MAX_KEYS];
  float frequency[HALF], magnitude;
} scaling_case;

#define YARN {"scaling.type", "yarn", 0}, {"scaling.factor", NULL, 4}
#define ORIGINAL(length) {"scaling.original_context_length", NULL, length}
#define PLAIN {1, 0.316227766f, 0.1f, 0.0316227766f, 0.01f, 0.00316227766f, 0.001f, 0.000316227766f}
#define YARN_OF_64 {1, 0.237170815f, 0.049999997f, 0.00790569466f, 0.00249999994f, 0.000790569466f, 0.000250000012f, 7.90569466e-05f}

/* Frequencies of heads of 16 with base 10000. Those of yarn, and its magnitudes, are what tests/reference/rope_scaling.py prints of the
 * transformers library; an attn_factor multiplies the magnitude, as in llama.cpp. */
static const scaling_case cases[] = {
    {.what = "nothing", .frequency = PLAIN, .magnitude = 1},
    {.what = "no scaling", .keys = {{"scaling.type", "none", 0}, {"scaling.factor", NULL, 4}}, .frequency = PLAIN, .magnitude = 1},
    {.what = "a factor of 0", .keys = {{"scaling.factor", NULL, 0}}, .frequency = PLAIN, .magnitude = 1},
    {.what = "linear",
     .keys = {{"scaling.type", "linear", 0}, {"scaling.factor", NULL, 2.5f}},
     .frequency = {0.4f, 0.1264911f, 0.04f, 0.01264911f, 0.004f, 0.001264911f, 0.0004f, 0.0001264911f}, .magnitude = 1},
    {.what = "a factor alone",
     .keys = {{"scaling.factor", NULL, 2.5f}},
     .frequency = {0.4f, 0.1264911f, 0.04f, 0.01264911f, 0.004f, 0.001264911f, 0.0004f, 0.0001264911f}, .magnitude = 1},
    {.what = "the older key",
     .keys = {{"scale_linear", NULL, 2.5f}},
     .frequency = {0.4f, 0.1264911f, 0.04f, 0.01264911f, 0.004f, 0.001264911f, 0.0004f, 0.0001264911f}, .magnitude = 1},
    {.what = "a factor before the older key",
     .keys = {{"scaling.factor", NULL, 2.5f}, {"scale_linear", NULL, 3}},
     .frequency = {0.4f, 0.1264911f, 0.04f, 0.01264911f, 0.004f, 0.001264911f, 0.0004f, 0.0001264911f}, .magnitude = 1},
    {.what = "linear, an attention factor",
     .keys = {{"scaling.factor", NULL, 1}, {"scaling.attn_factor", NULL, 1.25f}}, .frequency = PLAIN, .magnitude = 1.25f},
    {.what = "yarn", .keys = {YARN, ORIGINAL(64)}, .frequency = YARN_OF_64, .magnitude = 1.13862944f},
    {.what = "yarn of the whole context, which is 64", .keys = {YARN}, .frequency = YARN_OF_64, .magnitude = 1.13862944f},
    {.what = "yarn of 4096",
     .keys = {YARN, ORIGINAL(4096)},
     .frequency = {1, 0.316227764f, 0.1f, 0.025693506f, 0.00624999963f, 0.00138349656f, 0.00025f, 7.90569466e-05f}, .magnitude = 1.13862944f},
    {.what = "yarn by 32",
     .keys = {{"scaling.type", "yarn", 0}, {"scaling.factor", NULL, 32}, ORIGINAL(1024)},
     .frequency = {1, 0.316227764f, 0.0757812560f, 0.0163054951f, 0.00273437495f, 9.88211832e-05f, 3.12500015e-05f, 9.88211832e-06f},
     .magnitude = 1.34657359f},
    {.what = "other betas",
     .keys = {YARN, ORIGINAL(512), {"scaling.yarn_beta_fast", NULL, 8}, {"scaling.yarn_beta_slow", NULL, 2}},
     .frequency = {1, 0.316227764f, 0.1f, 0.0197642371f, 0.0025f, 0.000790569466f, 0.00025f, 7.90569466e-05f}, .magnitude = 1.13862944f},
    {.what = "not truncated",
     .keys = {YARN, ORIGINAL(512), {"scaling.yarn_truncate", "false", 0}},
     .frequency = {1, 0.301406473f, 0.0703986362f, 0.0143833589f, 0.0025f, 0.000790569466f, 0.00025f, 7.90569466e-05f}, .magnitude = 1.13862944f},
    {.what = "yarn's attention factor",
     .keys = {YARN, ORIGINAL(64), {"scaling.yarn_attn_factor", NULL, 1.5f}}, .frequency = YARN_OF_64, .magnitude = 1.5f},
    {.what = "both attention factors",
     .keys = {YARN, ORIGINAL(64), {"scaling.yarn_attn_factor", NULL, 1.5f}, {"scaling.attn_factor", NULL, 2}},
     .frequency = YARN_OF_64, .magnitude = 3},
    {.what = "mscale", .keys = {YARN, ORIGINAL(64), {"scaling.yarn_log_multiplier", NULL, 0.5f}}, .frequency = YARN_OF_64, .magnitude = 1.06482163f},
    {.what = "yarn without its ramp",
     .keys = {YARN, ORIGINAL(64), {"scaling.yarn_ext_factor", NULL, 0}},
     .frequency = {0.25f, 0.0790569415f, 0.025f, 0.00790569415f, 0.0025f, 0.000790569415f, 0.00025f, 7.90569415e-05f}, .magnitude = 1},
    {.what = "half of its ramp", /* halfway between yarn and linear */
     .keys = {YARN, ORIGINAL(64), {"scaling.yarn_ext_factor", NULL, 0.5f}},
     .frequency = {0.625f, 0.158113878f, 0.0375f, 0.00790569466f, 0.0025f, 0.000790569466f, 0.00025f, 7.90569466e-05f}, .magnitude = 1.13862944f},
    {.what = "yarn by less than 1",
     .keys = {{"scaling.type", "yarn", 0}, {"scaling.factor", NULL, 0.5f}, ORIGINAL(64)},
     .frequency = {1, 0.421637021f, 0.166666667f, 0.0632455532f, 0.02f, 0.00632455532f, 0.002f, 0.000632455532f}, .magnitude = 1}};

static void put_keys(gguf_writer *w, const scaling_key *keys) {
  for (const scaling_key *k = keys; k < keys + MAX_KEYS && k->name; k++) {
    char name[64];
    snprintf(name, sizeof name, "dream.rope.%s", k->name);
    if (k->text && strcmp(k->text, "false") == 0) gguf_writer_bool(w, name, false);
    else if (k->text) gguf_writer_string(w, name, k->text);
    else if (strcmp(k->name, "scaling.original_context_length") == 0) gguf_writer_u32(w, name, (uint32_t)k->number);
    else gguf_writer_f32(w, name, k->number);
  }
}

/* Reads the rotary of a model with these keys. */
static dimple_status read_rotary_of(const scaling_key *keys, float base, rotary_parameters *rotary) {
  char path[64];
  gguf_file *file = NULL;
  gguf_writer w = {0};
  put_keys(&w, keys);
  gguf_writer_f32(&w, "dream.rope.freq_base", base);
  random_model_write(&w, &(model_shape){.family = FAMILY_DREAM, .width = 2 * SIZE, .heads = 2, .context = 64});
  temporary_file(&w, path);
  text_parameters *p = calloc(1, sizeof *p);
  dimple_status status = gguf_open(path, &file);
  if (status == DIMPLE_OK) status = text_parameters_read(file, p);
  *rotary = p->rotary[0];
  gguf_close(file);
  free(p);
  remove(path);
  return status;
}

/* At position 1 angles are frequencies. */
static void frequencies(void) {
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    rotary_parameters rotary;
    float cosine[HALF], sine[HALF];
    const int32_t one[3] = {1, 1, 1};
    EXPECT_OK(read_rotary_of(cases[i].keys, 10000, &rotary));
    rope_angles(&rotary, NULL, one, 1, cosine, sine);
    for (int j = 0; j < HALF; j++) {
      float frequency = atan2f(sine[j], cosine[j]), magnitude = hypotf(sine[j], cosine[j]);
      EXPECT(fabsf(frequency / cases[i].frequency[j] - 1) < 2e-6f, "%s: frequency %d is %.9g, not %.9g", cases[i].what, j, (double)frequency,
             (double)cases[i].frequency[j]);
      EXPECT(fabsf(magnitude / cases[i].magnitude - 1) < 1e-6f, "%s: the magnitude is %.9g", cases[i].what, (double)magnitude);
    }
  }
}

static void refusals(void) {
  static const struct { scaling_key key; float base; const char *message; } bad[] = {
      {{"scaling.factor", NULL, -1}, 1e4f, "rope.scaling.factor is -1, expected at least 0"},
      {{"scale_linear", NULL, -2}, 1e4f, "rope.scale_linear is -2, expected at least 0"},
      {{"scaling.attn_factor", NULL, 0}, 1e4f, "attn_factor is 0, expected a positive number"},
      {{"scaling.yarn_beta_fast", NULL, 0}, 1e4f, "yarn_beta_fast is 0, expected a positive number"},
      {{"scaling.yarn_log_multiplier", NULL, INFINITY}, 1e4f, "not a finite float32"},
      {{"scaling.type", "yarn", 0}, 1, "freq_base is 1, expected a number above 1 with yarn scaling"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    rotary_parameters rotary;
    EXPECT_FAILS(read_rotary_of((scaling_key[MAX_KEYS]){bad[i].key}, bad[i].base, &rotary), DIMPLE_ERROR_FORMAT, bad[i].message);
  }
}

/* A type that is not done leaves its keys unknown: the model is refused by name, or runs without scaling. */
static void other_types(void) {
  static const char *const types[] = {"longrope", "su", "dynamic", "llama3", "Yarn", "yarn ", "", "a type whose name is longer than any other"};
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    char path[64];
    gguf_writer w = {0};
    dimple_model *m = NULL;
    put_keys(&w, (scaling_key[MAX_KEYS]){{"scaling.type", types[i], 0}, {"scaling.factor", NULL, 4}});
    random_model_write(&w, &(model_shape){.family = FAMILY_DREAM});
    temporary_file(&w, path);
    EXPECT_FAILS(load_model(path, NULL, &m), DIMPLE_ERROR_UNSUPPORTED, "key dream.rope.scaling.type is unknown");
    EXPECT(strstr(dimple_last_error(), "1 more"), "\"%s\"", dimple_last_error());
    EXPECT_OK(dimple_model_load(path, &(dimple_model_options){.ignore_unknown = 1}, &m));
    dimple_model_free(m);
    remove(path);
  }
}

int main(void) {
  frequencies();
  refusals();
  other_types();
  return expect_summary("rope_scaling");
}
