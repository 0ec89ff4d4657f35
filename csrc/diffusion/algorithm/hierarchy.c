/*
 * dInfer's hierarchical decoding: masks next to each other form a run, and of each run the surest position goes if it is above
 * low_threshold, so that long runs are cut into shorter ones; with them every position above the threshold, and the surest of all
 * (python/dinfer/decoding/parallel_strategy.py).
 */
#include "diffusion/algorithm.h"

static dimple_status choose(choice *c, quota due) {
  (void)due;
  const sampler_step *step = c->step;
  const dimple_decoding *d = step->decoding;
  int32_t surest = choice_best(c);
  for (int32_t first = 0, end; first < step->masked; first = end) {
    int32_t top = first;
    for (end = first + 1; end < step->masked && step->positions[end] == step->positions[end - 1] + 1; end++)
      if (c->candidates[end].confidence > c->candidates[top].confidence) top = end;
    for (int32_t i = first; i < end; i++) {
      float confidence = c->candidates[i].confidence;
      if (i == surest || confidence > d->threshold || (i == top && confidence > d->low_threshold)) choice_add(c, i);
    }
  }
  return DIMPLE_OK;
}

const algorithm algorithm_hierarchy = {
    .name = "hierarchy",
    .confidence = &confidence_probability,
    .decides = true,
    .ends = true,
    .choose = {[DIMPLE_PIPELINE_LLADA] = choose},
    .judges_threshold = {[DIMPLE_PIPELINE_LLADA] = true}};
