#include "backend/self_check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "allocate.h"
#include "quant/block_formats.h"

extern const backend_operations backend_ref;

/* A backend at work on the probes. */
typedef struct side {
  const backend_operations *ops;
  context *context;
  uint32_t random; /* both sides draw the same numbers */
  int32_t type;    /* of matrices: dimple_tensor_type */
  int64_t rows;
} side;

/* Devices have other kernels for few rows than for many. */
enum { FEW = 5, MANY = 70, WIDTH = 256, INNER = 256, EXPERTS = 6, USED = 2, VOCAB = 2 * HEAD_CHUNK + 100, HEADS = 4, KV_HEADS = 2, KEYS = 97, MOST = MANY * HEADS * 128 };

static float draw(side *s) {
  s->random = s->random * 1664525u + 1013904223u;
  return (float)(s->random >> 8) * 0x1p-23f - 1;
}

/* What a probe has opened. */
typedef struct room {
  buffer *buffers[8];
  weight *weights[4];
  int32_t buffer_count, weight_count;
} room;

static void close_room(side *s, room *r) {
  for (int32_t i = 0; i < r->buffer_count; i++) s->ops->buffer_free(s->context, r->buffers[i]);
  for (int32_t i = 0; i < r->weight_count; i++) s->ops->weight_free(r->weights[i]);
}

static dimple_status take(side *s, room *r, int64_t rows, int64_t columns, view *out) {
  buffer *memory;
  DIMPLE_TRY(s->ops->buffer_alloc(s->context, rows * columns, &memory));
  r->buffers[r->buffer_count++] = memory;
  *out = view_of(memory, rows, columns);
  return DIMPLE_OK;
}

/* A matrix of random numbers. */
static dimple_status fill(side *s, room *r, int64_t rows, int64_t columns, view *out) {
  float *values;
  DIMPLE_TRY(take(s, r, rows, columns, out));
  ALLOCATE(values, rows * columns, "a probe's numbers");
  for (int64_t i = 0; i < rows * columns; i++) values[i] = draw(s);
  dimple_status status = s->ops->pass_begin(s->context, NULL);
  if (status == DIMPLE_OK) status = s->ops->pass_end(s->context, s->ops->copy_in(s->context, *out, values));
  free(values);
  return status;
}

/* A weight of random numbers, of rows that weigh about as much as their inputs. */
static dimple_status upload(side *s, room *r, int32_t type, int64_t matrices, int64_t rows, int64_t columns, weight_use use, weight **out) {
  const block_format *f = block_format_of(type);
  int64_t count = (matrices ? matrices : 1) * rows * columns, blocks = count / f->block_length;
  float *values;
  ALLOCATE(values, count, "a probe's weights");
  for (int64_t i = 0; i < count; i++) values[i] = draw(s) / 16;
  uint8_t *encoded = malloc((size_t)(blocks * f->block_size));
  dimple_status status = encoded ? DIMPLE_OK : dimple_fail_memory((uint64_t)(blocks * f->block_size), "a probe's weights");
  if (status == DIMPLE_OK) {
    f->quantize(values, NULL, encoded, blocks);
    tensor_source source = {.name = "of the self-check", .type = type, .rows = rows, .columns = columns, .data = encoded, .matrices = matrices};
    status = s->ops->weight_upload(s->context, &source, use, out);
  }
  if (status == DIMPLE_OK) r->weights[r->weight_count++] = *out;
  free(encoded);
  free(values);
  return status;
}

/* The end of a probe: what one operation left in y. */
static dimple_status finish(side *s, dimple_status recorded, view y, float *out) {
  if (recorded == DIMPLE_OK) recorded = s->ops->copy_out(s->context, out, y);
  return s->ops->pass_end(s->context, recorded);
}

/* --------------------------------------------------------------------------------------------------------------- probes */

static dimple_status probe_norm(side *s, room *r, float *out) {
  view x, y;
  weight *w;
  DIMPLE_TRY(fill(s, r, s->rows, WIDTH, &x));
  DIMPLE_TRY(take(s, r, s->rows, WIDTH, &y));
  DIMPLE_TRY(upload(s, r, DIMPLE_TENSOR_F32, 0, 1, WIDTH, WEIGHT_VECTOR, &w));
  DIMPLE_TRY(s->ops->pass_begin(s->context, NULL));
  return finish(s, s->ops->rms_norm(s->context, y, x, w, 1e-6f), y, out);
}

