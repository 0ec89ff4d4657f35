/* A model that llama.cpp's gguf-split cut into several files, NAME-00001-of-000NN.gguf: the first holds the metadata, all of them
 * tensors. A file that is not split is one part. */
#ifndef DIMPLE_GGUF_PARTS_H
#define DIMPLE_GGUF_PARTS_H

#include "gguf/gguf.h"

typedef struct gguf_parts {
  gguf_file **files; /* files[0] holds the metadata */
  int32_t count;
} gguf_parts;

/* Opens `path` and, if its key split.count says so, the other parts beside it; `path` must then be the first part. On failure
 * nothing stays open. Errors: as gguf_open, and FORMAT for a wrong name, number or count of tensors. */
dimple_status gguf_parts_open(const char *path, gguf_parts *parts);
void gguf_parts_close(gguf_parts *parts); /* a zeroed one is allowed */

/* The tensor called `name` and the file it lies in, or null. */
const gguf_tensor *gguf_parts_find_tensor(const gguf_parts *parts, const char *name, const gguf_file **file);

/* Bytes of all files. */
int64_t gguf_parts_size(const gguf_parts *parts);

#endif
