/* The settings of a decoding: their defaults and ranges. */
#include <float.h>
#include <stddef.h>
#include <stdio.h>

#include "diffusion/heeded.h"
#include "diffusion/pipeline.h"
#include "error.h"

enum { MAX_STEPS = 1 << 20, MAX_NAME = 24 }; /* bytes of a pipeline's name */

/* Below this, float32 logits divided by the temperature overflow or keep no digit. */
static const float MIN_TEMPERATURE = 1e-6f;

void dimple_decoding_defaults(dimple_decoding *decoding) {
  if (!decoding) return;
  *decoding = (dimple_decoding){.pipeline = DIMPLE_PIPELINE_DIM,
                                .algorithm = DIMPLE_ALGORITHM_MASKGIT_PLUS,
                                .steps = 64,
                                .original_confidence = 1,
                                .threshold = 0.95f,
                                .top_p = 1.0f,
                                .epsilon = 1e-3f,
                                .complete = 1,
                                .allowed_confidence = 1,
                                .gamma = 0.1f,
                                .kl_threshold = 0.01f,
                                .kl_history = 2,
                                .credit_alpha = 0.7f,
                                .boost_gamma = 0.2f,
                                .decay_beta = 0.8f,
                                .low_threshold = 0.4f,
                                .expected_tpf = 8,
                                .maximum_unroll = 4,
                                .threshold_back = 0.9f,
                                .editing_threshold = 0.5f,
                                .max_post_steps = 16,
                                .num_to_transfer = 1,
                                .t_min = 0.4f,
                                .t_max = 0.8f,
                                .stability_threshold = 1,
                                .confidence_threshold = 0.005f,
                                .expand_budget = -1,
                                .number_transfer_tokens = 1};
}

static bool is_finite(float x) { return x >= -FLT_MAX && x <= FLT_MAX; }

static bool finite_from_zero(float x) { return x >= 0 && x <= FLT_MAX; }
static bool usable_temperature(float x) { return x == 0 || x >= MIN_TEMPERATURE; }
static bool probability(float x) { return x >= 0 && x <= 1; }
/* Beyond these, float32 levels keep too few digits. */
static bool usable_shift(float x) { return x == 0 || (x >= 1e-3f && x <= 1e3f); }
static bool between_zero_and_one(float x) { return x > 0 && x < 1; }

#define FIELD(name) #name, offsetof(dimple_decoding, name)

/* One line a setting. */
static const struct {
  const char *name;
  size_t offset;
  int32_t low, high;
} integers[] = {{FIELD(pipeline), 0, PIPELINE_COUNT - 1},
                {FIELD(algorithm), 0, ALGORITHM_COUNT - 1},
                {FIELD(steps), 1, MAX_STEPS},
                {FIELD(top_k), 0, INT32_MAX},
                {FIELD(original_confidence), 0, 1},
                {FIELD(block_length), 0, INT32_MAX},
                {FIELD(cache), DIMPLE_CACHE_MODEL, DIMPLE_CACHE_DUAL},
                {FIELD(complete), 0, 1},
                {FIELD(no_eos_logits), 0, 1},
                {FIELD(no_eos_confidence), 0, 1},
                {FIELD(allowed_confidence), 0, 1},
                {FIELD(no_mask_logits), 0, 1},
                {FIELD(order), DIMPLE_ORDER_ENTROPY, DIMPLE_ORDER_MARGIN},
                {FIELD(kl_history), 1, 64},
                {FIELD(unmask), DIMPLE_UNMASK_ALL, DIMPLE_UNMASK_MIN_KL},
                {FIELD(expected_tpf), 1, INT32_MAX},
                {FIELD(maximum_unroll), 1, INT32_MAX},
                {FIELD(sub_block_length), 0, INT32_MAX},
                {FIELD(block_cache), 0, 1},
                {FIELD(fill_last_block), 0, 1},
                {FIELD(max_post_steps), 0, INT32_MAX},
                {FIELD(num_to_transfer), 1, INT32_MAX},
                {FIELD(eos_early_stop), 0, 1},
                {FIELD(stability_threshold), 0, 64},
                {FIELD(grow_to), 0, INT32_MAX},
                {FIELD(expand_budget), -1, INT32_MAX},
                {FIELD(number_transfer_tokens), 1, INT32_MAX},
                {FIELD(pad_delete_to_right), 0, 1},
                {FIELD(tail_repeats), 0, INT32_MAX}};

