/*
 * The seam between the model and the machine: a table of operations that every backend implements.
 *
 * Memory. Activations are float32 matrices in buffers, which are handles: nothing outside a backend may take one for an address. An
 * operation names its matrices by views, a buffer with a range of rows and columns. Weights are opaque: weight_upload reads a
 * tensor of the file and packs it as the backend likes.
 *
 * Passes. Operations are recorded: pass_begin, operations, pass_end. Whatever an operation takes from the host (token ids, row
 * numbers, what attention may see, floats to copy in) is read when it is recorded and may be gone afterwards; whatever it gives to
 * the host (rows of the head, floats copied out) is there once pass_end has succeeded, and its memory must live until then, as
 * must every buffer and weight that the pass names. A CPU runs each operation when it is recorded; a device may build a graph and
 * run it at the end, and keep it for the next pass of the same shape. Errors show in the operation or at the end.
 *
 * The table and weights are immutable and shared; a `context` holds what one session needs (threads, scratch, the pass being
 * recorded: one at a time). Passes of different contexts may run at the same time. A pass may name buffers of other contexts of its
 * backend, as long as no pass of theirs is under way.
 *
 * Every operation gives the same result for any number of threads: sums are cut at fixed places, never at thread borders. A row's
 * result does not depend on the other rows of the call. All backends pass csrc/test/ops_*_test.c against `ref`.
 */
#ifndef DIMPLE_BACKEND_H
#define DIMPLE_BACKEND_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "dimple.h"
#include "platform/platform.h"

typedef struct context context;
typedef struct weight weight;
typedef struct buffer buffer;

/* --------------------------------------------------------------------------------------------------------------- views */

/* A matrix inside a buffer. Its elements are float32, or where an operation says so int32 or bytes of packed rows; all take four bytes. */
typedef struct view {
  buffer *memory; /* null: no view */
  int64_t first;  /* element of the buffer at which row 0 begins */
  int64_t rows;
  int64_t columns;
  int64_t stride; /* elements from one row to the next, at least `columns` */
} view;

/* The beginning of a buffer as [rows x columns]. */
static inline view view_of(buffer *memory, int64_t rows, int64_t columns) {
  return (view){.memory = memory, .rows = rows, .columns = columns, .stride = columns};
}

/* `count` rows of v from `row` on. */
static inline view view_rows(view v, int64_t row, int64_t count) {
  v.first += row * v.stride;
  v.rows = count;
  return v;
}

/* `count` columns of v from `column` on. */
static inline view view_columns(view v, int64_t column, int64_t count) {
  v.first += column;
  v.columns = count;
  return v;
}

/* The elements of v, whose rows lie one right after the other, as rows of `columns`: heads of a row as rows of their own, or
 * neighbouring rows as one. */
static inline view view_reshape(view v, int64_t columns) {
  v.rows = v.rows * v.columns / columns;
  v.columns = v.stride = columns;
  return v;
}

/* ------------------------------------------------------------------------------------------------------------- weights */

/* A matrix as a backend has packed it, to be kept and given to it again. */
typedef struct packed_part {
  const uint8_t *bytes;
  int64_t size;
  uint64_t digest; /* digest.h's, of the bytes as the backend cuts them */
  uint64_t source; /* the same of the tensor's bytes that they were packed from */
} packed_part;

/* A matrix as it lies in the file: [rows x columns] in GGML's block format `type`; rows are outputs, columns inputs. A vector
 * has one row. A bank, such as the experts' matrices, is `matrices` of them one after the other under one handle. */
