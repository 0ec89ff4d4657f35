#include "diffusion/proposals.h"

#include <math.h>

#include "allocate.h"
#include "diffusion/candidates.h"
#include "diffusion/pipeline.h"

/* Rows of full logits held at a time when a sampler needs them: 64 rows of Dimple's vocabulary take 39 MB. */
enum { LOGIT_ROWS = 64 };

/* Rows of logits at..at + rows - 1 of those scored, as the decoding wants them, and their summaries. */
static dimple_status read_logits(iteration *it, const sampler_step *step, pass *p, const int32_t *positions, int32_t at, int32_t rows,
                                 float *bare, head_call *head) {
  const dimple_decoding *d = &it->decoding;
  const note_keeper *keeper = algorithm_of(d)->keeper;
  bool noted = keeper && keeper->see;
  int32_t vocab = p->model->text.vocab;
  DIMPLE_TRY(pass_head(p, VIEW_SCORED, at, rows, head));
  if (!logits_are_changed(d) && !logits_are_shifted(it->shift) && !noted && it->bias.count == 0) return DIMPLE_OK;
  if (bare) DIMPLE_TRY(pass_head(p, VIEW_BARE, at, rows, &(head_call){.logits = bare}));
  for (int32_t i = 0; i < rows; i++) {
    float *z = head->logits + (int64_t)i * vocab;
    if (bare) logits_guide(z, bare + (int64_t)i * vocab, vocab, d->guidance_scale);
    if (d->no_eos_logits) logits_forbid(z, vocab, it->tokens.eos);
    if (d->no_mask_logits) logits_forbid(z, vocab, it->tokens.mask);
    logits_shift(z, vocab, it->shift);
    float unbiased = it->bias.count > 0 ? logits_summary(z, vocab).log_sum : 0;
    bias_apply(&it->bias, z, it->constraint != NULL);
    if (noted) DIMPLE_TRY(keeper->see(it->notes, step, positions[at + i], z, vocab));
    head->results[i] = logits_summary(z, vocab);
    it->room.log_sums[positions[at + i]] = unbiased - head->results[i].log_sum;
  }
  return DIMPLE_OK;
}

/* Candidates of rows at..at + rows - 1 of `total` scored ones; under a constraint not yet: they are of one path over all rows. */
static dimple_status score_rows(iteration *it, const sampler_step *step, pass *p, const int32_t *positions, int32_t at, int32_t rows,
                                int32_t total, float *bare, head_call *head) {
  DIMPLE_TRY(read_logits(it, step, p, positions, at, rows, bare, head));
  if (it->constraint) return constrained_rows(it->constraint, step, head->results, head->logits, rows, positions + at);
  return candidates_from_logits(step, head->results, head->logits, rows, p->model->text.vocab, positions + at, at, total,
                                it->room.candidates + at);
}

/* Candidates from whole rows of logits, a block of rows at a time. */
static dimple_status score_logits(iteration *it, const sampler_step *step, pass *p, const int32_t *positions, int32_t count,
                                  head_call head) {
  int32_t block = count < LOGIT_ROWS ? count : LOGIT_ROWS;
  int64_t room = (int64_t)block * p->model->text.vocab;
  bool guided = it->decoding.guidance_scale > 0;
  ALLOCATE(head.logits, guided ? 2 * room : room, "logits");
  dimple_status status = DIMPLE_OK;
  for (int32_t at = 0; at < count && status == DIMPLE_OK; at += block) {
    int32_t rows = count - at < block ? count - at : block;
    status = score_rows(it, step, p, positions, at, rows, count, guided ? head.logits + room : NULL, &head);
  }
  free(head.logits);
  return status;
}

/* Scores under the constraint from what the head keeps of its classes, a block of rows at a time: there are no logits. */
static dimple_status score_classes(iteration *it, const sampler_step *step, pass *p, const int32_t *positions, int32_t count, head_call head) {
  head_classes classes;
  head.classes = &classes;
  for (int32_t at = 0; at < count; at += LOGIT_ROWS) {
    int32_t rows = count - at < LOGIT_ROWS ? count - at : LOGIT_ROWS;
    head.positions = positions + at;
    DIMPLE_TRY(constrained_ask(it->constraint, head.positions, rows, &classes));
    DIMPLE_TRY(pass_head(p, VIEW_SCORED, at, rows, &head));
    constrained_take(it->constraint, step, head.results, head.positions, rows);
  }
  return DIMPLE_OK;
}

/* Candidates on one path through the constraint. */
static dimple_status score_constrained(iteration *it, const sampler_step *step, pass *p, pass_rows rows, const int32_t *positions,
                                       head_call head) {
  int32_t count = pass_rows_count(&rows);
  const note_keeper *keeper = algorithm_of(&it->decoding)->keeper;
  bool whole = !constrained_takes_classes(step->decoding) || it->bias.count > 0 || logits_are_shifted(it->shift) || (keeper && keeper->see);
  head.temperature = whole ? constrained_head_temperature(step->decoding) : step->decoding->temperature;
  head.positions = positions;
  DIMPLE_TRY(pass_score(p, rows, NULL));
  DIMPLE_TRY(whole ? score_logits(it, step, p, positions, count, head) : score_classes(it, step, p, positions, count, head));
  constrained_candidates(it->constraint, step, positions, count, it->room.candidates);
  return DIMPLE_OK;
}

