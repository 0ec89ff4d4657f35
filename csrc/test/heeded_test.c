/*
 * No setting is passed over in silence: for each pipeline, each algorithm that it offers and each setting, some value of the setting changes some
 * decoding, or the setting is refused by name wherever it differs from the default.
 */
#include <stddef.h>

#include "diffusion/pipeline.h"
#include "test/session_fixture.h"

/* A setting, the values to try it with, and where nothing needs to come of it. */
typedef struct setting {
  const char *name;
  size_t offset;
  bool is_integer;
  float values[4];
  int count;
  float ends; /* how much ends of text are favoured, and expansions where there are any: it has to do with these */
  bool (*excused)(const dimple_decoding *d); /* null: never */
} setting;

/* They always take the confidences after temperature and filters, as docs and header say. */
static bool in_dream(const dimple_decoding *d) {
  return d->pipeline == DIMPLE_PIPELINE_DREAM || d->pipeline == DIMPLE_PIPELINE_DREAMON || d->pipeline == DIMPLE_PIPELINE_LAVIDA_DREAM;
}

/* Whose functions take a threshold beside every strategy, also those that do not look at it. */
static bool by_strategies(const dimple_decoding *d) {
  bool takes = d->pipeline == DIMPLE_PIPELINE_SDAR || d->pipeline == DIMPLE_PIPELINE_FAST_DLLM_V2 || d->pipeline == DIMPLE_PIPELINE_LLADA2;
  return takes && (!algorithm_of(d)->judges_threshold[d->pipeline] || confidence_of(d)->high <= 0);
}

/* Every other pipeline draws at some temperature. */
static bool never_draws(const dimple_decoding *d) { return d->pipeline == DIMPLE_PIPELINE_LLADA22; }

#define FLOAT(name) #name, offsetof(dimple_decoding, name), false
#define INTEGER(name) #name, offsetof(dimple_decoding, name), true

/* Not here: `steps`, which the authors' commands give beside thresholds, too; `complete`, which asks for what they do where it differs;
 * allowed_confidence, which constrained_test has. */
static const setting settings[] = {{INTEGER(top_k), {1, 2}, 2, 0, NULL},
                                   {INTEGER(original_confidence), {0}, 1, 0, in_dream},
                                   {FLOAT(threshold), {0.02f, 0.3f, 0.6f}, 3, 0, by_strategies},
                                   {FLOAT(temperature), {1}, 1, 0, NULL},
                                   {FLOAT(top_p), {0.5f, 0}, 2, 0, NULL},
                                   {FLOAT(algorithm_temperature), {0.7f}, 1, 0, NULL},
                                   {FLOAT(epsilon), {0.3f, 0.8f}, 2, 0, NULL},
                                   {INTEGER(seed), {7, 8}, 2, 0, never_draws},
                                   {INTEGER(block_length), {3, 5}, 2, 0, NULL},
                                   {INTEGER(cache), {DIMPLE_CACHE_PREFIX, DIMPLE_CACHE_DUAL}, 2, 0, NULL},
                                   {INTEGER(no_eos_logits), {1}, 1, 3, NULL},
                                   {INTEGER(no_eos_confidence), {1}, 1, 3, NULL},
                                   {FLOAT(factor), {0.5f, 1}, 2, 0, NULL},
                                   {FLOAT(guidance_scale), {2}, 1, 0, NULL},
                                   {INTEGER(no_mask_logits), {1}, 1, 0, NULL},
                                   {INTEGER(order), {DIMPLE_ORDER_CONFIDENCE, DIMPLE_ORDER_MARGIN}, 2, 0, NULL},
                                   {FLOAT(gamma), {0, 5, 20}, 3, 0, NULL},
                                   {FLOAT(kl_threshold), {0.5f, 1e-6f}, 2, 0, NULL},
                                   {INTEGER(kl_history), {1, 4}, 2, 0, NULL},
                                   {INTEGER(unmask), {DIMPLE_UNMASK_MAX_CONFIDENCE, DIMPLE_UNMASK_MIN_KL}, 2, 0, NULL},
                                   {FLOAT(credit_alpha), {3}, 1, 0, NULL},
                                   {FLOAT(boost_gamma), {2}, 1, 0, NULL},
                                   {FLOAT(decay_beta), {0.1f}, 1, 0, NULL},
                                   {FLOAT(low_threshold), {0, 0.02f}, 2, 0, NULL},
                                   {INTEGER(expected_tpf), {1, 2}, 2, 0, NULL},
                                   {INTEGER(maximum_unroll), {1}, 1, 0, NULL},
                                   {FLOAT(threshold_back), {0.01f, 0.1f}, 2, 0, NULL},
                                   {INTEGER(sub_block_length), {1, 2}, 2, 0, NULL},
                                   {INTEGER(block_cache), {1}, 1, 0, NULL},
                                   {FLOAT(editing_threshold), {0, 0.02f}, 2, 0, NULL},
                                   {INTEGER(max_post_steps), {0, 1}, 2, 0, NULL},
                                   {INTEGER(num_to_transfer), {2, 4}, 2, 0, NULL},
                                   {INTEGER(eos_early_stop), {1}, 1, 9, NULL},
                                   {INTEGER(fill_last_block), {1}, 1, 3, NULL},
                                   {FLOAT(t_min), {0.1f, 0.9f}, 2, 0, NULL},
                                   {FLOAT(t_max), {1.5f}, 1, 0, NULL},
                                   {INTEGER(stability_threshold), {0, 3}, 2, 0, NULL},
                                   {FLOAT(confidence_threshold), {20}, 1, 0, NULL},
                                   {FLOAT(eos_penalty), {0.5f, 20}, 2, 0, NULL},
                                   {INTEGER(grow_to), {RESPONSE + 4}, 1, 5, NULL},
                                   {INTEGER(expand_budget), {0, 1}, 2, 5, NULL},
                                   {INTEGER(number_transfer_tokens), {2, 5}, 2, 0, NULL},
                                   {INTEGER(pad_delete_to_right), {1}, 1, 5, NULL},
                                   {INTEGER(tail_repeats), {1, 2}, 2, 0, NULL},
                                   {FLOAT(schedule_shift), {0.3f, 3}, 2, 0, NULL}};

