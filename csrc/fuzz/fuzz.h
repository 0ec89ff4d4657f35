/*
 * What the fuzz targets share. A target is a file fuzz_NAME.c with the two functions libFuzzer calls; drive.c calls them too, where there
 * is no libFuzzer: it runs a corpus and its own mutations of it. A finding is a crash, a sanitizer's report, or a REQUIRE that fails.
 */
#ifndef DIMPLE_FUZZ_H
#define DIMPLE_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dimple.h"

/* Runs one input; returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Once, before all inputs; returns 0. */
int LLVMFuzzerInitialize(int *argument_count, char ***arguments);

/* Says that an input came to some place, 0 .. 1023, of those that its target counts. drive.c adds up to how many the corpus comes; libFuzzer,
 * which has counters of its own, has no such function. */
void fuzz_mark(unsigned place) __attribute__((weak));

static inline void mark(unsigned place) {
  if (fuzz_mark) fuzz_mark(place);
}

/* What has to hold for every input. */
#define REQUIRE(condition)                                                                             \
  do {                                                                                                 \
    if (!(condition)) {                                                                                \
      fprintf(stderr, "%s:%d: required %s; last error: %s\n", __FILE__, __LINE__, #condition, dimple_last_error()); \
      abort();                                                                                         \
    }                                                                                                  \
  } while (0)

/* An input that is read as a series of decisions. Behind its end all bytes are zero. */
typedef struct decisions {
  const uint8_t *data;
  size_t size;
} decisions;

static inline void take(decisions *d, void *out, size_t size) {
  size_t there = size < d->size ? size : d->size;
  memset(out, 0, size);
  if (there > 0) memcpy(out, d->data, there);
  d->data += there;
  d->size -= there;
}

static inline uint8_t take_u8(decisions *d) {
  uint8_t x;
  take(d, &x, sizeof x);
  return x;
}

static inline int32_t take_i32(decisions *d) {
  int32_t x;
  take(d, &x, sizeof x);
  return x;
}

/* low .. high, at most 255 apart. */
static inline int32_t take_between(decisions *d, int32_t low, int32_t high) { return low + take_u8(d) % (high - low + 1); }

/* Any float, ordinary ones half of the time. */
static inline float take_float(decisions *d) {
  uint8_t kind = take_u8(d);
  if (kind & 1) return (float)take_u8(d) / 200;
  float x;
  take(d, &x, sizeof x);
  return x;
}

#endif
