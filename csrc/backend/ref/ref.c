/*
 * The reference backend: plain loops over float32 weights, sums in double, one thread. Slow and simple on purpose; every
 * other backend is tested against it.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "allocate.h"
#include "backend/backend.h"
#include "backend/route.h"
#include "backend/summary.h"
#include "cancel.h"
#include "error.h"
#include "platform/platform.h"
#include "quant/kv_rows.h"

struct context {
  atomic_bool *cancelled; /* of the pass that is recorded */
};

struct weight {
  const block_format *format;
  int64_t matrices; /* of a bank, otherwise 1 */
  int64_t rows;
  int64_t columns;
  const uint8_t *data; /* WEIGHT_ROWS: the caller's bytes */
  float *values;       /* otherwise [matrices x rows x columns] */
};

/* A buffer is plain memory here. */
static float *row_of(view v, int64_t row) { return (float *)(void *)v.memory + v.first + row * v.stride; }

static int32_t *numbers_of(view v, int64_t row) { return (int32_t *)(void *)v.memory + v.first + row * v.stride; }

static bool ref_available(void) { return true; }

static dimple_status allocate_floats(int64_t count, const char *purpose, float **out) {
  if (count < 0 || (uint64_t)count > (SIZE_MAX - 63) / sizeof(float)) return dimple_fail_memory(SIZE_MAX, purpose);
  size_t bytes = ((size_t)count * sizeof(float) + 63) / 64 * 64;
  float *memory = platform_allocate(bytes, PLATFORM_CACHE_LINE);
  if (!memory) return dimple_fail_memory(bytes, purpose);
  *out = memory;
  return DIMPLE_OK;
}

static void ref_weight_free(weight *w) {
  if (!w) return;
  platform_free(w->values);
  free(w);
}

static dimple_status ref_weight_upload(context *c, const tensor_source *source, weight_use use, weight **out) {
  (void)c;
  const block_format *format = block_format_of(source->type);
  if (!format) return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "tensor %s: type %d is not supported", source->name, source->type);
  DIMPLE_TRY(block_format_check_columns(format, source->columns, DIMPLE_ERROR_UNSUPPORTED, "tensor %s: %lld columns", source->name,
                                        (long long)source->columns));
  weight *w = calloc(1, sizeof *w);
  if (!w) return dimple_fail_memory(sizeof *w, source->name);
  *w = (weight){.format = format, .matrices = source->matrices ? source->matrices : 1, .rows = source->rows, .columns = source->columns};
  if (use == WEIGHT_ROWS) {
    w->data = source->data;
  } else {
    int64_t count = w->matrices * source->rows * source->columns;
    dimple_status status = allocate_floats(count, source->name, &w->values);
    if (status != DIMPLE_OK) {
      free(w);
      return status;
    }
    format->dequantize(source->data, w->values, count / format->block_length);
  }
  *out = w;
  return DIMPLE_OK;
}

static int64_t ref_weight_bytes(const weight *w) {
  return (int64_t)sizeof *w + (w->values ? w->matrices * w->rows * w->columns * (int64_t)sizeof(float) : 0);
}

static dimple_status ref_context_open(const backend_operations *self, int32_t threads, context **out) {
  (void)self;
  (void)threads;
  context *c = calloc(1, sizeof *c);
  if (!c) return dimple_fail_memory(sizeof *c, "a context");
  *out = c;
  return DIMPLE_OK;
}

static void ref_context_close(context *c) { free(c); }

static int64_t ref_context_bytes(const context *c) { return (int64_t)sizeof *c; }

static dimple_status ref_buffer_alloc(context *c, int64_t count, buffer **out) {
  (void)c;
  float *memory = NULL;
  DIMPLE_TRY(allocate_floats(count, "activations", &memory));
  *out = (buffer *)(void *)memory;
  return DIMPLE_OK;
}

static void ref_buffer_free(context *c, buffer *memory) {
  (void)c;
  platform_free(memory);
}

static dimple_status ref_pass_begin(context *c, atomic_bool *cancelled) {
  c->cancelled = cancelled;
  return DIMPLE_OK;
}

static dimple_status ref_pass_end(context *c, dimple_status recorded) {
  c->cancelled = NULL;
  return recorded;
}

static dimple_status ref_checkpoint(context *c) { return check_cancelled(c->cancelled); }