typedef struct tensor_source {
  const char *name; /* for messages */
  int32_t type;     /* dimple_tensor_type */
  int64_t rows;
  int64_t columns;
  const uint8_t *data;
  const platform_mapping *file; /* null, or what `data` lies in, so that it can be read from there, too */
  int64_t matrices; /* 0: no bank */
  int32_t stage;    /* of a pass that needs it, which backends of several devices place it by: 0 ahead of the layers, i + 1 in layer i, one more behind them */
  bool also_last;   /* the last stage needs it, too */
  const packed_part *packed; /* null, or [matrices, 1 of no bank] what packed_part said of the same tensor; the bytes must outlive the weight. What does
                              * not agree with its digest is packed anew */
  bool packed_unproven;      /* the tensor's bytes must have the digest of those that were packed, too */
} tensor_source;

typedef enum weight_use {
  WEIGHT_LINEAR,   /* right-hand side of linear, experts and head: packed */
  WEIGHT_UNPACKED, /* the same, slower, with the same results: stays as it lies, `data` must outlive it; a backend may pack it anyway */
  WEIGHT_ROWS,     /* looked up by row (embed_rows): stays as it lies, `data` must outlive it */
  WEIGHT_VECTOR    /* norm weight or bias: widened to float32 */
} weight_use;

/* ---------------------------------------------------------------------------------------------------------- operations */

typedef enum linear_mode {
  LINEAR_STORE,  /* y  = x W' + b */
  LINEAR_ADD,    /* y += x W' + b: the residual stream */
  LINEAR_SILU,   /* y  = silu(x W' + b) */
  LINEAR_GELU,   /* y  = gelu(x W' + b), the exact (erf) form */
  LINEAR_QUICK_GELU, /* y  = v / (1 + exp(-1.702 v)), v = x W' + b: another approximation of it */
  LINEAR_TANH_GELU,  /* y  = 0.5 v (1 + tanh(sqrt(2 / pi) (v + 0.044715 v^3))), v = x W' + b: one more */
  LINEAR_SWIGLU, /* y  = silu(x W' + b) * (x U' + c), with U and c in `up` and `up_bias` */
  LINEAR_GEGLU   /* y  = gelu(x W' + b) * (x U' + c), where gelu is approximated as by LINEAR_TANH_GELU */
} linear_mode;

/* One output of linear: y [rows of x x rows of w]. */
typedef struct linear_output {
  const weight *w;
  const weight *bias; /* null: none */
  const weight *up;   /* LINEAR_SWIGLU and LINEAR_GEGLU only; same shape as w */
  const weight *up_bias;
  view y;
  linear_mode mode;
} linear_output;

/* Whether a mode multiplies two products. */
static inline bool linear_is_gated(linear_mode mode) { return mode == LINEAR_SWIGLU || mode == LINEAR_GEGLU; }

/* y (several at once, e.g. Q, K and V, which share the quantized x) from x [rows x columns of every w]. y must not overlap x. */
typedef struct linear_call {
  view x;
  const linear_output *outputs;
  int32_t output_count;
} linear_call;

/* Rotary embedding in place, "half split": element j of a head pairs with j + size/2. x is [rows x heads * stride], of each head the first `size`
 * elements turn; row r by the angles in row angle_rows[r] of cosine and sine [any x size/2]. */
typedef struct rotary_call {
  view x;
  int32_t heads;
  int32_t size;
  view cosine;
  view sine;
  const int32_t *angle_rows; /* [rows] host memory; null: row r's are in row r */
  int32_t stride; /* elements from one head to the next; 0: size */
} rotary_call;

static inline int32_t rotary_stride(const rotary_call *call) { return call->stride > 0 ? call->stride : call->size; }

/* y = (x - minus) * times, column by column, then at least low and at most high; then times the tanh form of gelu(gate), if there is a gate.
 * minus, times [columns], low and high [1] are WEIGHT_VECTOR; null: without. y may be x or gate. */
typedef struct adjust_call {
  view x, y;  /* [rows x columns] */
  view gate;  /* the same shape; memory null: none */
  const weight *minus, *times, *low, *high;
} adjust_call;

