/* Meanings and defaults are llama.cpp's (src/llama-model.cpp and llama-context.cpp of release b7500 and later: the fields rope_* and yarn_*;
 * ggml's rope_yarn), except that it reads the keys yarn_* for other architectures only. */
#include "model/architecture/rope_scaling.h"

#include <math.h>
#include <string.h>

#include "error.h"
#include "model/architecture/keys.h"

/* What the file says, with the defaults of what it does not say. */
typedef struct scaling_keys {
  float factor;
  float kept;            /* rope.scaling.yarn_ext_factor; below 0: as the type has it */
  float attention;       /* rope.scaling.attn_factor: of everything */
  float yarn_attention;  /* rope.scaling.yarn_attn_factor; 0: what follows from the factor */
  float fast, slow;      /* rope.scaling.yarn_beta_*: turns within the original context */
  float log_multiplier;  /* DeepSeek's mscale_all_dim */
  int32_t original;      /* context */
  bool truncate;         /* whole numbers of angles */
} scaling_keys;

static const float pi = 3.14159265358979323846f;

typedef enum scaling_type { SCALING_NONE, SCALING_LINEAR, SCALING_YARN, SCALING_OTHER } scaling_type;

static const char *const type_names[] = {[SCALING_NONE] = "none", [SCALING_LINEAR] = "linear", [SCALING_YARN] = "yarn"};

/* Linear, llama.cpp's default, where the file has a factor only. What is not done here is left unread. */
static dimple_status read_type(const gguf_file *file, const text_parameters *p, scaling_type *type) {
  key_name key = key_of(p, "rope.scaling.type");
  char name[32] = "linear";
  const dimple_metadata *value = gguf_find(file, key.text);
  if (value && value->type == DIMPLE_METADATA_STRING && value->size < sizeof name) {
    memcpy(name, value->data, value->size);
    name[value->size] = '\0';
  } else if (value) {
    strcpy(name, "?");
  }
  for (*type = SCALING_NONE; *type < SCALING_OTHER; (*type)++)
    if (strcmp(name, type_names[*type]) == 0) return gguf_optional_string(file, key.text, name, sizeof name);
  return DIMPLE_OK;
}

/* A positive number. */
static dimple_status read_positive(const gguf_file *file, const text_parameters *p, const char *suffix, float *out) {
  key_name key = key_of(p, suffix);
  DIMPLE_TRY(gguf_optional_float(file, key.text, out));
  if (!gguf_find(file, key.text) || *out > 0) return DIMPLE_OK;
  return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key %s is %g, expected a positive number", gguf_path(file), key.text, (double)*out);
}

/* 0 stands for none. */
static dimple_status read_factor(const gguf_file *file, const text_parameters *p, const char *suffix, float *factor) {
  key_name key = key_of(p, suffix);
  DIMPLE_TRY(gguf_optional_float(file, key.text, factor));
  if (!(*factor >= 0)) return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key %s is %g, expected at least 0", gguf_path(file), key.text, (double)*factor);
  return DIMPLE_OK;
}

static dimple_status read_scaling_keys(const gguf_file *file, const text_parameters *p, scaling_keys *k) {
  *k = (scaling_keys){.kept = -1, .attention = 1, .fast = 32, .slow = 1, .original = p->context, .truncate = true};
  DIMPLE_TRY(read_factor(file, p, "rope.scale_linear", &k->factor));
  DIMPLE_TRY(read_factor(file, p, "rope.scaling.factor", &k->factor));
  if (k->factor == 0) k->factor = 1;
  DIMPLE_TRY(gguf_optional_int32(file, key_of(p, "rope.scaling.original_context_length").text, 0, MAX_CONTEXT, &k->original));
  if (k->original == 0) k->original = p->context;
  DIMPLE_TRY(read_positive(file, p, "rope.scaling.attn_factor", &k->attention));
  DIMPLE_TRY(gguf_optional_float(file, key_of(p, "rope.scaling.yarn_ext_factor").text, &k->kept));
  DIMPLE_TRY(read_positive(file, p, "rope.scaling.yarn_attn_factor", &k->yarn_attention));
  DIMPLE_TRY(read_positive(file, p, "rope.scaling.yarn_beta_fast", &k->fast));
  DIMPLE_TRY(read_positive(file, p, "rope.scaling.yarn_beta_slow", &k->slow));
  DIMPLE_TRY(gguf_optional_float(file, key_of(p, "rope.scaling.yarn_log_multiplier").text, &k->log_multiplier));
  return gguf_optional_bool(file, key_of(p, "rope.scaling.yarn_truncate").text, &k->truncate);
}

/* The angle that turns so often within the original context: base^(-2j/size) * original = turns * 2 pi, solved for j. */
static float angle_with_turns(const rotary_parameters *r, const scaling_keys *k, float turns) {
  return (float)r->size * logf((float)k->original / (turns * 2 * pi)) / (2 * logf(r->base));
}

/* YaRN's section 3.4: attention is to be as sharp over a longer context. */
static float magnitude_of(const scaling_keys *k) {
  if (k->yarn_attention > 0) return k->yarn_attention;
  if (k->kept == 0 || k->factor <= 1) return 1;
  return (1 + 0.1f * logf(k->factor)) / (1 + 0.1f * k->log_multiplier * logf(k->factor));
}

static rotary_scaling scaling_of(const rotary_parameters *r, const scaling_keys *k) {
  rotary_scaling s = {.factor = k->factor, .kept = k->kept, .magnitude = k->attention * magnitude_of(k)};
  if (k->kept == 0) return s;
  float fast = angle_with_turns(r, k, k->fast), slow = angle_with_turns(r, k, k->slow);
  s.fast = fmaxf(k->truncate ? floorf(fast) : fast, 0);
  s.slow = fminf(k->truncate ? ceilf(slow) : slow, (float)(r->size - 1));
  return s;
}

dimple_status read_rope_scaling(const gguf_file *file, const text_parameters *p, rotary_parameters *r) {
  scaling_type type = SCALING_OTHER;
  scaling_keys k;
  r->scaling = (rotary_scaling){.factor = 1, .magnitude = 1};
  DIMPLE_TRY(read_type(file, p, &type));
  if (type == SCALING_OTHER) return DIMPLE_OK;
  DIMPLE_TRY(read_scaling_keys(file, p, &k));
  if (type == SCALING_NONE) k.factor = 1;
  if (k.kept < 0) k.kept = type == SCALING_YARN;
  if (k.kept > 0 && !(r->base > 1))
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key %s is %g, expected a number above 1 with yarn scaling", gguf_path(file),
                       key_of(p, "rope.freq_base").text, (double)r->base);
  r->scaling = scaling_of(r, &k);
  return isfinite(r->scaling.magnitude) ? DIMPLE_OK
                                        : dimple_fail(DIMPLE_ERROR_FORMAT, "%s: the keys %s* give a rotation of infinite size",
                                                      gguf_path(file), key_of(p, "rope.scaling.").text);
}
