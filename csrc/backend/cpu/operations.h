/*
 * The backend operations on the CPU, shared by all instruction sets: each is cut into items for the thread pool, and the arithmetic is
 * left to the kernels of the context. What an item computes does not depend on which thread takes it, nor on how many there are.
 * Operations run when they are recorded. Contracts: backend.h.
 */
#ifndef DIMPLE_CPU_OPERATIONS_H
#define DIMPLE_CPU_OPERATIONS_H

#include "backend/backend.h"
#include "backend/cpu/cpu.h"

/* Rows of x prepared at a time: bounds the memory for wide inputs, and is enough to make reading the weights cheap. */
enum { SLAB_ROWS = 2 * GROUP_ROWS };

/* The head takes fewer rows at a time, to keep their logits near. HEAD_ROWS divides GROUP_ROWS. */
enum { HEAD_ROWS = GROUP_ROWS / 2 };

static inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t parts(int64_t whole, int64_t part) { return (whole + part - 1) / part; }

/* A buffer is plain memory here. */
static inline float *row_of(view v, int64_t row) { return (float *)(void *)v.memory + v.first + row * v.stride; }
static inline int32_t *numbers_of(view v, int64_t row) { return (int32_t *)(void *)v.memory + v.first + row * v.stride; }

/* ------------------------------------------------------------------------------------------------------------- context */

/* A thread's scratch memory: products of a panel, or logits of a chunk, and what the kernels want. */
typedef struct linear_scratch {
  float a[RUN_PANELS * GROUP_ROWS * PANEL];
  float b[RUN_PANELS * GROUP_ROWS * PANEL];
  uint8_t scratch[];
} linear_scratch;

typedef struct head_scratch {
  float panels[RUN_PANELS * GROUP_ROWS * PANEL];
  float logits[HEAD_ROWS * HEAD_CHUNK];
  uint8_t scratch[];
} head_scratch;

_Static_assert(sizeof(linear_scratch) + MULTIPLY_SCRATCH <= CPU_SCRATCH && sizeof(head_scratch) + MULTIPLY_SCRATCH <= CPU_SCRATCH,
               "a thread's scratch memory holds what the operations want");

dimple_status cpu_context_open(const cpu_kernels *kernels, int32_t threads, context **out);
void cpu_context_close(context *c);
int64_t cpu_context_bytes(const context *c);
dimple_status cpu_buffer_alloc(context *c, int64_t count, buffer **out);
void cpu_buffer_free(context *c, buffer *memory);
dimple_status cpu_need_scratch(context *c); /* Errors: MEMORY. */
dimple_status cpu_pass_begin(context *c, atomic_bool *cancelled);
dimple_status cpu_pass_end(context *c, dimple_status recorded);
dimple_status cpu_checkpoint(context *c);

/* ---------------------------------------------------------------------------------------------------------------- rows */

dimple_status cpu_copy_in(context *c, view target, const float *host);
dimple_status cpu_copy_out(context *c, float *host, view source);
dimple_status cpu_embed_rows(context *c, view y, const weight *w, const int32_t *ids);
dimple_status cpu_gather_rows(context *c, view y, view x, const int32_t *index);
dimple_status cpu_scatter_rows(context *c, view y, view x, const int32_t *index);
dimple_status cpu_pack_kv(context *c, view packed, view x, int32_t kv_type);
dimple_status cpu_add_rows(context *c, view y, view x, float factor);
dimple_status cpu_rms_norm(context *c, view y, view x, const weight *w, float epsilon);
dimple_status cpu_layer_norm(context *c, view y, view x, const weight *w, const weight *b, float epsilon);
dimple_status cpu_adjust(context *c, const adjust_call *call);
dimple_status cpu_rotary(context *c, const rotary_call *call);

/* ------------------------------------------------------------------------------------------------------------ products */

/* x in every form that the weights of an operation want; packings may share one. */
typedef struct prepared_forms {
  prepared of[PACKINGS]; /* form null: not wanted */
  int64_t unpacked_size; /* bytes of the largest panel of weights that are not packed; 0: all are */
} prepared_forms;

/* Notes that x will be multiplied with w. */
void cpu_want(prepared_forms *p, const cpu_kernels *k, const weight *w);
/* Makes room for `rows` rows in the forms that are wanted, and for a panel of unpacked weights for each thread. Errors: MEMORY. */
dimple_status cpu_reserve(context *c, prepared_forms *p, int64_t rows, int64_t columns);
/* Whether rows are laid out for packing i, which it then shares with later ones of the same form. */
bool cpu_prepares(const prepared_forms *p, int i);
/* Lays out the rows of x in these forms. */
void cpu_prepare(context *c, const prepared_forms *p, view x);
/* y [panels][GROUP_ROWS][PANEL] = prepared rows from `row` on, a multiple of HEAD_ROWS, times `panels` panels of w. */
void cpu_multiply(const context *c, const prepared_forms *p, const weight *w, int64_t panel, int64_t panels, int64_t row,
                  int64_t rows, float *y, void *scratch);

dimple_status cpu_linear(context *c, const linear_call *call);
dimple_status cpu_attention(context *c, const attention_call *call);
dimple_status cpu_route(context *c, const route_call *call);
dimple_status cpu_experts(context *c, const experts_call *call);
dimple_status cpu_head(context *c, const head_call *call);

dimple_status cpu_measure_peaks(context *c, dimple_peaks *out);

#endif
