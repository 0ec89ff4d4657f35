/* The text body's forward pass over a key/value cache. */
#ifndef DIMPLE_TEXT_H
#define DIMPLE_TEXT_H

#include <stdatomic.h>
#include <stdint.h>

#include "model/model.h"

/* Everything mutable a pass needs. Row r of the cache belongs to the r-th position of prompt + response. */
typedef struct text_state {
  int64_t capacity;      /* rows of the cache: P + L */
  float *keys, *values;  /* [layers x capacity x kv_heads * head_size], keys already rotated */
  float *cosine, *sine;  /* [capacity x head_size/2] */
  int32_t *row_numbers;  /* 0, 1, .. capacity - 1, then as many for selections (host) */
  int64_t scratch_rows;
  block_scratch scratch;
  float *x;                              /* [scratch_rows x width] residual stream */
  float *selected;                       /* [scratch_rows x width] */
  float *selected_cosine, *selected_sine;/* [scratch_rows x head_size/2] */
  int64_t kv_bytes, scratch_bytes;
} text_state;

/* A cache for `capacity` positions with coordinates positions [3 x capacity]. On failure the state is closed again. */
dimple_status text_state_open(const dimple_model *m, context *c, const int32_t *positions, int64_t capacity, text_state *state);
void text_state_close(const dimple_model *m, context *c, text_state *state); /* a zeroed state is allowed */

/* What stands at image placeholders instead of their embedding. */
typedef struct text_images {
  const float *features;  /* [count x width] in device memory */
  const int32_t *at;      /* [count] ascending positions in the prompt (host) */
  int64_t count;
} text_images;

/* Runs positions first .. first + count - 1, holding tokens[count], against cache rows 0 .. first - 1 and themselves, and writes
 * their keys and values to the cache. states [wanted_count x width] in device memory receives the normalised final states of
 * the positions first + wanted[i] (wanted ascending, host memory, at least one): in the last block only those rows go on
 * past keys and values. `cancelled` is looked at before every block. Errors: MEMORY, CANCELLED. */
dimple_status text_forward(const dimple_model *m, context *c, text_state *state, const int32_t *tokens, int64_t first, int64_t count,
                           const text_images *images, const int32_t *wanted, int64_t wanted_count, atomic_bool *cancelled, float *states);

/* Fails with CANCELLED, and takes the request back, if `cancelled` is set. */
dimple_status check_cancelled(atomic_bool *cancelled);

#endif
