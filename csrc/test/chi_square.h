/* Whether counts follow a distribution: Pearson's chi-square test. */
#ifndef DIMPLE_TEST_CHI_SQUARE_H
#define DIMPLE_TEST_CHI_SQUARE_H

#include <stdint.h>

/* Checks `total` draws that fell into `cells` cells, counts[cells], against their probabilities. Fails above the 99.99 % quantile
 * (Wilson-Hilferty); seeds are fixed, so a sound generator passes for ever. */
void expect_distribution(const char *what, const int32_t *counts, const double *probabilities, int32_t cells, int32_t total);

#endif
