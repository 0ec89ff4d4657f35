/*
 * The seam between the model and the machine: a table of operations that every backend implements.
 *
 * Activations are row-major float32 matrices in memory that the backend hands out (buffer_alloc); on the CPU that is
 * ordinary memory, on a GPU the device's. Model code never dereferences them, it calls copy_in and copy_out. Weights are
 * opaque: weight_upload reads a tensor of the file and packs it as the backend likes.
 *
 * A `backend` holds what is immutable and shared (the device, the kernel table); a `context` holds what one session needs
 * (threads, scratch). Operations on different contexts may run at the same time.
 *
 * Every operation gives the same result for any number of threads: sums are cut at fixed places, never at thread borders.
 * All backends pass csrc/test/ops_test.c against `ref`.
 */
#ifndef DIMPLE_BACKEND_H
#define DIMPLE_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dimple.h"

typedef struct backend backend;
typedef struct context context;
typedef struct weight weight;

/* A matrix as it lies in the file: [rows x columns] in GGML's block format `type`; rows are outputs, columns inputs. A vector
 * has one row. */
typedef struct tensor_source {
  const char *name; /* for messages */
  int32_t type;     /* dimple_tensor_type */
  int64_t rows;
  int64_t columns;
  const uint8_t *data;
} tensor_source;

typedef enum weight_use {
  WEIGHT_LINEAR, /* right-hand side of linear and head: packed */
  WEIGHT_ROWS,   /* looked up by row (embed_rows): stays as it lies, `data` must outlive it */
  WEIGHT_VECTOR  /* norm weight or bias: widened to float32 */
} weight_use;

typedef enum linear_mode {
  LINEAR_STORE,  /* y  = x W' + b */
  LINEAR_ADD,    /* y += x W' + b: the residual stream */
  LINEAR_SILU,   /* y  = silu(x W' + b) */
  LINEAR_GELU,   /* y  = gelu(x W' + b), the exact (erf) form */
  LINEAR_SWIGLU  /* y  = silu(x W' + b) * (x U' + c), with U and c in `up` and `up_bias` */
} linear_mode;

/* One output of linear: y [rows x weight rows], rows `y_stride` floats apart. */
typedef struct linear_output {
  const weight *w;
  const weight *bias; /* null: none */
  const weight *up;   /* LINEAR_SWIGLU only; same shape as w */
  const weight *up_bias;
  float *y;
  int64_t y_stride;
  linear_mode mode;
} linear_output;

/* y (several at once, e.g. Q, K and V, which share the quantized x) from x [rows x columns], rows `x_stride` floats apart.
 * y must not overlap x. */
typedef struct linear_call {
  const float *x;
  int64_t x_stride;
  int64_t rows;
  int64_t columns;
  const linear_output *outputs;
  int32_t output_count;
} linear_call;

/* Rotary embedding in place, "half split": element j of a head pairs with j + size/2. x holds `rows` rows `x_stride` floats
 * apart, `heads` heads of `size` floats each; cosine and sine are [rows x size/2] in device memory. */
typedef struct rotary_call {
  float *x;
  int64_t x_stride;
  int64_t rows;
  int32_t heads;
  int32_t size;
  const float *cosine;
  const float *sine;
} rotary_call;

/* Softmax attention, scale 1/sqrt(size). Query head h reads key head h / (heads / kv_heads).
 *   q   [query_rows x heads x size], rows q_stride floats apart; y the same shape, rows y_stride apart
 *   k,v [key_rows x kv_heads x size], rows kv_stride floats apart (the cached prefix and behind it the current rows)
 * spans: null, or [span_count + 1] ascending row numbers (host memory) that cut queries and keys alike into windows which
 * do not see each other; then query_rows = key_rows = spans[span_count].
 * causal: query row r sees keys 0 .. query_position[r] (host memory, [query_rows]). */
typedef struct attention_call {
  const float *q;
  const float *k;
  const float *v;
  float *y;
  int64_t q_stride, kv_stride, y_stride;
  int64_t query_rows, key_rows;
  int32_t heads, kv_heads, size;
  const int32_t *spans;
  int32_t span_count;
  const int32_t *query_position; /* null: not causal */
} attention_call;

/* The vocabulary is walked in chunks of this many tokens. Sums over it and random draws are defined by the chunks, so that
 * neither threads nor backends change them. */
enum { HEAD_CHUNK = 1024 };

