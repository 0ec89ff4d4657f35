#include "diffusion/logits.h"

#include <math.h>

bool logits_are_changed(const dimple_decoding *d) {
  return d->guidance_scale > 0 || d->no_eos_logits || d->no_eos_confidence || d->no_mask_logits;
}

void logits_guide(float *z, const float *u, int32_t vocab, float scale) {
  for (int32_t i = 0; i < vocab; i++) z[i] = u[i] + (scale + 1) * (z[i] - u[i]);
}

void logits_forbid(float *z, int32_t vocab, int32_t token) {
  if (token >= 0 && token < vocab) z[token] = -INFINITY;
}

/* The sums of a row at a temperature above 0. */
static void sum_up(const float *z, int32_t vocab, double temperature, float best_logit, float *log_sum, float *mean_logit) {
  double sum = 0, mean = 0;
  for (int32_t i = 0; i < vocab; i++) {
    double below = ((double)z[i] - best_logit) / temperature;
    if (!(below > -100)) continue; /* nothing beside the best one's 1 */
    double weight = exp(below);
    sum += weight;
    mean += weight * below;
  }
  *log_sum = (float)(log(sum) + best_logit / temperature);
  *mean_logit = (float)(mean / sum + best_logit / temperature);
}

head_row logits_summary(const float *z, int32_t vocab, float temperature) {
  head_row r = {.second_logit = -INFINITY};
  for (int32_t i = 1; i < vocab; i++) r.best = z[i] > z[r.best] ? i : r.best;
  r.best_logit = z[r.best];
  for (int32_t i = 0; i < vocab; i++)
    if (i != r.best && z[i] > r.second_logit) r.second_logit = z[i];
  r.drawn = r.best;
  r.drawn_logit = r.best_logit;
  sum_up(z, vocab, 1, r.best_logit, &r.log_sum, &r.mean_logit);
  r.hot_log_sum = r.log_sum;
  r.hot_mean = r.mean_logit;
  if (temperature > 0) sum_up(z, vocab, temperature, r.best_logit, &r.hot_log_sum, &r.hot_mean);
  return r;
}

float logits_divergence(const float *z, double log_sum, const float *former, double former_sum, int32_t vocab) {
  const double least = 1e-12; /* the authors' */
  double sum = 0;
  for (int32_t i = 0; i < vocab; i++) {
    float now = (float)exp(z[i] - log_sum), before = former ? (float)exp(former[i] - former_sum) : 0;
    if (now > 0) sum += now * (log(now + least) - log(before + least));
  }
  return (float)sum;
}
