/* Classes of tokens as the head takes them: chunk by chunk of the vocabulary (backend.h). */
#ifndef DIMPLE_PARTITION_H
#define DIMPLE_PARTITION_H

#include "backend/backend.h"
#include "constraint/classes.h"

/* Of classes over `vocabulary` tokens. On failure *out is not touched. Errors: MEMORY. */
dimple_status partition_create(const token_classes *c, int32_t vocabulary, head_partition *out);
void partition_free(head_partition *p); /* a zeroed one is allowed */

int64_t partition_bytes(const head_partition *p); /* of memory it takes */

#endif
