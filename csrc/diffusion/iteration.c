#include "diffusion/iteration.h"

#include "allocate.h"
#include "cancel.h"
#include "diffusion/candidates.h"
#include "diffusion/pipeline.h"
#include "diffusion/schedule.h"

/* Rows of full logits held at a time when a sampler needs them: 64 rows of Dimple's vocabulary take 39 MB. */
enum { LOGIT_ROWS = 64 };

/* ------------------------------------------------------------------------------------------------------------ life cycle */

static void free_room(iteration_room *room) {
  free(room->revealed);
  free(room->tokens);
  free(room->confidence);
  free(room->chosen);
  free(room->candidates);
  free(room->summaries);
}

static dimple_status allocate_room(iteration_room *room, int32_t length) {
  ALLOCATE(room->revealed, length, "the revealed positions");
  ALLOCATE(room->tokens, length, "the revealed tokens");
  ALLOCATE(room->confidence, length, "confidences");
  ALLOCATE(room->chosen, length, "the chosen positions");
  ALLOCATE(room->candidates, length, "candidates");
  ALLOCATE(room->summaries, length, "summaries of logits");
  return DIMPLE_OK;
}

dimple_status iteration_resize(iteration *it, int32_t length) {
  iteration_room fresh = {0};
  dimple_status status = allocate_room(&fresh, length);
  if (status != DIMPLE_OK) {
    free_room(&fresh);
    return status;
  }
  iteration_end(it);
  free_room(&it->room);
  it->room = fresh;
  return DIMPLE_OK;
}

void iteration_free(iteration *it) {
  free_room(&it->room);
  free(it->levels);
  replay_free(it->recorded);
  *it = (iteration){0};
}

void iteration_replay(iteration *it, replay *recorded) {
  iteration_end(it);
  replay_free(it->recorded);
  it->recorded = recorded;
}

dimple_status iteration_begin(iteration *it, const dimple_decoding *decoding, int32_t total) {
  size_t size = ((size_t)decoding->steps + 1) * sizeof *it->levels;
  float *levels = realloc(it->levels, size);
  if (!levels) return dimple_fail_memory(size, "noise levels");
  it->levels = levels;
  schedule_levels(decoding->steps, decoding->epsilon, levels);
  it->decoding = *decoding;
  it->total = total;
  it->number = 0;
  it->begun = true;
  it->done = false;
  if (it->recorded) replay_seek(it->recorded, 0);
  return DIMPLE_OK;
}

void iteration_end(iteration *it) { it->begun = it->done = false; }

/* -------------------------------------------------------------------------------------------------------------- scoring */

/* Candidates from whole rows of logits, a block of rows at a time. */
static dimple_status score_logits(iteration *it, const sampler_step *step, pass *p, const int32_t *positions, int32_t count,
                                  head_call head) {
  int32_t block = count < LOGIT_ROWS ? count : LOGIT_ROWS, vocab = p->model->text.vocab;
  ALLOCATE(head.logits, (int64_t)block * vocab, "logits");
  dimple_status status = DIMPLE_OK;
  for (int32_t at = 0; at < count && status == DIMPLE_OK; at += block) {
    int32_t rows = count - at < block ? count - at : block;
    status = pass_head(p, at, rows, &head);
    if (status == DIMPLE_OK)
      status = candidates_from_logits(step, it->room.summaries, head.logits, rows, vocab, positions + at, at, count,
                                      it->room.candidates + at);
  }
  free(head.logits);
  return status;
}

/* Candidates for response positions[rows.count]: of the head's summary, where that is enough. */
static dimple_status score(iteration *it, const sampler_step *step, pass *p, pass_rows rows, const int32_t *positions) {
  head_call head = {.seed = it->decoding.seed, .iteration = it->number, .results = it->room.summaries};
  if (candidates_need_logits(step)) {
    DIMPLE_TRY(pass_score(p, rows, NULL));
    return score_logits(it, step, p, positions, rows.count, head);
  }
  head.temperature = it->decoding.temperature;
  head.positions = positions;
  DIMPLE_TRY(pass_score(p, rows, &head));
  candidates_from_summary(step, it->room.summaries, rows.count, it->room.candidates);
  return DIMPLE_OK;
}

/* ------------------------------------------------------------------------------------------------------------- deciding */

/* Notes what is to be revealed: the chosen positions, in order, and the candidate of each. */
static void note(iteration *it, const canvas *c, int32_t count, bool positions_first) {
  for (int32_t i = 0; i < count; i++) {
    const candidate *found = &it->room.candidates[positions_first ? i : it->room.chosen[i]];
    it->room.revealed[i] = c->masked[it->room.chosen[i]];
    it->room.tokens[i] = found->token;
    it->room.confidence[i] = found->confidence;
  }
}

/* Positions first, then tokens for these only. Without a chosen position no pass is needed at all. */
static dimple_status choose_then_score(iteration *it, const sampler_step *step, pass *p, const canvas *c, int32_t *count) {
  DIMPLE_TRY(sampler_choose(step, NULL, it->room.chosen, count));
  if (*count == 0) return DIMPLE_OK;
  for (int32_t i = 0; i < *count; i++) it->room.revealed[i] = c->masked[it->room.chosen[i]];
  DIMPLE_TRY(score(it, step, p, (pass_rows){it->room.chosen, *count}, it->room.revealed));
  note(it, c, *count, true);
  return DIMPLE_OK;
}

static dimple_status score_then_choose(iteration *it, const sampler_step *step, pass *p, const canvas *c, int32_t *count) {
  DIMPLE_TRY(score(it, step, p, (pass_rows){NULL, c->masked_count}, c->masked));
  DIMPLE_TRY(sampler_choose(step, it->room.candidates, it->room.chosen, count));
  note(it, c, *count, false);
  return DIMPLE_OK;
}

static dimple_status decide(iteration *it, pass *p, const canvas *c, int32_t *count) {
  *count = 0;
  DIMPLE_TRY(check_cancelled(p->cancelled));
  if (c->masked_count == 0) return DIMPLE_OK;
  sampler_step step = {.decoding = &it->decoding, .levels = it->levels, .iteration = it->number, .total = it->total,
                       .masked = c->masked_count, .positions = c->masked, .recorded = it->recorded};
  return sampler_chooses_positions_first(&it->decoding) ? choose_then_score(it, &step, p, c, count)
                                                        : score_then_choose(it, &step, p, c, count);
}

dimple_status iteration_run(iteration *it, pass *p, canvas *c) {
  int32_t draws_before = it->recorded ? replay_position(it->recorded) : 0, count;
  dimple_status status = decide(it, p, c, &count);
  if (status != DIMPLE_OK) {
    if (it->recorded) replay_seek(it->recorded, draws_before);
    return status;
  }
  it->revealed_count = count;
  canvas_reveal(c, it->room.revealed, it->room.tokens, count);
  if (count > 0) pass_canvas_changed(p);
  it->number++;
  it->done = it->number == it->decoding.steps || pipeline_of(&it->decoding)->done(c->masked_count);
  return DIMPLE_OK;
}
