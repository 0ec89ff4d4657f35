/* Dimple's pipeline: confident decoding first (paper section 4.1), then a schedule that starts from what is still masked. */
#include "diffusion/pipeline.h"
#include "diffusion/schedule.h"

/* Every position above the threshold; in the last iteration everything. */
static void choose_above_threshold(choice *c) {
  const sampler_step *step = c->step;
  bool last = step_scheduled(step) == step->decoding->steps - 1;
  for (int32_t i = 0; i < step->masked; i++) {
    if (last || c->candidates[i].confidence > step->decoding->threshold) choice_add(c, i);
  }
}

static quota scheduled(const sampler_step *step) {
  int32_t steps = step->decoding->steps;
  float from, to;
  int32_t count = schedule_dim(step->masked, step->total, step_scheduled(step), step->levels, steps, &from, &to);
  return (quota){count, to <= step->levels[steps] ? 1.0f : 1.0f - to / from};
}

static dimple_status choose(choice *c, const algorithm *a) {
  if (c->step->decoding->threshold > 0) choose_above_threshold(c);
  if (c->count > 0) return DIMPLE_OK;
  return a->choose[DIMPLE_PIPELINE_DIM](c, scheduled(c->step));
}

static bool done(int32_t remaining) { return remaining == 0; }

const pipeline pipeline_dim = {.name = "dim", .whole = true, .judges_original = true, .judges_threshold = true, .has_levels = true, .reveals_mask = true, .choose = choose, .done = done};