static dimple_status ref_copy_in(context *c, view target, const float *host) {
  (void)c;
  for (int64_t r = 0; r < target.rows; r++)
    memcpy(row_of(target, r), host + r * target.columns, (size_t)target.columns * sizeof(float));
  return DIMPLE_OK;
}

static dimple_status ref_copy_out(context *c, float *host, view source) {
  (void)c;
  for (int64_t r = 0; r < source.rows; r++)
    memcpy(host + r * source.columns, row_of(source, r), (size_t)source.columns * sizeof(float));
  return DIMPLE_OK;
}

static dimple_status ref_embed_rows(context *c, view y, const weight *w, const int32_t *ids) {
  (void)c;
  int64_t row_size = block_format_row_size(w->format, w->columns);
  for (int64_t i = 0; i < y.rows; i++)
    w->format->dequantize(w->data + ids[i] * row_size, row_of(y, i), w->columns / w->format->block_length);
  return DIMPLE_OK;
}

static dimple_status ref_gather_rows(context *c, view y, view x, const int32_t *index) {
  (void)c;
  for (int64_t i = 0; i < y.rows; i++) memcpy(row_of(y, i), row_of(x, index[i]), (size_t)y.columns * sizeof(float));
  return DIMPLE_OK;
}

static dimple_status ref_scatter_rows(context *c, view y, view x, const int32_t *index) {
  (void)c;
  for (int64_t i = 0; i < x.rows; i++) memcpy(row_of(y, index[i]), row_of(x, i), (size_t)x.columns * sizeof(float));
  return DIMPLE_OK;
}

/* Eight running sums, in a vector type: with it a sanitizer looks at eight numbers at a time. */
typedef float eight_floats __attribute__((vector_size(8 * sizeof(float))));
typedef double eight_sums __attribute__((vector_size(8 * sizeof(double))));

static double dot(const float *a, const float *b, int64_t n) {
  eight_sums sums = {0};
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    eight_floats x, y;
    memcpy(&x, a + i, sizeof x);
    memcpy(&y, b + i, sizeof y);
    sums += __builtin_convertvector(x, eight_sums) * __builtin_convertvector(y, eight_sums);
  }
  double sum = 0;
  for (; i < n; i++) sum += (double)a[i] * b[i];
  for (int lane = 0; lane < 8; lane++) sum += sums[lane];
  return sum;
}

static dimple_status ref_pack_kv(context *c, view packed, view x, int32_t kv_type) {
  (void)c;
  for (int64_t r = 0; r < x.rows; r++) kv_row_pack(kv_type, row_of(x, r), x.columns, row_of(packed, r));
  return DIMPLE_OK;
}

static dimple_status ref_add_rows(context *c, view y, view x, float factor) {
  (void)c;
  for (int64_t r = 0; r < y.rows; r++)
    for (int64_t j = 0; j < y.columns; j++) row_of(y, r)[j] = factor == 0 ? 0 : factor * (row_of(y, r)[j] + (x.memory ? row_of(x, r)[j] : 0));
  return DIMPLE_OK;
}

static dimple_status ref_rms_norm(context *c, view y, view x, const weight *w, float epsilon) {
  (void)c;
  for (int64_t r = 0; r < x.rows; r++) {
    const float *from = row_of(x, r);
    float *to = row_of(y, r);
    double scale = 1 / sqrt(dot(from, from, x.columns) / (double)x.columns + epsilon);
    for (int64_t j = 0; j < x.columns; j++) to[j] = (float)((w ? w->values[j] : 1) * (from[j] * scale));
  }
  return DIMPLE_OK;
}

static dimple_status ref_layer_norm(context *c, view y, view x, const weight *w, const weight *b, float epsilon) {
  (void)c;
  for (int64_t r = 0; r < x.rows; r++) {
    const float *from = row_of(x, r);
    float *to = row_of(y, r);
    double mean = 0, square = 0;
    for (int64_t j = 0; j < x.columns; j++) mean += from[j] / (double)x.columns;
    for (int64_t j = 0; j < x.columns; j++) square += (from[j] - mean) * (from[j] - mean) / (double)x.columns;
    double scale = 1 / sqrt(square + epsilon);
    for (int64_t j = 0; j < x.columns; j++) to[j] = (float)(w->values[j] * ((from[j] - mean) * scale) + b->values[j]);
  }
  return DIMPLE_OK;
}

static double silu(double v) { return v / (1 + exp(-v)); }

static double gelu(double v) { return 0.5 * v * (1 + erf(v * 0.70710678118654752440)); }

