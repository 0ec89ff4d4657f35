/* The tables of operations, one per level of instruction sets: they differ in the kernels that a context is opened with. */
#include "backend/cpu/operations.h"

#include "cpu_levels.h"

/* What the levels share. */
#define CPU_OPERATIONS                \
  .head_parts = HEAD_LISTS | HEAD_BIASES | HEAD_COMPARISONS, \
  .weight_upload = cpu_weight_upload, \
  .weight_free = cpu_weight_free,     \
  .weight_bytes = cpu_weight_bytes,   \
  .packed_bytes = cpu_packed_bytes,   \
  .packed_part = cpu_packed_part,     \
  .context_close = cpu_context_close, \
  .context_bytes = cpu_context_bytes, \
  .buffer_alloc = cpu_buffer_alloc,   \
  .buffer_free = cpu_buffer_free,     \
  .pass_begin = cpu_pass_begin,       \
  .pass_end = cpu_pass_end,           \
  .checkpoint = cpu_checkpoint,       \
  .copy_in = cpu_copy_in,             \
  .copy_out = cpu_copy_out,           \
  .embed_rows = cpu_embed_rows,       \
  .gather_rows = cpu_gather_rows,     \
  .scatter_rows = cpu_scatter_rows,   \
  .add_rows = cpu_add_rows,           \
  .rms_norm = cpu_rms_norm,           \
  .layer_norm = cpu_layer_norm,       \
  .adjust = cpu_adjust,               \
  .linear = cpu_linear,               \
  .rotary = cpu_rotary,               \
  .pack_kv = cpu_pack_kv,             \
  .attention = cpu_attention,         \
  .route = cpu_route,                 \
  .experts = cpu_experts,             \
  .head = cpu_head,                   \
  .measure_peaks = cpu_measure_peaks

#define BACKEND(level, shown_name, usable)                                                                                   \
  extern const cpu_kernels cpu_kernels_##level;                                                                              \
  static bool level##_available(void) { return usable; }                                                                     \
  static dimple_status level##_open(const backend_operations *self, int32_t threads, context **out) {                        \
    (void)self;                                                                                                              \
    return cpu_context_open(&cpu_kernels_##level, threads, out);                                                             \
  }                                                                                                                          \
  const backend_operations backend_cpu_##level = {                                                                           \
      .name = shown_name, .available = level##_available, .context_open = level##_open, CPU_OPERATIONS};
CPU_LEVELS(BACKEND)
