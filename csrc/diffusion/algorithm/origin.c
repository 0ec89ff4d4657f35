/* Positions at random, whatever the model thinks of them: `origin` reveals a random subset, `origin-ratio` each position by its own
 * chance. In pipelines dream and lavida-dream, origin is what dim calls origin-ratio. */
#include "diffusion/algorithm.h"
#include "error.h"

/* A position's place in a random order. */
static double permutation_key(const choice *c, int32_t index) { return -(double)choice_word(c, index, DRAW_PERMUTATION); }

static dimple_status choose_subset(choice *c, quota due) {
  if (due.count == 0) return DIMPLE_OK;
  if (c->step->recorded) return choice_recorded(c, DIMPLE_DRAW_PERMUTATION, c->step->masked, due.count);
  return choice_highest(c, due.count, permutation_key);
}

static dimple_status choose_each(choice *c, quota due) {
  const sampler_step *step = c->step;
  const double *uniform = NULL;
  if (step->recorded) DIMPLE_TRY(replay_next(step->recorded, DIMPLE_DRAW_UNIFORM, step->masked, &uniform));
  for (int32_t i = 0; i < step->masked; i++) {
    double u = uniform ? uniform[i]
                       : draw_uniform(step->decoding->seed, (uint32_t)step->iteration, (uint32_t)step->positions[i],
                                      DRAW_UNIFORM, 0);
    if (u < due.share) choice_add(c, i);
  }
  return DIMPLE_OK;
}

const algorithm algorithm_origin = {
    .name = "origin",
    .confidence = &confidence_probability,
    .choose = {[DIMPLE_PIPELINE_DIM] = choose_subset, [DIMPLE_PIPELINE_DREAM] = choose_each, [DIMPLE_PIPELINE_LLADA] = choose_subset,
               [DIMPLE_PIPELINE_STABLE_DIFFCODER] = choose_subset, [DIMPLE_PIPELINE_LLADA_V] = choose_subset,
               [DIMPLE_PIPELINE_LAVIDA] = choose_subset, [DIMPLE_PIPELINE_LAVIDA_DREAM] = choose_each},
    .positions_first = {[DIMPLE_PIPELINE_DREAM] = true, [DIMPLE_PIPELINE_LAVIDA_DREAM] = true}};

const algorithm algorithm_origin_ratio = {
    .name = "origin-ratio",
    .confidence = &confidence_probability,
    .choose = {[DIMPLE_PIPELINE_DIM] = choose_each}};
