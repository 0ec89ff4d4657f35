/* Dream's pipeline: a schedule fixed beforehand, always to its last step. */
#include "diffusion/pipeline.h"
#include "diffusion/schedule.h"

static quota scheduled(const sampler_step *step) {
  int32_t at = step_scheduled(step);
  if (at == step->decoding->steps - 1) return (quota){step->masked, 1.0f};
  float from = step->levels[at], to = step->levels[at + 1];
  return (quota){schedule_count(step->masked, from, to), 1.0f - to / from};
}

static dimple_status choose(choice *c, const algorithm *a) {
  return a->choose[DIMPLE_PIPELINE_DREAM](c, scheduled(c->step));
}

static bool done(int32_t remaining) {
  (void)remaining;
  return false;
}

const pipeline pipeline_dream = {.name = "dream", .judges_original = false, .has_levels = true, .reveals_mask = true, .choose = choose, .done = done};
