/* Positions and rotation angles of the text body: multimodal rotary embedding (mRoPE). */
#ifndef DIMPLE_ROPE_H
#define DIMPLE_ROPE_H

#include <stdint.h>

#include "dimple.h"
#include "model/hyperparameters.h"
#include "vision/tower.h"

/* Coordinates of `count` prompt tokens: positions [3 x count] = time, row, column. Text advances all three by one; an image's tokens
 * stand where its vision tower places them; if `picture_start` >= 0, of as many pictures as this token stands right before a placeholder, the others' in
 * line like text. *next_position receives the first position after the prompt. Every grid is consumed by
 * a run of grid.tokens image tokens. Errors: ARGUMENT when tokens and grids disagree. */
dimple_status rope_prompt_positions(const int32_t *tokens, int64_t count, int32_t image_token, int32_t picture_start,
                                    const vision_parameters *vision,
                                    const dimple_image_grid *grids, int32_t grid_count, int32_t *positions, int32_t *next_position);

/* Cosines and sines [count x size/2], times the scaling's magnitude: angle j is coordinate(j) * f(j), where the first sections[0] angles
 * follow time, the next follow the row, the last the column. positions as above. divisors: [size / 2] of the angles
 * (tensor_list.h); null: none. */
void rope_angles(const rotary_parameters *r, const uint8_t *divisors, const int32_t *positions, int64_t count, float *cosine, float *sine);

#endif
