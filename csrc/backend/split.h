/*
 * Several backends as one: a model's weights lie on the parts that their stages fall into (backend.h's tensor_source), and an operation runs where its
 * weights are, or else where the last one ran. Rows that a part needs and another has go through the host.
 */
#ifndef DIMPLE_SPLIT_H
#define DIMPLE_SPLIT_H

#include "backend/backend.h"

enum { SPLIT_MOST_PARTS = 16 };

/* The stages that follow those of the part before, up to `end`, exclusively. The last part takes all that are left. */
typedef struct split_part {
  const backend_operations *ops;
  int32_t end;
} split_part;

/* What has crossed between parts, and how often each was set to work, by all passes of a context so far. */
typedef struct split_figures {
  int64_t bytes;                    /* to parts, from the host or by its way */
  int64_t runs[SPLIT_MOST_PARTS]; /* passes of each part */
} split_figures;

/* A backend for 2 to SPLIT_MOST_PARTS parts, none of which is a split; its name has the parts' names with commas between. Errors: MEMORY. */
dimple_status split_open(const split_part *parts, int32_t count, const backend_operations **out);
/* Frees it once its contexts, buffers and weights are. Null and other backends are left alone. */
void split_close(const backend_operations *ops);

/* For tests: the context is one of a split. */
split_figures split_figures_of(const context *c);

#endif