/* y += silu(gate x) * up x, by two calls. */
static dimple_status record_linear(side *s, view x, view middle, view y, weight *const w[3]) {
  linear_output gated = {.w = w[0], .up = w[1], .y = middle, .mode = LINEAR_SWIGLU}, added = {.w = w[2], .y = y, .mode = LINEAR_ADD};
  DIMPLE_TRY(s->ops->linear(s->context, &(linear_call){x, &gated, 1}));
  return s->ops->linear(s->context, &(linear_call){middle, &added, 1});
}

static dimple_status probe_linear(side *s, room *r, float *out) {
  view x, middle, y;
  weight *w[3];
  DIMPLE_TRY(fill(s, r, s->rows, WIDTH, &x));
  DIMPLE_TRY(take(s, r, s->rows, INNER, &middle));
  DIMPLE_TRY(fill(s, r, s->rows, WIDTH, &y));
  for (int i = 0; i < 2; i++) DIMPLE_TRY(upload(s, r, s->type, 0, INNER, WIDTH, WEIGHT_LINEAR, &w[i]));
  DIMPLE_TRY(upload(s, r, s->type, 0, WIDTH, INNER, WEIGHT_LINEAR, &w[2]));
  DIMPLE_TRY(s->ops->pass_begin(s->context, NULL));
  return finish(s, record_linear(s, x, middle, y, w), y, out);
}

static dimple_status probe_rotary(side *s, room *r, float *out) {
  view x, cosine, sine;
  const int32_t rows[FEW] = {4, 0, 2, 2, 1};
  DIMPLE_TRY(fill(s, r, s->rows, WIDTH, &x));
  DIMPLE_TRY(fill(s, r, s->rows, 32, &cosine));
  DIMPLE_TRY(fill(s, r, s->rows, 32, &sine));
  DIMPLE_TRY(s->ops->pass_begin(s->context, NULL));
  rotary_call call = {.x = x, .heads = WIDTH / 64, .size = 64, .cosine = cosine, .sine = sine, .angle_rows = rows};
  return finish(s, s->ops->rotary(s->context, &call), x, out);
}

/* Heads of 64 or 128 elements, each row with all keys or with some. */
static dimple_status attend(side *s, room *r, int32_t size, bool some, float *out) {
  view q, k, v, y;
  int32_t first[MANY], last[MANY];
  for (int32_t i = 0; i < MANY; i++) {
    first[i] = i % 3 ? i : 0;
    last[i] = i % 5 ? i + 20 : i;
  }
  DIMPLE_TRY(fill(s, r, s->rows, HEADS * size, &q));
  DIMPLE_TRY(fill(s, r, KEYS, KV_HEADS * size, &k));
  DIMPLE_TRY(fill(s, r, KEYS, KV_HEADS * size, &v));
  DIMPLE_TRY(take(s, r, s->rows, HEADS * size, &y));
  DIMPLE_TRY(s->ops->pass_begin(s->context, NULL));
  attention_call call = {.q = q, .k = k, .v = v, .y = y, .heads = HEADS, .kv_heads = KV_HEADS, .size = size,
                         .first_key = some ? first : NULL, .last_key = some ? last : NULL};
  return finish(s, s->ops->attention(s->context, &call), y, out);
}

static dimple_status probe_attention(side *s, room *r, float *out) { return attend(s, r, 128, false, out); }

static dimple_status probe_odd(side *s, room *r, float *out) { return attend(s, r, 20, false, out); }

static dimple_status probe_limited(side *s, room *r, float *out) { return attend(s, r, 64, true, out); }

static dimple_status record_experts(side *s, view x, view scores, view chosen, view share, view y, weight *const w[4]) {
  linear_output routed = {.w = w[0], .y = scores, .mode = LINEAR_STORE};
  DIMPLE_TRY(s->ops->linear(s->context, &(linear_call){x, &routed, 1}));
  DIMPLE_TRY(s->ops->route(s->context, &(route_call){.scores = scores, .chosen = chosen, .share = share, .among_chosen = true}));
  return s->ops->experts(s->context, &(experts_call){.x = x, .chosen = chosen, .share = share, .gate = w[1], .up = w[2], .down = w[3], .mode = LINEAR_SWIGLU, .y = y});
}

