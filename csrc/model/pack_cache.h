/*
 * Packed weights in a file beside the model's, MODEL.BACKEND.packed: loading maps it instead of packing, and processes share its pages. It
 * begins with digests of what was packed, of how the backend packs a pattern, which stands for the version of its layouts, and of what the system
 * says of the model's files; each matrix has one of its own and one of the tensor that it was packed from. What does not agree is packed anew, and
 * the file written anew. If only what the system says of the model's files is new (they were copied), tensors are compared by their digests.
 */
#ifndef DIMPLE_PACK_CACHE_H
#define DIMPLE_PACK_CACHE_H

#include "gguf/parts.h"
#include "platform/platform.h"
#include "transformer/tensor_list.h"

typedef struct pack_cache {
  char *path;
  platform_mapping mapping;  /* bytes null: there is no such file, or it is another model's */
  bool replaced;             /* there was one, which did not agree */
  packed_part *parts, *kept; /* [count] of the file, if it is mapped; of what was uploaded */
  int64_t count;             /* matrices of both lists */
  uint64_t shape, stamp;     /* digests, see above */
} pack_cache;

/* What weights are packed, and by whom. */
typedef struct pack_lists {
  const gguf_parts *files, *mmproj;
  tensor_list *text, *vision;
  const backend_operations *ops;
  context *context;
} pack_lists;

/* Finds the file, if the backend's weights can be kept, and gives it to the lists, which are to be loaded next. Errors: MEMORY. */
dimple_status pack_cache_open(pack_cache *cache, const pack_lists *lists);

/* Once the lists are loaded: writes the file, if anything was packed. Returns what came of it, a dimple_pack_cache, and why in `note` ("": there is
 * nothing to be said). */
int32_t pack_cache_finish(pack_cache *cache, const pack_lists *lists, char *note, size_t capacity);

void pack_cache_close(pack_cache *cache); /* behind the weights; a zeroed one is allowed */

#endif
