/* What SDAR's authors call strategies of remasking: the positions of low confidence are those that stay masked (generate.py). */
#include "diffusion/algorithm.h"

static dimple_status choose_leftmost(choice *c, quota due) {
  for (int32_t i = 0; i < due.count; i++) choice_add(c, i);
  return DIMPLE_OK;
}

static dimple_status choose_best(choice *c, quota due) { return due.count == 0 ? DIMPLE_OK : choice_highest(c, due.count, choice_confidence); }

/* All above the threshold, if they are as many as are due. */
static dimple_status choose_above(choice *c, quota due) {
  for (int32_t i = 0; i < c->step->masked; i++)
    if (c->candidates[i].confidence > c->step->decoding->threshold) choice_add(c, i);
  if (c->count >= due.count) return DIMPLE_OK;
  c->count = 0;
  return choose_best(c, due);
}

const algorithm algorithm_sequential = {
    .name = "sequential", .confidence = &confidence_probability, .choose = {[DIMPLE_PIPELINE_SDAR] = choose_leftmost}};
const algorithm algorithm_low_confidence_static = {
    .name = "low_confidence_static",
    .confidence = &confidence_probability,
    .choose = {[DIMPLE_PIPELINE_MDLM] = choose_best, [DIMPLE_PIPELINE_BD3LM] = choose_best, [DIMPLE_PIPELINE_SDAR] = choose_best}};
const algorithm algorithm_low_confidence_dynamic = {
    .name = "low_confidence_dynamic", .confidence = &confidence_probability, .choose = {[DIMPLE_PIPELINE_SDAR] = choose_above}};