static dimple_status probe_experts(side *s, room *r, float *out) {
  view x, scores, chosen, share, y;
  weight *w[4];
  DIMPLE_TRY(fill(s, r, s->rows, WIDTH, &x));
  DIMPLE_TRY(take(s, r, s->rows, EXPERTS, &scores));
  DIMPLE_TRY(take(s, r, s->rows, USED, &chosen));
  DIMPLE_TRY(take(s, r, s->rows, USED, &share));
  DIMPLE_TRY(fill(s, r, s->rows, WIDTH, &y));
  DIMPLE_TRY(upload(s, r, DIMPLE_TENSOR_F32, 0, EXPERTS, WIDTH, WEIGHT_LINEAR, &w[0]));
  for (int i = 1; i < 3; i++) DIMPLE_TRY(upload(s, r, s->type, EXPERTS, INNER, WIDTH, WEIGHT_LINEAR, &w[i]));
  DIMPLE_TRY(upload(s, r, s->type, EXPERTS, WIDTH, INNER, WEIGHT_LINEAR, &w[3]));
  DIMPLE_TRY(s->ops->pass_begin(s->context, NULL));
  return finish(s, record_experts(s, x, scores, chosen, share, y, w), y, out);
}

static dimple_status probe_head(side *s, room *r, float *out) {
  view x;
  weight *w;
  int32_t positions[MANY];
  head_row rows[MANY];
  for (int32_t i = 0; i < MANY; i++) positions[i] = i;
  DIMPLE_TRY(fill(s, r, s->rows, WIDTH, &x));
  DIMPLE_TRY(upload(s, r, DIMPLE_TENSOR_F32, 0, VOCAB, WIDTH, WEIGHT_LINEAR, &w));
  DIMPLE_TRY(s->ops->pass_begin(s->context, NULL));
  head_call call = {.x = x, .w = w, .temperature = 0.7f, .seed = 1, .positions = positions, .results = rows};
  DIMPLE_TRY(s->ops->pass_end(s->context, s->ops->head(s->context, &call)));
  for (int64_t i = 0; i < s->rows; i++) {
    const float told[8] = {(float)rows[i].best / VOCAB, rows[i].best_logit, rows[i].second_logit, rows[i].log_sum,
                           rows[i].mean_logit, rows[i].hot_log_sum, rows[i].hot_mean, rows[i].drawn >= 0 && rows[i].drawn < VOCAB};
    memcpy(out + 8 * i, told, sizeof told);
  }
  return DIMPLE_OK;
}

