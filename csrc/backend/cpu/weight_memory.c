#include "backend/cpu/weight_memory.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "backend/cpu/cpu.h"
#include "error.h"
#include "platform/platform.h"

struct weight_chunk {
  uint8_t *bytes;
  int64_t used;
  atomic_llong holders; /* pieces that are in use, and the one who fills it */
};

static const int64_t SHARED_LEAST = 256 << 10, SHARED_MOST = 4 << 20, CHUNK = 32 << 20;

static dimple_status open_chunk(const char *purpose, weight_chunk **out) {
  weight_chunk *chunk = malloc(sizeof *chunk);
  if (!chunk) return dimple_fail_memory(sizeof *chunk, purpose);
  *chunk = (weight_chunk){.holders = 1};
  void *bytes;
  dimple_status status = cpu_allocate(CHUNK, 1, purpose, &bytes);
  if (status != DIMPLE_OK) {
    free(chunk);
    return status;
  }
  chunk->bytes = bytes;
  *out = chunk;
  return DIMPLE_OK;
}

dimple_status weight_memory_take(weight_chunk **open, int64_t count, int64_t size, const char *purpose, weight_chunk **chunk, void **out) {
  *chunk = NULL;
  if (count <= 0 || size <= 0 || count > SHARED_MOST / size || count * size < SHARED_LEAST) return cpu_allocate(count, size, purpose, out);
  int64_t bytes = (count * size + PLATFORM_CACHE_LINE - 1) / PLATFORM_CACHE_LINE * PLATFORM_CACHE_LINE;
  if (!*open || (*open)->used + bytes > CHUNK) {
    weight_chunk *next = NULL;
    DIMPLE_TRY(open_chunk(purpose, &next));
    weight_memory_close(*open);
    *open = next;
  }
  *out = (*open)->bytes + (*open)->used;
  (*open)->used += bytes;
  atomic_fetch_add(&(*open)->holders, 1);
  *chunk = *open;
  return DIMPLE_OK;
}

static void let_go(weight_chunk *chunk) {
  if (atomic_fetch_sub(&chunk->holders, 1) > 1) return;
  platform_free(chunk->bytes);
  free(chunk);
}

void weight_memory_give(weight_chunk *chunk, void *memory) {
  if (chunk) let_go(chunk);
  else platform_free(memory);
}

void weight_memory_close(weight_chunk *open) {
  if (open) let_go(open);
}
