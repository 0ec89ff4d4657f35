/* The noise schedule against the authors' counts and numpy's levels, and its edge cases. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "diffusion/schedule.h"
#include "test/data/schedule_tables.h"
#include "test/expect.h"
#include "test/files.h"

enum { LENGTH_OF_LEVELS = 1048577 };

static float levels[LENGTH_OF_LEVELS];

/* CRC-32 as in zlib, a bit at a time. Values are little-endian in the tables. */
static uint32_t crc32(uint32_t crc, uint32_t word) {
  crc = ~crc;
  for (int byte = 0; byte < 4; byte++) {
    crc ^= word >> (8 * byte) & 0xff;
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
  }
  return ~crc;
}

static uint32_t bits_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

static void levels_equal_linspace(void) {
  for (size_t i = 0; i < sizeof level_checksums / sizeof level_checksums[0]; i++) {
    int32_t steps = level_checksums[i].steps;
    float epsilon = level_checksums[i].epsilon;
    schedule_levels(steps, epsilon, levels);
    uint32_t crc = 0;
    for (int32_t j = 0; j <= steps; j++) crc = crc32(crc, bits_of(levels[j]));
    EXPECT(crc == level_checksums[i].levels, "%d steps to %g: %08x, not %08x", steps, (double)epsilon, crc,
           level_checksums[i].levels);
    EXPECT(levels[0] == 1.0f && levels[steps] == epsilon, "%d steps: from %g to %g", steps, (double)levels[0],
           (double)levels[steps]);
  }
}

static void transitions_equal_reference(void) {
  for (size_t i = 0; i < sizeof level_checksums / sizeof level_checksums[0]; i++) {
    if (level_checksums[i].schedule == 0) continue;
    int32_t steps = level_checksums[i].steps;
    schedule_levels(steps, level_checksums[i].epsilon, levels);
    int32_t at[3] = {0, steps / 3, steps - 1}; /* ascending, some equal */
    uint32_t crc = 0;
    for (int32_t total = 1; total <= 40; total++) {
      for (int32_t masked = 1; masked <= total; masked++) {
        for (int k = 0; k < 3; k++) {
          if (k > 0 && at[k] == at[k - 1]) continue;
          float from, to;
          crc = crc32(crc, (uint32_t)schedule_dim(masked, total, at[k], levels, steps, &from, &to));
          crc = crc32(crc, bits_of(from));
          crc = crc32(crc, bits_of(to));
        }
      }
    }
    EXPECT(crc == level_checksums[i].schedule, "%d steps to %g: %08x, not %08x", steps,
           (double)level_checksums[i].epsilon, crc, level_checksums[i].schedule);
  }
}

/* Counts per iteration of maskgit_plus without threshold; at most `room`. Returns how many. */
static int32_t simulate(int32_t pipeline, int32_t masks, int32_t steps, float epsilon, int32_t *counts, int32_t room) {
  schedule_levels(steps, epsilon, levels);
  int32_t masked = masks, iteration = 0;
  while (iteration < steps && iteration < room && (pipeline == DIMPLE_PIPELINE_DREAM || masked > 0)) {
    int32_t count = masked;
    if (pipeline == DIMPLE_PIPELINE_DIM) {
      float from, to;
      count = schedule_dim(masked, masks, iteration, levels, steps, &from, &to);
    } else if (iteration < steps - 1) {
      count = schedule_count(masked, levels[iteration], levels[iteration + 1]);
    }
    counts[iteration++] = count;
    masked -= count;
  }
  EXPECT(masked == 0 || iteration == room, "%d of %d masks left after %d of %d steps", masked, masks, iteration, steps);
  return iteration;
}

static void expect_counts(int32_t pipeline, int32_t masks, int32_t steps, float epsilon, const int32_t *expected,
                          int32_t iterations) {
  int32_t counts[2000];
  int32_t found = simulate(pipeline, masks, steps, epsilon, counts, 2000);
  EXPECT(found == iterations, "pipeline %d, %d masks, %d steps: %d iterations, not %d", pipeline, masks, steps, found,
         iterations);
  for (int32_t i = 0; i < found && i < iterations; i++) {
    EXPECT(counts[i] == expected[i], "pipeline %d, %d masks, %d steps, iteration %d: %d, not %d", pipeline, masks, steps, i,
           counts[i], expected[i]);
  }
}

static void counts_equal_authors(void) {
  for (size_t i = 0; i < sizeof revealed_runs / sizeof revealed_runs[0]; i++) {
    expect_counts(revealed_runs[i].pipeline, revealed_runs[i].masks, revealed_runs[i].steps, revealed_runs[i].epsilon,
                  revealed_counts + revealed_runs[i].first, revealed_runs[i].iterations);
  }
}

/* LaViDa's (tests/reference/lavida_goldens.py --schedules). */
static void shifted_equal_authors(void) {
  FILE *file = open_data("shifted_schedules.txt");
  int32_t masked, steps, expected, lines = 0;
  float shift;
  while (fscanf(file, "%d %d %f", &masked, &steps, &shift) == 3) {
    int32_t sum = 0, wrong = -1;
    for (int32_t i = 0; i < steps && fscanf(file, "%d", &expected) == 1; i++) {
      int32_t found = schedule_shifted(masked, steps, shift, i);
      sum += found;
      if (found != expected && wrong < 0) wrong = i;
    }
    EXPECT(wrong < 0 && sum == masked, "%d masks, %d steps, shift %g: step %d is wrong, %d in all", masked, steps, (double)shift, wrong, sum);
    lines++;
  }
  fclose(file);
  EXPECT(lines == 161, "%d schedules", lines);
}

