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
  return candidates_are_filtered(d);
}

bool candidates_are_filtered(const dimple_decoding *d) {
  /* No filter removes the most likely token, so it shows only in a draw or in a confidence taken after it. */
  return (d->top_p < 1 || d->top_k > 0) && (d->temperature > 0 || !judges_original(d));
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

void candidates_judge(const sampler_step *step, const head_row *rows, const head_row *rest, int32_t count, candidate *out) {
  const confidence *measure = confidence_of(step->decoding);
  for (int32_t i = 0; i < count; i++) {
    bool ends = out[i].token == step->tokens.eos || out[i].token == step->tokens.eot;
    out[i].confidence = ends ? measure->low : summary_confidence(step->decoding, &rest[i], rows[i].drawn_logit);
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
  head_row rest = logits_summary(logits, vocab, step->decoding->temperature);
  const confidence *measure = confidence_of(step->decoding);
  return logits[token] == -INFINITY ? measure->low : summary_confidence(step->decoding, &rest, logits[token]);
}

/* The token of a filtered distribution: a draw, or the best. */
static int32_t take_token(const sampler_step *step, const distribution *row, int32_t position) {
  const dimple_decoding *d = step->decoding;
  if (!(d->temperature > 0)) return row->best;
  return distribution_token_at(row, draw_uniform(d->seed, (uint32_t)step->iteration, (uint32_t)position, DRAW_CATEGORICAL, 0));
}

/* The draw that a head makes of the whole row (backend.h), by its weights. */
static int32_t draw_whole(const sampler_step *step, const distribution *row, int32_t position) {
  uint64_t seed = step->decoding->seed;
  uint32_t iteration = (uint32_t)step->iteration, at = (uint32_t)position;
  double best_score = -INFINITY;
  int32_t token = row->best;
  for (int32_t first = 0, end; first < row->vocab; first = end) {
    uint32_t chunk = (uint32_t)(first / HEAD_CHUNK);
    double sum = 0;
    end = row->vocab - first < HEAD_CHUNK ? row->vocab : first + HEAD_CHUNK;
    for (int32_t t = first; t < end; t++) sum += row->weights[t];
    double score = log(sum) - log(-log(draw_uniform(seed, iteration, at, DRAW_CHUNK, chunk)));
    if (!(score > best_score)) continue;
    best_score = score;
    double left = draw_uniform(seed, iteration, at, DRAW_TOKEN, chunk) * sum;
    for (token = first; token + 1 < end; token++) {
      left -= row->weights[token];
      if (left < 0) break;
    }
  }
  return token;
}

/* How sure the model is of a token of a filtered distribution. */
static float filtered_confidence(const dimple_decoding *d, const head_row *summary, const distribution *row, int32_t token) {
  if (judges_original(d)) return summary_confidence(d, summary, row->logits[token]);
  const confidence *measure = confidence_of(d);
  return confidence_bounded(measure, measure->of_token(row, token));
}

/* `recorded` is the token of a recorded draw, -1 without one. A draw of the whole row is the head's; where that is the mask, there is another one. What
 * a filter keeps is without the mask, if that is not to be taken; without a filter confidences are of all tokens, as the head's are. */
static candidate row_candidate(const sampler_step *step, const head_row *summary, float *logits, distribution *row, int32_t position,
                               int32_t recorded) {
  const dimple_decoding *d = step->decoding;
  distribution_weigh(row, logits, summary->best);
  bool drawn_whole = recorded < 0 && d->temperature > 0 && !candidates_are_filtered(d);
  if (drawn_whole) recorded = draw_whole(step, row, position);
  if (drawn_whole && recorded == step->tokens.mask && !takes_mask(d, step->iteration)) recorded = -1;
  bool drops = !takes_mask(d, step->iteration);
  if (drops) distribution_drop(row, step->tokens.mask);
  bool top_k_first = pipeline_of(d)->top_k_first;
  if (d->top_k > 0 && top_k_first) distribution_keep_top_k(row, d->top_k);
  if (d->top_p < 1) distribution_keep_top_p(row, d->top_p);
  if (d->top_k > 0 && !top_k_first) distribution_keep_top_k(row, d->top_k);

  int32_t token = recorded >= 0 ? recorded : take_token(step, row, position);
  float likely = log_probability(summary, logits[token]), entropy = row_entropy(summary);
  if (d->no_eos_confidence) return (candidate){token, unended_confidence(step, logits, row->vocab, token), likely, entropy};
  if (drops && !judges_original(d) && !candidates_are_filtered(d)) distribution_weigh(row, logits, summary->best);
  return (candidate){token, filtered_confidence(d, summary, row, token), likely, entropy};
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

/* How many of the highest logits usually hold what top-p keeps, and how many more than top-k keeps are listed: one that is dropped, ties. */
enum { TOP_P_LENGTH = 2048, BESIDE_TOP_K = 8 };

int32_t candidates_list_length(const dimple_decoding *d, int32_t vocab) {
  int32_t length = TOP_P_LENGTH;
  if (d->top_k > 0) length = d->top_k <= HEAD_LIST_MOST - BESIDE_TOP_K ? d->top_k + BESIDE_TOP_K : HEAD_LIST_MOST;
  if (vocab <= length) return vocab;
  return d->top_k > HEAD_LIST_MOST - BESIDE_TOP_K && d->top_p == 1 ? -1 : length;
}

static bool selects_rank_first(const dimple_decoding *d) { return d->top_k > 0 && pipeline_of(d)->top_k_first; }

float candidates_list_temperature(const dimple_decoding *d) { return d->top_p < 1 && !selects_rank_first(d) ? d->temperature : 0; }

/* The place of a token in a list [count], ascending but for -1 at its end; -1: it is not there. */
static int32_t place_of(const int32_t *tokens, int32_t count, int32_t token) {
  for (int32_t i = 0; i < count && token >= 0; i++)
    if (tokens[i] == token) return i;
  return -1;
}

/* What is known of a row from a part of it; of a token that it drops it may not show the place. */
static row_part part_of(const head_row *summary, const distribution *row, int32_t vocab, bool drops, int32_t dropped) {
  row_part part = distribution_part(row, summary->hot_log_sum, row->vocab == vocab);
  double without = dropped >= 0 ? row->weights[dropped] : 0;
  part.least_sum -= without;
  part.most_sum -= without;
  if (drops && dropped < 0) part.least_sum -= exp(((double)part.lowest - summary->best_logit) / row->temperature);
  return part;
}

/* False if the list does not show it. `row` has room for the list's length. */
static bool list_candidate(const sampler_step *step, head_row *summary, const int32_t *tokens, const float *logits, int32_t length,
                           int32_t vocab, distribution *row, int32_t position, candidate *out) {
  const dimple_decoding *d = step->decoding;
  int32_t best = 0, mask = takes_mask(d, step->iteration) ? -1 : step->tokens.mask;
  row->vocab = length;
  while (row->vocab > 0 && tokens[row->vocab - 1] < 0) row->vocab--;
  for (int32_t i = 1; i < row->vocab; i++) best = logits[i] > logits[best] ? i : best;
  distribution_weigh(row, logits, best);
  int32_t dropped = place_of(tokens, row->vocab, mask);
  row_part part = part_of(summary, row, vocab, mask >= 0 && mask < vocab, dropped);
  distribution_drop(row, dropped);
  bool rank_first = selects_rank_first(d);
  if (rank_first && !distribution_part_top_k(row, &part, d->top_k)) return false;
  if (d->top_p < 1 && !distribution_part_top_p(row, &part, d->top_p)) return false;
  if (d->top_k > 0 && !rank_first && !distribution_part_top_k(row, &part, d->top_k)) return false;
  if (!part.whole) return false;
  int32_t token = take_token(step, row, position);
  summary->drawn = tokens[token];
  summary->drawn_logit = logits[token];
  *out = (candidate){tokens[token], filtered_confidence(d, summary, row, token), log_probability(summary, logits[token]), row_entropy(summary)};
  return true;
}

dimple_status candidates_from_lists(const sampler_step *step, head_row *rows, const head_list *list, int32_t count, int32_t vocab,
                                    const int32_t *positions, candidate *out, bool *undecided) {
  distribution row;
  DIMPLE_TRY(distribution_open(list->count, step->decoding->temperature > 0 ? step->decoding->temperature : 1, &row));
  for (int32_t i = 0; i < count; i++) {
    size_t at = (size_t)i * (size_t)list->count;
    undecided[i] = !list_candidate(step, &rows[i], list->tokens + at, list->logits + at, list->count, vocab, &row, positions[i], &out[i]);
  }
  distribution_close(&row);
  return DIMPLE_OK;
}