static const struct {
  const char *name;
  size_t offset;
  bool (*fits)(float x); /* false for NaN */
  const char *expected;
} numbers[] = {{FIELD(threshold), finite_from_zero, "a finite number >= 0"},
               {FIELD(temperature), finite_from_zero, "a finite number >= 0"},
               {FIELD(algorithm_temperature), finite_from_zero, "a finite number >= 0"},
               {FIELD(temperature), usable_temperature, "0 (the most likely token) or at least 1e-06"},
               {FIELD(top_p), probability, "0 .. 1"},
               {FIELD(epsilon), between_zero_and_one, "more than 0 and less than 1"},
               {FIELD(factor), finite_from_zero, "a finite number >= 0"},
               {FIELD(guidance_scale), finite_from_zero, "a finite number >= 0"},
               {FIELD(gamma), finite_from_zero, "a finite number >= 0"},
               {FIELD(kl_threshold), finite_from_zero, "a finite number >= 0"},
               {FIELD(credit_alpha), finite_from_zero, "a finite number >= 0"},
               {FIELD(boost_gamma), finite_from_zero, "a finite number >= 0"},
               {FIELD(decay_beta), probability, "0 .. 1"},
               {FIELD(low_threshold), probability, "0 .. 1"},
               {FIELD(threshold_back), probability, "0 .. 1"},
               {FIELD(editing_threshold), probability, "0 .. 1"},
               {FIELD(t_min), finite_from_zero, "a finite number >= 0"},
               {FIELD(t_max), finite_from_zero, "a finite number >= 0"},
               {FIELD(t_min), usable_temperature, "0 (with t_max 0) or at least 1e-06"},
               {FIELD(t_max), usable_temperature, "0 (with t_min 0) or at least 1e-06"},
               {FIELD(confidence_threshold), finite_from_zero, "a finite number >= 0"},
               {FIELD(eos_penalty), is_finite, "a finite number"},
               {FIELD(schedule_shift), usable_shift, "0 (quotas) or 0.001 .. 1000"}};

static dimple_status check_integers(const dimple_decoding *d) {
  for (size_t i = 0; i < sizeof integers / sizeof integers[0]; i++) {
    int32_t value = *(const int32_t *)((const char *)d + integers[i].offset);
    if (value >= integers[i].low && value <= integers[i].high) continue;
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "decoding: %s is %d, expected %d .. %d", integers[i].name, value,
                       integers[i].low, integers[i].high);
  }
  return DIMPLE_OK;
}

static dimple_status check_numbers(const dimple_decoding *d) {
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    float value = *(const float *)((const char *)d + numbers[i].offset);
    if (numbers[i].fits(value)) continue;
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "decoding: %s is %g, expected %s", numbers[i].name, (double)value,
                       numbers[i].expected);
  }
  return DIMPLE_OK;
}

/* Not every pipeline offers every algorithm. */
static dimple_status check_combination(const dimple_decoding *d) {
  const algorithm *a = algorithm_of(d);
  if (a->choose[d->pipeline]) return DIMPLE_OK;
  char offered[PIPELINE_COUNT * (MAX_NAME + 4)] = "";
  size_t length = 0;
  for (int32_t i = 0; i < PIPELINE_COUNT && length < sizeof offered; i++)
    if (a->choose[i]) length += (size_t)snprintf(offered + length, sizeof offered - length, "%s%s", length > 0 ? " or " : "", pipelines[i]->name);
  return dimple_fail(DIMPLE_ERROR_ARGUMENT, "decoding: algorithm is %s (%d) with pipeline %s, expected pipeline %s", a->name, d->algorithm,
                     pipelines[d->pipeline]->name, offered);
}

static dimple_status refuse_with_pipeline(const dimple_decoding *d, const char *setting) {
  return dimple_fail(DIMPLE_ERROR_ARGUMENT, "decoding: %s does not go with pipeline %s", setting, pipelines[d->pipeline]->name);
}

/* Settings of one pipeline. */
static dimple_status check_owned(const dimple_decoding *d) {
  dimple_decoding usual;
  dimple_decoding_defaults(&usual);
  const struct {
    const char *name;
    bool set;
    int32_t owner;
  } owned[] = {{"sub_block_length", d->sub_block_length > 0, DIMPLE_PIPELINE_FAST_DLLM_V2},
               {"block_cache", d->block_cache != 0, DIMPLE_PIPELINE_FAST_DLLM_V2},
               {"fill_last_block", d->fill_last_block != 0, DIMPLE_PIPELINE_FAST_DLLM_V2},
               {"eos_early_stop", d->eos_early_stop != 0, DIMPLE_PIPELINE_LLADA2},
               {"t_min", d->t_min != usual.t_min, DIMPLE_PIPELINE_DIFFUSION_GEMMA},
               {"t_max", d->t_max != usual.t_max, DIMPLE_PIPELINE_DIFFUSION_GEMMA},
               {"stability_threshold", d->stability_threshold != usual.stability_threshold, DIMPLE_PIPELINE_DIFFUSION_GEMMA},
               {"confidence_threshold", d->confidence_threshold != usual.confidence_threshold, DIMPLE_PIPELINE_DIFFUSION_GEMMA},
               {"eos_penalty", d->eos_penalty != 0, DIMPLE_PIPELINE_DREAM},
               {"grow_to", d->grow_to > 0, DIMPLE_PIPELINE_DREAMON},
               {"expand_budget", d->expand_budget != usual.expand_budget, DIMPLE_PIPELINE_DREAMON},
               {"number_transfer_tokens", d->number_transfer_tokens != usual.number_transfer_tokens, DIMPLE_PIPELINE_DREAMON},
               {"pad_delete_to_right", d->pad_delete_to_right != 0, DIMPLE_PIPELINE_DREAMON},
               {"tail_repeats", d->tail_repeats != 0, DIMPLE_PIPELINE_SDAR},
               {"schedule_shift", d->schedule_shift != 0 && d->pipeline != DIMPLE_PIPELINE_LAVIDA_DREAM, DIMPLE_PIPELINE_LAVIDA}};
  for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++)
    if (owned[i].set && d->pipeline != owned[i].owner) return refuse_with_pipeline(d, owned[i].name);
  return DIMPLE_OK;
}

