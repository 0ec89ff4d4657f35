/* Preparation of pictures: the Qwen towers' target sizes, bicubic resize as PIL and torchvision do it on 8 bits, normalised patches. */
#ifndef DIMPLE_IMAGE_H
#define DIMPLE_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "dimple.h"

enum { MAX_TEMPORAL_PATCH = 8 };

typedef struct image_parameters {
  int32_t patch_size;      /* pixels per side */
  int32_t merge_size;      /* patches per side of a merged token */
  int32_t temporal_patch;  /* frames per patch, at most MAX_TEMPORAL_PATCH; a still image is repeated */
  int64_t min_pixels, max_pixels;
  bool enlarges;           /* a picture with a side below a merged token's is enlarged until it is one, whatever its aspect ratio; otherwise refused */
  float mean[3], std[3];   /* of RGB in 0 .. 1 */
} image_parameters;

/* Checks pointer, sizes and stride of a caller's picture. Errors: ARGUMENT. */
dimple_status image_check(const dimple_image *image);

/* Target size, grid and token count of a width x height picture. Errors: ARGUMENT. */
dimple_status image_grid(const image_parameters *parameters, int32_t width, int32_t height, dimple_image_grid *grid);

/* Whose bits a resize gives: what the weights of an axis are rounded to. */
typedef enum resize_weights {
  RESIZE_PIL,  /* 22 fractional bits (PIL up to version 12) */
  RESIZE_TORCH /* as many as keep the largest one below 2^15 (torchvision's of 8-bit tensors) */
} resize_weights;

/* Antialiased bicubic resize of `image` to width x height, tight rows: `target` [height x width x 3]. Horizontal pass first, rounded to
 * 8 bits between the passes. Errors: MEMORY. */
dimple_status image_resize(const dimple_image *image, resize_weights weights, int32_t width, int32_t height, uint8_t *target);

/* Normalised patches of a resized picture `rgb` (tight rows, of grid->resized size): [rows*columns x 3*temporal*patch*patch] in model
 * order: merge blocks row by row, inside a block its patches row by row; inside a patch channel, frame, row, column. */
void image_patches(const image_parameters *parameters, const dimple_image_grid *grid, const uint8_t *rgb, float *patches);

#endif
