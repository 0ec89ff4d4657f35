/*
 * LLaDA's block-wise decoding (arXiv 2502.09992; generate.py) and Fast-dLLM's, which adds a threshold, a factor and two caches (arXiv
 * 2505.22618; v1/llada/generate.py).
 *
 * A block's quotas are fixed when it begins. LLaDA runs every step, those with nothing left to reveal too; Fast-dLLM ends a block when it
 * is full, with its dual cache at the latest after its steps. Nothing ends at an end-of-text token.
 */
#include "allocate.h"
#include "diffusion/pipeline.h"
#include "diffusion/schedule.h"

/* Quotas do not count. */
static bool reveals_by_confidence(const dimple_decoding *d) { return d->threshold > 0 || d->factor > 0 || algorithm_of(d)->decides; }

/* LLaDA's own loop: nothing of Fast-dLLM's is asked for. */
static bool runs_every_step(const dimple_decoding *d) {
  return d->cache == DIMPLE_CACHE_MODEL && !reveals_by_confidence(d) && !d->complete;
}

/* The n surest, where the n-th has at least 1 - factor / (n + 1): up to the first that has not. If that is the last of all, it is revealed
 * as well, so that of two candidates both go (generate.py, get_transfer_index_dynamic). */
static dimple_status choose_by_factor(choice *c) {
  int32_t *order, count = c->step->masked, passed = 1;
  DIMPLE_TRY(choice_order(c, choice_confidence, &order));
  double factor = c->step->decoding->factor;
  while (passed < count && c->candidates[order[passed]].confidence >= 1 - factor / (passed + 2)) passed++;
  if (passed == count - 1) passed = count;
  for (int32_t i = 0; i < passed; i++) choice_add(c, order[i]);
  free(order);
  return DIMPLE_OK;
}

static dimple_status choose(choice *c, const algorithm *a) {
  const dimple_decoding *d = c->step->decoding;
  if (a->decides) return a->choose[DIMPLE_PIPELINE_LLADA](c, (quota){c->step->due, 1.0f});
  if (d->factor > 0) return choose_by_factor(c);
  if (d->threshold == 0) return a->choose[DIMPLE_PIPELINE_LLADA](c, (quota){c->step->due, 1.0f});
  choice_from_threshold(c);
  return DIMPLE_OK;
}

/* --------------------------------------------------------------------------------------------------------------- blocks */

/* Masks of the next block: of what is noted in this block's last iteration, its first is the one before. */
static int32_t watched(const blocks *b, const canvas *c) {
  if (b->decoding->algorithm != DIMPLE_ALGORITHM_KLASS) return 0;
  return blocks_masked_before(c, b->end + b->decoding->block_length) - blocks_masked_before(c, b->end);
}

/* In a pass over everything the masks that earlier blocks have left are candidates, too, but not of algorithms that decide. */
static void plan(const blocks *b, const canvas *c, block_plan *out) {
  bool cached = decoding_is_cached(b->decoding) && b->iteration > 0, block_alone = cached || algorithm_of(b->decoding)->decides;
  out->scope = cached ? blocks_cached_scope(b, b->first - b->shift) : (pass_scope){.kind = SCOPE_ALL};
  out->from = block_alone ? blocks_masked_before(c, b->first) : 0;
  out->count = blocks_masked_before(c, b->end) - out->from;
  /* Masks that earlier blocks have left eat quota: more steps than it is spread over reveal one position each. */
  int32_t due = b->iteration < b->steps ? schedule_quota(b->masked, b->steps, b->iteration) : 1;
  out->due = due < out->count ? due : out->count;
  if (out->due == 0 && !reveals_by_confidence(b->decoding)) out->count = 0; /* an idle step */
  out->watched = watched(b, c);
}

/* dInfer runs iterations in groups, and looks at the block between them. */
static bool is_within_group(blocks *b, const canvas *c) {
  if (b->decoding->complete || !algorithm_of(b->decoding)->ends) return false;
  if (b->iteration < b->group_end) return true;
  b->group_end = b->iteration + blocks_group(b, c);
  return false;
}

static bool over(blocks *b, const canvas *c) {
  const dimple_decoding *d = b->decoding;
  bool last_step = b->iteration >= b->steps;
  if (runs_every_step(d)) return last_step;
  if (is_within_group(b, c)) return false;
  bool bounded = algorithm_of(d)->bounded || (d->cache == DIMPLE_CACHE_DUAL && !algorithm_of(d)->decides);
  return blocks_open(b, c) == 0 || (bounded && last_step);
}

static bool ends(const blocks *b, const canvas *c) {
  if (!algorithm_of(b->decoding)->ends) return false;
  for (int32_t i = b->first; i < b->end; i++)
    if (c->tokens[i] == b->eos) return true;
  return false;
}

static const block_rules rules = {.need = blocks_need, .plan = plan, .over = over, .ends = ends};

const pipeline pipeline_llada = {.name = "llada", .judges_original = true, .judges_threshold = true, .choose = choose, .blocks = &rules};
