/* What a vision tower gives: its keys and their defaults, its tensors. One file describes one; the table is in tower.c. */
#ifndef DIMPLE_TOWER_H
#define DIMPLE_TOWER_H

#include <stdbool.h>
#include <stdint.h>

#include "gguf/gguf.h"
#include "gguf/harmless.h"
#include "model/limits.h"
#include "model/tensor_list.h"
#include "vision/image.h"

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
} vision_parameters;

typedef struct vision_weights vision_weights;

typedef struct tower {
  const char *projector; /* clip.projector_type */
  /* Reads the keys clip.*. *v is zero but for its tower. Errors: FORMAT. */
  dimple_status (*read_keys)(const gguf_file *file, vision_parameters *v);
  /* Names the tensors and their places in *w, whose layers are allocated and zero. */
  void (*want_tensors)(tensor_list *list, const vision_parameters *v, vision_weights *w);
  const harmless_key *harmless; /* behind "clip." */
} tower;

/* Reads the keys clip.* of `file`; present = false when it has no vision encoder. Errors: UNSUPPORTED (projector), FORMAT. */
dimple_status vision_parameters_read(const gguf_file *file, vision_parameters *out);

/* Whether `file` is what llama.cpp calls an mmproj: a vision tower without a text model. */
bool tower_stands_alone(const gguf_file *file);

#endif
