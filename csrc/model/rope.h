/* Positions and rotation angles: multimodal rotary embedding (mRoPE) of the text body, 2-D rotary of the vision tower. */
#ifndef DIMPLE_ROPE_H
#define DIMPLE_ROPE_H

#include <stdint.h>

#include "dimple.h"
#include "model/hyperparameters.h"

/* Coordinates of `count` prompt tokens: positions [3 x count] = time, row, column. Text advances all three by one. An image
 * whose grid is R x C merged tokens and that starts at the next free position b puts its token (r, c) at (b, b+r, b+c), and
 * the next free position becomes b + max(1, R, C). *next_position receives the first position after the prompt. Every grid is
 * consumed by a run of grid.tokens image tokens. Errors: ARGUMENT when tokens and grids disagree. */
dimple_status rope_prompt_positions(const int32_t *tokens, int64_t count, int32_t image_token, const dimple_image_grid *grids,
                                    int32_t grid_count, int32_t merge_size, int32_t *positions, int32_t *next_position);

/* Cosines and sines [count x head_size/2] of mRoPE: angle j is coordinate(j) * base^(-2j/head_size), where the first
 * rope_sections[0] angles follow time, the next follow the row, the last the column. positions as above. */
void rope_text_angles(const text_parameters *p, const int32_t *positions, int64_t count, float *cosine, float *sine);

/* Cosines and sines [count x head_size/2] for patches at (row, column): the first half of the angles follows the row, the second the
 * column, each with frequencies 10000^(-2j/(head_size/2)). */
void rope_vision_angles(int32_t head_size, const int32_t *rows, const int32_t *columns, int64_t count, float *cosine, float *sine);

#endif
