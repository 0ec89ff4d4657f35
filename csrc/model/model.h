/* A loaded model: hyperparameters, packed weights, the backend that runs them. Immutable once loaded, shared by reference count. */
#ifndef DIMPLE_MODEL_H
#define DIMPLE_MODEL_H

#include <stdatomic.h>
#include <stdbool.h>

#include "backend/backend.h"
#include "gguf/parts.h"
#include "model/block.h"
#include "model/hyperparameters.h"

typedef struct vision_weights {
  weight *patch[8];     /* one [width x 3*patch*patch] matrix per frame of a temporal patch */
  block_weights *layers;
  weight *merger_norm;
  linear_weights merger[2];
  linear_weights projector[2]; /* Dimple's extra projector; null in files without it */
} vision_weights;

struct dimple_model {
  atomic_int references;
  gguf_parts files;
  gguf_parts mmproj; /* empty: the vision tower is in `files`, or there is none */
  const backend_operations *ops;
  text_parameters text;
  vision_parameters vision;
  weight *embedding, *output_norm, *output;
  block_weights *layers;
  vision_weights vision_weights;
  int64_t parameter_count;
  int64_t weight_size;
};

/* weights.c: fills in and releases the weights of a model whose files and hyperparameters are set. */
dimple_status model_weights_load(dimple_model *model, int32_t threads);
void model_weights_free(dimple_model *model);

/* The file with the model's metadata. */
static inline const gguf_file *model_file(const dimple_model *model) { return model->files.files[0]; }

/* Another hold on the model, released by dimple_model_free. */
void model_retain(dimple_model *model);

/* "threads" as callers give it: 0 means one per processor. Errors: ARGUMENT, naming the range. */
dimple_status resolve_threads(int32_t wanted, int32_t *threads);

#endif
