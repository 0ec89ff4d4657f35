/* The noise schedule. Every operation is rounded to float32 as in the authors' code, because a count is a truncated product
 * that may lie exactly on an integer. */
#include "diffusion/schedule.h"

#include <math.h>

/* torch.linspace: a float32 step; each level rounded once; the second half counted back from the end. */
float schedule_level(int32_t steps, float epsilon, int32_t index) {
  float step = (epsilon - 1.0f) / (float)steps;
  int32_t half = (steps + 1) / 2;
  return index < half ? (float)(1.0 + (double)step * index) : (float)((double)epsilon - (double)step * (steps - index));
}

void schedule_levels(int32_t steps, float epsilon, float *levels) {
  for (int32_t i = 0; i <= steps; i++) levels[i] = schedule_level(steps, epsilon, i);
}

int32_t schedule_count(int32_t masked, float from, float to) {
  float share = 1.0f - to / from;
  return (int32_t)((float)masked * share);
}

int32_t schedule_quota(int32_t masked, int32_t steps, int32_t step) { return masked / steps + (step < masked % steps); }

int32_t schedule_dim(int32_t masked, int32_t total, int32_t iteration, const float *levels, int32_t steps, float *from,
                     float *to) {
  float t = (float)masked / (float)total;
  float last = levels[steps];
  int32_t level = iteration + 1;
  while (level < steps && levels[level] >= t) level++;
  *from = t;
  /* The last level releases everything. So does a share that is not above it (1 of 1000 with epsilon 1e-3), where the authors
   * raise an error. */
  for (; levels[level] > last; level++) {
    int32_t count = schedule_count(masked, t, levels[level]);
    if (count >= 1) {
      *to = levels[level];
      return count;
    }
  }
  *to = last;
  return masked;
}

/* A setting is a decimal, which float32 has not: the one of six digits that it stands for, or else what it is. */
static double as_written(float x) {
  double decimal = rint((double)x * 1e6) / 1e6;
  return (float)decimal == x ? decimal : (double)x;
}

/* How many positions the last `index` of the steps reveal, before each has at least one. */
static int32_t shifted_level(int32_t masked, int32_t steps, double shift, int32_t index) {
  float step = 1.0f / (float)steps;
  float t = index < (steps + 1) / 2 ? (float)((double)step * index) : (float)(1.0 - (double)step * (steps - index));
  float above = (float)shift * t, below = (float)(shift - 1) * t;
  below = 1.0f + below;
  float level = above / below;
  return (int32_t)(level * (float)masked);
}

/* What the `index`-th step from the end reveals beyond one. */
static int32_t shifted_surplus(int32_t masked, int32_t steps, double shift, int32_t index) {
  int32_t count = shifted_level(masked, steps, shift, index + 1) - shifted_level(masked, steps, shift, index);
  return count > 1 ? count - 1 : 0;
}

/* As many as are too many in all are taken off one by one, going round from the last step to the first, where there is more than one: `rounds` of
 * them whole, and then `rest`. */
static int32_t taken_in_rounds(int32_t masked, int32_t steps, double shift, int32_t rounds) {
  int32_t taken = 0;
  for (int32_t i = 0; i < steps; i++) {
    int32_t surplus = shifted_surplus(masked, steps, shift, i);
    taken += surplus < rounds ? surplus : rounds;
  }
  return taken;
}

int32_t schedule_shifted(int32_t masked, int32_t steps, float setting, int32_t step) {
  double shift = as_written(setting);
  int32_t index = steps - 1 - step, rounds = 0, excess = steps - masked;
  excess += taken_in_rounds(masked, steps, shift, masked); /* all surpluses */
  while (taken_in_rounds(masked, steps, shift, rounds + 1) <= excess && rounds < masked) rounds++;
  int32_t rest = excess - taken_in_rounds(masked, steps, shift, rounds), surplus = shifted_surplus(masked, steps, shift, index);
  for (int32_t i = 0; i < index && rest > 0; i++) rest -= shifted_surplus(masked, steps, shift, i) > rounds;
  if (surplus <= rounds) return 1;
  return 1 + surplus - rounds - (rest > 0);
}

/* Levels are float32, and so is the quotient of two; what follows is double. */
static int32_t expected(int32_t masked, int32_t steps, int32_t step) {
  float from = (float)((double)(steps - step) / steps), to = (float)((double)(steps - step - 1) / steps);
  float kept = (1.0f - (1.0f - to)) / (1.0f - (1.0f - from));
  double count = nearbyint(masked * (1.0 - (double)kept));
  return count < masked ? (int32_t)count : masked;
}

int32_t schedule_expected(int32_t masked, int32_t steps, int32_t pass) {
  for (int32_t step = 0; step < steps && masked > 0; step++) {
    int32_t count = expected(masked, steps, step);
    if (count > 0 && pass-- == 0) return count;
    masked -= count;
  }
  return 0;
}

int32_t schedule_left(int32_t total, int32_t steps, int32_t iteration) {
  float rate = (float)((double)(steps - 1 - iteration) / steps);
  return (int32_t)((float)total * rate);
}
