#include "diffusion/choice.h"

#include "allocate.h"
#include "diffusion/selection.h"
#include "error.h"

uint32_t choice_word(const choice *c, int32_t index, draw_purpose purpose) {
  const sampler_step *step = c->step;
  return draw_word(step->decoding->seed, (uint32_t)step->iteration, (uint32_t)step->positions[index], purpose, 0);
}

double choice_confidence(const choice *c, int32_t index) { return c->candidates[index].confidence; }

int32_t choice_best(const choice *c) {
  int32_t best = 0;
  for (int32_t i = 1; i < c->step->masked; i++)
    if (c->candidates[i].confidence > c->candidates[best].confidence) best = i;
  return best;
}

void choice_from_threshold(choice *c) {
  float threshold = c->step->decoding->threshold;
  int32_t best = choice_best(c);
  for (int32_t i = 0; i < c->step->masked; i++)
    if (i == best || c->candidates[i].confidence >= threshold) choice_add(c, i);
}

static dimple_status keyed(const choice *c, double (*key)(const choice *c, int32_t index), ranked **items) {
  int32_t masked = c->step->masked;
  ALLOCATE(*items, masked, "ranking the masked positions");
  for (int32_t i = 0; i < masked; i++) (*items)[i] = (ranked){key(c, i), 1, i};
  return DIMPLE_OK;
}

static int by_rank(const void *a, const void *b) {
  const ranked *x = a, *y = b;
  return selection_before(x, y) ? -1 : selection_before(y, x);
}

dimple_status choice_order(const choice *c, double (*key)(const choice *c, int32_t index), int32_t **order) {
  int32_t masked = c->step->masked;
  ranked *items;
  int32_t *indices;
  ALLOCATE(indices, masked, "the order of the masked positions");
  dimple_status status = keyed(c, key, &items);
  if (status != DIMPLE_OK) {
    free(indices);
    return status;
  }
  qsort(items, (size_t)masked, sizeof *items, by_rank);
  for (int32_t i = 0; i < masked; i++) indices[i] = items[i].index;
  free(items);
  *order = indices;
  return DIMPLE_OK;
}

dimple_status choice_highest(choice *c, int32_t count, double (*key)(const choice *c, int32_t index)) {
  int32_t masked = c->step->masked;
  ranked *items;
  DIMPLE_TRY(keyed(c, key, &items));
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