static double quick_gelu(double v) { return v / (1 + exp(-1.702 * v)); }

static double gelu_by_tanh(double v) { return 0.5 * v * (1 + tanh(0.79788456080286535588 * (v + 0.044715 * v * v * v))); }

static float at_least(float v, float low) { return v < low ? low : v; }

static dimple_status ref_adjust(context *c, const adjust_call *call) {
  (void)c;
  for (int64_t r = 0; r < call->x.rows; r++) {
    for (int64_t j = 0; j < call->x.columns; j++) {
      float v = row_of(call->x, r)[j];
      if (call->minus) v -= call->minus->values[j];
      if (call->times) v *= call->times->values[j];
      if (call->low) v = at_least(v, call->low->values[0]);
      if (call->high) v = -at_least(-v, -call->high->values[0]);
      row_of(call->y, r)[j] = call->gate.memory ? (float)(gelu_by_tanh(row_of(call->gate, r)[j]) * v) : v;
    }
  }
  return DIMPLE_OK;
}

/* What a gated product's first factor goes through. */
static double activate(linear_mode mode, double v) { return mode == LINEAR_GEGLU ? gelu_by_tanh(v) : silu(v); }

/* One element of x W' + b. */
static double affine(const float *x, const weight *w, const weight *bias, int64_t output) {
  return dot(x, w->values + output * w->columns, w->columns) + (bias ? bias->values[output] : 0);
}

static dimple_status ref_linear(context *c, const linear_call *call) {
  (void)c;
  for (int32_t k = 0; k < call->output_count; k++) {
    const linear_output *out = &call->outputs[k];
    for (int64_t r = 0; r < call->x.rows; r++) {
      const float *x = row_of(call->x, r);
      float *y = row_of(out->y, r);
      for (int64_t o = 0; o < out->w->rows; o++) {
        double v = affine(x, out->w, out->bias, o);
        switch (out->mode) {
          case LINEAR_STORE: y[o] = (float)v; break;
          case LINEAR_ADD: y[o] = (float)(y[o] + v); break;
          case LINEAR_SILU: y[o] = (float)silu(v); break;
          case LINEAR_GELU: y[o] = (float)gelu(v); break;
          case LINEAR_QUICK_GELU: y[o] = (float)quick_gelu(v); break;
          case LINEAR_TANH_GELU: y[o] = (float)gelu_by_tanh(v); break;
          case LINEAR_SWIGLU:
          case LINEAR_GEGLU: y[o] = (float)(activate(out->mode, v) * affine(x, out->up, out->up_bias, o)); break;
        }
      }
    }
  }
  return DIMPLE_OK;
}

static dimple_status ref_rotary(context *c, const rotary_call *call) {
  (void)c;
  int32_t half = call->size / 2;
  for (int64_t r = 0; r < call->x.rows; r++) {
    int64_t angles = call->angle_rows ? call->angle_rows[r] : r;
    const float *cosine = row_of(call->cosine, angles), *sine = row_of(call->sine, angles);
    for (int32_t h = 0; h < call->heads; h++) {
      float *head = row_of(call->x, r) + (int64_t)h * rotary_stride(call);
      for (int32_t j = 0; j < half; j++) {
        float a = head[j], b = head[j + half];
        head[j] = a * cosine[j] - b * sine[j];
        head[j + half] = b * cosine[j] + a * sine[j];
      }
    }
  }
  return DIMPLE_OK;
}

/* The keys [first, end) that query row r of span `span` sees, but for the one it skips. */
typedef struct seen_keys {
  int64_t first, end, skipped;
} seen_keys;

static seen_keys keys_of(const attention_call *call, int64_t r, int32_t span) {
  seen_keys seen = {0, call->k.rows, -1};
  if (call->spans) seen = (seen_keys){call->spans[span], call->spans[span + 1], -1};
  if (call->first_key && call->first_key[r] > seen.first) seen.first = call->first_key[r];
  if (call->last_key && call->last_key[r] + 1 < seen.end) seen.end = call->last_key[r] + 1;
  if (call->skip_key) seen.skipped = call->skip_key[r];
  return seen;
}