static void set(dimple_decoding *d, const setting *s, float value) {
  char *field = (char *)d + s->offset;
  if (s->is_integer)
    *(int32_t *)field = (int32_t)value;
  else
    *(float *)field = value;
}

/* What the other settings are: a number's digits say it. */
enum { CONTEXTS = 3 * 2 * 3 * 2 * 2 * 4 };

static dimple_decoding context_of(int32_t pipeline, int32_t algorithm, int number) {
  static const float thresholds[] = {0, 0.95f, 0.01f};
  static const int32_t caches[] = {DIMPLE_CACHE_MODEL, DIMPLE_CACHE_NONE, DIMPLE_CACHE_DUAL};
  dimple_decoding d = decoding_of(pipeline, algorithm);
  d.threshold = thresholds[number % 3];
  d.temperature = number / 3 % 2 ? 1.5f : 0;
  d.cache = caches[number / 6 % 3];
  d.block_length = d.cache == DIMPLE_CACHE_DUAL ? RESPONSE / 2 : 0;
  d.complete = number / 18 % 2 == 0;
  if (pipeline == DIMPLE_PIPELINE_SDAR && number / 72 % 2) d.block_length = 2;
  d.original_confidence = number / 36 % 2 == 0;
  d.steps = RESPONSE / 2;
  d.seed = (uint64_t)number / 72;
  d.block_cache = pipeline == DIMPLE_PIPELINE_FAST_DLLM_V2 && number / 36 % 2;
  if (algorithm == DIMPLE_ALGORITHM_KLASS) d.kl_threshold = 0.5f; /* a random model settles on nothing */
  if (algorithm == DIMPLE_ALGORITHM_WINO) d.threshold_back = 0.5f;
  if (pipelines[pipeline]->loop && number / 18 % 2) d.confidence_threshold = 20; /* nor is it ever sure */
  if (pipelines[pipeline]->loop && number / 72 % 2) d.stability_threshold = 0;
  if (pipelines[pipeline]->reshaper && number / 18 % 2) d.grow_to = RESPONSE + 8;
  return d;
}

