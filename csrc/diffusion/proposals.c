#include "diffusion/proposals.h"

#include <math.h>

#include "allocate.h"
#include "diffusion/candidates.h"
#include "diffusion/notes.h"
#include "diffusion/summaries.h"
#include "diffusion/whole_rows.h"

/* Log-probabilities of the first `count` candidates become the model's. */
static void own_probabilities(iteration *it, const sampler_step *step, const int32_t *positions, int32_t count) {
  for (int32_t i = 0; i < count; i++) {
    candidate *found = &it->room.candidates[i];
    found->log_probability = notes_own_probability(it, step, found->log_probability, found->token, positions[i]);
  }
  if (it->constraint) constrained_amend(it->constraint, positions, count, it->room.candidates);
}

/* Candidates on one path through the constraint. */
static dimple_status score_constrained(iteration *it, const sampler_step *step, pass *p, pass_rows rows, const int32_t *positions,
                                       head_call head) {
  int32_t count = pass_rows_count(&rows);
  bool whole = !summaries_suffice(it, step, p);
  head.temperature = constrained_head_temperature(step->decoding);
  head.positions = positions;
  DIMPLE_TRY(pass_score(p, rows, NULL));
  DIMPLE_TRY(whole ? whole_rows_propose(it, step, p, positions, count, head) : summaries_propose_of_classes(it, step, p, positions, count, head));
  constrained_candidates(it->constraint, step, positions, count, it->room.candidates);
  return DIMPLE_OK;
}

/* Candidates where the head's summary is not enough. */
static dimple_status score_whole(iteration *it, const sampler_step *step, pass *p, pass_rows rows, const int32_t *positions,
                                 head_call head) {
  if (it->constraint) return score_constrained(it, step, p, rows, positions, head);
  if (summaries_suffice(it, step, p)) return summaries_propose(it, step, p, rows, positions, head);
  DIMPLE_TRY(pass_score(p, rows, NULL));
  return whole_rows_propose(it, step, p, positions, pass_rows_count(&rows), head);
}

static dimple_status make(iteration *it, const sampler_step *step, pass *p, pass_rows rows, const int32_t *positions) {
  int32_t count = pass_rows_count(&rows);
  head_call head = {.seed = it->decoding.seed, .iteration = it->number, .results = it->room.summaries};
  if (it->constraint || candidates_need_logits(step) || it->bias.count > 0) {
    DIMPLE_TRY(score_whole(it, step, p, rows, positions, head));
    if (notes_stray(it)) own_probabilities(it, step, positions, count);
    return DIMPLE_OK;
  }
  head.temperature = step->decoding->temperature;
  head.positions = positions;
  DIMPLE_TRY(pass_score(p, rows, &head));
  candidates_from_summary(step, it->room.summaries, count, it->room.candidates);
  return whole_rows_replace_masks(it, step, p, positions, count);
}

/* What the next iteration is compared with: the rows as they are looked at first in this one. */
static dimple_status keep_states(iteration *it, pass *p, const int32_t *positions, int32_t count) {
  if (!notes_compare(it) || it->former_number == it->number) return DIMPLE_OK;
  DIMPLE_TRY(bias_copy(&it->former_bias, &it->bias));
  DIMPLE_TRY(pass_keep_states(p, positions, count, it->room.former_sums, it->decoding.guidance_scale > 0));
  it->former_number = it->number;
  return DIMPLE_OK;
}

dimple_status proposals_make(iteration *it, const sampler_step *step, pass *p, pass_rows rows, const int32_t *positions) {
  DIMPLE_TRY(make(it, step, p, rows, positions));
  return keep_states(it, p, positions, pass_rows_count(&rows));
}

/* The beliefs in the tokens of watched positions, from their shadows. */
static dimple_status judge_rows(iteration *it, pass *p, const canvas *c, pass_rows rows, int32_t at, int32_t count, head_call *head) {
  int64_t vocab = p->model->text.vocab;
  DIMPLE_TRY(pass_head(p, VIEW_SHADOW, at, count, head));
  for (int32_t i = 0; i < count; i++) {
    float logit = head->logits[i * vocab + c->tokens[rows.watched[at + i]]];
    algorithm_of(&it->decoding)->reviser->judge(it->notes, at + i, expf(logit - head->results[i].log_sum));
  }
  return DIMPLE_OK;
}

dimple_status proposals_judge(iteration *it, pass *p, const canvas *c, pass_rows rows) {
  int32_t total = rows.watched_count, block = whole_rows_at_once(p->model->text.vocab, total);
  if (total == 0) return DIMPLE_OK;
  head_row results[SCORED_ROWS];
  head_call head = {.results = results};
  ALLOCATE(head.logits, (int64_t)block * p->model->text.vocab, "logits");
  dimple_status status = DIMPLE_OK;
  for (int32_t at = 0; at < total && status == DIMPLE_OK; at += block)
    status = judge_rows(it, p, c, rows, at, total - at < block ? total - at : block, &head);
  free(head.logits);
  return status;
}
