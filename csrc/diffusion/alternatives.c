#include "diffusion/alternatives.h"

#include <math.h>

#include "allocate.h"
#include "diffusion/candidates.h"
#include "diffusion/notes.h"
#include "diffusion/pipeline.h"
#include "diffusion/whole_rows.h"

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
static dimple_status list_rows(iteration *it, const sampler_step *step, pass *p, int32_t at, int32_t rows, const whole_rows *whole, head_call *head,
                               int32_t count, int32_t *tokens, float *log_probability) {
  int32_t vocab = p->model->text.vocab;
  DIMPLE_TRY(whole_rows_read(it, step, p, step->positions, at, rows, whole, head));
  for (int32_t i = 0; i < rows; i++, tokens += count, log_probability += count) {
    float *z = head->logits + (int64_t)i * vocab;
    int32_t position = step->positions[at + i];
    if (!takes_mask(&it->decoding, step->iteration)) logits_forbid(z, vocab, it->tokens.mask);
    if (it->constraint) constrained_forbid(it->constraint, position, z);
    list_row(z, vocab, count, tokens);
    for (int32_t k = 0; k < count; k++)
      log_probability[k] = tokens[k] < 0 ? NAN : notes_own_probability(it, step, z[tokens[k]] - head->results[i].log_sum, tokens[k], position);
  }
  return DIMPLE_OK;
}

dimple_status alternatives_list(iteration *it, const sampler_step *step, pass *p, int32_t count, int32_t *tokens, float *log_probability) {
  int32_t total = step->masked, block = whole_rows_at_once(p->model->text.vocab, total);
  if (total == 0) return DIMPLE_OK;
  head_row results[SCORED_ROWS];
  head_call head = {.results = results};
  whole_rows whole;
  DIMPLE_TRY(whole_rows_open(it, block, p->model->text.vocab, false, &whole));
  dimple_status status = DIMPLE_OK;
  for (int32_t at = 0; at < total && status == DIMPLE_OK; at += block)
    status = list_rows(it, step, p, at, total - at < block ? total - at : block, &whole, &head, count, tokens + (int64_t)at * count,
                       log_probability + (int64_t)at * count);
  free(whole.logits);
  return status;
}

/* Of a row of logits, and how sure the model is of what is the best now. */
static dimple_status replace_candidate(iteration *it, const sampler_step *step, pass *p, int32_t index, const int32_t *barred, int32_t count, const whole_rows *whole) {
  int32_t vocab = p->model->text.vocab, position = step->positions[index], token;
  head_row row;
  DIMPLE_TRY(whole_rows_read(it, step, p, step->positions, index, 1, whole, &(head_call){.results = &row}));
  logits_forbid(whole->logits, vocab, it->tokens.mask);
  for (int32_t i = 0; i < count; i++) logits_forbid(whole->logits, vocab, barred[i]);
  list_row(whole->logits, vocab, 1, &token);
  if (token < 0) return DIMPLE_OK;
  row.drawn = token;
  row.drawn_logit = whole->logits[token];
  candidates_from_summary(step, &row, 1, &it->room.candidates[index]);
  candidate *found = &it->room.candidates[index];
  found->log_probability = notes_own_probability(it, step, found->log_probability, token, position);
  return DIMPLE_OK;
}

dimple_status alternatives_replace(iteration *it, const sampler_step *step, pass *p, int32_t index, const int32_t *barred, int32_t count) {
  whole_rows whole;
  DIMPLE_TRY(whole_rows_open(it, 1, p->model->text.vocab, false, &whole));
  dimple_status status = replace_candidate(it, step, p, index, barred, count, &whole);
  free(whole.logits);
  return status;
}

/* Logits [count x vocab] of rows of the latest iteration, without bias, and bare ones beside them where guidance asks for these. */
static dimple_status own_logits(const iteration *it, pass *p, int32_t first, int32_t count, float *logits, float *bare) {
  int32_t vocab = p->model->text.vocab;
  if (pipeline_of(&it->decoding)->loop) return pass_canvas_logits(p, first, count, logits);
  DIMPLE_TRY(pass_head(p, VIEW_SCORED, first, count, &(head_call){.logits = logits}));
  if (bare) DIMPLE_TRY(pass_head(p, VIEW_BARE, first, count, &(head_call){.logits = bare}));
  for (int32_t i = 0; i < count; i++)
    whole_rows_change(it, logits + (int64_t)i * vocab, bare ? bare + (int64_t)i * vocab : NULL, vocab);
  return DIMPLE_OK;
}

/* Of one revealed position. */
static void list_own(const iteration *it, float *logits, int32_t vocab, int32_t count, int32_t *tokens, float *log_probability) {
  float log_sum = logits_summary(logits, vocab, 0).log_sum;
  if (!pipeline_of(&it->decoding)->reveals_mask) logits_forbid(logits, vocab, it->tokens.mask);
  list_row(logits, vocab, count, tokens);
  for (int32_t k = 0; k < count; k++) log_probability[k] = tokens[k] < 0 ? NAN : fminf(logits[tokens[k]] - log_sum, 0);
}

/* Revealed positions from `at` on whose rows lie within SCORED_ROWS of the first: how many, those without a row included. */
static int32_t rows_together(const iteration *it, int32_t at, int32_t *first, int32_t *rows) {
  int32_t end = at;
  *first = -1;
  *rows = 0;
  for (; end < it->listed_count; end++) {
    int32_t row = it->room.rows[end];
    if (row < 0) continue;
    if (*first < 0) *first = row;
    if (row < *first || row - *first >= SCORED_ROWS) break;
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

dimple_status alternatives_of_revealed(iteration *it, pass *p, int32_t count, int32_t *tokens, float *log_probability) {
  bool guided = it->decoding.guidance_scale > 0;
  int64_t room = (int64_t)SCORED_ROWS * p->model->text.vocab;
  float *logits;
  ALLOCATE(logits, guided ? 2 * room : room, "logits");
  dimple_status status = list_revealed(it, p, count, logits, guided ? logits + room : NULL, tokens, log_probability);
  free(logits);
  return status;
}