/* Softmax attention. Query head h reads key head h / (heads / kv_heads).
 *   q, y  [query rows x heads * size]
 *   k, v  [key rows x kv_heads * size] (the cached prefix and behind it the current rows), or such rows in kv_type, as pack_kv leaves them
 * What a query row sees: the keys of its span, without those before first_key[r], behind last_key[r] and without skip_key[r]; at least one
 * must be left. Full, causal and block-causal attention differ in last_key alone, a sliding window has first_key, too; skipping its own
 * key, a row is judged unseen.
 * spans: null, or [span_count + 1] ascending row numbers that cut queries and keys alike into windows which do not see each
 * other; then there are as many query as key rows, spans[span_count]. All four lie in host memory. */
typedef struct attention_call {
  view q, k, v, y;
  int32_t heads, kv_heads, size;
  int32_t kv_type; /* dimple_tensor_type of k and v; 0: floats */
  const int32_t *spans;
  int32_t span_count;
  float scale;              /* of scores; 0: 1 / sqrt(size) */
  const int32_t *first_key; /* [query rows]; null: all keys up to the last are seen */
  const int32_t *last_key;  /* [query rows]; null: all keys are seen */
  const int32_t *skip_key; /* [query rows], -1: none; null: none at all */
} attention_call;

typedef enum route_scores {
  ROUTE_SOFTMAX, /* probabilities over all experts */
  ROUTE_SIGMOID  /* of each expert alone */
} route_scores;

/* Which experts every row goes to: those with the highest scores, the lower number among equals, and their shares: the probabilities that
 * `kind` makes of the scores, or `among_chosen`: divided by their sum over those that are chosen; times the experts' scales and the factor. With
 * ROUTE_SIGMOID they are chosen by probability + bias, from those groups whose best two of these add up to most, the lower one among equals; or, where
 * rows lie in blocks, from the `admitted` experts that are worth most to any row of the block, the lower number among equals. */
typedef struct route_call {
  view scores; /* [rows x experts]; what it holds afterwards is undefined */
  view chosen; /* [rows x used] int32, by falling score; different ones, also where scores are no numbers */
  view share;  /* [rows x used] */
  bool among_chosen;
  const weight *scale; /* [experts] (WEIGHT_VECTOR); null: 1 */
  route_scores kind;
  const weight *bias;  /* ROUTE_SIGMOID: [experts] (WEIGHT_VECTOR); null: 0 */
  int32_t groups, groups_used; /* ROUTE_SIGMOID: experts lie in groups of the same size, of at least 2; groups 0 or 1: in one */
  int32_t block, admitted;     /* ROUTE_SIGMOID in one group: rows of a block, of which the last may have fewer, and experts that each admits, at least as
                                * many as are used. Block 0: there are none */
  float factor;        /* 0: 1 */
} route_call;

/* The routed half of a block: y += sum over a row's experts e of share * down_e(act(gate_e x) * up_e x), added in the order of the
 * experts' numbers; act is that of `mode`, LINEAR_SWIGLU or LINEAR_GEGLU. Without `up` the bank `gate` holds two matrices of each expert, its
 * gate and its up, one after the other. */
typedef struct experts_call {
  view x;             /* [rows x width] */
  view chosen, share; /* [rows x used], as route leaves them */
  const weight *gate, *up; /* banks of [feed_forward x width]; up may be null */
  const weight *down;      /* a bank of [width x feed_forward] */
  linear_mode mode;
  view y;             /* [rows x width]; must not overlap x */
} experts_call;

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
  float log_sum;      /* log sum exp z; NaN if one of z is NaN or infinite, and the other fields mean nothing then */
  float mean_logit;   /* sum p z; the entropy of p is log_sum - mean_logit */
  float hot_log_sum;  /* log sum exp z/temperature; log_sum when temperature is 0 */
  float hot_mean;     /* sum q z/temperature; mean_logit when temperature is 0 */
} head_row;

/* Classes of tokens, laid out for the head: every chunk of the vocabulary is cut into segments, one for each class that has tokens in it. A
 * token is of one class or of none. Host memory. */
