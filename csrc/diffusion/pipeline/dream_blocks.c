/*
 * Fast-dLLM's block decoding of Dream (arXiv 2505.22618; v1/dream/model/generation_utils_block.py): a cache, and logits that are shifted
 * inside every pass.
 *
 * The pass over everything that opens a block reveals the block's first position and no other, for the passes that follow do not run the
 * row that scores it. These reveal by threshold, or by Dream's schedule over the block's steps with entropy as confidence; of that
 * schedule the pass over everything was step 0. A block is run once more when it is full, and a schedule of one step leaves the rest of
 * its block masked.
 */
#include "diffusion/pipeline.h"
#include "diffusion/schedule.h"

static bool by_threshold(const dimple_decoding *d) { return d->algorithm == DIMPLE_ALGORITHM_CONFIDENCE_THRESHOLD; }

static dimple_status choose(choice *c, const algorithm *a) {
  if (c->step->due == 0) return DIMPLE_OK;
  return a->choose[DIMPLE_PIPELINE_DREAM](c, (quota){c->step->due, 1.0f});
}

/* --------------------------------------------------------------------------------------------------------------- blocks */

static void plan_first(bool masked, block_plan *out) {
  out->scope = (pass_scope){.kind = SCOPE_ALL};
  if (masked) out->count = 1; /* otherwise it is fixed, and the pass is run for its keys and values */
  out->due = masked;
}

static int32_t scheduled(const blocks *b, int32_t masked) {
  if (b->iteration >= b->steps) return 0;
  if (b->iteration == b->steps - 1) return masked;
  float epsilon = b->decoding->epsilon;
  return schedule_count(masked, schedule_level(b->steps, epsilon, b->iteration), schedule_level(b->steps, epsilon, b->iteration + 1));
}

static void plan(const blocks *b, const canvas *c, block_plan *out) {
  out->from = blocks_masked_before(c, b->first);
  out->count = blocks_open(b, c);
  bool first_masked = out->count > 0 && c->masked[out->from] == b->first;
  if (b->iteration == 0) {
    plan_first(first_masked, out);
    return;
  }
  /* Where a caller decided what the first pass reveals, the first position may still be masked, and the row that scores it is run. */
  out->scope = blocks_cached_scope(b, first_masked ? b->first - b->shift : b->first);
  out->due = by_threshold(b->decoding) ? out->count : scheduled(b, out->count);
  if (out->due == 0) out->count = 0;
}

static bool over(blocks *b, const canvas *c) {
  if (!b->decoding->complete && b->iteration < 2) return false;
  return blocks_open(b, c) == 0 || (!by_threshold(b->decoding) && b->iteration >= b->steps);
}

/* The row that scores the first position is not run again: it is the first pass's, and a decoding as a whole replaces it. */
static pass_need need(const dimple_decoding *d) {
  (void)d;
  return NEED_ALL;
}

static const block_rules rules = {.need = need, .plan = plan, .over = over};

const pipeline pipeline_dream_blocks = {.name = "dream", .judges_original = false, .choose = choose, .blocks = &rules};
