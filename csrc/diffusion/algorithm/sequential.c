/* From left to right, as many as the schedule wants (SDAR's generate.py). */
#include "diffusion/algorithm.h"

static dimple_status choose_leftmost(choice *c, quota due) {
  for (int32_t i = 0; i < due.count; i++) choice_add(c, i);
  return DIMPLE_OK;
}

const algorithm algorithm_sequential = {
    .name = "sequential",
    .confidence = &confidence_probability,
    .choose = {[DIMPLE_PIPELINE_SDAR] = choose_leftmost, [DIMPLE_PIPELINE_FAST_DLLM_V2] = choose_leftmost}};
