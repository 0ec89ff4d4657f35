/*
 * LLaDA2.0's and LLaDA2.1's decoding (arXiv 2512.15745; generate in modeling_llada2_moe.py). Blocks are counted from the first token of the prompt; a pass
 * runs the block's rows, the first pass of a block those of the block before it, too, which has its last tokens then: the authors' code, which
 * runs everything in every pass, has no pass for what is kept.
 *
 * 2.0 (low_confidence_dynamic): `steps` are those of a block, its quotas follow from the block's length. A block that holds the end of text is the
 * last; with eos_early_stop the decoding is over within the block, when a pass reveals the end of text and nothing before it is masked. The authors'
 * code takes an end of text that stands in the prompt for one of the answer; here it is none.
 *
 * 2.1 (token_editing): a block is over when a pass found nothing masked and changed nothing, or after max_post_steps passes over the full block. The mask
 * is no candidate: in the authors' code one that is predicted again and again never ends.
 */
#include "diffusion/pipeline.h"
#include "diffusion/schedule.h"

static dimple_status choose(choice *c, const algorithm *a) { return a->choose[DIMPLE_PIPELINE_LLADA2](c, (quota){c->step->due, 1.0f}); }

static void plan(const blocks *b, const canvas *c, block_plan *out) {
  out->from = blocks_masked_before(c, b->first);
  out->count = blocks_open(b, c);
  out->edits = algorithm_of(b->decoding)->edits;
  int32_t scoring = b->first - b->shift; /* the row of the block's first position */
  out->scope = (pass_scope){.kind = SCOPE_PART, .first = b->kept < scoring ? b->kept : scoring, .end = b->end};
  out->due = b->iteration < b->steps ? schedule_quota(b->decoding->block_length, b->steps, b->iteration) : 1;
  if (out->due > out->count) out->due = out->count;
}

static int32_t steps(const blocks *b, int32_t count) {
  (void)count;
  return b->decoding->steps;
}

/* Whether an end of text has nothing masked before it. */
static bool closed(const blocks *b, const canvas *c) {
  int32_t i = 0;
  while (i < b->end && c->tokens[i] != c->mask_token && c->tokens[i] != b->eos) i++;
  return i < b->end && b->eos >= 0 && c->tokens[i] == b->eos;
}

static bool stops_within(const blocks *b, const canvas *c) {
  return b->decoding->eos_early_stop && !algorithm_of(b->decoding)->edits && b->revealed_end && closed(b, c);
}

/* 2.1: whether the full block is to stay as it is. */
static bool settled(blocks *b) {
  if (b->open == 0 && b->edited == 0) return true;
  return ++b->idle > b->decoding->max_post_steps;
}

static bool over(blocks *b, const canvas *c) {
  int32_t begin = b->index * b->decoding->block_length - b->tail, open = blocks_open(b, c);
  b->kept = begin;
  bool full = open == 0 && (!algorithm_of(b->decoding)->edits || settled(b));
  b->open = open;
  return full || stops_within(b, c);
}

static bool ends(const blocks *b, const canvas *c) {
  bool wants = !algorithm_of(b->decoding)->edits || b->decoding->eos_early_stop || b->decoding->complete;
  return wants && (stops_within(b, c) || (blocks_open(b, c) == 0 && blocks_hold_end(b, c, 1)));
}

static const block_rules rules = {.need = blocks_need_prompt, .plan = plan, .over = over, .ends = ends, .steps = steps, .leaves = true};

const pipeline pipeline_llada2 = {.name = "llada2", .judges_original = true, .choose = choose, .blocks = &rules, .sight = SIGHT_FROM_START};
