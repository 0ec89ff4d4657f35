#include "diffusion/whole_rows.h"

#include "allocate.h"
#include "diffusion/candidates.h"
#include "diffusion/notes.h"
#include "diffusion/pipeline.h"

enum { LOGIT_BYTES = 16 << 20 }; /* 27 rows of Dimple's vocabulary */

int32_t whole_rows_at_once(int32_t vocab, int32_t count) {
  int32_t rows = LOGIT_BYTES / (int32_t)sizeof(float) / vocab;
  rows = rows < 1 ? 1 : rows < SCORED_ROWS ? rows : SCORED_ROWS;
  return rows < count ? rows : count;
}

dimple_status whole_rows_open(const iteration *it, int32_t rows, int32_t vocab, bool compared, whole_rows *out) {
  bool guided = it->decoding.guidance_scale > 0;
  int64_t size = (int64_t)rows * vocab;
  compared &= notes_compare(it);
  *out = (whole_rows){0};
  ALLOCATE(out->logits, size * (1 + guided) * (1 + compared), "logits");
  float *next = out->logits + size;
  if (compared) {
    out->former = next;
    next += size;
  }
  if (guided) out->bare = next;
  if (guided && compared) out->former_bare = next + size;
  return DIMPLE_OK;
}

void whole_rows_change(const iteration *it, float *z, const float *bare, int32_t vocab) {
  const dimple_decoding *d = &it->decoding;
  if (bare) logits_guide(z, bare, vocab, d->guidance_scale);
  if (d->no_eos_logits) logits_forbid(z, vocab, it->tokens.eos);
  if (d->no_mask_logits) logits_forbid(z, vocab, it->tokens.mask);
  logits_shift(z, vocab, it->shift);
}

/* What the algorithm notes of row i of a block, the row of `position`, and what that makes of its logits. */
static dimple_status note_row(iteration *it, const sampler_step *step, const pass *p, int32_t position, int32_t i, const whole_rows *whole) {
  const note_keeper *keeper = notes_keeper(it);
  int32_t vocab = p->model->text.vocab, token;
  float *z = whole->logits + (int64_t)i * vocab, *former = whole->former ? whole->former + (int64_t)i * vocab : NULL, divergence = 0, former_sum, value;
  if (!keeper || !keeper->see || (keeper->compares && !former)) return DIMPLE_OK;
  head_row row = logits_summary(z, vocab, 0);
  if (former) {
    former_sums(&p->former, &position, 1, &former_sum);
    whole_rows_change(it, former, whole->former_bare ? whole->former_bare + (int64_t)i * vocab : NULL, vocab);
    bias_apply(&it->former_bias, former, it->constraint != NULL);
    divergence = logits_divergence(z, row.log_sum, former_sum == HEAD_NO_FORMER ? NULL : former, former_sum, vocab);
    it->room.former_sums[position] = row.log_sum;
  }
  DIMPLE_TRY(keeper->see(it->notes, step, position, &row, divergence));
  for (int32_t k = 0; keeper->raise && keeper->raise(it->notes, step, position, k, &token, &value); k++) z[token] += value;
  return DIMPLE_OK;
}

