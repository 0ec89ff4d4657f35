/* What an open GGUF file is, and the steps of opening it, which follow one another through the bytes. */
#ifndef DIMPLE_GGUF_FILE_H
#define DIMPLE_GGUF_FILE_H

#include "gguf/cursor.h"
#include "gguf/gguf.h"
#include "platform/platform.h"

typedef struct tensor_entry {
  gguf_tensor tensor;
  char name[GGUF_MAX_NAME + 1];
} tensor_entry;

struct gguf_file {
  char *path;
  platform_mapping mapping;
  int64_t alignment;
  dimple_metadata *metadata;
  bool *metadata_read; /* [metadata_count] whether typed access has looked at it */
  int64_t metadata_count;
  tensor_entry *tensors;
  int64_t tensor_count;
  const dimple_metadata **metadata_by_key; /* sorted, for binary search: no file can make a look-up slow */
  const tensor_entry **tensors_by_name;
};

/* metadata.c: reads `count` keys and their values, and puts them in order. Errors: FORMAT, UNSUPPORTED, MEMORY. */
dimple_status gguf_read_metadata(cursor *c, gguf_file *file, uint64_t count);

/* tensors.c: reads `count` descriptions, behind which the data section begins; finds and checks their places in it, and puts them in
 * order. The alignment is known. Errors: FORMAT, MEMORY. */
dimple_status gguf_read_tensors(cursor *c, gguf_file *file, uint64_t count);

#endif
