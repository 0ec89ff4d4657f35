/* From left to right, one position an iteration, whatever the schedule wants. */
#include "diffusion/algorithm.h"

static dimple_status choose_leftmost(choice *c, quota due) {
  (void)due;
  choice_add(c, 0);
  return DIMPLE_OK;
}

const algorithm algorithm_autoregressive = {
    .name = "autoregressive",
    .confidence = &confidence_probability,
    .own_pace = true,
    .choose = {[DIMPLE_PIPELINE_DIM] = choose_leftmost, [DIMPLE_PIPELINE_DREAM] = choose_leftmost},
    .positions_first = {[DIMPLE_PIPELINE_DREAM] = true}};
