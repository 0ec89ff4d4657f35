#include "diffusion/caller.h"

#include <math.h>

#include "cancel.h"
#include "diffusion/alternatives.h"
#include "diffusion/iteration_parts.h"
#include "diffusion/pipeline.h"
#include "diffusion/proposals.h"

enum { MOST_ALTERNATIVES = 64 };

/* Where what is behind a block comes after it, the pipeline's own: passes run the block, and are over when it is full. */
static const block_rules *rules_for_caller(const iteration *it) {
  const pipeline *how = pipeline_of(&it->decoding);
  return how->sight == SIGHT_ALL && how->blocks ? &blocks_of_caller : how->blocks;
}

/* Whether the caller can decide. */
static dimple_status check_caller(const iteration *it) {
  const pipeline *how = pipeline_of(&it->decoding);
  const algorithm *a = algorithm_of(&it->decoding);
  if (a->reviser || a->edits)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "algorithm %s decides by itself, for it takes back what it has revealed", a->name);
  if (how->decides) return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "pipeline %s decides by itself: %s", how->name, how->decides);
  if (it->recorded) return dimple_fail(DIMPLE_ERROR_STATE, "recorded draws are of decodings that decide by themselves");
  return DIMPLE_OK;
}

/* What the caller decides on. Full blocks that are run for their keys and values alone need no decision. */
static dimple_status plan_for_look(iteration *it, pass *p, const canvas *c, block_plan *plan) {
  const block_rules *rules = rules_for_caller(it);
  *plan = iteration_plan(it, c, rules);
  while (plan->keeps && !it->spent && c->initial_masked > 0) {
    DIMPLE_TRY(pass_keep(p, plan->scope));
    it->spent = !blocks_advance(&it->blocks, c, rules);
    if (!it->spent) *plan = iteration_plan(it, c, rules);
  }
  if (plan->keeps || it->spent) plan->count = 0;
  return DIMPLE_OK;
}

/* Whether a block that is over when it is full has had all its iterations and is not. */
static bool block_is_stuck(const iteration *it, const canvas *c) {
  const blocks *b = &it->blocks;
  int32_t most = b->steps > b->masked ? b->steps : b->masked;
  return pipeline_of(&it->decoding)->sight != SIGHT_ALL && blocks_open(b, c) > 0 && b->iteration >= most;
}

dimple_status caller_look(iteration *it, pass *p, const canvas *c) {
  block_plan plan;
  DIMPLE_TRY(check_caller(it));
  DIMPLE_TRY(check_cancelled(p->cancelled));
  it->looked = it->listable = false;
  it->shift = iteration_shift(it, c);
  iteration_begin_blocks(it, p, c);
  if (it->constraint) DIMPLE_TRY(constrained_look(it->constraint, c));
  DIMPLE_TRY(plan_for_look(it, p, c, &plan));
  sampler_step step = iteration_step(it, c, &plan);
  if (plan.count > 0) DIMPLE_TRY(proposals_make(it, &step, p, iteration_rows(it, &plan), step.positions));
  for (int32_t i = 0; i < plan.count; i++) {
    it->room.tokens[i] = it->room.candidates[i].token;
    it->room.confidence[i] = it->room.candidates[i].confidence;
    it->room.log_probability[i] = it->room.candidates[i].log_probability;
  }
  it->looked = it->scored = true;
  it->offered_from = plan.from;
  it->offered_count = plan.count;
  return DIMPLE_OK;
}

dimple_status caller_alternatives(iteration *it, pass *p, const canvas *c, int32_t count, int32_t *tokens, float *log_probability) {
  if (count < 1 || count > MOST_ALTERNATIVES)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "alternatives: count is %d, expected 1 to %d", count, MOST_ALTERNATIVES);
  if (it->listable) return alternatives_of_revealed(it, p, count, tokens, log_probability);
  if (!it->looked)
    return dimple_fail(DIMPLE_ERROR_STATE, "nothing to list alternatives to: call dimple_session_look or dimple_session_step first");
  if (!it->scored)
    return dimple_fail(DIMPLE_ERROR_STATE, "alternatives are listed before the model is asked anything else: call dimple_session_look again");
  block_plan plan = {.from = it->offered_from, .count = it->offered_count};
  sampler_step step = iteration_step(it, c, &plan);
  return alternatives_list(it, &step, p, count, tokens, log_probability);
}

/* Notes what the caller reveals: of a token that is not the candidate little is known. */
static dimple_status note_asked(iteration *it, const canvas *c, int32_t vocab, const int32_t *positions, const int32_t *tokens,
                                int32_t count) {
  const int32_t *offered = c->masked + it->offered_from;
  const char *whose = pipeline_of(&it->decoding)->blocks ? " of the block" : "";
  for (int32_t i = 0, k = 0; i < count; i++, k++) {
    while (k < it->offered_count && offered[k] != positions[i]) k++;
    if (k == it->offered_count)
      return dimple_fail(DIMPLE_ERROR_ARGUMENT, "position %d is revealed, expected masked ones%s in ascending order", positions[i], whose);
    if (tokens[i] < 0 || tokens[i] >= vocab)
      return dimple_fail(DIMPLE_ERROR_ARGUMENT, "position %d is revealed as token %d, expected 0 to %d", positions[i], tokens[i],
                         vocab - 1);
    const candidate *found = &it->room.candidates[k];
    bool same = found->token == tokens[i];
    it->room.revealed[i] = offered[k];
    it->room.chosen[i] = tokens[i];
    it->room.confidence[i] = same ? found->confidence : confidence_of(&it->decoding)->low;
    it->room.log_probability[i] = same ? found->log_probability : NAN;
  }
  for (int32_t i = 0; i < count; i++) it->room.tokens[i] = it->room.chosen[i];
  return DIMPLE_OK;
}

dimple_status caller_reveal(iteration *it, pass *p, canvas *c, const int32_t *positions, const int32_t *tokens, int32_t count) {
  if (!it->looked) return dimple_fail(DIMPLE_ERROR_STATE, "no candidates to reveal: call dimple_session_look first");
  DIMPLE_TRY(note_asked(it, c, p->model->text.vocab, positions, tokens, count));
  iteration_tell_blocks(it, c, count);
  canvas_reveal(c, it->room.revealed, it->room.tokens, count);
  dimple_status status = it->constraint ? constrained_try(it->constraint, c) : DIMPLE_OK;
  if (status != DIMPLE_OK) {
    canvas_mask(c, it->room.revealed, count);
    DIMPLE_TRY(constrained_look(it->constraint, c)); /* which agreed before */
    return status;
  }
  it->revealed_count = count;
  it->forced_count = it->remasked_count = 0;
  it->block = rules_for_caller(it) ? it->blocks.index : -1;
  DIMPLE_TRY(iteration_conclude(it, p, c, count, rules_for_caller(it), true));
  iteration_fill_block(it, c);
  if (pipeline_of(&it->decoding)->sight != SIGHT_ALL) iteration_fill_behind_end(it, c);
  it->done |= rules_for_caller(it) && block_is_stuck(it, c);
  return DIMPLE_OK;
}
