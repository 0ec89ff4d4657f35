/*
 * LLaDA-V's decoding (arXiv 2505.16933; modeling_llada.py, generate_with_embeds): LLaDA's blocks and quotas, which end with the turn. Once the last
 * slot holds an end of turn, only positions before it are candidates, and when none of these is masked the decoding is over; what is behind it stays
 * as it is, seen by all. A block that is full is over before its steps are used up.
 *
 * Where a step's quota is larger than what can be revealed, the authors' code goes on with positions that have no confidence at all; here it stops
 * there.
 */
#include "diffusion/pipeline.h"
#include "diffusion/schedule.h"

static dimple_status choose(choice *c, const algorithm *a) { return a->choose[DIMPLE_PIPELINE_LLADA_V](c, (quota){c->step->due, 1.0f}); }

/* The first position of what was masked in one piece and has nothing masked behind it: a slot that ends early leaves those behind it to be filled. */
static int32_t last_slot(const canvas *c, int32_t *end) {
  *end = c->given_length;
  while (*end > 0 && c->initial[*end - 1] != c->mask_token) --*end;
  int32_t first = *end;
  while (first > 0 && c->initial[first - 1] == c->mask_token) first--;
  if (*end > c->used) *end = c->used;
  return first;
}

/* Where the last slot's turn ends; -1: it does not yet, or a constraint says where. */
static int32_t end_of_turn(const blocks *b, const canvas *c) {
  int32_t eot = b->model->eot_token, end, first = last_slot(c, &end);
  for (int32_t i = first; i < end && eot >= 0 && !b->held; i++)
    if (c->tokens[i] == eot) return i;
  return -1;
}

static void plan(const blocks *b, const canvas *c, block_plan *out) {
  int32_t turn = end_of_turn(b, c);
  out->count = blocks_masked_before(c, turn < 0 ? b->end : turn);
  int32_t due = b->iteration < b->steps ? schedule_quota(b->masked, b->steps, b->iteration) : 1;
  out->due = due < out->count ? due : out->count;
}

static bool ends(const blocks *b, const canvas *c) {
  int32_t turn = end_of_turn(b, c);
  return turn >= 0 && blocks_masked_before(c, turn) == 0;
}

static bool over(blocks *b, const canvas *c) { return ends(b, c) || blocks_open(b, c) == 0 || b->iteration >= b->steps; }

static const block_rules rules = {.need = blocks_need, .plan = plan, .over = over, .ends = ends};

const pipeline pipeline_llada_v = {.name = "llada-v", .judges_original = true, .choose = choose, .blocks = &rules};
