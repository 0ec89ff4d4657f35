#include "backend/summary.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "draws.h"

/* A draw from softmax(z / temperature) as head_call defines it. */
static int32_t draw_token(const head_call *call, const float *z, int64_t vocab, int32_t position) {
  uint32_t iteration = (uint32_t)call->iteration;
  double temperature = call->temperature, best_score = -INFINITY;
  int32_t token = 0;
  for (int64_t first = 0, chunk = 0; first < vocab; first += HEAD_CHUNK, chunk++) {
    int64_t end = first + HEAD_CHUNK < vocab ? first + HEAD_CHUNK : vocab;
    double highest = -INFINITY, sum = 0;
    for (int64_t t = first; t < end; t++) highest = z[t] > highest ? z[t] : highest;
    for (int64_t t = first; t < end; t++) sum += exp((z[t] - highest) / temperature);
    double u = draw_uniform(call->seed, iteration, (uint32_t)position, DRAW_CHUNK, (uint32_t)chunk);
    double score = highest / temperature + log(sum) - log(-log(u));
    if (!(score > best_score)) continue;
    best_score = score;
    u = draw_uniform(call->seed, iteration, (uint32_t)position, DRAW_TOKEN, (uint32_t)chunk);
    double left = u * sum;
    int64_t t = first;
    for (; t + 1 < end; t++) {
      left -= exp((z[t] - highest) / temperature);
      if (left < 0) break;
    }
    token = (int32_t)t;
  }
  return token;
}

head_row summarize_row(const head_call *call, const float *z, int64_t vocab, int64_t r) {
  head_row row = {.best_logit = -INFINITY, .second_logit = -INFINITY};
  for (int64_t t = 0; t < vocab; t++) {
    if (z[t] > row.best_logit) {
      row.second_logit = row.best_logit;
      row.best_logit = z[t];
      row.best = (int32_t)t;
    } else if (z[t] > row.second_logit) {
      row.second_logit = z[t];
    }
  }
  double temperature = call->temperature > 0 ? call->temperature : 1;
  double sum = 0, mean = 0, hot_sum = 0, hot_mean = 0;
  for (int64_t t = 0; t < vocab; t++) {
    sum += 0 * (double)z[t]; /* NaN if z[t] is NaN or infinite */
    double below = (double)z[t] - row.best_logit, e = exp(below), hot = exp(below / temperature);
    sum += e;
    mean += e * below;
    hot_sum += hot;
    hot_mean += hot * (below / temperature);
  }
  row.log_sum = (float)(row.best_logit + log(sum));
  row.mean_logit = (float)(row.best_logit + mean / sum);
  row.hot_log_sum = (float)(row.best_logit / temperature + log(hot_sum));
  row.hot_mean = (float)(row.best_logit / temperature + hot_mean / hot_sum);
  row.drawn = call->temperature > 0 ? draw_token(call, z, vocab, call->positions[r]) : row.best;
  row.drawn_logit = z[row.drawn];
  return row;
}

/* Log-sum and mean of z / temperature over some tokens, relative to the highest of them. */
typedef struct reference_sums {
  double log_sum, mean;
} reference_sums;

static reference_sums sums_of(const float *z, const int32_t *tokens, int64_t count, double temperature, double best) {
  double sum = 0, mean = 0;
  for (int64_t i = 0; i < count; i++) {
    double below = (z[tokens[i]] - best) / temperature, e = exp(below);
    sum += e + 0 * (double)z[tokens[i]];
    mean += e * below;
  }
  return (reference_sums){best / temperature + log(sum), best / temperature + mean / sum};
}

/* The token of a segment where the sum of exp(z / temperature) passes the share u. */
static int32_t draw_member(const float *z, const int32_t *tokens, int64_t count, double temperature, double u) {
  double highest = -INFINITY, left = 0;
  for (int64_t i = 0; i < count; i++) highest = z[tokens[i]] > highest ? z[tokens[i]] : highest;
  for (int64_t i = 0; i < count; i++) left += u * exp((z[tokens[i]] - highest) / temperature);
  int64_t i = 0;
  for (; i + 1 < count; i++) {
    left -= exp((z[tokens[i]] - highest) / temperature);
    if (left < 0) break;
  }
  return tokens[i];
}

