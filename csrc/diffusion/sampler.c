#include "diffusion/sampler.h"

#include <stdlib.h>

#include "diffusion/pipeline.h"
#include "error.h"

bool sampler_chooses_positions_first(const dimple_decoding *d) {
  return algorithm_of(d)->positions_first[d->pipeline];
}

static int order_indices(const void *a, const void *b) {
  int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
  return (x > y) - (x < y);
}

dimple_status sampler_choose(const sampler_step *step, const candidate *candidates, int32_t *chosen, int32_t *chosen_count) {
  choice c = {step, candidates, chosen, 0};
  if (step->masked > 0) DIMPLE_TRY(pipeline_of(step->decoding)->choose(&c, algorithm_of(step->decoding)));
  qsort(chosen, (size_t)c.count, sizeof *chosen, order_indices);
  *chosen_count = c.count;
  return DIMPLE_OK;
}