/* Another candidate for the rows whose token is the mask: of whole logits, for these alone. */
static dimple_status replace_masks(iteration *it, const sampler_step *step, pass *p, const int32_t *positions, int32_t count) {
  if (takes_mask(&it->decoding, it->number)) return DIMPLE_OK;
  float *logits = NULL;
  dimple_status status = DIMPLE_OK;
  for (int32_t i = 0; i < count && status == DIMPLE_OK; i++) {
    if (it->room.candidates[i].token != it->tokens.mask) continue;
    if (!logits) ALLOCATE(logits, p->model->text.vocab, "logits");
    head_row summary;
    status = score_rows(it, step, p, positions, i, 1, count, NULL, &(head_call){.results = &summary, .logits = logits});
  }
  free(logits);
  return status;
}

/* What is left of a log-probability when the bias of a token at a position is taken back. */
static float without_bias(const iteration *it, float log_probability, int32_t token, int32_t position) {
  if (it->bias.count > 0) log_probability -= bias_of(&it->bias, token, it->constraint != NULL) + it->room.log_sums[position];
  return log_probability > 0 ? 0 : log_probability; /* by rounding */
}

void proposals_take_bias_back(iteration *it, const int32_t *positions, int32_t count) {
  for (int32_t i = 0; i < count; i++) {
    candidate *found = &it->room.candidates[i];
    found->log_probability = without_bias(it, found->log_probability, found->token, positions[i]);
  }
}

/* Candidates from whole logits. */
static dimple_status score_whole(iteration *it, const sampler_step *step, pass *p, pass_rows rows, const int32_t *positions,
                                 head_call head) {
  if (it->constraint) return score_constrained(it, step, p, rows, positions, head);
  DIMPLE_TRY(pass_score(p, rows, NULL));
  return score_logits(it, step, p, positions, pass_rows_count(&rows), head);
}

dimple_status proposals_make(iteration *it, const sampler_step *step, pass *p, pass_rows rows, const int32_t *positions) {
  int32_t count = pass_rows_count(&rows);
  head_call head = {.seed = it->decoding.seed, .iteration = it->number, .results = it->room.summaries};
  if (it->constraint || candidates_need_logits(step) || it->bias.count > 0) {
    DIMPLE_TRY(score_whole(it, step, p, rows, positions, head));
    if (it->bias.count > 0) proposals_take_bias_back(it, positions, count);
    return DIMPLE_OK;
  }
  head.temperature = it->decoding.temperature;
  head.positions = positions;
  DIMPLE_TRY(pass_score(p, rows, &head));
  candidates_from_summary(step, it->room.summaries, count, it->room.candidates);
  return replace_masks(it, step, p, positions, count);
}

/* The `count` best tokens of a row of logits, in which -inf is no token, by insertion: there are few. */
static void list_row(const float *logits, int32_t vocab, int32_t count, int32_t *tokens) {
  int32_t found = 0;
  for (int32_t t = 0; t < vocab; t++) {
    if (logits[t] == -INFINITY || (found == count && logits[t] <= logits[tokens[count - 1]])) continue;
    int32_t i = found < count ? found++ : count - 1;
    for (; i > 0 && logits[tokens[i - 1]] < logits[t]; i--) tokens[i] = tokens[i - 1];
    tokens[i] = t;
  }
  for (; found < count; found++) tokens[found] = -1;
}

/* The same of a block of rows, with log-probabilities. */
static dimple_status list_rows(iteration *it, const sampler_step *step, pass *p, int32_t at, int32_t rows, float *bare, head_call *head,
                               int32_t count, int32_t *tokens, float *log_probability) {
  int32_t vocab = p->model->text.vocab;
  DIMPLE_TRY(read_logits(it, step, p, step->positions, at, rows, bare, head));
  for (int32_t i = 0; i < rows; i++, tokens += count, log_probability += count) {
    float *z = head->logits + (int64_t)i * vocab;
    int32_t position = step->positions[at + i];
    if (!takes_mask(&it->decoding, step->iteration)) logits_forbid(z, vocab, it->tokens.mask);
    if (it->constraint) constrained_forbid(it->constraint, position, z);
    list_row(z, vocab, count, tokens);
    for (int32_t k = 0; k < count; k++)
      log_probability[k] = tokens[k] < 0 ? NAN : without_bias(it, z[tokens[k]] - head->results[i].log_sum, tokens[k], position);
  }
  return DIMPLE_OK;
}

