/* The prompt: its tokens, their positions, and its pictures; behind them, in a long answer, what of it is settled. */
#ifndef DIMPLE_PROMPT_H
#define DIMPLE_PROMPT_H

#include "model/model.h"

typedef struct prompt_image {
  dimple_image_grid grid;
  uint8_t *rgb; /* prepared, tight rows */
  int32_t width, height; /* as it was given */
} prompt_image;

typedef struct prompt {
  int32_t length;         /* P: those given and the settled answer; 0: no prompt */
  int32_t given;          /* tokens without the answer */
  int32_t *tokens;        /* [P] */
  int32_t *positions;     /* [3 x given] time, row, column */
  int32_t next_position;  /* the first one behind those given */
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
/* Puts `count` tokens behind those given, in the place of what an earlier call put there; they are words, whatever they are. On failure
 * nothing is changed. Errors: MEMORY. */
dimple_status prompt_set_answer(prompt *p, const int32_t *tokens, int32_t count);
void prompt_free(prompt *p); /* leaves no prompt; none is allowed */

int64_t prompt_bytes(const prompt *p); /* of memory it takes */

/* Writes the positions [3 x (P + L)] of the prompt and of a response of L tokens: answer and response go on behind the tokens given, with
 * all three coordinates equal. */
void prompt_positions(const prompt *p, int32_t response_length, int32_t *positions);

#endif
