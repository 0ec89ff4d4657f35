/*
 * BD3LM's sampler as dLLM has it (dllm/core/samplers/bd3lm.py; block diffusion, arXiv 2503.09573): block after block, each by a schedule of its
 * own, in passes over the block alone, for nothing before it changes any more. A block that holds the end of the text is the last.
 *
 * The authors pad the prompt on the left to whole blocks, and hide the padding; here the first block of the prompt is a shorter one. Their
 * code takes every padding token for that: none sees it, later positions move up by one, and blocks are counted as if it were there. Keys that are hidden one by one the
 * seam to a device does not know; so prompts and given tokens that have one are refused. One that is generated before the end of the text, which theirs hides from
 * the next block on, stays here.
 */
#include "diffusion/pipeline.h"
#include "diffusion/schedule.h"

static dimple_status choose(choice *c, const algorithm *a) { return a->choose[DIMPLE_PIPELINE_BD3LM](c, (quota){c->step->due, 1.0f}); }

static void plan(const blocks *b, const canvas *c, block_plan *out) {
  if (!blocks_plan_alone(b, c, out)) return;
  int32_t due = schedule_expected(b->masked, b->steps, b->iteration);
  out->due = due < out->count ? due : out->count;
}

/* The keys and values of the last block are of no use. */
static bool over(blocks *b, const canvas *c) {
  if (blocks_open(b, c) > 0) return false;
  return blocks_is_last(b) || blocks_hold_end(b, c, 1) || blocks_kept(b);
}

static bool ends(const blocks *b, const canvas *c) { return blocks_hold_end(b, c, 1); }

static const block_rules rules = {.need = blocks_need_prompt, .plan = plan, .over = over, .ends = ends, .steps = blocks_divided_steps, .alone = true, .leaves = true};

const pipeline pipeline_bd3lm = {.name = "bd3lm", .judges_original = true, .choose = choose, .blocks = &rules, .sight = SIGHT_FROM_PROMPT, .hides_padding = true};
