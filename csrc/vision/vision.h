/* From a picture to features in the text model's embedding space: a tower and, where there is one, a projector behind it. */
#ifndef DIMPLE_VISION_H
#define DIMPLE_VISION_H

#include "vision/tower.h"

/* Features behind the projector that the files of `list` bring; 0: they bring none. */
int32_t vision_projected_width(const tensor_list *list);

/* Names the projector's tensors and their places: two linear layers, out_width -> text_width -> text_width. */
void vision_want_projector(tensor_list *list, const vision_parameters *v, int32_t text_width, vision_weights *w);

/* features [grid->tokens x text width], tokens row by row. Pictures never see each other, so each is a call of its own; outside a pass.
 * Errors: MEMORY, CANCELLED. */
dimple_status vision_forward(const tower_call *call, view features);

#endif