/* A row of one class, from its tokens [count] in the order of the vocabulary. */
static head_row summarize_class(const head_call *call, const float *z, int64_t r, int32_t class, int32_t *tokens) {
  const head_partition *p = call->classes->partition;
  double temperature = call->temperature > 0 ? call->temperature : 1, best_score = -INFINITY;
  head_row row = {.best = -1, .best_logit = -INFINITY, .second_logit = -INFINITY};
  int64_t count = 0;
  for (int32_t s = 0; s < p->segments; s++) {
    if (p->segment_class[s] != class) continue;
    int64_t size = p->segment_first[s + 1] - p->segment_first[s];
    const int32_t *members = p->tokens + p->segment_first[s];
    memcpy(tokens + count, members, (size_t)size * sizeof *tokens);
    count += size;
    if (!(call->temperature > 0)) continue;
    uint32_t position = (uint32_t)call->positions[r], iteration = (uint32_t)call->iteration;
    reference_sums of = sums_of(z, members, size, temperature, z[members[0]]);
    double score = of.log_sum - log(-log(draw_uniform(call->seed, iteration, position, DRAW_SEGMENT, (uint32_t)s)));
    if (!(score > best_score)) continue;
    best_score = score;
    row.drawn = draw_member(z, members, size, temperature, draw_uniform(call->seed, iteration, position, DRAW_SEGMENT_TOKEN, (uint32_t)s));
  }
  for (int64_t i = 0; i < count; i++) {
    float logit = z[tokens[i]];
    bool better = row.best < 0 || logit > row.best_logit;
    float other = better ? row.best_logit : logit;
    if (other > row.second_logit) row.second_logit = other;
    if (!better) continue;
    row.best = tokens[i];
    row.best_logit = logit;
  }
  if (count == 0) return row;
  reference_sums plain = sums_of(z, tokens, count, 1, row.best_logit), hot = sums_of(z, tokens, count, temperature, row.best_logit);
  row.log_sum = (float)plain.log_sum;
  row.mean_logit = (float)plain.mean;
  row.hot_log_sum = (float)hot.log_sum;
  row.hot_mean = (float)hot.mean;
  if (!(call->temperature > 0)) row.drawn = row.best;
  row.drawn_logit = z[row.drawn];
  return row;
}

void summarize_classes(const head_call *call, const float *z, int64_t r, int32_t *tokens) {
  const head_classes *k = call->classes;
  int32_t classes = k->partition->classes;
  for (int32_t i = 0; i < classes; i++)
    if (k->wanted[r * classes + i]) k->results[r * classes + i] = summarize_class(call, z, r, i, tokens);
}

void summarize_bias(const head_bias *b, float *z, int64_t vocab, int64_t r) {
  for (int32_t i = 0; i < b->forbidden_count; i++) z[b->forbidden[i]] = HEAD_FORBIDDEN;
  if (b->shift != 0) z[b->shifted] += b->shift;
  if (b->log_sums) {
    double best = z[0], sum = 0;
    for (int64_t t = 1; t < vocab; t++) best = z[t] > best ? z[t] : best;
    for (int64_t t = 0; t < vocab; t++) sum += exp(z[t] - best);
    b->log_sums[r] = (float)(best + log(sum));
  }
  for (int32_t i = 0; i < b->count; i++) {
    float *logit = &z[b->tokens[i]];
    *logit = b->values[i] == -INFINITY ? HEAD_FORBIDDEN : *logit + b->values[i];
  }
  for (int32_t i = b->row_first ? b->row_first[r] : 0; b->row_first && i < b->row_first[r + 1]; i++) z[b->row_tokens[i]] += b->row_values[i];
}

float summarize_divergence(const float *z, const float *former, int64_t vocab, float log_sum) {
  double best = z[0], sum = 0, divergence = 0;
  for (int64_t t = 1; t < vocab; t++) best = z[t] > best ? z[t] : best;
  for (int64_t t = 0; t < vocab; t++) sum += exp(z[t] - best);
  for (int64_t t = 0; t < vocab; t++) {
    double share = z[t] - best - log(sum), q = exp((double)former[t] - log_sum);
    divergence += exp(share) * (share - log(q + (double)HEAD_LEAST));
  }
  return (float)divergence;
}

/* Whether token a of a row ranks before b. */
static bool is_before(const float *z, int32_t a, int32_t b) { return z[a] > z[b] || (z[a] == z[b] && a < b); }

/* A heap of the tokens that rank highest, the last of them on top. */
static void sink(const float *z, int32_t *heap, int32_t count, int32_t at) {
  for (int32_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
    if (child + 1 < count && is_before(z, heap[child], heap[child + 1])) child++;
    if (!is_before(z, heap[at], heap[child])) return;
    int32_t held = heap[at];
    heap[at] = heap[child];
    heap[child] = held;
    at = child;
  }
}

static int by_number(const void *a, const void *b) {
  int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
  return (x > y) - (x < y);
}

/* Writes down the tokens that may be listed; returns how many. */
static int32_t listable(const head_call *call, int64_t vocab, int64_t r, int32_t *tokens) {
  int32_t count = 0;
  if (!call->list->among_classes) {
    for (; count < vocab; count++) tokens[count] = count;
    return count;
  }
  const head_partition *p = call->classes->partition;
  const uint8_t *wanted = call->classes->wanted + r * p->classes;
  for (int32_t s = 0; s < p->segments; s++)
    for (int32_t i = p->segment_first[s]; i < p->segment_first[s + 1] && wanted[p->segment_class[s]]; i++) tokens[count++] = p->tokens[i];
  return count;
}

void summarize_list(const head_call *call, const float *z, int64_t vocab, int64_t r, int32_t *tokens) {
  int32_t most = call->list->count, all = listable(call, vocab, r, tokens), count = all < most ? all : most;
  for (int32_t i = count / 2 - 1; i >= 0; i--) sink(z, tokens, count, i);
  for (int32_t i = count; i < all; i++) {
    if (!is_before(z, tokens[i], tokens[0])) continue;
    tokens[0] = tokens[i];
    sink(z, tokens, count, 0);
  }
  qsort(tokens, (size_t)count, sizeof *tokens, by_number);
  for (int32_t i = 0; i < most; i++) {
    call->list->tokens[r * most + i] = i < count ? tokens[i] : -1;
    call->list->logits[r * most + i] = i < count ? z[tokens[i]] : -INFINITY;
  }
}
