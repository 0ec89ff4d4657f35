/*
 * Stable-DiffCoder's decoding (generate_block in the model's modeling_stable_diffcoder.py): block after block, counted from the first token of the
 * prompt, in passes over the block alone, which sees what is before it. As many of `steps` as there are whole blocks in the response share them out;
 * a block spreads what is masked of it over its own, however much that is, and the response's last block is a short one where the first began in
 * the prompt. A full block is run once more, for its keys and values. The one that holds an end of text is the last: it is not run again, and
 * what stands in it behind the first end is replaced by ends.
 *
 * With a threshold the authors' code goes on to the next block after a block's steps, masks in it or not, and then fails where the cache lacks their
 * keys and values; here a block goes on until it is full.
 */
#include "diffusion/pipeline.h"
#include "diffusion/schedule.h"

static dimple_status choose(choice *c, const algorithm *a) {
  return a->choose[DIMPLE_PIPELINE_STABLE_DIFFCODER](c, (quota){c->step->due, 1.0f});
}

/* Steps with nothing due are no passes: they come last, and the block is full then. */
static void plan(const blocks *b, const canvas *c, block_plan *out) {
  if (!blocks_plan_alone(b, c, out)) return;
  int32_t due = b->iteration < b->steps ? schedule_quota(b->masked, b->steps, b->iteration) : 1;
  out->due = due < out->count ? due : out->count;
  if (out->due == 0) out->due = 1; /* beyond its steps, of a block without a quota for each */
}

static int32_t steps(const blocks *b, int32_t count) {
  (void)count;
  int32_t whole = b->response / b->decoding->block_length;
  return b->decoding->steps / (whole > 0 ? whole : 1);
}

/* The authors' code keeps the last block, too. */
static bool over(blocks *b, const canvas *c) {
  if (blocks_open(b, c) > 0) return false;
  return (blocks_is_last(b) && b->decoding->complete) || blocks_hold_end(b, c, 1) || blocks_kept(b);
}

static bool ends(const blocks *b, const canvas *c) { return blocks_hold_end(b, c, 1); }

static const block_rules rules = {.need = blocks_need_prompt, .plan = plan, .over = over, .ends = ends, .steps = steps, .alone = true, .leaves = true};

const pipeline pipeline_stable_diffcoder = {.name = "stable-diffcoder",
                                            .judges_original = true,
                                            .choose = choose,
                                            .blocks = &rules,
                                            .sight = SIGHT_FROM_START,
                                            .fills_with_ends = true};