dimple_status whole_rows_read(iteration *it, const sampler_step *step, pass *p, const int32_t *positions, int32_t at, int32_t rows,
                                 const whole_rows *whole, head_call *head) {
  const note_keeper *keeper = notes_keeper(it);
  bool noted = keeper && keeper->see;
  int32_t vocab = p->model->text.vocab;
  head->logits = whole->logits;
  DIMPLE_TRY(pass_head(p, VIEW_SCORED, at, rows, head));
  if (!logits_are_changed(&it->decoding) && !logits_are_shifted(it->shift) && !noted && it->bias.count == 0) return DIMPLE_OK;
  if (whole->bare) DIMPLE_TRY(pass_head(p, VIEW_BARE, at, rows, &(head_call){.logits = whole->bare}));
  if (whole->former) DIMPLE_TRY(pass_head(p, VIEW_FORMER, at, rows, &(head_call){.logits = whole->former, .positions = positions + at}));
  if (whole->former_bare) DIMPLE_TRY(pass_head(p, VIEW_FORMER_BARE, at, rows, &(head_call){.logits = whole->former_bare, .positions = positions + at}));
  for (int32_t i = 0; i < rows; i++) {
    float *z = whole->logits + (int64_t)i * vocab;
    whole_rows_change(it, z, whole->bare ? whole->bare + (int64_t)i * vocab : NULL, vocab);
    float own = notes_stray(it) ? logits_summary(z, vocab, 0).log_sum : 0;
    bias_apply(&it->bias, z, it->constraint != NULL);
    DIMPLE_TRY(note_row(it, step, p, positions[at + i], i, whole));
    head->results[i] = logits_summary(z, vocab, head->temperature);
    it->room.log_sums[positions[at + i]] = own - head->results[i].log_sum;
  }
  return DIMPLE_OK;
}

/* Candidates of rows at..at + rows - 1 of `total` scored ones; under a constraint not yet: they are of one path over all rows. */
static dimple_status whole_rows_score(iteration *it, const sampler_step *step, pass *p, const int32_t *positions, int32_t at, int32_t rows,
                                int32_t total, const whole_rows *whole, head_call *head) {
  DIMPLE_TRY(whole_rows_read(it, step, p, positions, at, rows, whole, head));
  if (it->constraint) return constrained_rows(it->constraint, step, head->results, head->logits, rows, positions + at);
  return candidates_from_logits(step, head->results, head->logits, rows, p->model->text.vocab, positions + at, at, total,
                                it->room.candidates + at);
}

dimple_status whole_rows_propose(iteration *it, const sampler_step *step, pass *p, const int32_t *positions, int32_t count,
                                  head_call head) {
  int32_t block = whole_rows_at_once(p->model->text.vocab, count);
  whole_rows whole;
  DIMPLE_TRY(whole_rows_open(it, block, p->model->text.vocab, true, &whole));
  dimple_status status = DIMPLE_OK;
  for (int32_t at = 0; at < count && status == DIMPLE_OK; at += block)
    status = whole_rows_score(it, step, p, positions, at, count - at < block ? count - at : block, count, &whole, &head);
  free(whole.logits);
  return status;
}

dimple_status whole_rows_replace_masks(iteration *it, const sampler_step *step, pass *p, const int32_t *positions, int32_t count) {
  if (takes_mask(&it->decoding, it->number)) return DIMPLE_OK;
  whole_rows whole = {0};
  dimple_status status = DIMPLE_OK;
  for (int32_t i = 0; i < count && status == DIMPLE_OK; i++) {
    if (it->room.candidates[i].token != it->tokens.mask) continue;
    if (!whole.logits) DIMPLE_TRY(whole_rows_open(it, 1, p->model->text.vocab, false, &whole));
    head_row summary;
    status = whole_rows_score(it, step, p, positions, i, 1, count, &whole, &(head_call){.results = &summary});
  }
  free(whole.logits);
  return status;
}

dimple_status whole_rows_settle(iteration *it, const sampler_step *step, pass *p, const int32_t *positions, int32_t at, int32_t rows,
                                     int32_t total, float temperature, const bool *undecided) {
  int32_t most = whole_rows_at_once(p->model->text.vocab, rows);
  head_row results[SCORED_ROWS];
  head_call head = {.results = results, .temperature = temperature};
  whole_rows whole = {0};
  dimple_status status = DIMPLE_OK;
  for (int32_t i = 0; i < rows && status == DIMPLE_OK; i++) {
    if (!undecided[i]) continue;
    int32_t count = rows - i < most ? rows - i : most;
    while (!undecided[i + count - 1]) count--;
    head.positions = positions + at + i;
    if (!whole.logits) DIMPLE_TRY(whole_rows_open(it, most, p->model->text.vocab, false, &whole));
    status = whole_rows_score(it, step, p, positions, at + i, count, total, &whole, &head);
    i += count - 1;
  }
  free(whole.logits);
  return status;
}
