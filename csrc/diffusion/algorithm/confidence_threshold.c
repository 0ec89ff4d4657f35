/* Every position that is sure enough, and the surest one in any case, whatever the schedule wants (Fast-dLLM, arXiv 2505.22618). */
#include "diffusion/algorithm.h"

static dimple_status choose(choice *c, quota due) {
  (void)due;
  choice_from_threshold(c);
  return DIMPLE_OK;
}

const algorithm algorithm_confidence_threshold = {
    .name = "confidence_threshold",
    .confidence = &confidence_probability,
    .own_pace = true,
    .choose = {[DIMPLE_PIPELINE_DREAM] = choose},
    .judges_threshold = {[DIMPLE_PIPELINE_DREAM] = true}};
