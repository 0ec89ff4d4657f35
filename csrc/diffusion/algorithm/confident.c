/* The positions the model is surest of, or, at an algorithm temperature above 0, a draw of positions in which surer ones are likelier.
 * The three algorithms differ in what they call sure. Of LLaDA's pipeline entropy is turned round: the only code of that kind, KLASS's
 * (llada_klass.py, alg "entropy"), takes the most uncertain positions first. */
#include <math.h>

#include "diffusion/algorithm.h"

/* What positions are ranked by. */
static double rank(const choice *c, int32_t index) {
  const dimple_decoding *d = c->step->decoding;
  double confidence = c->candidates[index].confidence;
  return d->pipeline == DIMPLE_PIPELINE_LLADA && d->algorithm == DIMPLE_ALGORITHM_ENTROPY ? -confidence : confidence;
}

/* Gumbel noise on the log weights, and then the highest keys: the same distribution as drawing one position after the other
 * without replacement, with weights softmax(confidence / algorithm temperature) (Gumbel-top-k). */
static double subset_key(const choice *c, int32_t index) {
  double u = ((double)choice_word(c, index, DRAW_SUBSET) + 0.5) * 0x1p-32;
  return rank(c, index) / (double)c->step->decoding->algorithm_temperature - log(-log(u));
}

static dimple_status choose_confident(choice *c, quota due) {
  if (due.count == 0) return DIMPLE_OK;
  if (c->step->decoding->algorithm_temperature == 0) return choice_highest(c, due.count, rank);
  if (c->step->recorded) return choice_recorded(c, DIMPLE_DRAW_SUBSET, due.count, due.count);
  return choice_highest(c, due.count, subset_key);
}

/* All above the threshold, if they are as many as are due (SDAR's low_confidence_dynamic). */
static dimple_status choose_above(choice *c, quota due) {
  for (int32_t i = 0; i < c->step->masked; i++)
    if (c->candidates[i].confidence > c->step->decoding->threshold) choice_add(c, i);
  if (c->count >= due.count) return DIMPLE_OK;
  c->count = 0;
  return choose_confident(c, due);
}

/* Stable-DiffCoder: whatever is due, all of at least the threshold, and the best. */
static dimple_status choose_at_least(choice *c, quota due) {
  (void)due;
  choice_from_threshold(c);
  return DIMPLE_OK;
}

/* The same as SDAR's where there is a threshold. */
static dimple_status choose_above_if_asked(choice *c, quota due) {
  return c->step->decoding->threshold > 0 ? choose_above(c, due) : choose_confident(c, due);
}

/* What the three have in common. */
#define CONFIDENT                                                                                                                   \
  .draws = true,                                                                                                                    \
  .choose = {[DIMPLE_PIPELINE_DIM] = choose_confident,  [DIMPLE_PIPELINE_DREAM] = choose_confident,                                 \
             [DIMPLE_PIPELINE_LLADA] = choose_confident, [DIMPLE_PIPELINE_MDLM] = choose_confident,                                 \
             [DIMPLE_PIPELINE_BD3LM] = choose_confident, [DIMPLE_PIPELINE_SDAR] = choose_above_if_asked,                            \
             [DIMPLE_PIPELINE_FAST_DLLM_V2] = choose_above_if_asked, [DIMPLE_PIPELINE_LLADA2] = choose_above_if_asked,              \
             [DIMPLE_PIPELINE_RND1] = choose_confident, [DIMPLE_PIPELINE_STABLE_DIFFCODER] = choose_confident,                      \
             [DIMPLE_PIPELINE_DREAMON] = choose_confident, [DIMPLE_PIPELINE_LLADA_V] = choose_confident,                            \
             [DIMPLE_PIPELINE_LAVIDA] = choose_confident, [DIMPLE_PIPELINE_LAVIDA_DREAM] = choose_confident},                       \
  .judges_threshold = {[DIMPLE_PIPELINE_SDAR] = true, [DIMPLE_PIPELINE_FAST_DLLM_V2] = true, [DIMPLE_PIPELINE_LLADA2] = true}

const algorithm algorithm_maskgit_plus = {.name = "maskgit_plus", .confidence = &confidence_probability, CONFIDENT};
const algorithm algorithm_topk_margin = {.name = "topk_margin", .confidence = &confidence_margin, CONFIDENT};
const algorithm algorithm_entropy = {.name = "entropy", .confidence = &confidence_entropy, CONFIDENT};

/* The same by SDAR's names: what stays masked are the positions of low confidence. */
const algorithm algorithm_low_confidence_static = {
    .name = "low_confidence_static",
    .confidence = &confidence_probability,
    .draws = true,
    .choose = {[DIMPLE_PIPELINE_MDLM] = choose_confident, [DIMPLE_PIPELINE_BD3LM] = choose_confident, [DIMPLE_PIPELINE_SDAR] = choose_confident,
               [DIMPLE_PIPELINE_FAST_DLLM_V2] = choose_confident, [DIMPLE_PIPELINE_LLADA2] = choose_confident,
               [DIMPLE_PIPELINE_STABLE_DIFFCODER] = choose_confident}};
const algorithm algorithm_low_confidence_dynamic = {
    .name = "low_confidence_dynamic",
    .confidence = &confidence_probability,
    .draws = true,
    .choose = {[DIMPLE_PIPELINE_SDAR] = choose_above, [DIMPLE_PIPELINE_FAST_DLLM_V2] = choose_above, [DIMPLE_PIPELINE_LLADA2] = choose_above,
               [DIMPLE_PIPELINE_STABLE_DIFFCODER] = choose_at_least},
    .judges_threshold = {[DIMPLE_PIPELINE_SDAR] = true, [DIMPLE_PIPELINE_FAST_DLLM_V2] = true, [DIMPLE_PIPELINE_LLADA2] = true,
                         [DIMPLE_PIPELINE_STABLE_DIFFCODER] = true}};
