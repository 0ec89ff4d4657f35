/* The vision tower: a picture's patches become merged tokens in the text model's embedding space. */
#ifndef DIMPLE_VISION_H
#define DIMPLE_VISION_H

#include <stdatomic.h>
#include <stdint.h>

#include "model/model.h"

/* features [grid->tokens x text width], tokens row by row, from a resized picture (tight RGB rows). Pictures never see each other, so
 * each is a call, and a pass, of its own. Errors: MEMORY, CANCELLED. */
dimple_status vision_forward(const dimple_model *m, context *c, const dimple_image_grid *grid, const uint8_t *rgb,
                             atomic_bool *cancelled, view features);

#endif