/* One head of one row: p [key rows] and sum [size] are scratch. */
static void attend(const attention_call *call, seen_keys seen, int64_t r, int32_t h, double *p, double *sum) {
  int32_t size = call->size;
  const float *q = row_of(call->q, r) + (int64_t)h * size;
  int64_t kv_offset = (int64_t)(h / (call->heads / call->kv_heads)) * size;
  double scale = call->scale > 0 ? call->scale : 1 / sqrt(size), highest = -INFINITY, total = 0;
  for (int64_t j = seen.first; j < seen.end; j++) {
    p[j] = j == seen.skipped ? -INFINITY : scale * dot(q, row_of(call->k, j) + kv_offset, size);
    if (p[j] > highest) highest = p[j];
  }
  for (int32_t i = 0; i < size; i++) sum[i] = 0;
  for (int64_t j = seen.first; j < seen.end; j++) {
    double e = exp(p[j] - highest);
    total += e;
    const float *v = row_of(call->v, j) + kv_offset;
    for (int32_t i = 0; i < size; i++) sum[i] += e * v[i];
  }
  float *y = row_of(call->y, r) + (int64_t)h * size;
  for (int32_t i = 0; i < size; i++) y[i] = (float)(sum[i] / total);
}

static dimple_status attend_floats(const attention_call *call) {
  double *p = malloc((size_t)call->k.rows * sizeof(double));
  double *sum = malloc((size_t)call->size * sizeof(double));
  if (!p || !sum) {
    free(p);
    free(sum);
    return dimple_fail_memory((uint64_t)(call->k.rows + call->size) * sizeof(double), "attention scores");
  }
  int32_t span = 0;
  for (int64_t r = 0; r < call->q.rows; r++) {
    while (call->spans && r >= call->spans[span + 1]) span++;
    for (int32_t h = 0; h < call->heads; h++) attend(call, keys_of(call, r, span), r, h, p, sum);
  }
  free(p);
  free(sum);
  return DIMPLE_OK;
}

/* Packed keys and values as floats. */
static dimple_status ref_attention(context *c, const attention_call *call) {
  (void)c;
  if (call->kv_type == DIMPLE_TENSOR_F32) return attend_floats(call);
  int64_t width = (int64_t)call->kv_heads * call->size, rows = call->k.rows;
  float *wide;
  ALLOCATE(wide, 2 * rows * width, "keys and values");
  for (int64_t r = 0; r < rows; r++) {
    kv_row_unpack(call->kv_type, row_of(call->k, r), width, wide + r * width);
    kv_row_unpack(call->kv_type, row_of(call->v, r), width, wide + (rows + r) * width);
  }
  attention_call floats = *call;
  floats.kv_type = DIMPLE_TENSOR_F32;
  floats.k = view_of((buffer *)(void *)wide, rows, width);
  floats.v = view_rows(view_of((buffer *)(void *)wide, 2 * rows, width), rows, rows);
  dimple_status status = attend_floats(&floats);
  free(wide);
  return status;
}

/* ------------------------------------------------------------------------------------------------------------- experts */

/* Whether expert `e` is among the first `count` that row r has chosen. */
static bool is_chosen(const route_call *call, int64_t r, int64_t count, int64_t e) {
  for (int64_t i = 0; i < count; i++)
    if (numbers_of(call->chosen, r)[i] == e) return true;
  return false;
}

static void finish_shares(const route_call *call, int64_t r) {
  float *share = row_of(call->share, r), sum = call->kind == ROUTE_SIGMOID ? 1e-20f : 0; /* the authors' guard */
  for (int64_t i = 0; i < call->share.columns; i++) sum += share[i];
  for (int64_t i = 0; i < call->share.columns; i++) {
    if (call->among_chosen) share[i] /= sum;
    if (call->scale) share[i] *= call->scale->values[numbers_of(call->chosen, r)[i]];
    if (call->factor > 0) share[i] *= call->factor;
  }
}

/* The not yet chosen expert with the highest score. */
static int64_t best_left(const route_call *call, int64_t r, int64_t count) {
  const float *scores = row_of(call->scores, r);
  int64_t best = -1;
  for (int64_t e = 0; e < call->scores.columns; e++)
    if (!is_chosen(call, r, count, e) && (best < 0 || scores[e] > scores[best] || (isnan(scores[best]) && !isnan(scores[e])))) best = e;
  return best;
}

