/* What a vision tower gives: its keys and their defaults, its tensors, the grid and the positions of its tokens, its forward pass. One
 * file describes one; the table is in tower.c. */
#ifndef DIMPLE_TOWER_H
#define DIMPLE_TOWER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "gguf/gguf.h"
#include "gguf/harmless.h"
#include "transformer/limits.h"
#include "transformer/block.h"
#include "transformer/tensor_list.h"
#include "vision/image.h"
#include "vision/tiling.h"

struct tower;

/* What a GGUF file says about the shape of its vision tower, checked and with every default resolved. */
typedef struct vision_parameters {
  bool present;
  const struct tower *tower;
  int32_t layers;
  int32_t width;
  int32_t feed_forward;
  int32_t heads;
  int32_t head_size;  /* a multiple of 4: half the angles follow the row, half the column */
  int32_t out_width;  /* of the merger */
  float norm_epsilon;
  int32_t window;     /* merged tokens per window side */
  bool full[MAX_VISION_LAYERS]; /* layers that attend within the whole image */
  image_parameters image;
  tiling tiling;      /* of towers that cut pictures into tiles */
  bool projector;     /* between tower and text model: */
  linear_mode projector_mode; /* what is between its layers */
} vision_parameters;

/* A linear layer whose input and output are kept within bounds, where the file has them: all four or none. */
typedef struct bounded_linear {
  linear_weights linear;
  weight *input_min, *input_max, *output_min, *output_max; /* [1] */
} bounded_linear;

/* A block with norms before and behind both of its halves. */
typedef struct bounded_block {
  weight *norm1, *attention_norm, *norm2, *feed_forward_norm;
  weight *q_norm, *k_norm; /* [head size] */
  bounded_linear q, k, v, output, gate, up, down;
} bounded_block;

typedef struct vision_weights {
  weight *patch[MAX_TEMPORAL_PATCH]; /* one [width x 3*patch*patch] matrix per frame of a temporal patch */
  weight *patch_bias;     /* [width]; null: none */
  block_weights *layers;  /* of towers with plain blocks */
  bounded_block *bounded; /* of the others */
  weight *positions;      /* what is added to a patch: [2 * table_rows x width] by its column, and then by its row, or [patches x width]; null: nothing */
  int64_t table_rows;
  const uint8_t *newline; /* [out width], float32: the token behind a row of tokens; null: none */
  weight *std_bias, *std_scale; /* of pooled patches; null: they stay as they are */
  weight *merger_norm, *merger_norm_bias; /* the latter null: the norm does not take the mean off */
  linear_weights merger[2];
  linear_weights projector[2];
} vision_weights;

/* A picture on its way through a tower. */
typedef struct tower_call {
  const backend_operations *ops;
  context *context;
  const vision_parameters *parameters;
  const vision_weights *weights;
  const dimple_image_grid *grid;
  const uint8_t *rgb; /* the prepared picture, tight rows */
  int32_t width, height; /* of the picture as it was given */
  atomic_bool *cancelled;
} tower_call;

typedef struct tower {
  const char *projector; /* clip.projector_type */
  /* Reads the keys clip.*. *v is zero but for its tower. Errors: FORMAT. */
  dimple_status (*read_keys)(const gguf_file *file, vision_parameters *v);
  /* Names the tensors and their places in *w, whose blocks, of either kind, are allocated and zero. */
  void (*want_tensors)(tensor_list *list, const vision_parameters *v, vision_weights *w);
  /* Target size, grid and token count of a width x height picture, >= 1 each. Errors: ARGUMENT. */
  dimple_status (*grid)(const vision_parameters *v, int32_t width, int32_t height, dimple_image_grid *grid);
  /* Makes rgb [grid->resized_height x grid->resized_width x 3] of a picture, whose grid it is. Null: by a resize as PIL's. Errors: MEMORY. */
  dimple_status (*prepare)(const vision_parameters *v, const dimple_image *image, const dimple_image_grid *grid, uint8_t *rgb);
  /* The coordinates [grid->tokens] of a picture's tokens in a prompt, where the next free position is `next`; returns the next free
   * one behind them. */
  int32_t (*place)(const vision_parameters *v, const dimple_image_grid *grid, int32_t next, int32_t *time, int32_t *row, int32_t *column);
  /* Runs the picture, a pass of its own, which may be cancelled before every block. features [grid->tokens x out_width], tokens row by
   * row. Errors: MEMORY, CANCELLED. */
  dimple_status (*forward)(const tower_call *call, view features);
  const harmless_key *harmless; /* behind "clip." */
} tower;

/* What towers have in common: layers, widths, heads, the width of what the tower gives, the norms' epsilon. Errors: FORMAT. */
dimple_status tower_read_shape(const gguf_file *file, vision_parameters *v);
/* The picture's mean and deviation, clip.vision.image_mean and image_std; what they are holds where the file has no such key. Errors: FORMAT. */
dimple_status tower_read_colours(const gguf_file *file, image_parameters *image);

/* The coordinates of tokens that stand one behind the other as words do; as tower.place. */
int32_t tower_place_in_line(const vision_parameters *v, const dimple_image_grid *grid, int32_t next, int32_t *time, int32_t *row, int32_t *column);

/* Prepares a picture for the tower; as tower.prepare. */
dimple_status tower_prepare(const vision_parameters *v, const dimple_image *image, const dimple_image_grid *grid, uint8_t *rgb);

/* Reads the keys clip.* of `file`, the projector from clip.projector_type or clip.vision.projector_type; present = false when it has no vision encoder. Errors: UNSUPPORTED (projector), FORMAT. */
dimple_status vision_parameters_read(const gguf_file *file, vision_parameters *out);

/* Whether `file` is what llama.cpp calls an mmproj: a vision tower without a text model. */
bool tower_stands_alone(const gguf_file *file);

#endif
