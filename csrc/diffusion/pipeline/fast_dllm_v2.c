/*
 * Fast-dLLM v2's decoding (arXiv 2509.26328; generate in the model's modeling.py, batch_sample in v2/generation_functions.py). Blocks are counted from
 * the first token of the prompt; the logits are shifted, and the row before a position scores it. Within a block sub-blocks are filled from left to right:
 * a pass reveals what is above the threshold, and the best in any case. A full block is run once more, for its keys and values, and the last row
 * of that pass gives the first token of the next block, however sure it is: the likeliest one, also where others are drawn. So does the last row of a
 * prompt of whole blocks.
 *
 * The decoding is over as soon as the end of text is revealed and nothing before it is masked; with fill_last_block, as the authors evaluate,
 * when the block that a pass over it gave an end of text is full. Only one token ends a text.
 *
 * With block_cache a pass runs a sub-block alone, beside what the block's latest whole pass left, once its first position is revealed.
 *
 * The authors' code never shows the model a prompt of exactly one block; here it is run as any other.
 */
#include "diffusion/pipeline.h"

static dimple_status choose(choice *c, const algorithm *a) {
  return a->choose[DIMPLE_PIPELINE_FAST_DLLM_V2](c, (quota){c->step->due, 1.0f});
}

/* The response position that the block begins with; below 0 in the prompt. */
static int32_t beginning(const blocks *b) { return b->index * b->decoding->block_length - b->tail; }

/* Whether the first iteration is for the first position, which the last row of the prompt's own pass scores. */
static bool opens(const blocks *b, const canvas *c) { return b->index == 0 && b->tail == 0 && c->initial[0] == c->mask_token; }

/* Reveals position `at`, if it is masked: it is scored by the last row of the scope, and its token is the likeliest, whatever the temperature. */
static void plan_next(const blocks *b, const canvas *c, int32_t at, block_plan *out) {
  out->scope = (pass_scope){.kind = SCOPE_PART, .first = at == 0 ? -b->decoding->block_length : beginning(b), .end = at};
  out->from = blocks_masked_before(c, at);
  out->count = out->due = out->from < c->masked_count && c->masked[out->from] == at;
  out->keeps = out->count == 0;
  out->likeliest = true;
}

/* The sub-block of the first mask: its candidates, and the rows that score them. */
static void plan_part(const blocks *b, const canvas *c, block_plan *out) {
  int32_t length = b->decoding->sub_block_length, begin = beginning(b);
  out->from = blocks_masked_before(c, b->first);
  int32_t part = begin + (c->masked[out->from] - begin) / length * length, end = part + length < b->end ? part + length : b->end;
  out->count = blocks_masked_before(c, end) - out->from;
  out->due = 1;
  out->scope = (pass_scope){.kind = SCOPE_PART, .first = begin, .end = b->end};
  bool remembers = b->iteration > opens(b, c), whole = part >= 0 && c->tokens[part] == c->mask_token;
  if (b->decoding->block_cache && remembers && !whole) out->scope = (pass_scope){.kind = SCOPE_PART, .first = part, .end = end, .seen = b->end};
}

static void plan(const blocks *b, const canvas *c, block_plan *out) {
  if (b->iteration == 0 && opens(b, c))
    plan_next(b, c, 0, out);
  else if (blocks_open(b, c) == 0)
    plan_next(b, c, b->end, out);
  else
    plan_part(b, c, out);
}

/* Whether an end of text has nothing masked before it. */
static bool closed(const blocks *b, const canvas *c) {
  int32_t i = 0;
  while (i < c->length && c->tokens[i] != c->mask_token && c->tokens[i] != b->eos) i++;
  return i < c->length && b->eos >= 0 && c->tokens[i] == b->eos;
}

/* Whether a pass over the block, which is full, gave an end of text; its first token is the pass's before. */
static bool filled(const blocks *b, const canvas *c) {
  bool ended = false;
  for (int32_t i = beginning(b) < 0 ? 0 : b->first + 1; i < b->end && b->eos >= 0; i++) ended |= c->tokens[i] == b->eos;
  return ended && blocks_open(b, c) == 0;
}

static bool ends(const blocks *b, const canvas *c) { return b->decoding->fill_last_block ? filled(b, c) : closed(b, c); }

static bool over(blocks *b, const canvas *c) {
  if (c->masked_count == 0 || ends(b, c)) return true;
  return blocks_open(b, c) == 0 && blocks_kept(b);
}

static const block_rules rules = {.need = blocks_need_prompt, .plan = plan, .over = over, .ends = ends, .alone = true, .leaves = true};

const pipeline pipeline_fast_dllm_v2 = {.name = "fast-dllm-v2",
                                        .judges_original = true,
                                        .needs_shift = true,
                                        .choose = choose,
                                        .blocks = &rules,
                                        .sight = SIGHT_FROM_START,
                                        .decides = "a block's first token is what the pass over the block before it gives"};
