/* A loaded model: hyperparameters, packed weights, the backend that runs them. Immutable once loaded, shared by reference count. */
#ifndef DIMPLE_MODEL_H
#define DIMPLE_MODEL_H

#include <stdatomic.h>
#include <stdbool.h>

#include "backend/backend.h"
#include "gguf/parts.h"
#include "model/architecture.h"
#include "model/findings.h"
#include "model/hyperparameters.h"
#include "model/pack_cache.h"
#include "transformer/tensor_list.h"
#include "vision/vision.h"

struct dimple_model {
  atomic_int references;
  gguf_parts files;
  gguf_parts mmproj; /* empty: the vision tower is in `files`, or there is none */
  text_parameters text;
  vision_parameters vision;
  tensor_list text_tensors, vision_tensors; /* what of the files is used, and where it goes: */
  text_weights weights;
  vision_weights vision_weights;
  const backend_operations *ops;
  context *context; /* that packed the weights; the threads it holds stay for the sessions to come */
  tensor_totals totals;
  pack_cache packs;
  int32_t pack_result; /* dimple_pack_cache, and why: */
  char pack_note[512];
  findings ignored; /* what of the files is unknown, and so not used */
};

/* Loading is these steps, and packing; checking a file is them alone. On failure what was opened stays with the model, for
 * model_close. Errors: as dimple_model_load. */

/* Opens the file and its parts. */
dimple_status model_open(dimple_model *model, const char *path);
/* Reads the keys, those of the second file too (null: there is none), and lists the tensors. */
dimple_status model_read(dimple_model *model, const char *mmproj_path);
/* Instead of model_read, for a file that holds a vision tower alone; what it makes cannot be run. */
dimple_status model_read_tower(dimple_model *model);
/* Whether the listed tensors are there, up to the first that is not right. Errors: FORMAT, UNSUPPORTED, MEMORY. */
dimple_status model_check_tensors(const dimple_model *model);
/* Whether the parts fit each other, once all tensors are right. Errors: FORMAT. */
dimple_status model_check_fit(const dimple_model *model);
/* Closes the files and frees everything but the packed weights. */
void model_close(dimple_model *model);

/* The file with the model's metadata. */
static inline const gguf_file *model_file(const dimple_model *model) { return model->files.files[0]; }

/* Another hold on the model, released by dimple_model_free. */
void model_retain(dimple_model *model);

#endif