/* Whatever the setting, steps reveal all, or leave one where float32 says so. */
static void shifted_reveals_all(void) {
  for (int32_t masked = 1; masked < 70; masked += 9)
    for (int32_t steps = 1; steps <= masked; steps++)
      for (float shift = 1e-3f; shift <= 1e3f; shift *= 4) {
        int32_t sum = 0, least = masked;
        for (int32_t i = 0; i < steps; i++) {
          int32_t count = schedule_shifted(masked, steps, shift, i);
          sum += count;
          if (count < least) least = count;
        }
        EXPECT((sum == masked || sum == masked - 1) && least >= 1, "%d masks, %d steps, shift %g: %d, at least %d", masked, steps, (double)shift, sum, least);
      }
}

/* Because epsilon > 0, eight masks in eight steps are never one per step. */
static void truncation_with_epsilon(void) {
  expect_counts(DIMPLE_PIPELINE_DIM, 8, 8, 1e-3f, (int32_t[]){1, 1, 1, 1, 1, 1, 2}, 7);
  expect_counts(DIMPLE_PIPELINE_DREAM, 8, 8, 1e-3f, (int32_t[]){0, 1, 1, 1, 1, 1, 1, 2}, 8);
}

static void dream_wastes_early_steps(void) {
  int32_t counts[32], empty = 0;
  int32_t iterations = simulate(DIMPLE_PIPELINE_DREAM, 8, 32, 1e-3f, counts, 32);
  for (int32_t i = 0; i < iterations; i++) empty += counts[i] == 0;
  EXPECT(iterations == 32 && empty == 25, "%d iterations, %d of them empty", iterations, empty);
}

static void share_not_above_epsilon_releases_everything(void) {
  float from, to;
  schedule_levels(2000, 1e-3f, levels);
  EXPECT(schedule_dim(1, 1000, 999, levels, 2000, &from, &to) == 1, "one of a thousand");
  EXPECT(to == levels[2000] && from <= to, "from %g to %g", (double)from, (double)to);
  EXPECT(schedule_dim(2, 4000, 0, levels, 2000, &from, &to) == 2, "two of four thousand");
}

static void last_iteration_releases_everything(void) {
  float from, to;
  schedule_levels(10, 1e-3f, levels);
  EXPECT(schedule_dim(37, 40, 9, levels, 10, &from, &to) == 37, "iteration 9 of 10");
  EXPECT(to == levels[10], "to %g", (double)to);
  schedule_levels(1, 1e-3f, levels);
  EXPECT(schedule_dim(5, 5, 0, levels, 1, &from, &to) == 5, "the only iteration");
}

/* Whatever the settings, a transition ends, reveals 1 .. masked, and dim finishes within its steps. */
static void every_transition_is_sound(void) {
  static const float epsilons[] = {1e-30f, 1e-3f, 0.5f, 0.999999940395f};
  static const int32_t step_counts[] = {1, 2, 7, 111, 999, 4096};
  for (size_t e = 0; e < sizeof epsilons / sizeof epsilons[0]; e++) {
    for (size_t s = 0; s < sizeof step_counts / sizeof step_counts[0]; s++) {
      for (int32_t masks = 1; masks <= 1500; masks = masks * 2 + 1) {
        int32_t counts[4096], sum = 0;
        int32_t iterations = simulate(DIMPLE_PIPELINE_DIM, masks, step_counts[s], epsilons[e], counts, 4096);
        bool sound = true;
        for (int32_t i = 0; i < iterations; i++) {
          sound = sound && counts[i] >= 1;
          sum += counts[i];
        }
        EXPECT(sound && sum == masks, "%d masks, %d steps to %g: %d in %d iterations", masks, step_counts[s],
               (double)epsilons[e], sum, iterations);
      }
    }
  }
}

/* What dLLM's code gives: 8 masks in 5 steps, 16 in 10, and steps that reveal nothing. */
static void expected_counts(void) {
  static const int32_t few[] = {2, 2, 1, 2, 1, 0}, many[] = {2, 2, 2, 1, 2, 1, 1, 2, 1, 2, 0};
  for (int32_t i = 0; i < 6; i++) EXPECT(schedule_expected(8, 5, i) == few[i], "8 in 5, pass %d: %d", i, schedule_expected(8, 5, i));
  for (int32_t i = 0; i < 11; i++) EXPECT(schedule_expected(16, 10, i) == many[i], "16 in 10, pass %d: %d", i, schedule_expected(16, 10, i));
  for (int32_t masked = 1; masked < 40; masked++) {
    for (int32_t steps = 1; steps < 90; steps++) {
      int32_t sum = 0, passes = 0, count;
      while ((count = schedule_expected(masked, steps, passes)) > 0) {
        sum += count;
        passes++;
      }
      EXPECT(sum == masked && passes <= steps && passes <= masked, "%d in %d: %d in %d passes", masked, steps, sum, passes);
    }
  }
}

int main(void) {
  expected_counts();
  levels_equal_linspace();
  transitions_equal_reference();
  counts_equal_authors();
  shifted_equal_authors();
  shifted_reveals_all();
  truncation_with_epsilon();
  dream_wastes_early_steps();
  share_not_above_epsilon_releases_everything();
  last_iteration_releases_everything();
  every_transition_is_sound();
  return expect_summary("schedule");
}