/* Rows first .. end - 1, which are a block or of none; p [rows x experts] and highest [experts] are scratch. */
static void route_rows(const route_call *call, int64_t first, int64_t end, float *p, float *highest) {
  int64_t experts = call->scores.columns;
  for (int64_t e = 0; e < experts; e++) highest[e] = -INFINITY;
  for (int64_t r = first; r < end; r++) {
    route_by_sigmoid(call, call->bias ? call->bias->values : NULL, row_of(call->scores, r), p + (r - first) * experts);
    route_note_highest(highest, row_of(call->scores, r), experts);
  }
  if (call->block > 0) route_keep_admitted(highest, experts, call->admitted);
  for (int64_t r = first; r < end; r++, p += experts) {
    if (call->block > 0) route_leave_admitted(row_of(call->scores, r), highest, experts);
    for (int64_t i = 0; i < call->chosen.columns; i++) {
      int64_t best = best_left(call, r, i);
      numbers_of(call->chosen, r)[i] = (int32_t)best;
      row_of(call->share, r)[i] = p[best];
    }
    finish_shares(call, r);
  }
}

static dimple_status route_sigmoids(const route_call *call) {
  int64_t step = call->block > 0 ? call->block : 1, rows = call->scores.rows;
  float *p;
  ALLOCATE(p, (step + 1) * call->scores.columns, "the probabilities of experts");
  for (int64_t r = 0; r < rows; r += step) route_rows(call, r, r + step < rows ? r + step : rows, p, p + step * call->scores.columns);
  free(p);
  return DIMPLE_OK;
}

static dimple_status ref_route(context *c, const route_call *call) {
  (void)c;
  if (call->kind == ROUTE_SIGMOID) return route_sigmoids(call);
  int64_t experts = call->scores.columns;
  for (int64_t r = 0; r < call->scores.rows; r++) {
    float *scores = row_of(call->scores, r);
    float highest = scores[0], sum = 0;
    for (int64_t e = 1; e < experts; e++) highest = scores[e] > highest ? scores[e] : highest;
    for (int64_t e = 0; e < experts; e++) sum += expf(scores[e] - highest);
    if (!route_has_numbers(scores, NULL, experts)) sum = NAN;
    for (int64_t i = 0; i < call->chosen.columns; i++) {
      int64_t best = best_left(call, r, i);
      numbers_of(call->chosen, r)[i] = (int32_t)best;
      row_of(call->share, r)[i] = expf(scores[best] - highest) / sum;
    }
    finish_shares(call, r);
  }
  return DIMPLE_OK;
}

/* A matrix of a bank as a weight of its own. */
static weight member_of(const weight *bank, int64_t number) {
  weight member = *bank;
  member.values += number * bank->rows * bank->columns;
  return member;
}

/* y += share * what expert `e` makes of x; middle [feed_forward] is scratch. */
static void add_expert(const experts_call *call, int32_t e, float share, const float *x, float *y, float *middle) {
  weight gate = member_of(call->gate, call->up ? e : 2 * e), down = member_of(call->down, e);
  weight up = call->up ? member_of(call->up, e) : member_of(call->gate, 2 * e + 1);
  for (int64_t o = 0; o < gate.rows; o++) middle[o] = (float)(activate(call->mode, affine(x, &gate, NULL, o)) * affine(x, &up, NULL, o));
  for (int64_t o = 0; o < down.rows; o++) y[o] += share * (float)affine(middle, &down, NULL, o);
}

static dimple_status ref_experts(context *c, const experts_call *call) {
  (void)c;
  float *middle = malloc((size_t)call->gate->rows * sizeof(float));
  if (!middle) return dimple_fail_memory((uint64_t)call->gate->rows * sizeof(float), "an expert's intermediate");
  for (int64_t r = 0; r < call->x.rows; r++)
    for (int32_t e = 0; e < call->down->matrices; e++)
      for (int64_t i = 0; i < call->chosen.columns; i++)
        if (numbers_of(call->chosen, r)[i] == e)
          add_expert(call, e, row_of(call->share, r)[i], row_of(call->x, r), row_of(call->y, r), middle);
  free(middle);
  return DIMPLE_OK;
}

/* ---------------------------------------------------------------------------------------------------------------- head */

/* The mean of the vocabulary's rows in one row. */
static void mean_of_rows(const head_call *call, const float *z, int64_t r) {
  const weight *rows = call->rows;
  int64_t row_size = block_format_row_size(rows->format, rows->columns);
  double highest = -INFINITY, total = 0, temperature = call->temperature > 0 ? call->temperature : 1;
  double *sum = calloc((size_t)rows->columns, sizeof *sum);
  float *row = malloc((size_t)rows->columns * sizeof *row);
  for (int64_t t = 0; t < rows->rows; t++) highest = z[t] > highest ? z[t] : highest;
  for (int64_t t = 0; t < rows->rows && sum && row; t++) {
    double e = exp((z[t] - highest) / temperature);
    rows->format->dequantize(rows->data + t * row_size, row, rows->columns / rows->format->block_length);
    for (int64_t j = 0; j < rows->columns; j++) sum[j] += e * row[j];
    total += e;
  }
  for (int64_t j = 0; j < rows->columns; j++) row_of(call->expected, r)[j] = sum ? (float)(sum[j] / total) : NAN;
  free(sum);
  free(row);
}