typedef struct head_partition {
  int32_t classes;
  int32_t segments;
  int32_t most_segments;  /* of a chunk */
  int32_t *chunk_first;   /* [chunks + 1] into segments */
  int32_t *segment_class; /* [segments] ascending within a chunk */
  int32_t *segment_first; /* [segments + 1] into tokens */
  int32_t *tokens;        /* ascending within a segment */
} head_partition;

/* What the head keeps of classes: for each row and class a head_row as if the class were all of the vocabulary, but that a token is drawn
 * from segments, with DRAW_SEGMENT and DRAW_SEGMENT_TOKEN, as the row's is from chunks. So a constraint needs no logits. Host memory that
 * lives until the end of the pass. */
typedef struct head_classes {
  const head_partition *partition;
  const uint8_t *wanted; /* [rows x classes] flags; of the other classes nothing is computed */
  head_row *results;     /* [rows x classes]; of classes that are not wanted undefined */
} head_classes;

/* What becomes of logits before anything else is made of them, in this order. Host memory that lives until the end of the pass. */
typedef struct head_bias {
  const int32_t *forbidden; /* [forbidden_count] tokens that have no share at all, in log_sums neither */
  int32_t forbidden_count;
  int32_t shifted;       /* the token to whose logit `shift` is added */
  float shift;           /* any finite number; 0: there is none */
  float *log_sums;       /* [rows] log sum exp z before what follows is added; null: not wanted */
  const int32_t *tokens; /* [count] ascending ones, to whose logits is added */
  const float *values;   /* [count] any finite number, or -inf, which forbids */
  int32_t count;
  const int32_t *row_first;  /* [rows + 1]: to logits of row r is added, too, what is its own, from row_first[r] up to row_first[r + 1]; null: nothing is */
  const int32_t *row_tokens; /* ascending within a row */
  const float *row_values;   /* finite */
} head_bias;

/* The logit of a token that is forbidden: below all others, and finite, so that sums stay numbers. */
#define HEAD_FORBIDDEN (-1e30f)

/* How far each row's p = softmax(z) is from what it was, q = softmax of the logits of `former`: sum p (log p - log(q + HEAD_LEAST)), nats, within
 * 2e-5 and a hundred-thousandth of itself. Host memory that lives until the end of the pass. */
typedef struct head_comparison {
  const head_bias *bias; /* what becomes of the former logits; its log_sums are null. Null: nothing does */
  const float *log_sums; /* [rows] of theirs then, as a head gave them; HEAD_NO_FORMER: q is 0 everywhere, whatever they are */
  float *divergences;    /* [rows] */
} head_comparison;

#define HEAD_LEAST 1e-12f
#define HEAD_NO_FORMER 1e30f

/* The highest logits of each row, which filters select from: of the tokens that are left out none is higher than the lowest that is listed. Which of those
 * that equal the lowest are listed is open: filters whose result hangs on it take the whole row. The sums exp(log_sum) and exp(hot_log_sum) of a head that
 * lists, and of its classes, hold within 2e-5 of themselves, by which filters know what the others weigh. Host memory that lives until the end of the pass. */
typedef struct head_list {
  int32_t count;   /* of a row, 1 .. HEAD_LIST_MOST */
  int32_t *tokens; /* [rows x count] ascending; -1 behind the last where there are fewer, or a device was sure of fewer */
  float *logits;   /* [rows x count] */
  bool among_classes; /* of the row's wanted classes alone, of which tokens that are forbidden may be left out; needs `classes` */
} head_list;

enum { HEAD_LIST_MOST = 4096 };

/* What a backend's head may do beside results, classes, logits and means. */
typedef enum head_part { HEAD_LISTS = 1, HEAD_BIASES = 2, HEAD_GUIDANCE = 4, HEAD_COMPARISONS = 8 } head_part;