/* Steps to the end, which comes: WINO takes more iterations than steps, and full blocks are run once more. */
static outcome decode_begun(dimple_session *s, float ends, const pipeline *how) {
  outcome o = fresh_outcome();
  o.denoises = how->loop != NULL;
  if (ends > 0 && how->reshaper) EXPECT_OK(dimple_session_set_bias(s, (int32_t[]){EXPAND, EOS}, (float[]){ends, ends}, 2));
  if (ends > 0 && !how->reshaper) EXPECT_OK(dimple_session_set_bias(s, (int32_t[]){EOS}, &ends, 1));
  for (dimple_step step = {0}; !step.done && o.iterations < 10 * RESPONSE;) {
    dimple_status status = dimple_session_step(s, &step);
    EXPECT(status == DIMPLE_OK, "%s", dimple_last_error());
    if (status != DIMPLE_OK) break;
    note_step(&step, &o);
  }
  EXPECT(o.iterations < 10 * RESPONSE, "no end after %d iterations", o.iterations);
  return o;
}

static bool refuses(dimple_session *s, const dimple_decoding *d) { return dimple_session_begin(s, d) != DIMPLE_OK; }

typedef struct verdict {
  int tried, refused;
  bool changes;
} verdict;

/* Tries the setting beside all others, until something comes of it. */
static verdict try_setting(dimple_session *s, int32_t pipeline, int32_t algorithm, const setting *one) {
  verdict v = {0};
  for (int context = 0; context < CONTEXTS && !v.changes; context++) {
    dimple_decoding usual = context_of(pipeline, algorithm, context);
    if (refuses(s, &usual)) continue;
    for (int i = 0; i < one->count && !v.changes; i++) {
      dimple_decoding d = usual;
      set(&d, one, one->values[i]);
      v.tried++;
      if (refuses(s, &d)) {
        EXPECT(strstr(dimple_last_error(), one->name) != NULL, "%s refused as '%s'", one->name, dimple_last_error());
        v.refused++;
        continue;
      }
      outcome with = decode_begun(s, one->ends, pipelines[pipeline]);
      EXPECT_OK(dimple_session_begin(s, &usual));
      outcome without = decode_begun(s, one->ends, pipelines[pipeline]);
      v.changes = !same_outcome(&without, &with);
    }
  }
  return v;
}

int main(void) {
  dimple_model *m = random_model((model_shape){.family = FAMILY_LLADA});
  dimple_model *gemma = random_model((model_shape){.family = FAMILY_DIFFUSION_GEMMA});
  dimple_model *routed = random_model((model_shape){.family = FAMILY_LLADA22});
  if (!m || !gemma || !routed) return expect_summary("heeded");
  if (!fixture_open()) return expect_summary("heeded");
  dimple_session *s = text_session(m, 1, 1), *shifted = text_session(text_model, 1, 1), *canvases = text_session(gemma, 1, 1),
                 *edited = text_session(routed, 1, 1);
  int heeded = 0, refused = 0;
  for (int32_t pipeline = 0; pipeline < PIPELINE_COUNT; pipeline++)
    for (int32_t algorithm = 0; algorithm < ALGORITHM_COUNT; algorithm++) {
      dimple_decoding d = {.pipeline = pipeline, .algorithm = algorithm};
      if (!algorithm_of(&d)->choose[pipeline]) continue;
      for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        const setting *one = &settings[i];
        if (one->excused && one->excused(&d)) continue;
        dimple_session *fitting = pipelines[pipeline]->editor ? edited : pipelines[pipeline]->loop ? canvases : pipelines[pipeline]->needs_shift || pipelines[pipeline]->reshaper ? shifted : s;
        verdict v = try_setting(fitting, pipeline, algorithm, one);
        EXPECT(v.tried > 0 && (v.changes || v.refused == v.tried), "pipeline %s, algorithm %s: of %s nothing comes (%d tried, %d refused)",
               pipelines[pipeline]->name, algorithm_of(&d)->name, one->name, v.tried, v.refused);
        heeded += v.changes;
        refused += !v.changes;
      }
    }
  EXPECT(heeded > 200 && refused > 200, "%d heeded, %d refused", heeded, refused);
  dimple_session_free(s);
  dimple_session_free(shifted);
  dimple_session_free(canvases);
  dimple_session_free(edited);
  dimple_model_free(routed);
  dimple_model_free(m);
  dimple_model_free(gemma);
  fixture_close();
  return expect_summary("heeded");
}
