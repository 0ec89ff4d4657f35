/* What an architecture gives: its keys and their defaults, its tensors, its layer. One file of model/architecture/ describes one, beside
 * what several share there; the table is in architecture.c. Nothing else knows an architecture by its name. */
#ifndef DIMPLE_ARCHITECTURE_H
#define DIMPLE_ARCHITECTURE_H

#include <stddef.h>

#include "gguf/harmless.h"
#include "model/hyperparameters.h"
#include "model/layer.h"
#include "transformer/tensor_list.h"

/* The weights of a text body. */
typedef struct text_weights {
  weight *embedding;     /* [vocab x width] */
  weight *output_norm;   /* [width] */
  weight *output;        /* [vocab x width] */
  block_weights *layers; /* [layers] */
  const uint8_t *rotation_divisors[MAX_ROTARIES]; /* [size / 2] of the angles (tensor_list.h); null: none */
  weight *signal_norm;   /* self-conditioning of canvases */
  linear_weights signal_gate, signal_up, signal_down;
} text_weights;

typedef struct architecture {
  const char *name; /* general.architecture, and what its keys start with */
  /* Reads the keys. *p is zero but for its architecture; the vocabulary's size follows later. Errors: FORMAT, UNSUPPORTED. */
  dimple_status (*read_keys)(const gguf_file *file, text_parameters *p);
  /* Names the tensors and their places in *w, whose layers are allocated and zero. */
  void (*want_tensors)(tensor_list *list, const text_parameters *p, text_weights *w);
  /* Records one layer: its formula. */
  dimple_status (*record_layer)(layer *l);
  /* Of models with canvases: makes the input of their layers of x, the embeddings of a canvas's tokens, and signal (without memory: none), the
   * mean embeddings under what the last pass gave, unscaled. */
  dimple_status (*record_canvas)(const block *b, const text_parameters *p, const text_weights *w, view x, view signal);
  const harmless_key *harmless; /* behind the name and a dot; null: none but those that every architecture may have */
  bool vision_projector;        /* behind a vision tower stands a projector of its own, so a file without it is incomplete */
  bool projector_gelu;          /* what is between its two layers: the exact GELU, otherwise SiLU */
} architecture;

/* The architecture called `name`, or null. */
const architecture *architecture_find(const char *name);

/* Writes "a, b or c": the names in the table. */
void architecture_names(char *target, size_t capacity);

#endif
