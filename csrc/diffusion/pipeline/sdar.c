/*
 * SDAR's decoding (arXiv 2510.06303; generate.py): block after block, in passes over the block alone, which sees what is before it. Blocks are
 * counted from the first token of the prompt, so that the first one may begin with the prompt's last tokens. `steps` are those of a block; its
 * quotas follow from the block's length, however much of it is given. A full block is run once more, for the keys and values that later
 * ones see; one that holds an end of text is the last, and so is one, where that is asked for, behind which the text has come to repeat itself
 * (SDAR-VL's generate.py, whose authors look at the response alone).
 *
 * Where quotas are larger than what is masked, the authors' generate.py overwrites known tokens; here, as in their evaluation code, it does not.
 */
#include "diffusion/pipeline.h"
#include "diffusion/repeats.h"
#include "diffusion/schedule.h"

static dimple_status choose(choice *c, const algorithm *a) { return a->choose[DIMPLE_PIPELINE_SDAR](c, (quota){c->step->due, 1.0f}); }

static void plan(const blocks *b, const canvas *c, block_plan *out) {
  if (!blocks_plan_alone(b, c, out)) return;
  int32_t due = b->iteration < b->steps ? schedule_quota(b->decoding->block_length, b->steps, b->iteration) : 1;
  out->due = due < out->count ? due : out->count;
  if (out->due == 0) out->due = 1; /* steps beyond the block's length */
}

static int32_t steps(const blocks *b, int32_t count) {
  (void)count;
  return b->decoding->steps;
}

static bool ends(const blocks *b, const canvas *c) {
  int32_t times = b->held ? 0 : b->decoding->tail_repeats;
  return blocks_hold_end(b, c, MAX_ENDS) || (times > 0 && repeats_at_end(c->tokens, b->end, times));
}

/* The authors' code keeps the last block, too. */
static bool over(blocks *b, const canvas *c) {
  if (blocks_open(b, c) > 0) return false;
  bool last = blocks_is_last(b) || ends(b, c);
  return (last && b->decoding->complete) || blocks_kept(b);
}

static const block_rules rules = {.need = blocks_need_prompt, .plan = plan, .over = over, .ends = ends, .steps = steps, .alone = true, .leaves = true};

const pipeline pipeline_sdar = {.name = "sdar", .judges_original = true, .top_k_first = true, .choose = choose, .blocks = &rules, .sight = SIGHT_FROM_START};
