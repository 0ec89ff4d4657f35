/*
 * Pictures in square tiles, as LLaVA-NeXT and LLaVA-OneVision cut them (anyres), by their own code or by transformers: the picture as a whole in
 * one tile, and once more, larger, in as many as suit its shape. Of what a tower makes of the larger one, what stems from its margins is left out,
 * what would be too much is shrunk, and behind each row stands a learned token.
 */
#ifndef DIMPLE_VISION_TILING_H
#define DIMPLE_VISION_TILING_H

#include "vision/image.h"

enum { MAX_TILINGS = 256, MAX_TILES_A_SIDE = 64 };

typedef struct tiling {
  int32_t side;   /* pixels of a tile */
  int32_t grid;   /* patches a side of a tile, whole ones; what is left of its pixels none sees */
  bool pooled;    /* of each tile's features, one a patch, half as many are left a side, rounded up (bilinear) */
  int32_t count;  /* ways to lay tiles: */
  int32_t rows[MAX_TILINGS], columns[MAX_TILINGS];
  int32_t most;   /* tiles whose features are kept as they are, in about; 0: any number */
  bool plain;     /* as LLaVA's own code has it: resized as by Pillow, and margins' features counted in whole numbers; otherwise as transformers:
                   * resized as by torchvision, and what is all but a whole number taken for it */
} tiling;

/* What becomes of a picture. */
typedef struct tile_plan {
  int32_t rows, columns;       /* of tiles */
  int32_t width, height;       /* pixels of the enlarged picture, in the middle of the tiles */
  int32_t top, left;           /* features that are left out at either end */
  int32_t kept_rows, kept_columns;     /* features between them */
  int32_t packed_rows, packed_columns; /* the same after shrinking */
  int32_t tokens;              /* of the whole in one tile, and of the packed rows with a token behind each */
} tile_plan;

/* Features a side of a tile. */
static inline int32_t tiling_features(const tiling *t) { return t->pooled ? (t->grid + 1) / 2 : t->grid; }

/* The plan of a width x height picture, >= 1 each. */
tile_plan tiling_plan(const tiling *t, int32_t width, int32_t height);

/* Tiles that the tower runs. */
static inline int32_t tile_count(const tile_plan *plan) { return 1 + plan->rows * plan->columns; }

/* The tiles of a picture one below the other, the whole first, then row by row, each as far as features see it: rgb
 * [tile_count * grid * patch_size x grid * patch_size x 3]. The margins are black. Errors: MEMORY. */
dimple_status tiling_prepare(const tiling *t, int32_t patch_size, const dimple_image *image, uint8_t *rgb);

/* Pools the features of `tiles` tiles where they are: from [tiles * grid * grid x width] to [tiles * features * features x width]. */
void tiling_pool(const tiling *t, int32_t tiles, int32_t width, float *features);

/* From the features of all tiles, [tile_count * features * features x width], each tile's row by row, and `newline` [width], float32 as in a file, to
 * packed [plan->tokens x width]. */
void tiling_pack(const tiling *t, const tile_plan *plan, int32_t width, const float *features, const uint8_t *newline, float *packed);

#endif
