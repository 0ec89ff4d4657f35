/*
 * RND1's decoding (rnd/sampling.py): every pass runs over everything, and after each the positions of the highest entropies stay masked, as many as
 * are left by a schedule that counts from all masks; the last iteration reveals what is left. Steps at which nothing is due are passes all the same.
 *
 * The authors' function divides logits by the temperature even where it takes the best tokens, so that at temperature 0 all entropies are 0; here
 * temperature 0 is their greedy decoding at temperature 1.
 */
#include "diffusion/pipeline.h"
#include "diffusion/schedule.h"

static dimple_status choose(choice *c, const algorithm *a) {
  const sampler_step *step = c->step;
  int32_t due = step->masked - schedule_left(step->total, step->decoding->steps, step_scheduled(step));
  if (step->iteration < step->decoding->steps - 1) return a->choose[DIMPLE_PIPELINE_RND1](c, (quota){due > 0 ? due : 0, 1.0f});
  for (int32_t i = 0; i < step->masked; i++) choice_add(c, i);
  return DIMPLE_OK;
}

static bool done(int32_t remaining) { return remaining == 0; }

const pipeline pipeline_rnd1 = {.name = "rnd1", .whole = true, .judges_original = true, .top_k_first = true, .choose = choose, .done = done};
