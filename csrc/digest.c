#include "digest.h"

#include <string.h>

enum { LANES = 4 };

/* Odd, so that multiplying by it loses nothing: 2^64 divided by the golden ratio. */
#define FACTOR UINT64_C(0x9e3779b97f4a7c15)

static inline uint64_t turn(uint64_t x, int bits) { return x << bits | x >> (64 - bits); }

/* For a given state every word leads to another one, and for a given word every state. */
static inline uint64_t take(uint64_t state, uint64_t word) { return turn((state ^ word) * FACTOR, 31); }

static inline uint64_t word_at(const uint8_t *at, int64_t size) {
  uint64_t word = 0;
  memcpy(&word, at, (size_t)size);
  return word;
}

uint64_t digest_of(const void *bytes, int64_t size) {
  enum { WORD = 8, STRIPE = LANES * WORD };
  const uint8_t *at = bytes, *end = at + size;
  uint64_t lanes[LANES] = {1, 2, 3, 4}, all = (uint64_t)size;
  for (; end - at >= STRIPE; at += STRIPE)
    for (int i = 0; i < LANES; i++) lanes[i] = take(lanes[i], word_at(at + i * WORD, WORD));
  for (; at < end; at += WORD) lanes[0] = take(lanes[0], word_at(at, end - at < WORD ? end - at : WORD));
  for (int i = 0; i < LANES; i++) all = take(all, lanes[i]);
  return take(all ^ all >> 29, 0);
}
