#include "test/chi_square.h"

#include "test/expect.h"

/* Pearson's statistic for `cells` counts against probabilities. */
static double chi_square(const int32_t *counts, const double *probabilities, int32_t cells, int32_t total) {
  double sum = 0;
  for (int32_t i = 0; i < cells; i++) {
    double expected = probabilities[i] * total;
    sum += (counts[i] - expected) * (counts[i] - expected) / expected;
  }
  return sum;
}

void expect_distribution(const char *what, const int32_t *counts, const double *probabilities, int32_t cells, int32_t total) {
  double freedom = cells - 1, c = 2 / (9 * freedom), limit = freedom * pow(1 - c + 3.719 * sqrt(c), 3);
  double found = chi_square(counts, probabilities, cells, total);
  EXPECT(found < limit, "%s: chi-square %.1f, limit %.1f", what, found, limit);
}