/* What a head does to logits, of each row its own among it, and how far they are from former ones. */
static dimple_status probe_changed_head(side *s, room *r, float *out) {
  enum { FORBIDDEN = 5, SHIFTED = VOCAB - 1, OWN = 2 * MANY };
  static const int32_t forbidden[] = {FORBIDDEN}, tokens[] = {0, HEAD_CHUNK};
  static const float values[] = {3, -INFINITY};
  view x, bare, former, former_bare;
  weight *w;
  int32_t positions[MANY], row_first[MANY + 1], row_tokens[OWN];
  float row_values[OWN], log_sums[MANY], former_sums[MANY], divergences[MANY];
  head_row rows[MANY];
  for (int32_t i = 0; i < OWN; i++) {
    row_tokens[i] = i * (VOCAB / OWN); /* ascending, and in every chunk */
    row_values[i] = 5 + 0.01f * (float)i;
  }
  for (int32_t i = 0; i <= MANY; i++) row_first[i] = i == MANY ? OWN : 2 * i - i % 2; /* one and three by turns */
  for (int32_t i = 0; i < MANY; i++) {
    positions[i] = i;
    former_sums[i] = i % 7 ? 60 : HEAD_NO_FORMER;
  }
  DIMPLE_TRY(fill(s, r, s->rows, WIDTH, &x));
  DIMPLE_TRY(fill(s, r, s->rows, WIDTH, &bare));
  DIMPLE_TRY(fill(s, r, s->rows, WIDTH, &former));
  DIMPLE_TRY(fill(s, r, s->rows, WIDTH, &former_bare));
  DIMPLE_TRY(upload(s, r, DIMPLE_TENSOR_F32, 0, VOCAB, WIDTH, WEIGHT_LINEAR, &w));
  head_bias bias = {.forbidden = forbidden, .forbidden_count = 1, .shifted = SHIFTED, .shift = 4, .log_sums = log_sums, .tokens = tokens, .values = values,
                    .count = 2, .row_first = row_first, .row_tokens = row_tokens, .row_values = row_values};
  head_bias former_bias = {.forbidden = forbidden, .forbidden_count = 1, .tokens = tokens, .values = values, .count = 2};
  head_comparison comparison = {.bias = &former_bias, .log_sums = former_sums, .divergences = divergences};
  head_call call = {.x = x, .bare = bare, .guidance = 0.5f, .w = w, .positions = positions, .results = rows, .bias = &bias, .comparison = &comparison,
                    .former = former, .former_bare = former_bare};
  DIMPLE_TRY(s->ops->pass_begin(s->context, NULL));
  DIMPLE_TRY(s->ops->pass_end(s->context, s->ops->head(s->context, &call)));
  for (int64_t i = 0; i < s->rows; i++) {
    const float told[6] = {(float)rows[i].best / VOCAB, rows[i].best_logit, rows[i].second_logit, rows[i].log_sum, log_sums[i], divergences[i]};
    memcpy(out + 6 * i, told, sizeof told);
  }
  return DIMPLE_OK;
}

static dimple_status probe_scatter(side *s, room *r, float *out) {
  view x, y;
  const int32_t index[FEW] = {3, 0, 3, 4, 1};
  DIMPLE_TRY(fill(s, r, s->rows, WIDTH, &x));
  DIMPLE_TRY(fill(s, r, s->rows, WIDTH, &y));
  DIMPLE_TRY(s->ops->pass_begin(s->context, NULL));
  return finish(s, s->ops->scatter_rows(s->context, y, x, index), y, out);
}

typedef struct probe {
  const char *operation;
  dimple_status (*run)(side *s, room *r, float *out);
  int32_t type;
  int64_t rows, columns; /* of what it gives */
  double tolerance; /* of the largest number */
} probe;

/* Devices multiply floats by halves where they are fast, and round what they multiply quantized weights with to 8 bits: what is further off than that
 * is wrong. */
