/*
 * Small random models for tests, of every architecture, with and without a vision tower. The same shape gives the same file:
 * a tensor's numbers depend on its name alone. The mask token is never the best one, because its row of the head is 0 (models do
 * reveal masks as masks when it is).
 */
#ifndef DIMPLE_TEST_RANDOM_MODEL_H
#define DIMPLE_TEST_RANDOM_MODEL_H

#include "dimple.h"
#include "test/gguf_writer.h"

typedef enum model_family {
  FAMILY_DIMPLE,   /* biases of Q, K and V; every key is there */
  FAMILY_DREAM,    /* the same body; keys left to their defaults */
  FAMILY_LLADA,    /* no biases, rotary pairs are neighbours */
  FAMILY_LLADA_MOE, /* no biases, norms of heads, experts */
  FAMILY_A2D_QWEN2, /* Dream's body */
  FAMILY_A2D_QWEN3, /* no biases, norms of heads */
  FAMILY_SDAR,      /* the same; rows see blocks of BLOCK */
  FAMILY_FAST_DLLM_V2, /* Dream's body; rows see blocks of BLOCK */
  FAMILY_LLADA2,       /* the same blocks; one projection, half of a head turns, a first layer without experts, groups, a shared expert */
  FAMILY_DIFFUSION_GEMMA, /* canvases; heads of two sizes, windows, experts beside a dense half; always tied */
  FAMILY_SDAR_MOE,      /* SDAR's blocks, with experts whose shares add up to one */
  FAMILY_RND1,          /* the same body; rows see all, and go to all experts, so that no rounding chooses another */
  FAMILY_STABLE_DIFFCODER, /* no biases, rotary pairs half a head apart; rows see blocks of BLOCK */
  FAMILY_DREAM_VL,      /* Dimple's body; its tower has layer norms, quick GELU and no windows */
  FAMILY_DIFFUSE_DREAM, /* Dream's body, as diffuse-cpp's converter writes it */
  FAMILY_DIFFUSE_LLADA, /* LLaDA's likewise: rotary pairs are half a head apart */
  FAMILY_DIMPLE_BLOCK,  /* Dimple's body and tower; rows see blocks of BLOCK */
  FAMILY_SDAR_VL,       /* SDAR's body; its tower is SigLIP, which takes pictures in tiles of TILE pixels */
  FAMILY_LLADA_V,       /* no biases, rotary pairs half a head apart; its tower is SDAR_VL's; FIRST_BARRED and the one behind it are never taken */
  FAMILY_LAVIDA_DREAM,  /* Dream's body with that tower, whose features are pooled; the same are never taken */
  FAMILY_LLADA22,       /* LLADA2's body and blocks; no groups, but experts that ROUTED rows admit, and tokens that edit */
  FAMILY_COUNT
} model_family;

/* What a shape has where it says nothing. */
enum {
  LAYERS = 2, WIDTH = 32, HEADS = 4, KV_HEADS = 2, FEED_FORWARD = 48, VOCAB = 96, CONTEXT = 64,
  MASK = 95, IMAGE = 94, EOS = 93, PAD = 92, EXPAND = 91, /* the last tokens of the vocabulary, whatever its size */
  EXPERTS = 4, EXPERTS_USED = 2, BLOCK = 4, WINDOW = 5, CANVAS = 8,
  VISION_LAYERS = 2, VISION_WIDTH = 16, VISION_HEADS = 2, VISION_FEED_FORWARD = 24, PATCH = 2, MERGE = 2,
  TILE = 5, EOT = 90, FIRST_BARRED = 88, DELETE = 87, SPLIT = 86, ROUTED = 2, ADMITTED = 3
};

/* Zeroed: a text model of the family Dimple, every number as above. */
typedef struct model_shape {
  model_family family;
  bool vision;            /* with a vision tower in the same file */
  bool mmproj;            /* the tower alone, a file to lie beside a text model */
  bool without_projector; /* the tower lacks Dimple's extra projector, as Qwen's does */
  bool causal;            /* a row does not see what follows it */
  bool unshifted;         /* row j scores position j, whatever the family's default is */
  bool expands;           /* it names an expand token */
  bool tied;              /* the embedding serves as the head */
  int32_t type;           /* dimple_tensor_type of the matrices whose rows are whole blocks of it; the others are F32 */
  int32_t layers, width, heads, kv_heads, feed_forward, vocab, context;
  const char *missing;    /* a key or tensor left out */
} model_shape;

/* Adds the keys and tensors of a model. What the writer has already stays: a test puts its own variants first. */
void random_model_write(gguf_writer *w, const model_shape *shape);

/* Writes the model to a new temporary file; `path` receives its name. */
void random_model_save(const model_shape *shape, char path[64]);

/* Saves what the writer has to a new temporary file, and frees the writer. */
void temporary_file(gguf_writer *w, char path[64]);

/* The backend under test: the environment's DIMPLE_TEST_BACKEND, a name as in dimple_model_options; null, the default one, if that
 * is not set. */
const char *backend_under_test(void);

/* Loads a file on the backend under test; `mmproj` may be null. */
dimple_status load_model(const char *path, const char *mmproj, dimple_model **model);

/* Writes, loads and deletes a model: the mapping outlives the name. A failure counts as a failed check and gives null. */
dimple_model *random_model(model_shape shape);

#endif
