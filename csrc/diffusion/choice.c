#include "diffusion/choice.h"

#include <stdlib.h>

#include "diffusion/selection.h"
#include "error.h"

uint32_t choice_word(const choice *c, int32_t index, draw_purpose purpose) {
  const sampler_step *step = c->step;
  return draw_word(step->decoding->seed, (uint32_t)step->iteration, (uint32_t)step->positions[index], purpose, 0);
}

dimple_status choice_highest(choice *c, int32_t count, double (*key)(const choice *c, int32_t index)) {
  int32_t masked = c->step->masked;
  ranked *items = malloc((size_t)masked * sizeof *items);
  if (!items) return dimple_fail_memory((uint64_t)masked * sizeof *items, "ranking the masked positions");
  for (int32_t i = 0; i < masked; i++) items[i] = (ranked){key(c, i), 1, i};
  ranked last = selection_last(items, masked, count - 1);
  for (int32_t i = 0; i < masked; i++) {
    if (!selection_before(&last, &items[i])) choice_add(c, items[i].index);
  }
  free(items);
  return DIMPLE_OK;
}

dimple_status choice_recorded(choice *c, int32_t kind, int32_t length, int32_t count) {
  const sampler_step *step = c->step;
  const double *indices;
  DIMPLE_TRY(replay_next(step->recorded, kind, length, &indices));
  for (int32_t i = 0; i < count; i++) {
    if (indices[i] >= step->masked) {
      return dimple_fail(DIMPLE_ERROR_STATE, "recorded draws: record %d holds index %.0f, but only %d positions are masked",
                         replay_position(step->recorded) - 1, indices[i], step->masked);
    }
    choice_add(c, (int32_t)indices[i]);
  }
  return DIMPLE_OK;
}
