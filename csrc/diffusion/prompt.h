/* The prompt: its tokens, their positions, and its pictures. Unchanged once it is made. */
#ifndef DIMPLE_PROMPT_H
#define DIMPLE_PROMPT_H

#include "model/model.h"

typedef struct prompt_image {
  dimple_image_grid grid;
  uint8_t *rgb; /* resized, tight rows */
} prompt_image;

typedef struct prompt {
  int32_t length;         /* P; 0: no prompt */
  int32_t *tokens;        /* [P] */
  int32_t *positions;     /* [3 x P] time, row, column */
  int32_t next_position;  /* the first one behind the prompt */
  prompt_image *images;   /* [image_count] */
  int32_t image_count;
  int32_t *feature_rows;  /* [feature_count] which prompt tokens are placeholders of image tokens, ascending */
  int64_t feature_count;
  int64_t image_time;     /* nanoseconds spent on resizing */
} prompt;

/* Copies `count` >= 1 tokens, each below the model's vocabulary, and resizes the pictures to the model's grid. On failure *out is not
 * touched. Errors: ARGUMENT (placeholders and pictures disagree, a bad picture), UNSUPPORTED (a picture without a vision tower),
 * MEMORY. */
dimple_status prompt_create(const dimple_model *m, const int32_t *tokens, int32_t count, const dimple_image *images,
                            int32_t image_count, prompt *out);
void prompt_free(prompt *p); /* leaves no prompt; none is allowed */

int64_t prompt_bytes(const prompt *p); /* of memory it takes */

/* Writes the positions [3 x (P + L)] of the prompt and of a response of L tokens, which goes on behind it with all three coordinates
 * equal. */
void prompt_positions(const prompt *p, int32_t response_length, int32_t *positions);

#endif