/* The language-model head over x [rows x columns] (already normalised). Streams over the vocabulary: writes results
 * [rows] (host memory; null: not wanted), what it is asked to keep of classes, and, only if asked, logits [rows x vocab] (host memory). A mean
 * over the vocabulary is taken on the way, too: what of rows x vocabulary is held at a time has a bound.
 * A draw at temperature > 0: every chunk c of the vocabulary gets the score log(sum over c of exp(z/T)) + Gumbel noise from
 * draw_uniform(seed, iteration, position, DRAW_CHUNK, c); the chunk with the highest score wins (Gumbel-max), and the
 * token inside it is found by inverting its cumulative sum at draw_uniform(seed, iteration, position, DRAW_TOKEN, c). */
typedef struct head_call {
  view x;
  const weight *w;          /* [vocab x columns] */
  float temperature;        /* 0: no draw */
  uint64_t seed;
  int32_t iteration;
  const int32_t *positions; /* [rows] host memory, the response position of each row; needed for a draw */
  head_row *results;
  const head_classes *classes; /* null: not wanted */
  float *logits;
  float softcap;            /* above 0: logits are softcap * tanh(logit / softcap), in all of this; NaN where one is infinite */
  view bare;                /* like x; memory null: none; needs HEAD_GUIDANCE. Of a logit z of x and b of this becomes b + (guidance + 1) * (z - b) */
  float guidance;
  const head_bias *bias;    /* null: none; needs HEAD_BIASES */
  const head_list *list;    /* null: not wanted; needs HEAD_LISTS */
  const head_comparison *comparison; /* null: not wanted; needs `results` and HEAD_COMPARISONS */
  view former, former_bare; /* like x and bare, numbers all of them: where there is a comparison, with what */
  const weight *rows;       /* [vocab x columns of `expected`] (WEIGHT_ROWS) */
  view expected;            /* [rows x columns]: the mean of these rows under q (of p when temperature is 0); memory null: not wanted */
} head_call;

typedef struct backend_operations backend_operations;

struct backend_operations {
  const char *name; /* "ref", "cpu-plain", "cpu-avx2", ..., "ggml:Vulkan0" */
  uint32_t head_parts; /* bits of head_part that its head does; who wants others takes whole logits */

  /* Whether this machine can run it. */
  bool (*available)(void);

  /* Packs a tensor. `c` lends its threads; outside a pass. The source may be discarded afterwards unless `use` says that it stays.
   * Errors: UNSUPPORTED (type), MEMORY. */
  dimple_status (*weight_upload)(context *c, const tensor_source *source, weight_use use, weight **out);
  void (*weight_free)(weight *w); /* null is allowed */
  int64_t (*weight_bytes)(const weight *w); /* memory it takes beside the file mapping */
  /* What weight_bytes will be of a tensor as WEIGHT_LINEAR, in about; 0 for a type that is not read. Null: WEIGHT_UNPACKED packs here, too. */
  int64_t (*packed_bytes)(const context *c, const tensor_source *source);
  /* What weight_upload has packed of `source` for WEIGHT_LINEAR: of a bank the matrix with this number, 0 of others. Its bytes are the weight's, or those
   * of source.packed. False: there is nothing that could be kept, or no memory. Null: this backend's weights cannot be kept. */
  bool (*packed_part)(context *c, const weight *w, const tensor_source *source, int64_t matrix, packed_part *out);

  /* `self` is the table that the context is for; threads >= 1. Errors: MEMORY, IO (a device that does not answer). */
  dimple_status (*context_open)(const backend_operations *self, int32_t threads, context **out);
  void (*context_close)(context *c);
  int64_t (*context_bytes)(const context *c); /* memory it holds beside its buffers */
  /* What the machine does at most, see dimple_measure_peaks. Outside of passes. Null: not measured. Errors: MEMORY. */
  dimple_status (*measure_peaks)(context *c, dimple_peaks *out);

