/*
 * LaViDa's decoding on Dream (arXiv 2505.16839; dream/generation_utils.py with prefix_lm): Dream's schedule, or a shifted one, in passes over the
 * response alone. The prompt does not see it, so that its keys and values are computed once, and exactly; its last row gives the response's first
 * token, the likeliest whatever the temperature, in an iteration before those of the schedule. More steps than the response has positions, or, of a
 * shifted schedule, masks, are as many as these.
 *
 * As in Dream's pipeline a position may be revealed as the mask, and stays masked, but not in the last step. Where that is the first token, the authors'
 * code goes on to score its position by its own row, here the prompt's last row does. With a share of the steps and no shifted schedule their code stops
 * on the way and reveals all that is left in its last step; here the schedule is that of the steps that are asked for, as where they are asked for by
 * number.
 */
#include "diffusion/pipeline.h"
#include "diffusion/schedule.h"

static int32_t least(int32_t a, int32_t b) { return a < b ? a : b; }

/* Whether the first iteration is for the first position. */
static bool opens(const canvas *c) { return c->initial[0] == c->mask_token; }

static void plan_first(block_plan *out) {
  out->scope = (pass_scope){.kind = SCOPE_PART, .first = -1, .end = 0};
  out->count = out->due = 1;
  out->likeliest = true;
}

/* What Dream's schedule wants of the masked positions. */
static void plan_level(const blocks *b, int32_t step, block_plan *out) {
  out->due = out->count;
  out->share = 1;
  if (step >= b->steps - 1) return;
  float from = schedule_level(b->steps, b->decoding->epsilon, step), to = schedule_level(b->steps, b->decoding->epsilon, step + 1);
  out->due = schedule_count(out->count, from, to);
  out->share = 1 - to / from;
}

static void plan_shifted(const blocks *b, int32_t masks, int32_t step, block_plan *out) {
  int32_t steps = least(b->steps, masks), due = step < steps ? schedule_shifted(masks, steps, b->decoding->schedule_shift, step) : 1;
  out->due = least(due, out->count);
  out->share = 1;
}

static void plan(const blocks *b, const canvas *c, block_plan *out) {
  bool opened = opens(c);
  if (opened && b->iteration == 0) {
    plan_first(out);
    return;
  }
  bool left = c->masked_count > 0 && c->masked[0] == 0; /* the first position may stay masked: then its row is run, too */
  out->scope = (pass_scope){.kind = SCOPE_PART, .first = left ? -1 : 0, .end = b->response};
  if (b->decoding->schedule_shift > 0)
    plan_shifted(b, b->masked - opened, b->iteration - opened, out);
  else
    plan_level(b, b->iteration - opened, out);
}

static dimple_status choose(choice *c, const algorithm *a) {
  const sampler_step *step = c->step;
  if (!step->likeliest) return a->choose[DIMPLE_PIPELINE_LAVIDA_DREAM](c, (quota){step->due, step->share});
  choice_add(c, 0); /* the first position, and nothing is drawn */
  return DIMPLE_OK;
}

static bool over(blocks *b, const canvas *c) { return blocks_open(b, c) == 0; }

static const block_rules rules = {.need = blocks_need_prompt, .plan = plan, .over = over, .leaves = true};

const pipeline pipeline_lavida_dream = {.name = "lavida-dream",
                                        .has_levels = true,
                                        .reveals_mask = true,
                                        .needs_shift = true,
                                        .whole = true,
                                        .choose = choose,
                                        .blocks = &rules,
                                        .sight = SIGHT_PROMPT_APART};
