/* What the vision towers of Qwen2-VL and Qwen2.5-VL share: patches, angles, attention, and the merger that makes one token of neighbouring patches. */
#ifndef DIMPLE_VISION_QWEN_H
#define DIMPLE_VISION_QWEN_H

#include "vision/tower.h"

/* Sizes, norm and preparation of pictures; no windows, no layers within the whole picture. */
dimple_status qwen_read_keys(const gguf_file *file, vision_parameters *v);

/* The patches' kernels, and the merger. */
void qwen_want_ends(tensor_list *list, const vision_parameters *v, vision_weights *w);

dimple_status qwen_grid(const vision_parameters *v, int32_t width, int32_t height, dimple_image_grid *grid);

/* A grid of R x C tokens at the next free position b: token (r, c) stands at (b, b+r, b+c), and max(1, R, C) positions are taken. */
int32_t qwen_place(const vision_parameters *v, const dimple_image_grid *grid, int32_t next, int32_t *time, int32_t *row, int32_t *column);

/* Norms that have biases take the mean off, and the half behind such a norm is quick GELU. */
dimple_status qwen_forward(const tower_call *call, view features);

#endif
