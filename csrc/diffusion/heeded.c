/* Settings that nothing would come of: what pipeline and algorithm do not heed may stand as it does by default, and is refused otherwise. */
#include "diffusion/heeded.h"

#include <stddef.h>
#include <string.h>

#include "diffusion/pipeline.h"
#include "error.h"

/* Off, or the default; and any where the authors' function takes one beside every strategy. */
static bool is_usual_threshold(const dimple_decoding *d) {
  bool with_all = d->pipeline == DIMPLE_PIPELINE_SDAR || d->pipeline == DIMPLE_PIPELINE_FAST_DLLM_V2 || d->pipeline == DIMPLE_PIPELINE_LLADA2;
  return d->threshold == 0 || d->threshold == 0.95f || with_all;
}

static bool heeds_threshold(const dimple_decoding *d) {
  const algorithm *a = algorithm_of(d);
  /* Nothing is above one where entropies, turned round, are the confidences; in pipeline llada the best one goes then. */
  if (confidence_of(d)->high <= 0 && d->pipeline != DIMPLE_PIPELINE_LLADA) return false;
  return a->judges_threshold[d->pipeline] || (pipelines[d->pipeline]->judges_threshold && !a->decides);
}

/* Whether how many positions are revealed follows from the noise levels. */
static bool heeds_epsilon(const dimple_decoding *d) {
  const algorithm *a = algorithm_of(d);
  return pipelines[d->pipeline]->has_levels && !a->decides && !a->own_pace;
}

static dimple_status refuse(const dimple_decoding *d, const char *setting) {
  return dimple_fail(DIMPLE_ERROR_ARGUMENT, "decoding: %s does not go with algorithm %s in pipeline %s", setting, algorithm_of(d)->name,
                     pipelines[d->pipeline]->name);
}

#define FIELD(name) #name, offsetof(dimple_decoding, name)
enum { NONE = -1 };

/* Settings of one algorithm, or of two; all of them of 4 bytes. */
static const struct {
  const char *name;
  size_t offset;
  int32_t algorithm, other;
} own[] = {{FIELD(gamma), DIMPLE_ALGORITHM_ENTROPY_BOUND, NONE},
           {FIELD(order), DIMPLE_ALGORITHM_ENTROPY_BOUND, NONE},
           {FIELD(kl_threshold), DIMPLE_ALGORITHM_KLASS, NONE},
           {FIELD(kl_history), DIMPLE_ALGORITHM_KLASS, NONE},
           {FIELD(unmask), DIMPLE_ALGORITHM_KLASS, NONE},
           {FIELD(credit_alpha), DIMPLE_ALGORITHM_CREDIT, NONE},
           {FIELD(boost_gamma), DIMPLE_ALGORITHM_CREDIT, NONE},
           {FIELD(decay_beta), DIMPLE_ALGORITHM_CREDIT, NONE},
           {FIELD(low_threshold), DIMPLE_ALGORITHM_HIERARCHY, NONE},
           {FIELD(expected_tpf), DIMPLE_ALGORITHM_CREDIT, DIMPLE_ALGORITHM_HIERARCHY},
           {FIELD(maximum_unroll), DIMPLE_ALGORITHM_CREDIT, DIMPLE_ALGORITHM_HIERARCHY},
           {FIELD(threshold_back), DIMPLE_ALGORITHM_WINO, NONE},
           {FIELD(editing_threshold), DIMPLE_ALGORITHM_TOKEN_EDITING, NONE},
           {FIELD(max_post_steps), DIMPLE_ALGORITHM_TOKEN_EDITING, NONE},
           {FIELD(num_to_transfer), DIMPLE_ALGORITHM_TOKEN_EDITING, NONE}};

static dimple_status check_own(const dimple_decoding *d) {
  dimple_decoding defaults;
  dimple_decoding_defaults(&defaults);
  for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
    const char *set = (const char *)d + own[i].offset, *usual = (const char *)&defaults + own[i].offset;
    bool heeded = d->algorithm == own[i].algorithm || d->algorithm == own[i].other;
    if (!heeded && memcmp(set, usual, sizeof(int32_t)) != 0) return refuse(d, own[i].name);
  }
  /* dInfer's groups of iterations are what `complete` leaves out. */
  if (d->complete && (d->expected_tpf != defaults.expected_tpf || d->maximum_unroll != defaults.maximum_unroll))
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "decoding: %s does not go with complete",
                       d->expected_tpf != defaults.expected_tpf ? "expected_tpf" : "maximum_unroll");
  return DIMPLE_OK;
}

dimple_status decoding_check_heeded(const dimple_decoding *d) {
  if (!is_usual_threshold(d) && !heeds_threshold(d)) return refuse(d, "threshold");
  if (!is_usual_threshold(d) && d->factor > 0)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "decoding: threshold does not go with factor, which comes before it");
  if (d->epsilon != 1e-3f && d->schedule_shift != 0 && pipelines[d->pipeline]->has_levels)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "decoding: epsilon does not go with schedule_shift, whose schedule has no noise levels");
  if (d->epsilon != 1e-3f && !heeds_epsilon(d)) return refuse(d, "epsilon");
  /* There each position has its own chance, by noise levels. */
  if (d->schedule_shift != 0 && algorithm_of(d)->positions_first[d->pipeline]) return refuse(d, "schedule_shift");
  if (d->algorithm_temperature > 0 && !algorithm_of(d)->draws) return refuse(d, "algorithm_temperature");
  if (d->algorithm_temperature > 0 && d->pipeline == DIMPLE_PIPELINE_STABLE_DIFFCODER && d->algorithm == DIMPLE_ALGORITHM_LOW_CONFIDENCE_DYNAMIC)
    return refuse(d, "algorithm_temperature");
  /* In pipeline llada either takes all positions that it lets pass, and there is nothing to draw. */
  if (d->algorithm_temperature > 0 && d->pipeline == DIMPLE_PIPELINE_LLADA && (d->threshold > 0 || d->factor > 0))
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "decoding: algorithm_temperature does not go with %s in pipeline llada, unless that is 0",
                       d->factor > 0 ? "factor" : "threshold");
  /* A pipeline with a loop of its own or an editor ranks by what the model gives, the former in one order. */
  if ((pipelines[d->pipeline]->loop || pipelines[d->pipeline]->editor) && !d->original_confidence) return refuse(d, "original_confidence");
  if (pipelines[d->pipeline]->loop && d->order != DIMPLE_ORDER_ENTROPY) return refuse(d, "order");
  return check_own(d);
}
