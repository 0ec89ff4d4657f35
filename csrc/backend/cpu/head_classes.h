/*
 * What the head keeps of classes of tokens. The vocabulary is walked in waves of chunks: the segments of a wave are summarised, each chunk
 * by an item of its own, then added row by row to the sums of the classes, in the order of the chunks. So memory is bounded by a wave and
 * results do not depend on threads.
 */
#ifndef DIMPLE_CPU_HEAD_CLASSES_H
#define DIMPLE_CPU_HEAD_CLASSES_H

#include "backend/cpu/operations.h"

/* A class in one row, so far. Sums are relative to `best`. */
typedef struct class_sums {
  float best, second, drawn_logit;
  int32_t best_token, drawn_token;
  double drawn_score; /* of the segment that the draw is from */
  double sum, mean, hot_sum, hot_mean;
} class_sums;

typedef struct class_reduction {
  const head_call *call;
  const cpu_kernels *kernels;
  int64_t wave;            /* chunks */
  chunk_summary *segments; /* [rows x wave x most_segments] */
  class_sums *sums;        /* [rows x classes] */
} class_reduction;

/* For up to `rows` rows at a time. A call without classes has one wave of all chunks. On failure nothing is held. Errors: MEMORY. */
dimple_status cpu_classes_open(const head_call *call, const cpu_kernels *kernels, int64_t rows, int64_t chunks, class_reduction *out);
void cpu_classes_close(class_reduction *c);

/* Before the first wave of rows. */
void cpu_classes_begin(class_reduction *c, int64_t rows);

/* The segments of chunk `chunk`, the `place`-th of its wave, in row `row` of those that are worked on, row `at` of the call: z are the
 * chunk's logits. */
void cpu_classes_summarize(const class_reduction *c, int64_t row, int64_t at, int64_t chunk, int64_t place, const float *z);

/* Adds the segments of chunks first .. first + count - 1, a wave, to the sums of a row. */
void cpu_classes_merge(const class_reduction *c, int64_t row, int64_t at, int64_t first, int64_t count);

/* Writes the classes of a row. */
void cpu_classes_finish(const class_reduction *c, int64_t row, int64_t at);

#endif
