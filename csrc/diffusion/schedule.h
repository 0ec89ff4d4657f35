/* The noise schedule: how many masked positions an iteration has to reveal. Pure functions, every operation rounded as in the
 * authors' code. */
#ifndef DIMPLE_SCHEDULE_H
#define DIMPLE_SCHEDULE_H

#include <stdint.h>

/* Fills levels[steps + 1]: from 1 down to epsilon, equal steps, rounded as torch.linspace does in float32. */
void schedule_levels(int32_t steps, float epsilon, float *levels);

/* The `index`-th of them, 0 .. steps. */
float schedule_level(int32_t steps, float epsilon, int32_t index);

/* How many of `masked` >= 1 positions pipeline dim reveals at `iteration` when nothing passes the threshold, `total` masks at the
 * start; at least 1. *from and *to receive the levels t and s of the transition; *to is levels[steps] when everything goes. */
int32_t schedule_dim(int32_t masked, int32_t total, int32_t iteration, const float *levels, int32_t steps, float *from,
                     float *to);

/* How many positions pipeline llada reveals in step `step`, from 0, of the `steps` >= 1 that it spreads `masked` positions over: an equal
 * share each, and one more in the first steps for what is left over. */
int32_t schedule_quota(int32_t masked, int32_t steps, int32_t step);

/* How many positions pipeline lavida reveals in step `step`, from 0, of the 1 .. `masked` that it spreads `masked` positions over by a shifted schedule,
 * `shift` 0.001 .. 1000: at least one (LaViDa's get_num_transfer_tokens_sch, "shift"). Where rounding leaves a position over, and their code fails, no step
 * has it. */
int32_t schedule_shifted(int32_t masked, int32_t steps, float shift, int32_t step);

/* How many positions dLLM's linear schedule reveals in the `pass`-th pass, from 0, of the `steps` >= 1 that it spreads `masked` >= 1 positions
 * over: the expected number of each step, rounded half to even; steps that reveal nothing are no passes. 0 behind the last one
 * (dllm/core/samplers/utils.py). */
int32_t schedule_expected(int32_t masked, int32_t steps, int32_t pass);

/* How many of `total` masks pipeline rnd1 leaves after `iteration`, from 0, of `steps`: int(total * (steps - 1 - iteration) / steps) in float32. */
int32_t schedule_left(int32_t total, int32_t steps, int32_t iteration);

/* int(masked * (1 - to / from)) in float32, truncating. */
int32_t schedule_count(int32_t masked, float from, float to);

#endif