  /* Uninitialised memory for `count` elements. Errors: MEMORY. */
  dimple_status (*buffer_alloc)(context *c, int64_t count, buffer **out);
  void (*buffer_free)(context *c, buffer *memory); /* null is allowed; not while a pass that names it is recorded */

  /* Starts recording a pass. `cancelled`, null or a flag that outlives the pass, is looked at by its checkpoints. */
  dimple_status (*pass_begin)(context *c, atomic_bool *cancelled);
  /* Ends the pass, the recording of which came to `recorded`. OK: runs what has not run yet, and returns how that went. Otherwise
   * nothing more is run, and `recorded` is returned, so that a pass ends in `return ops->pass_end(c, record_all(...))`. Errors: MODEL, if numbers
   * of the pass are NaN or infinite and the backend does not hand these on to what is made of them, logits above all. */
  dimple_status (*pass_end)(context *c, dimple_status recorded);

  /* What follows are operations: between pass_begin and pass_end only. */

  /* A place where the pass may stop: CANCELLED, and the request taken back, if the flag is set when it is reached. */
  dimple_status (*checkpoint)(context *c);
  /* The elements of a view from and to tight rows in host memory. */
  dimple_status (*copy_in)(context *c, view target, const float *host);
  dimple_status (*copy_out)(context *c, float *host, view source);
  /* Row i of y = row ids[i] of w (WEIGHT_ROWS), decoded; ids in host memory, already checked. */
  dimple_status (*embed_rows)(context *c, view y, const weight *w, const int32_t *ids);
  /* Row i of y = row index[i] of x; index in host memory. y must not overlap x. */
  dimple_status (*gather_rows)(context *c, view y, view x, const int32_t *index);
  /* Row index[i] of y = row i of x; of equal indices the last one wins. */
  dimple_status (*scatter_rows)(context *c, view y, view x, const int32_t *index);
  /* Rows of floats to rows of keys or values as a cache keeps them (quant/kv_rows.h): x [rows x width], packed [rows x kv_row_elements]. What a
   * device rounds may differ in ties and in numbers too small for the type. */
  dimple_status (*pack_kv)(context *c, view packed, view x, int32_t kv_type);
  /* y = factor * (y + x), row by row; x without memory: y = factor * y; factor 0: y = 0, whatever it held. y must not overlap x. */
  dimple_status (*add_rows)(context *c, view y, view x, float factor);
  /* y = w * x / sqrt(mean(x^2) + epsilon), row by row; w null: all ones. y may be x. */
  dimple_status (*rms_norm)(context *c, view y, view x, const weight *w, float epsilon);
  /* y = w * (x - m) / sqrt(mean((x - m)^2) + epsilon) + b, m = mean(x), row by row. y may be x. */
  dimple_status (*layer_norm)(context *c, view y, view x, const weight *w, const weight *b, float epsilon);
  dimple_status (*adjust)(context *c, const adjust_call *call);
  dimple_status (*linear)(context *c, const linear_call *call);
  dimple_status (*rotary)(context *c, const rotary_call *call);
  dimple_status (*attention)(context *c, const attention_call *call);
  dimple_status (*route)(context *c, const route_call *call);
  dimple_status (*experts)(context *c, const experts_call *call);
  dimple_status (*head)(context *c, const head_call *call);
};

/* All compiled-in backends, best first, null-terminated; `available` still decides. */
extern const backend_operations *const backend_list[];

/* The backend called `name` as in dimple_model_options.backend (null or "auto", "cpu", "ref", "cpu-..."), with the
 * environment's DIMPLE_CPU applied to the first three. Errors: UNSUPPORTED, with the names this machine offers. */
dimple_status backend_select(const char *name, const backend_operations **out);

/* Whether a name is a device's of a plugin ("ggml:...", "rpc:..."), or of a model that is split with one among its parts. What a device gives for a row
 * may hang, in its last bits, on what other rows share the call; other backends promise that it does not. */
static inline bool backend_is_device(const char *name) { return strchr(name, ':') != NULL; }

#endif