/* What the sampler needs to know of one row of logits z (p = softmax(z), q = softmax(z / temperature)). */
typedef struct head_row {
  int32_t best;      /* token with the highest logit; the lowest id among equals */
  int32_t drawn;     /* a draw from q; `best` when temperature is 0 */
  float best_logit;
  float second_logit; /* the highest logit besides best's own entry (equal to best_logit in a tie); -inf if vocab is 1 */
  float drawn_logit;
  float log_sum;      /* log sum exp z */
  float mean_logit;   /* sum p z; the entropy of p is log_sum - mean_logit */
  float hot_log_sum;  /* log sum exp z/temperature; log_sum when temperature is 0 */
  float hot_mean;     /* sum q z/temperature; mean_logit when temperature is 0 */
} head_row;

/* The language-model head over x [rows x columns] (already normalised). Streams over the vocabulary: writes results
 * [rows] (host memory; null: not wanted) and, only if asked, logits [rows x vocab] (host memory).
 * A draw at temperature > 0: every chunk c of the vocabulary gets the score log(sum over c of exp(z/T)) + Gumbel noise from
 * draw_uniform(seed, iteration, position, DRAW_CHUNK, c); the chunk with the highest score wins (Gumbel-max), and the
 * token inside it is found by inverting its cumulative sum at draw_uniform(seed, iteration, position, DRAW_TOKEN, c). */
typedef struct head_call {
  const float *x;
  int64_t x_stride;
  int64_t rows;
  int64_t columns;
  const weight *w;          /* [vocab x columns] */
  float temperature;        /* 0: no draw */
  uint64_t seed;
  int32_t iteration;
  const int32_t *positions; /* [rows] host memory, the response position of each row; needed for a draw */
  head_row *results;
  float *logits;
} head_call;

typedef struct backend_operations {
  const char *name; /* "ref", "cpu-plain", "cpu-avx2", ... */

  /* Whether this machine can run it. */
  bool (*available)(void);

  /* Packs a tensor. `c` lends its threads. The source may be discarded afterwards unless use is WEIGHT_ROWS.
   * Errors: UNSUPPORTED (type), MEMORY. */
  dimple_status (*weight_upload)(context *c, const tensor_source *source, weight_use use, weight **out);
  void (*weight_free)(weight *w); /* null is allowed */
  int64_t (*weight_bytes)(const weight *w); /* memory it takes beside the file mapping */

  dimple_status (*context_open)(int32_t threads, context **out); /* threads >= 1 */
  void (*context_close)(context *c);

  /* Uninitialised memory for `count` floats, aligned to 64 bytes. */
  dimple_status (*buffer_alloc)(context *c, int64_t count, float **out);
  void (*buffer_free)(context *c, float *buffer); /* null is allowed */
  dimple_status (*copy_in)(context *c, float *target, const float *host, int64_t count);
  dimple_status (*copy_out)(context *c, float *host, const float *source, int64_t count);

  /* y [count x columns] = rows ids[i] of w (WEIGHT_ROWS), decoded; ids in host memory, already checked. */
  dimple_status (*embed_rows)(context *c, float *y, const weight *w, const int32_t *ids, int64_t count);
  /* y [count x columns] = rows index[i] of x; index in host memory. y must not overlap x. */
  dimple_status (*gather_rows)(context *c, float *y, const float *x, const int32_t *index, int64_t count, int64_t columns);
  /* rows index[i] of y = row i of x [count x columns]. */
  dimple_status (*scatter_rows)(context *c, float *y, const float *x, const int32_t *index, int64_t count, int64_t columns);
  /* rows index[i] of y += scale[i] * row i of x [count x columns]; index (all different) and scale in host memory. */
  dimple_status (*scatter_add_rows)(context *c, float *y, const float *x, const int32_t *index, const float *scale, int64_t count,
                                    int64_t columns);
  /* y [rows x columns] = w * x / sqrt(mean(x^2) + epsilon). y may be x. */
  dimple_status (*rms_norm)(context *c, float *y, const float *x, const weight *w, int64_t rows, int64_t columns,
                            float epsilon);
  dimple_status (*linear)(context *c, const linear_call *call);
  dimple_status (*rotary)(context *c, const rotary_call *call);
  dimple_status (*attention)(context *c, const attention_call *call);
  dimple_status (*head)(context *c, const head_call *call);
} backend_operations;

/* All compiled-in backends, best first, null-terminated; `available` still decides. */
extern const backend_operations *const backend_list[];

/* The backend called `name` as in dimple_model_options.backend (null or "auto", "cpu", "ref", "cpu-..."), with the
 * environment's DIMPLE_CPU applied to the first three. Errors: UNSUPPORTED, with the names this machine offers. */
dimple_status backend_select(const char *name, const backend_operations **out);

#endif