/* The logit of a token for a row. */
static float logit_of(const head_call *call, const float *row, int64_t t) {
  float z = (float)affine(row, call->w, NULL, t);
  return call->softcap > 0 ? (float)(call->softcap * tanh((double)z / call->softcap)) + 0 * z : z;
}

/* Logits [vocab] of row r of x, and of bare, if it has memory. */
static void logits_of(const head_call *call, view x, view bare, int64_t r, float *z) {
  for (int64_t t = 0; t < call->w->rows; t++) z[t] = logit_of(call, row_of(x, r), t);
  for (int64_t t = 0; t < call->w->rows && bare.memory; t++) {
    float without = logit_of(call, row_of(bare, r), t);
    z[t] = without + (call->guidance + 1) * (z[t] - without);
  }
}

/* `former` [vocab] is scratch. */
static void compare_row(const head_call *call, int64_t r, const float *z, float *former) {
  const head_comparison *k = call->comparison;
  logits_of(call, call->former, call->former_bare, r, former);
  if (k->bias) summarize_bias(k->bias, former, call->w->rows, r);
  k->divergences[r] = summarize_divergence(z, former, call->w->rows, k->log_sums[r]);
}

/* One row; `z`, `former` and `tokens` [vocab] are scratch. */
static void head_of_row(const head_call *call, int64_t r, float *z, float *former, int32_t *tokens) {
  const head_classes *k = call->classes;
  int64_t vocab = call->w->rows;
  logits_of(call, call->x, call->bare, r, z);
  if (call->bias) summarize_bias(call->bias, z, vocab, r);
  if (call->logits) memcpy(call->logits + r * vocab, z, (size_t)vocab * sizeof(float));
  if (call->expected.memory) mean_of_rows(call, z, r);
  if (call->results) call->results[r] = summarize_row(call, z, vocab, r);
  if (call->comparison) compare_row(call, r, z, former);
  if (call->list) summarize_list(call, z, vocab, r, tokens);
  if (k) summarize_classes(call, z, r, tokens);
}

static dimple_status ref_head(context *c, const head_call *call) {
  (void)c;
  size_t size = (size_t)call->w->rows * sizeof(float);
  float *z = malloc(size), *former = malloc(size);
  int32_t *tokens = malloc(size);
  bool there = z && former && tokens;
  for (int64_t r = 0; there && r < call->x.rows; r++) head_of_row(call, r, z, former, tokens);
  free(z);
  free(former);
  free(tokens);
  return there ? DIMPLE_OK : dimple_fail_memory(3 * size, "logits");
}

const backend_operations backend_ref = {
    .name = "ref",
    .head_parts = HEAD_LISTS | HEAD_BIASES | HEAD_GUIDANCE | HEAD_COMPARISONS,
    .available = ref_available,
    .weight_upload = ref_weight_upload,
    .weight_free = ref_weight_free,
    .weight_bytes = ref_weight_bytes,
    .context_open = ref_context_open,
    .context_close = ref_context_close,
    .context_bytes = ref_context_bytes,
    .buffer_alloc = ref_buffer_alloc,
    .buffer_free = ref_buffer_free,
    .pass_begin = ref_pass_begin,
    .pass_end = ref_pass_end,
    .checkpoint = ref_checkpoint,
    .copy_in = ref_copy_in,
    .copy_out = ref_copy_out,
    .embed_rows = ref_embed_rows,
    .gather_rows = ref_gather_rows,
    .scatter_rows = ref_scatter_rows,
    .pack_kv = ref_pack_kv,
    .add_rows = ref_add_rows,
    .adjust = ref_adjust,
    .rms_norm = ref_rms_norm,
    .layer_norm = ref_layer_norm,
    .linear = ref_linear,
    .rotary = ref_rotary,
    .attention = ref_attention,
    .route = ref_route,
    .experts = ref_experts,
    .head = ref_head,
};
