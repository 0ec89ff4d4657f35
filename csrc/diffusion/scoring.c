/*
 * Scoring: log-probabilities of given tokens, and the masks of a Monte Carlo estimate of an answer's likelihood, as LLaDA evaluates
 * (arXiv 2502.09992, section 2.4 and get_log_likelihood.py).
 */
#include "diffusion/scoring.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "allocate.h"
#include "diffusion/logits.h"
#include "draws.h"

/* Rows of full logits held at a time, as in an iteration. */
enum { SCORING_ROWS = 64 };

/* ------------------------------------------------------------------------------------------------------- given tokens */

/* The positions asked for are what a pass is to score: they stand in the canvas as its masked ones. Everything in it counts as decoded, so
 * that a pass without the prompt sees it. */
static dimple_status lay_out(const scoring_call *call, canvas *out) {
  DIMPLE_TRY(canvas_create(call->response, call->count, call->mask_token, out));
  out->masked_count = 0;
  for (int32_t i = 0; i < call->count; i++) {
    out->initial[i] = call->mask_token;
    if (call->targets[i] >= 0) out->masked[out->masked_count++] = i;
  }
  out->initial_masked = out->masked_count;
  return DIMPLE_OK;
}

/* The logits of rows at .. at + rows - 1 of those asked for. */
static dimple_status score_rows(pass *p, const scoring_call *call, int32_t at, int32_t rows, float *logits, float *bare, float *out) {
  const canvas *c = p->canvas;
  int32_t vocab = p->model->text.vocab;
  head_row results[SCORING_ROWS];
  DIMPLE_TRY(pass_head(p, VIEW_SCORED, at, rows, &(head_call){.results = results, .logits = logits}));
  if (bare) DIMPLE_TRY(pass_head(p, VIEW_BARE, at, rows, &(head_call){.logits = bare}));
  for (int32_t i = 0; i < rows; i++) {
    float *z = logits + (int64_t)i * vocab;
    int32_t position = c->masked[at + i];
    if (bare) {
      logits_guide(z, bare + (int64_t)i * vocab, vocab, call->guidance_scale);
      results[i] = logits_summary(z, vocab, 0);
    }
    out[position] = (float)fmin(z[call->targets[position]] - results[i].log_sum, 0);
  }
  return DIMPLE_OK;
}

static dimple_status score_all(pass *p, const scoring_call *call, float *out) {
  int32_t count = p->canvas->masked_count, block = count < SCORING_ROWS ? count : SCORING_ROWS;
  int64_t room = (int64_t)block * p->model->text.vocab;
  bool guided = call->guidance_scale > 0;
  float *logits;
  DIMPLE_TRY(pass_prefill(p));
  DIMPLE_TRY(pass_score(p, (pass_rows){.scope = {.kind = SCOPE_ALL}, .count = count, .bare = guided}, NULL));
  ALLOCATE(logits, guided ? 2 * room : room, "logits");
  dimple_status status = DIMPLE_OK;
  for (int32_t at = 0; at < count && status == DIMPLE_OK; at += block)
    status = score_rows(p, call, at, count - at < block ? count - at : block, logits, guided ? logits + room : NULL, out);
  free(logits);
  return status;
}

dimple_status scoring_run(const pass *session, const scoring_call *call, float *log_probability) {
  canvas c;
  float *found;
  if (session->model->text.block_causal)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "answers are scored by models whose positions see all others: this one sees its own block and those before");
  DIMPLE_TRY(lay_out(call, &c));
  pass p = {.model = session->model, .context = session->context, .cancelled = session->cancelled, .prompt = session->prompt, .canvas = &c,
            .features = session->features, .kv_type = session->kv_type};
  dimple_status status = DIMPLE_OK;
  found = malloc((size_t)call->count * sizeof *found);
  if (!found) status = dimple_fail_memory((size_t)call->count * sizeof *found, "scores");
  for (int32_t i = 0; found && i < call->count; i++) found[i] = NAN;
  if (status == DIMPLE_OK && c.masked_count > 0) status = score_all(&p, call, found);
  if (status == DIMPLE_OK) memcpy(log_probability, found, (size_t)call->count * sizeof *found);
  free(found);
  pass_discard(&p);
  canvas_free(&c);
  return status;
}

/* --------------------------------------------------------------------------------------------------- masks of a round */

void scoring_counts(int32_t k, int32_t rows, int32_t length, int32_t *counts) {
  double step = (double)length / rows; /* the authors' points are float32, rounded half to even */
  for (int32_t i = 0; i < rows; i++) counts[i] = ((int32_t)rintf((float)(k + i * step)) - 1) % length + 1;
}

static int by_key(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

static dimple_status draw_masks(int32_t length, int32_t rows, uint64_t seed, int32_t round, uint8_t *masks) {
  int32_t *counts;
  ALLOCATE(counts, rows, "the masks of a round");
  uint64_t *keys = malloc((size_t)length * sizeof *keys);
  if (!keys) {
    free(counts);
    return dimple_fail_memory((size_t)length * sizeof *keys, "the masks of a round");
  }
  int32_t k = 1 + (int32_t)((uint64_t)draw_word(seed, (uint32_t)round, 0, DRAW_ROUND, 0) * (uint32_t)length >> 32);
  scoring_counts(k, rows, length, counts);
  for (int32_t r = 0; r < rows; r++) {
    for (int32_t i = 0; i < length; i++)
      keys[i] = (uint64_t)draw_word(seed, (uint32_t)round, (uint32_t)i, DRAW_ANSWER, (uint32_t)r) << 32 | (uint32_t)i;
    qsort(keys, (size_t)length, sizeof *keys, by_key);
    memset(masks + (int64_t)r * length, 0, (size_t)length);
    for (int32_t i = 0; i < counts[r]; i++) masks[(int64_t)r * length + (int32_t)(uint32_t)keys[i]] = 1;
  }
  free(keys);
  free(counts);
  return DIMPLE_OK;
}

dimple_status dimple_score_masks(int32_t length, int32_t rows, uint64_t seed, int32_t round, uint8_t *masks) {
  if (!masks) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_score_masks: masks is null");
  const struct {
    const char *name;
    int32_t value, low;
  } numbers[] = {{"length", length, 1}, {"rows", rows, 1}, {"round", round, 0}};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    if (numbers[i].value < numbers[i].low)
      return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_score_masks: %s is %d, expected at least %d", numbers[i].name, numbers[i].value,
                         numbers[i].low);
  return draw_masks(length, rows, seed, round, masks);
}