static const probe probes[] = {
    {"rms_norm", probe_norm, DIMPLE_TENSOR_F32, FEW, WIDTH, 1e-3},
    {"scatter_rows", probe_scatter, DIMPLE_TENSOR_F32, FEW, WIDTH, 0},
    {"rotary", probe_rotary, DIMPLE_TENSOR_F32, FEW, WIDTH, 1e-3},
    {"linear of few rows with F32 weights", probe_linear, DIMPLE_TENSOR_F32, FEW, WIDTH, 1e-2},
    {"linear of few rows with F16 weights", probe_linear, DIMPLE_TENSOR_F16, FEW, WIDTH, 2e-2},
    {"linear of few rows with Q8_0 weights", probe_linear, DIMPLE_TENSOR_Q8_0, FEW, WIDTH, 5e-2},
    {"linear of few rows with Q4_0 weights", probe_linear, DIMPLE_TENSOR_Q4_0, FEW, WIDTH, 5e-2},
    {"linear of few rows with Q4_K weights", probe_linear, DIMPLE_TENSOR_Q4_K, FEW, WIDTH, 5e-2},
    {"linear of few rows with Q6_K weights", probe_linear, DIMPLE_TENSOR_Q6_K, FEW, WIDTH, 5e-2},
    {"linear with F32 weights", probe_linear, DIMPLE_TENSOR_F32, MANY, WIDTH, 1e-2},
    {"linear with F16 weights", probe_linear, DIMPLE_TENSOR_F16, MANY, WIDTH, 2e-2},
    {"linear with Q8_0 weights", probe_linear, DIMPLE_TENSOR_Q8_0, MANY, WIDTH, 5e-2},
    {"linear with Q4_0 weights", probe_linear, DIMPLE_TENSOR_Q4_0, MANY, WIDTH, 5e-2},
    {"linear with Q4_K weights", probe_linear, DIMPLE_TENSOR_Q4_K, MANY, WIDTH, 5e-2},
    {"linear with Q6_K weights", probe_linear, DIMPLE_TENSOR_Q6_K, MANY, WIDTH, 5e-2},
    {"attention of few rows", probe_attention, DIMPLE_TENSOR_F32, FEW, HEADS * 128, 1e-2},
    {"attention over all keys", probe_attention, DIMPLE_TENSOR_F32, MANY, HEADS * 128, 1e-2},
    {"attention over some keys", probe_limited, DIMPLE_TENSOR_F32, MANY, HEADS * 64, 1e-2},
    {"attention of heads of 20", probe_odd, DIMPLE_TENSOR_F32, MANY, HEADS * 20, 1e-2},
    {"experts of few rows with F32 weights", probe_experts, DIMPLE_TENSOR_F32, FEW, WIDTH, 2e-2},
    {"experts with F32 weights", probe_experts, DIMPLE_TENSOR_F32, MANY, WIDTH, 2e-2},
    {"experts with Q8_0 weights", probe_experts, DIMPLE_TENSOR_Q8_0, MANY, WIDTH, 5e-2},
    {"head of few rows", probe_head, DIMPLE_TENSOR_F32, FEW, 8, 1e-2},
    {"head", probe_head, DIMPLE_TENSOR_F32, MANY, 8, 1e-2},
    {"head with changed logits", probe_changed_head, DIMPLE_TENSOR_F32, MANY, 6, 1e-2},
};

static dimple_status run_probe(side *s, const probe *p, float *out) {
  room r = {0};
  s->random = 7;
  s->type = p->type;
  s->rows = p->rows;
  dimple_status status = p->run(s, &r, out);
  close_room(s, &r);
  return status;
}

static dimple_status compare(const char *device, const probe *p, const float *expected, const float *found) {
  double largest = 0, off = 0;
  for (int64_t i = 0; i < p->rows * p->columns; i++) {
    largest = fmax(largest, fabs((double)expected[i]));
    double apart = fabs((double)expected[i] - (double)found[i]);
    off = apart <= off ? off : isnan(apart) ? INFINITY : apart;
  }
  if (off <= p->tolerance * largest) return DIMPLE_OK;
  return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "device %s is not used: its operation \"%s\" gives wrong results, off by %.2g where at most %.2g is right", device,
                     p->operation, off / largest, p->tolerance);
}

enum { PROBES = sizeof probes / sizeof *probes };

/* What the reference answered, kept for the devices that are checked later. */
static float *answers[PROBES];

static dimple_status ask_reference(side *reference, int32_t i) {
  float *told;
  if (answers[i]) return DIMPLE_OK;
  ALLOCATE(told, probes[i].rows * probes[i].columns, "the self-check");
  dimple_status status = run_probe(reference, &probes[i], told);
  if (status == DIMPLE_OK)
    answers[i] = told;
  else
    free(told);
  return status;
}

static dimple_status check_all(side *reference, side *tested, float *found) {
  for (int32_t i = 0; i < PROBES; i++) {
    memset(found, 0, MOST * sizeof *found);
    DIMPLE_TRY(ask_reference(reference, i));
    DIMPLE_TRY(run_probe(tested, &probes[i], found));
    DIMPLE_TRY(compare(tested->ops->name, &probes[i], answers[i], found));
  }
  return DIMPLE_OK;
}

dimple_status self_check(const backend_operations *ops) {
  side reference = {.ops = &backend_ref}, tested = {.ops = ops};
  float *found;
  ALLOCATE(found, MOST, "the self-check");
  dimple_status status = backend_ref.context_open(&backend_ref, 1, &reference.context);
  if (status == DIMPLE_OK) status = ops->context_open(ops, 1, &tested.context);
  if (status == DIMPLE_OK) status = check_all(&reference, &tested, found);
  if (tested.context) ops->context_close(tested.context);
  if (reference.context) backend_ref.context_close(reference.context);
  free(found);
  return status;
}