/* Settings that say nothing to the pipeline are refused, so that none is overlooked. */
static dimple_status check_pipeline(const dimple_decoding *d) {
  bool likeliest = pipelines[d->pipeline]->loop || pipelines[d->pipeline]->editor; /* or by a temperature of its own */
  const struct {
    const char *name;
    bool set;
  } own[] = {{"factor", d->factor > 0},
             {"guidance_scale", d->guidance_scale > 0 && d->pipeline != DIMPLE_PIPELINE_MDLM && d->pipeline != DIMPLE_PIPELINE_LLADA_V},
             {"no_eos_logits", d->no_eos_logits != 0},
             {"no_eos_confidence", d->no_eos_confidence != 0},
             {"no_mask_logits", d->no_mask_logits != 0},
             {"block_length", d->block_length > 0 && pipelines[d->pipeline]->whole},
             {"temperature", d->temperature > 0 && likeliest},
             {"algorithm_temperature", d->algorithm_temperature > 0 && pipelines[d->pipeline]->loop},
             {"top_k", d->top_k > 0 && likeliest},
             {"top_p", d->top_p < 1 && likeliest},
             {"cache", d->cache > DIMPLE_CACHE_NONE && d->pipeline != DIMPLE_PIPELINE_DREAM}};
  for (size_t i = 0; i < sizeof own / sizeof own[0] && d->pipeline != DIMPLE_PIPELINE_LLADA; i++)
    if (own[i].set) return refuse_with_pipeline(d, own[i].name);
  DIMPLE_TRY(check_owned(d));
  if (pipelines[d->pipeline]->loop && (d->t_min == 0) != (d->t_max == 0))
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "decoding: t_min is %g and t_max %g, expected both 0 or none of them", (double)d->t_min, (double)d->t_max);
  /* The second pass runs over everything and leaves nothing that a later one could see. */
  if (d->guidance_scale > 0 && d->cache > DIMPLE_CACHE_NONE)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "decoding: guidance_scale does not go with a cache");
  if (d->factor > 0 && algorithm_of(d)->decides)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "decoding: factor does not go with algorithm %s, which decides how many",
                       algorithm_of(d)->name);
  if (algorithm_of(d)->whole && d->cache > DIMPLE_CACHE_NONE)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "decoding: a cache does not go with algorithm %s", algorithm_of(d)->name);
  if (d->eos_penalty != 0 && d->cache > DIMPLE_CACHE_NONE)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "decoding: eos_penalty does not go with a cache");
  if (d->eos_penalty != 0 && d->algorithm == DIMPLE_ALGORITHM_KLASS)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "decoding: eos_penalty does not go with algorithm klass");
  if (d->algorithm == DIMPLE_ALGORITHM_KLASS && d->pipeline == DIMPLE_PIPELINE_DREAM && d->block_length > 0)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "decoding: block_length does not go with algorithm klass in pipeline dream");
  return DIMPLE_OK;
}

dimple_status decoding_check_filled(const dimple_decoding *asked, const dimple_decoding *filled) {
  if (filled->pipeline == DIMPLE_PIPELINE_FAST_DLLM_V2 && filled->sub_block_length > 0 && filled->block_length % filled->sub_block_length != 0)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "decoding: sub_block_length is %d, expected a divisor of block_length, %d", filled->sub_block_length,
                       filled->block_length);
  bool in_blocks = asked->block_length > 0 || asked->algorithm == DIMPLE_ALGORITHM_CONFIDENCE_THRESHOLD;
  if (asked->pipeline != DIMPLE_PIPELINE_DREAM || !in_blocks || decoding_is_cached(filled)) return DIMPLE_OK;
  return dimple_fail(DIMPLE_ERROR_ARGUMENT, "decoding: pipeline dream with %s takes cache prefix or dual",
                     asked->block_length > 0 ? "block_length" : "algorithm confidence_threshold");
}

dimple_status dimple_decoding_validate(const dimple_decoding *decoding) {
  if (!decoding) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "decoding is null");
  DIMPLE_TRY(check_integers(decoding));
  DIMPLE_TRY(check_numbers(decoding));
  DIMPLE_TRY(check_combination(decoding));
  DIMPLE_TRY(check_pipeline(decoding));
  DIMPLE_TRY(decoding_check_heeded(decoding));
  return decoding->cache == DIMPLE_CACHE_MODEL ? DIMPLE_OK : decoding_check_filled(decoding, decoding);
}
