/*
 * Memory of packed weights. Matrices of middling size share chunks of large pages, for each would have pages of the least size to itself, which
 * cost a fault each when they are packed; large ones have memory of their own, and so have small ones, so that a checker sees their ends.
 */
#ifndef DIMPLE_CPU_WEIGHT_MEMORY_H
#define DIMPLE_CPU_WEIGHT_MEMORY_H

#include "dimple.h"

typedef struct weight_chunk weight_chunk;

/* `count` * `size` bytes, 64-byte aligned. `open` is the chunk that is being filled, null at first; one thread at a time. *chunk is what gives them back. Errors:
 * MEMORY. */
dimple_status weight_memory_take(weight_chunk **open, int64_t count, int64_t size, const char *purpose, weight_chunk **chunk, void **out);

/* Gives memory back that take gave, from any thread. Memory goes with the last piece of its chunk. */
void weight_memory_give(weight_chunk *chunk, void *memory);

/* Nothing more is taken from the chunk; null is allowed. */
void weight_memory_close(weight_chunk *open);

#endif
