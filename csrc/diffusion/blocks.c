#include "diffusion/blocks.h"

static int32_t count_of(const blocks *b) {
  int64_t length = b->decoding->block_length, rows = (int64_t)b->tail + b->response;
  return (int32_t)(rows / length + (rows % length != 0));
}

static bool is_rest(const blocks *b) { return b->index == count_of(b); }

int32_t blocks_masked_before(const canvas *c, int32_t end) {
  int32_t low = 0, high = c->masked_count;
  while (low < high) {
    int32_t middle = low + (high - low) / 2;
    if (c->masked[middle] < end)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

int32_t blocks_open(const blocks *b, const canvas *c) { return blocks_masked_before(c, b->end) - blocks_masked_before(c, b->first); }

int32_t blocks_group(const blocks *b, const canvas *c) {
  int32_t expected = blocks_open(b, c) / b->decoding->expected_tpf, most = b->decoding->maximum_unroll;
  if (expected > most) expected = most;
  return expected < 1 ? 1 : expected;
}

/* Enters block `index`, or takes what is left if there is no such block. */
static void enter(blocks *b, const canvas *c, const block_rules *rules, int32_t index) {
  int32_t length = b->decoding->block_length, count = count_of(b), steps = b->decoding->steps;
  bool rest = index == count;
  b->index = index;
  int64_t first = (int64_t)index * length - b->tail, end = first + length;
  b->first = rest || first < 0 ? 0 : (int32_t)first;
  b->end = rest || end > b->response ? b->response : (int32_t)end;
  b->masked = blocks_open(b, c);
  b->steps = rules->steps ? rules->steps(b, count) : steps / count + (index < steps % count);
  if (b->steps < 1) b->steps = 1;
  b->iteration = 0;
  b->full = b->masked == 0;
  b->open = b->masked;
  b->idle = 0;
  b->group_end = blocks_group(b, c);
}

/* The first block from `index` on that has a mask; or else what is left, if it `goes_on`. */
static bool enter_next(blocks *b, const canvas *c, const block_rules *rules, int32_t index, bool goes_on) {
  int32_t count = count_of(b);
  for (; index < count; index++) {
    enter(b, c, rules, index);
    if (b->masked > 0 || (rules->alone && c->masked_count > 0)) return true;
  }
  if (c->masked_count == 0 || !goes_on) return false;
  enter(b, c, rules, count);
  return true;
}

bool blocks_begin(blocks *b, const dimple_decoding *d, const canvas *c, const text_parameters *model, const block_rules *rules, int32_t tail) {
  *b = (blocks){.decoding = d, .response = c->used, .shift = model->shift_logits, .eos = model->eos_token, .model = model, .tail = tail,
                .kept = -tail};
  return enter_next(b, c, rules, 0, d->complete && !rules->leaves);
}

bool blocks_advance(blocks *b, const canvas *c, const block_rules *rules) {
  b->iteration++;
  if (is_rest(b)) return c->masked_count > 0;
  if (!rules->over(b, c)) return true;
  if (rules->ends && rules->ends(b, c)) return false;
  return enter_next(b, c, rules, b->index + 1, b->decoding->complete && !rules->leaves);
}

block_plan blocks_plan(const blocks *b, const canvas *c, const block_rules *rules) {
  block_plan plan = {.scope = {.kind = SCOPE_ALL}, .count = c->masked_count, .due = 1};
  if (!is_rest(b)) rules->plan(b, c, &plan);
  return plan;
}

pass_need blocks_need(const dimple_decoding *d) {
  if (d->cache == DIMPLE_CACHE_DUAL) return NEED_ALL;
  return d->cache == DIMPLE_CACHE_PREFIX ? NEED_PROMPT : NEED_NOTHING;
}

int32_t blocks_divided_steps(const blocks *b, int32_t count) {
  return (int32_t)(((int64_t)b->decoding->steps + count - 1) / count);
}

pass_need blocks_need_prompt(const dimple_decoding *d) {
  (void)d;
  return NEED_PROMPT;
}

bool blocks_plan_alone(const blocks *b, const canvas *c, block_plan *plan) {
  int32_t first = b->index * b->decoding->block_length - b->tail;
  plan->from = blocks_masked_before(c, b->first);
  plan->count = blocks_open(b, c);
  plan->keeps = plan->count == 0;
  int32_t scoring = b->first - b->shift; /* the row of the block's first position; the prompt's tail may begin before it */
  plan->scope = (pass_scope){.kind = SCOPE_PART, .first = plan->keeps || first < scoring ? first : scoring, .end = b->end};
  return !plan->keeps;
}

bool blocks_kept(blocks *b) {
  bool before = b->full;
  b->full = true;
  return before;
}

bool blocks_is_last(const blocks *b) { return b->index + 1 >= count_of(b); }

bool blocks_hold_end(const blocks *b, const canvas *c, int32_t most) {
  for (int32_t i = b->first; i < b->end && b->eos >= 0; i++)
    for (int32_t k = 0; k < b->model->end_count && k < most; k++)
      if (c->tokens[i] == b->model->ends[k]) return true;
  return false;
}

pass_scope blocks_cached_scope(const blocks *b, int32_t first) {
  bool block_alone = b->decoding->cache == DIMPLE_CACHE_DUAL;
  return (pass_scope){.kind = SCOPE_PART, .first = first, .end = block_alone ? b->end : b->response};
}

/* ---------------------------------------------------------------------------------------------------- the caller decides */

/* The row that scores the block's first position is run with it, also where the pipeline leaves it out. */
static void plan_for_caller(const blocks *b, const canvas *c, block_plan *plan) {
  bool cached = decoding_is_cached(b->decoding) && b->iteration > 0;
  if (cached) plan->scope = blocks_cached_scope(b, b->first - b->shift);
  plan->from = blocks_masked_before(c, b->first);
  plan->count = blocks_open(b, c);
}

static bool over_for_caller(blocks *b, const canvas *c) { return blocks_open(b, c) == 0 || b->iteration >= b->steps; }

const block_rules blocks_of_caller = {.need = blocks_need, .plan = plan_for_caller, .over = over_for_caller, .leaves = true};
