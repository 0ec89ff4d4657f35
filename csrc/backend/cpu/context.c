/* What a session holds of the CPU: its share of the threads, scratch memory of its own, and buffers, which are plain memory. */
#include <stdlib.h>

#include "backend/cpu/operations.h"
#include "cancel.h"
#include "error.h"
#include "platform/platform.h"

void cpu_context_close(context *c) {
  if (!c) return;
  cpu_pool_close(c->pool);
  weight_memory_close(c->open_chunk);
  platform_free(c->scratch);
  platform_free(c->activations);
  platform_free(c->unpacked);
  free(c->unpacked_taken);
  platform_free(c->routed);
  free(c);
}

dimple_status cpu_context_open(const cpu_kernels *kernels, int32_t threads, context **out) {
  context *c = calloc(1, sizeof *c);
  if (!c) return dimple_fail_memory(sizeof *c, "a context");
  c->kernels = kernels;
  dimple_status status = cpu_pool_open(threads, &c->pool);
  if (status != DIMPLE_OK) {
    cpu_context_close(c);
    return status;
  }
  *out = c;
  return DIMPLE_OK;
}

int64_t cpu_context_bytes(const context *c) {
  return (int64_t)sizeof *c + (c->scratch ? CPU_SCRATCH : 0) + c->activations_size + c->unpacked_size * cpu_pool_threads(c->pool) +
         c->routed_size;
}

dimple_status cpu_buffer_alloc(context *c, int64_t count, buffer **out) {
  (void)c;
  void *memory;
  DIMPLE_TRY(cpu_allocate(count, sizeof(float), "activations", &memory));
  *out = memory;
  return DIMPLE_OK;
}

void cpu_buffer_free(context *c, buffer *memory) {
  (void)c;
  platform_free(memory);
}

dimple_status cpu_need_scratch(context *c) { return c->scratch ? DIMPLE_OK : cpu_allocate(CPU_SCRATCH, 1, "scratch memory", &c->scratch); }

dimple_status cpu_pass_begin(context *c, atomic_bool *cancelled) {
  c->cancelled = cancelled;
  return cpu_need_scratch(c);
}

dimple_status cpu_pass_end(context *c, dimple_status recorded) {
  c->cancelled = NULL;
  return recorded;
}

dimple_status cpu_checkpoint(context *c) { return check_cancelled(c->cancelled); }
