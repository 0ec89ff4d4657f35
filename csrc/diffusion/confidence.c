#include "diffusion/confidence.h"

#include <float.h>
#include <math.h>

float confidence_bounded(const confidence *c, double value) {
  return (float)(value >= c->low ? fmin(value, c->high) : c->low);
}

static double log_sum_of(const head_row *row, bool hot) { return hot ? row->hot_log_sum : row->log_sum; }

/* -------------------------------------------------------------------------------------------------------- probability */

static double summary_probability(const head_row *row, float logit, bool hot, double temperature) {
  return exp(logit / (hot ? temperature : 1) - log_sum_of(row, hot));
}

static double token_probability(const distribution *d, int32_t token) { return d->weights[token] / d->sum; }

const confidence confidence_probability = {.low = 0, .high = 1, .of_summary = summary_probability, .of_token = token_probability};

/* ------------------------------------------------------------------------------------------------------------- margin */

static double summary_margin(const head_row *row, float logit, bool hot, double temperature) {
  double t = hot ? temperature : 1, log_sum = log_sum_of(row, hot);
  (void)logit;
  return exp(row->best_logit / t - log_sum) - exp(row->second_logit / t - log_sum);
}

static double token_margin(const distribution *d, int32_t token) {
  float second = 0;
  (void)token;
  for (int32_t i = 0; i < d->vocab; i++) {
    if (i != d->best && d->weights[i] > second) second = d->weights[i];
  }
  return ((double)d->weights[d->best] - second) / d->sum;
}

const confidence confidence_margin = {.low = 0, .high = 1, .of_summary = summary_margin, .of_token = token_margin};

/* ------------------------------------------------------------------------------------------------------------ entropy */

/* The authors add 1e-10 inside the logarithm against log 0, which moves the sum by at most 1e-10 per token of the vocabulary; here
 * p log p is 0 at p = 0 instead. */
static double summary_entropy(const head_row *row, float logit, bool hot, double temperature) {
  (void)logit;
  (void)temperature;
  return (hot ? row->hot_mean : row->mean_logit) - log_sum_of(row, hot);
}

static double token_entropy(const distribution *d, int32_t token) {
  double mean = 0; /* of log weight */
  (void)token;
  for (int32_t i = 0; i < d->vocab; i++) {
    if (d->weights[i] > 0) mean += d->weights[i] * ((double)d->logits[i] - d->logits[d->best]) / d->temperature;
  }
  return mean / d->sum - log(d->sum);
}

const confidence confidence_entropy = {.low = -FLT_MAX, .high = 0, .of_summary = summary_entropy, .of_token = token_entropy};
