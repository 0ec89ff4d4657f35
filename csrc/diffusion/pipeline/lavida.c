/*
 * LaViDa's decoding (arXiv 2505.16839; llada/generate.py with prefix_lm): LLaDA's blocks and quotas, or a shifted schedule, in passes over the whole
 * response. The prompt does not see it, so that its keys and values are computed once, and exactly. A block is over when it is full; nothing ends at
 * an end-of-text token. More steps than a block has masks are as many as these.
 */
#include "diffusion/pipeline.h"
#include "diffusion/schedule.h"

static dimple_status choose(choice *c, const algorithm *a) { return a->choose[DIMPLE_PIPELINE_LAVIDA](c, (quota){c->step->due, 1.0f}); }

static int32_t due_of(const blocks *b) {
  int32_t steps = b->steps < b->masked ? b->steps : b->masked;
  if (b->iteration >= steps) return 1;
  float shift = b->decoding->schedule_shift;
  return shift > 0 ? schedule_shifted(b->masked, steps, shift, b->iteration) : schedule_quota(b->masked, steps, b->iteration);
}

static void plan(const blocks *b, const canvas *c, block_plan *out) {
  out->scope = (pass_scope){.kind = SCOPE_PART, .first = -b->shift, .end = b->response};
  out->from = blocks_masked_before(c, b->first);
  out->count = blocks_open(b, c);
  int32_t due = due_of(b);
  out->due = due < out->count ? due : out->count;
}

static bool over(blocks *b, const canvas *c) { return blocks_open(b, c) == 0; }

static const block_rules rules = {.need = blocks_need_prompt, .plan = plan, .over = over, .leaves = true};

const pipeline pipeline_lavida = {.name = "lavida", .judges_original = true, .choose = choose, .blocks = &rules, .sight = SIGHT_PROMPT_APART};