dimple_status proposals_list(iteration *it, const sampler_step *step, pass *p, int32_t count, int32_t *tokens, float *log_probability) {
  int32_t total = step->masked, block = total < LOGIT_ROWS ? total : LOGIT_ROWS;
  if (total == 0) return DIMPLE_OK;
  int64_t room = (int64_t)block * p->model->text.vocab;
  bool guided = it->decoding.guidance_scale > 0;
  head_row results[LOGIT_ROWS];
  head_call head = {.results = results};
  ALLOCATE(head.logits, guided ? 2 * room : room, "logits");
  dimple_status status = DIMPLE_OK;
  for (int32_t at = 0; at < total && status == DIMPLE_OK; at += block)
    status = list_rows(it, step, p, at, total - at < block ? total - at : block, guided ? head.logits + room : NULL, &head, count,
                       tokens + (int64_t)at * count, log_probability + (int64_t)at * count);
  free(head.logits);
  return status;
}

/* Logits [count x vocab] of rows of the latest iteration, without bias, and bare ones beside them where guidance asks for these. */
static dimple_status own_logits(const iteration *it, pass *p, int32_t first, int32_t count, float *logits, float *bare) {
  const dimple_decoding *d = &it->decoding;
  int32_t vocab = p->model->text.vocab;
  if (pipeline_of(d)->loop) return pass_canvas_logits(p, first, count, logits);
  DIMPLE_TRY(pass_head(p, VIEW_SCORED, first, count, &(head_call){.logits = logits}));
  if (bare) DIMPLE_TRY(pass_head(p, VIEW_BARE, first, count, &(head_call){.logits = bare}));
  for (int32_t i = 0; i < count; i++) {
    float *z = logits + (int64_t)i * vocab;
    if (bare) logits_guide(z, bare + (int64_t)i * vocab, vocab, d->guidance_scale);
    if (d->no_eos_logits) logits_forbid(z, vocab, it->tokens.eos);
    if (d->no_mask_logits) logits_forbid(z, vocab, it->tokens.mask);
    logits_shift(z, vocab, it->shift);
  }
  return DIMPLE_OK;
}

/* Of one revealed position. */
static void list_own(const iteration *it, float *logits, int32_t vocab, int32_t count, int32_t *tokens, float *log_probability) {
  float log_sum = logits_summary(logits, vocab).log_sum;
  if (!pipeline_of(&it->decoding)->reveals_mask) logits_forbid(logits, vocab, it->tokens.mask);
  list_row(logits, vocab, count, tokens);
  for (int32_t k = 0; k < count; k++) log_probability[k] = tokens[k] < 0 ? NAN : fminf(logits[tokens[k]] - log_sum, 0);
}

/* Revealed positions from `at` on whose rows lie within LOGIT_ROWS of the first: how many, those without a row included. */
static int32_t rows_together(const iteration *it, int32_t at, int32_t *first, int32_t *rows) {
  int32_t end = at;
  *first = -1;
  *rows = 0;
  for (; end < it->listed_count; end++) {
    int32_t row = it->room.rows[end];
    if (row < 0) continue;
    if (*first < 0) *first = row;
    if (row < *first || row - *first >= LOGIT_ROWS) break;
    if (row - *first >= *rows) *rows = row - *first + 1;
  }
  return end - at;
}

static dimple_status list_revealed(iteration *it, pass *p, int32_t count, float *logits, float *bare, int32_t *tokens, float *log_probability) {
  int32_t vocab = p->model->text.vocab;
  for (int32_t at = 0, first, rows, taken; at < it->listed_count; at += taken) {
    taken = rows_together(it, at, &first, &rows);
    if (rows > 0) DIMPLE_TRY(own_logits(it, p, first, rows, logits, bare));
    for (int32_t i = at; i < at + taken; i++) {
      int32_t *ids = tokens + (int64_t)i * count;
      float *likely = log_probability + (int64_t)i * count;
      for (int32_t k = 0; k < count; k++) {
        ids[k] = -1;
        likely[k] = NAN;
      }
      if (it->room.rows[i] >= 0) list_own(it, logits + (int64_t)(it->room.rows[i] - first) * vocab, vocab, count, ids, likely);
    }
  }
  return DIMPLE_OK;
}

dimple_status proposals_list_revealed(iteration *it, pass *p, int32_t count, int32_t *tokens, float *log_probability) {
  bool guided = it->decoding.guidance_scale > 0;
  int64_t room = (int64_t)LOGIT_ROWS * p->model->text.vocab;
  float *logits;
  ALLOCATE(logits, guided ? 2 * room : room, "logits");
  dimple_status status = list_revealed(it, p, count, logits, guided ? logits + room : NULL, tokens, log_probability);
  free(logits);
  return status;
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
  int32_t total = rows.watched_count, block = total < LOGIT_ROWS ? total : LOGIT_ROWS;
  if (total == 0) return DIMPLE_OK;
  head_row results[LOGIT_ROWS];
  head_call head = {.results = results};
  ALLOCATE(head.logits, (int64_t)block * p->model->text.vocab, "logits");
  dimple_status status = DIMPLE_OK;
  for (int32_t at = 0; at < total && status == DIMPLE_OK; at += block)
    status = judge_rows(it, p, c, rows, at, total - at < block ? total - at : block, &head);
  free(head.logits);
  return status;
}
