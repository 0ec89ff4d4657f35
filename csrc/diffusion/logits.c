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

head_row logits_summary(const float *z, int32_t vocab) {
  head_row r = {.second_logit = -INFINITY};
  for (int32_t i = 1; i < vocab; i++) r.best = z[i] > z[r.best] ? i : r.best;
  r.best_logit = z[r.best];
  double sum = 0, mean = 0;
  for (int32_t i = 0; i < vocab; i++) {
    if (i != r.best && z[i] > r.second_logit) r.second_logit = z[i];
    float below = z[i] - r.best_logit;
    if (!(below > -100)) continue; /* nothing beside the best one's 1 */
    double weight = exp(below);
    sum += weight;
    mean += weight * z[i];
  }
  r.drawn = r.best;
  r.drawn_logit = r.best_logit;
  r.log_sum = r.hot_log_sum = (float)(log(sum) + r.best_logit);
  r.mean_logit = r.hot_mean = (float)(mean / sum);
  return r;
}
