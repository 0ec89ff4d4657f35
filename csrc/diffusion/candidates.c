#include "diffusion/candidates.h"

#include <math.h>

#include "diffusion/pipeline.h"
#include "draws.h"
#include "error.h"

static bool sees_logits(const algorithm *a) { return a->keeper && a->keeper->see; }

bool candidates_need_logits(const sampler_step *step) {
  const dimple_decoding *d = step->decoding;
  if ((d->temperature > 0 && step->recorded) || logits_are_shifted(step->shift)) return true;
  if (logits_are_changed(d) || sees_logits(algorithm_of(d))) return true;
  bool filtered = d->top_p < 1 || d->top_k > 0;
  /* No filter removes the most likely token, so it shows only in a draw or in a confidence taken after it. */
  return filtered && (d->temperature > 0 || !judges_original(d));
}

static float summary_confidence(const dimple_decoding *d, const head_row *row, float logit) {
  const confidence *measure = confidence_of(d);
  bool hot = d->temperature > 0 && !judges_original(d);
  return confidence_bounded(measure, measure->of_summary(row, logit, hot, d->temperature));
}

/* Of a token with this logit, in softmax(logits). */
static float log_probability(const head_row *row, float logit) { return (float)fmin(logit - row->log_sum, 0); }

void candidates_from_summary(const sampler_step *step, const head_row *rows, int32_t count, candidate *out) {
  for (int32_t i = 0; i < count; i++) {
    float logit = rows[i].drawn_logit;
    out[i] = (candidate){rows[i].drawn, summary_confidence(step->decoding, &rows[i], logit), log_probability(&rows[i], logit),
                         row_entropy(&rows[i])};
  }
}

/* The tokens that the recorded draw of this step holds for rows first, first + 1, ..; null: the generator draws, or nothing does. */
static dimple_status recorded_tokens(const sampler_step *step, int32_t first, int32_t total_rows, int32_t vocab,
                                     const double **tokens) {
  *tokens = NULL;
  if (!step->recorded || step->decoding->temperature == 0) return DIMPLE_OK;
  if (first == 0) {
    DIMPLE_TRY(replay_next(step->recorded, DIMPLE_DRAW_CATEGORICAL, total_rows, tokens));
    for (int32_t i = 0; i < total_rows; i++) {
      if ((*tokens)[i] < vocab) continue;
      return dimple_fail(DIMPLE_ERROR_STATE, "recorded draws: record %d holds token %.0f at %d, expected 0 .. %d",
                         replay_position(step->recorded) - 1, (*tokens)[i], i, vocab - 1);
    }
  }
  *tokens = replay_last(step->recorded) + first;
  return DIMPLE_OK;
}

/* How sure the model is where end of text and end of turn have no share in the probabilities: not at all of these two. */
static float unended_confidence(const sampler_step *step, float *logits, int32_t vocab, int32_t token) {
  const special_tokens *special = &step->tokens;
  logits_forbid(logits, vocab, special->eos);
  logits_forbid(logits, vocab, special->eot);
  head_row rest = logits_summary(logits, vocab);
  const confidence *measure = confidence_of(step->decoding);
  return logits[token] == -INFINITY ? measure->low : summary_confidence(step->decoding, &rest, logits[token]);
}

/* `recorded` is the token of a recorded draw, -1 without one. */
static candidate row_candidate(const sampler_step *step, const head_row *summary, float *logits, distribution *row, int32_t position,
                               int32_t recorded) {
  const dimple_decoding *d = step->decoding;
  distribution_weigh(row, logits, summary->best);
  if (!takes_mask(d, step->iteration)) distribution_drop(row, step->tokens.mask);
  bool top_k_first = pipeline_of(d)->top_k_first;
  if (d->top_k > 0 && top_k_first) distribution_keep_top_k(row, d->top_k);
  if (d->top_p < 1) distribution_keep_top_p(row, d->top_p);
  if (d->top_k > 0 && !top_k_first) distribution_keep_top_k(row, d->top_k);

  int32_t token = row->best;
  if (recorded >= 0) {
    token = recorded;
  } else if (d->temperature > 0) {
    token = distribution_token_at(
        row, draw_uniform(d->seed, (uint32_t)step->iteration, (uint32_t)position, DRAW_CATEGORICAL, 0));
  }
  float likely = log_probability(summary, logits[token]), entropy = row_entropy(summary);
  if (d->no_eos_confidence) return (candidate){token, unended_confidence(step, logits, row->vocab, token), likely, entropy};
  if (judges_original(d)) return (candidate){token, summary_confidence(d, summary, logits[token]), likely, entropy};
  const confidence *measure = confidence_of(d);
  return (candidate){token, confidence_bounded(measure, measure->of_token(row, token)), likely, entropy};
}

dimple_status candidates_from_logits(const sampler_step *step, const head_row *rows, float *logits, int32_t count,
                                     int32_t vocab, const int32_t *positions, int32_t first, int32_t total_rows, candidate *out) {
  const double *tokens;
  DIMPLE_TRY(recorded_tokens(step, first, total_rows, vocab, &tokens));
  distribution row;
  DIMPLE_TRY(distribution_open(vocab, step->decoding->temperature > 0 ? step->decoding->temperature : 1, &row));
  for (int32_t i = 0; i < count; i++) {
    out[i] = row_candidate(step, &rows[i], logits + (size_t)i * (size_t)vocab, &row, positions[i],
                           tokens ? (int32_t)tokens[i] : -1);
  }
  distribution_close(&row);
  return DIMPLE_OK;
}
