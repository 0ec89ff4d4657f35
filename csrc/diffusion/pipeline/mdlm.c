/* MDLM's sampler as dLLM has it (dllm/core/samplers/mdlm.py): block after block, each by a schedule of its own; every pass runs over
 * everything, and nothing ends at an end-of-text token. */
#include "diffusion/pipeline.h"
#include "diffusion/schedule.h"

static dimple_status choose(choice *c, const algorithm *a) { return a->choose[DIMPLE_PIPELINE_MDLM](c, (quota){c->step->due, 1.0f}); }

static pass_need need(const dimple_decoding *d) {
  (void)d;
  return NEED_NOTHING;
}

/* The pass is over everything, as it is. */
static void plan(const blocks *b, const canvas *c, block_plan *out) {
  int32_t due = schedule_expected(b->masked, b->steps, b->iteration);
  out->from = 0;
  out->count = blocks_masked_before(c, b->end);
  out->due = due < out->count ? due : out->count;
}

static bool over(blocks *b, const canvas *c) { return blocks_open(b, c) == 0; }

static const block_rules rules = {.need = need, .plan = plan, .over = over, .steps = blocks_divided_steps};

const pipeline pipeline_mdlm = {.name = "mdlm", .judges_original = true, .choose = choose, .blocks = &rules};
