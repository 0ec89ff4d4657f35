/*
 * Random draws, counter-based: every number is a pure function of (seed, iteration, position, purpose, index), so results
 * depend neither on threads nor on the order of evaluation. Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel Random
 * Numbers: As Easy as 1, 2, 3", SC11). Header-only so that every backend, CUDA's included, inlines the same function.
 */
#ifndef DIMPLE_DRAWS_H
#define DIMPLE_DRAWS_H

#include <stdint.h>

typedef enum draw_purpose {
  DRAW_CHUNK = 0,      /* which chunk of the vocabulary, index = chunk */
  DRAW_TOKEN = 1,      /* which token inside the chunk, index = chunk */
  DRAW_CATEGORICAL = 2, /* which token of a filtered row, index = 0 */
  DRAW_PERMUTATION = 3, /* a position's rank in the random order, index = 0 */
  DRAW_UNIFORM = 4,     /* whether a position is revealed, index = 0 */
  DRAW_SUBSET = 5,      /* a position's noise in the weighted subset, index = 0 */
  DRAW_PATH = 6,        /* the way of a constrained path over a position, index = 0, 1 */
  DRAW_MEMBER = 7,      /* which token of a class stands on it, of those that filters keep, index = 2 * class, 2 * class + 1 */
  DRAW_ROUND = 8,       /* how much a round of scoring masks, iteration = round, index = 0 */
  DRAW_ANSWER = 9,      /* a token's rank among those masked, iteration = round, index = row */
  DRAW_SEGMENT = 10,    /* which segment of a class of tokens, index = segment */
  DRAW_SEGMENT_TOKEN = 11, /* which token inside the segment, index = segment */
  DRAW_CANVAS = 12,     /* a token that a canvas begins with, index = 0 */
  DRAW_NOISE = 13       /* a token at a position that was not accepted, index = 0 */
} draw_purpose;

/* The first output word of Philox4x32-10 for key `seed` and counter (iteration, position, purpose, index). */
static inline uint32_t draw_word(uint64_t seed, uint32_t iteration, uint32_t position, uint32_t purpose, uint32_t index) {
  uint32_t c0 = iteration, c1 = position, c2 = purpose, c3 = index;
  uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
  for (int round = 0; round < 10; round++) {
    uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
    uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
    c1 = (uint32_t)p1;
    c3 = (uint32_t)p0;
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return c0;
}

/* Uniform in (0, 1), never either end: 23 bits centred in their cells. (The centre of a 24-bit cell is not always a float, and
 * the last one would round to 1, whose Gumbel noise is infinite.) */
static inline float draw_uniform(uint64_t seed, uint32_t iteration, uint32_t position, uint32_t purpose, uint32_t index) {
  return ((float)(draw_word(seed, iteration, position, purpose, index) >> 9) + 0.5f) * 0x1p-23f;
}

#endif
