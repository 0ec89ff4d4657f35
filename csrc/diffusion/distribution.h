/* The tokens that may stand at one position and what they weigh, after temperature and filters. */
#ifndef DIMPLE_DISTRIBUTION_H
#define DIMPLE_DISTRIBUTION_H

#include "diffusion/selection.h"
#include "dimple.h"

typedef struct distribution {
  int32_t vocab;
  double temperature;  /* > 0; 1 when tokens are not drawn */
  const float *logits; /* [vocab] */
  int32_t best;        /* the highest logit; the lowest id among equals */
  float *weights;      /* [vocab] exp((logit - best logit) / temperature), 0 where filtered out */
  double sum;          /* of the weights; the best one's is 1 */
  ranked *items;       /* [vocab] scratch of the filters */
} distribution;

/* Room for rows of `vocab` logits. Errors: MEMORY; nothing is left to be closed then. */
dimple_status distribution_open(int32_t vocab, double temperature, distribution *d);
void distribution_close(distribution *d);

/* Takes a row of logits [vocab], which must live as long as it is looked at, and the id of its highest. */
void distribution_weigh(distribution *d, const float *logits, int32_t best);

/* Takes one token away; -1: none. One of the others is the best then. */
void distribution_drop(distribution *d, int32_t token);

/* A token stays if the probability of all tokens before it, in order of falling logits, is at most top_p < 1. */
void distribution_keep_top_p(distribution *d, float top_p);

/* A token stays if its logit is at least the k-th highest of those left, k = top_k >= 1. */
void distribution_keep_top_k(distribution *d, int32_t top_k);

/*
 * The same for a distribution over a part of a row, its highest logits, whose places in it are the "tokens" here. `part` says what is known of
 * those that are not in it, and after a filter whether it is everything: then sums and draws are the row's. Returns false if the part does not
 * show what the filter keeps of it.
 */
typedef struct row_part {
  bool whole;       /* what is not in it weighs nothing */
  float lowest;     /* otherwise: no logit outside is above it */
  double least_sum, most_sum; /* of the weights of the row, in and outside */
} row_part;

/* Of d, which has weighed the part; `log_sum` is of the row at d's temperature, in about: sums of floats and their logarithm are rounded. */
row_part distribution_part(const distribution *d, double log_sum, bool whole);

bool distribution_part_top_p(distribution *d, row_part *part, float top_p);
bool distribution_part_top_k(distribution *d, row_part *part, int32_t top_k);

/* The token where the cumulative sum of the weights, by id, passes the share `u` of the whole. */
int32_t distribution_token_at(const distribution *d, double u);

#endif
