/*
 * EB-Sampler (arXiv 2505.24857): of the positions in order of sureness the longest beginning whose entropies, less the largest of them, add
 * up to at most gamma. That sum bounds how far revealing them together is from revealing them one after the other. The first always goes.
 */
#include "allocate.h"
#include "diffusion/algorithm.h"

static dimple_status choose(choice *c, quota due) {
  (void)due;
  int32_t *order;
  DIMPLE_TRY(choice_order(c, choice_confidence, &order));
  double sum = 0, largest = 0, gamma = c->step->decoding->gamma;
  for (int32_t i = 0; i < c->step->masked; i++) {
    double entropy = c->candidates[order[i]].entropy;
    sum += entropy;
    if (entropy > largest) largest = entropy;
    if (i > 0 && sum - largest > gamma) break;
    choice_add(c, order[i]);
  }
  free(order);
  return DIMPLE_OK;
}

const algorithm algorithm_entropy_bound = {
    .name = "entropy_bound",
    .confidence = &confidence_entropy,
    .decides = true,
    .bounded = true,
    .choose = {[DIMPLE_PIPELINE_LLADA] = choose, [DIMPLE_PIPELINE_DIFFUSION_GEMMA] = choose, [DIMPLE_PIPELINE_RND1] = choose}};
