/*
 * The reference backend: plain loops over float32 weights, sums in double, one thread. Slow and simple on purpose; every
 * other backend is tested against it.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "diffusion/draws.h"
#include "error.h"
#include "platform/platform.h"
#include "quant/block_formats.h"

struct context {
  int32_t threads;
};

struct weight {
  const block_format *format;
  int64_t rows;
  int64_t columns;
  const uint8_t *data; /* WEIGHT_ROWS: the caller's bytes */
  float *values;       /* otherwise [rows x columns] */
};

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
  if (source->columns % format->block_length != 0)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "tensor %s: %lld columns are not a multiple of %s's block length %d", source->name,
                       (long long)source->columns, format->name, format->block_length);
  weight *w = calloc(1, sizeof *w);
  if (!w) return dimple_fail_memory(sizeof *w, source->name);
  *w = (weight){.format = format, .rows = source->rows, .columns = source->columns};
  if (use == WEIGHT_ROWS) {
    w->data = source->data;
  } else {
    int64_t count = source->rows * source->columns;
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
  return (int64_t)sizeof *w + (w->values ? w->rows * w->columns * (int64_t)sizeof(float) : 0);
}

static dimple_status ref_context_open(int32_t threads, context **out) {
  context *c = malloc(sizeof *c);
  if (!c) return dimple_fail_memory(sizeof *c, "a context");
  c->threads = threads;
  *out = c;
  return DIMPLE_OK;
}

static void ref_context_close(context *c) { free(c); }

static dimple_status ref_buffer_alloc(context *c, int64_t count, float **out) {
  (void)c;
  return allocate_floats(count, "activations", out);
}

static void ref_buffer_free(context *c, float *buffer) {
  (void)c;
  platform_free(buffer);
}

static dimple_status ref_copy(context *c, float *target, const float *source, int64_t count) {
  (void)c;
  memcpy(target, source, (size_t)count * sizeof(float));
  return DIMPLE_OK;
}

static dimple_status ref_embed_rows(context *c, float *y, const weight *w, const int32_t *ids, int64_t count) {
  (void)c;
  int64_t row_size = block_format_row_size(w->format, w->columns);
  for (int64_t i = 0; i < count; i++)
    w->format->dequantize(w->data + ids[i] * row_size, y + i * w->columns, w->columns / w->format->block_length);
  return DIMPLE_OK;
}

static dimple_status ref_gather_rows(context *c, float *y, const float *x, const int32_t *index, int64_t count,
                                     int64_t columns) {
  (void)c;
  for (int64_t i = 0; i < count; i++)
    memcpy(y + i * columns, x + index[i] * columns, (size_t)columns * sizeof(float));
  return DIMPLE_OK;
}

static dimple_status ref_scatter_rows(context *c, float *y, const float *x, const int32_t *index, int64_t count,
                                      int64_t columns) {
  (void)c;
  for (int64_t i = 0; i < count; i++)
    memcpy(y + index[i] * columns, x + i * columns, (size_t)columns * sizeof(float));
  return DIMPLE_OK;
}

static dimple_status ref_scatter_add_rows(context *c, float *y, const float *x, const int32_t *index, const float *scale,
                                          int64_t count, int64_t columns) {
  (void)c;
  for (int64_t i = 0; i < count; i++)
    for (int64_t j = 0; j < columns; j++) y[index[i] * columns + j] += scale[i] * x[i * columns + j];
  return DIMPLE_OK;
}

/* Eight running sums, so that the compiler may use vectors. */
static double dot(const float *a, const float *b, int64_t n) {
  double sums[8] = {0};
  int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (int lane = 0; lane < 8; lane++) sums[lane] += (double)a[i + lane] * b[i + lane];
  double sum = 0;
  for (; i < n; i++) sum += (double)a[i] * b[i];
  for (int lane = 0; lane < 8; lane++) sum += sums[lane];
  return sum;
}

static dimple_status ref_rms_norm(context *c, float *y, const float *x, const weight *w, int64_t rows, int64_t columns,
                                  float epsilon) {
  (void)c;
  for (int64_t r = 0; r < rows; r++) {
    const float *row = x + r * columns;
    double scale = 1 / sqrt(dot(row, row, columns) / (double)columns + epsilon);
    for (int64_t j = 0; j < columns; j++) y[r * columns + j] = (float)(w->values[j] * (row[j] * scale));
  }
  return DIMPLE_OK;
}

static double silu(double v) { return v / (1 + exp(-v)); }

static double gelu(double v) { return 0.5 * v * (1 + erf(v * 0.70710678118654752440)); }

/* One element of x W' + b. */
static double affine(const float *x, const weight *w, const weight *bias, int64_t output) {
  return dot(x, w->values + output * w->columns, w->columns) + (bias ? bias->values[output] : 0);
}

static dimple_status ref_linear(context *c, const linear_call *call) {
  (void)c;
  for (int32_t k = 0; k < call->output_count; k++) {
    const linear_output *out = &call->outputs[k];
    for (int64_t r = 0; r < call->rows; r++) {
      const float *x = call->x + r * call->x_stride;
      float *y = out->y + r * out->y_stride;
      for (int64_t o = 0; o < out->w->rows; o++) {
        double v = affine(x, out->w, out->bias, o);
        switch (out->mode) {
          case LINEAR_STORE: y[o] = (float)v; break;
          case LINEAR_ADD: y[o] = (float)(y[o] + v); break;
          case LINEAR_SILU: y[o] = (float)silu(v); break;
          case LINEAR_GELU: y[o] = (float)gelu(v); break;
          case LINEAR_SWIGLU: y[o] = (float)(silu(v) * affine(x, out->up, out->up_bias, o)); break;
        }
      }
    }
  }
  return DIMPLE_OK;
}

static dimple_status ref_rotary(context *c, const rotary_call *call) {
  (void)c;
  int32_t half = call->size / 2;
  for (int64_t r = 0; r < call->rows; r++) {
    for (int32_t h = 0; h < call->heads; h++) {
      float *head = call->x + r * call->x_stride + (int64_t)h * call->size;
      for (int32_t j = 0; j < half; j++) {
        float cosine = call->cosine[r * half + j], sine = call->sine[r * half + j];
        float a = head[j], b = head[j + half];
        head[j] = a * cosine - b * sine;
        head[j + half] = b * cosine + a * sine;
      }
    }
  }
  return DIMPLE_OK;
}

static dimple_status ref_attention(context *c, const attention_call *call) {
  (void)c;
  double *p = malloc((size_t)call->key_rows * sizeof(double));
  double *sum = malloc((size_t)call->size * sizeof(double));
  if (!p || !sum) {
    free(p);
    free(sum);
    return dimple_fail_memory((uint64_t)(call->key_rows + call->size) * sizeof(double), "attention scores");
  }
  double scale = 1 / sqrt(call->size);
  int32_t group = call->heads / call->kv_heads;
  int32_t span = 0;
  for (int64_t r = 0; r < call->query_rows; r++) {
    int64_t first = 0, end = call->key_rows;
    if (call->spans) {
      while (r >= call->spans[span + 1]) span++;
      first = call->spans[span];
      end = call->spans[span + 1];
    }
    if (call->query_position && call->query_position[r] + 1 < end) end = call->query_position[r] + 1;
    for (int32_t h = 0; h < call->heads; h++) {
      const float *q = call->q + r * call->q_stride + (int64_t)h * call->size;
      int64_t kv_offset = (int64_t)(h / group) * call->size;
      double highest = -INFINITY, total = 0;
      for (int64_t j = first; j < end; j++) {
        p[j] = scale * dot(q, call->k + j * call->kv_stride + kv_offset, call->size);
        if (p[j] > highest) highest = p[j];
      }
      for (int32_t i = 0; i < call->size; i++) sum[i] = 0;
      for (int64_t j = first; j < end; j++) {
        double e = exp(p[j] - highest);
        total += e;
        const float *v = call->v + j * call->kv_stride + kv_offset;
        for (int32_t i = 0; i < call->size; i++) sum[i] += e * v[i];
      }
      float *y = call->y + r * call->y_stride + (int64_t)h * call->size;
      for (int32_t i = 0; i < call->size; i++) y[i] = (float)(sum[i] / total);
    }
  }
  free(p);
  free(sum);
  return DIMPLE_OK;
}

/* A draw from softmax(z / temperature) as head_call defines it. */
static int32_t draw_token(const head_call *call, const float *z, int64_t vocab, int32_t position) {
  uint32_t iteration = (uint32_t)call->iteration;
  double temperature = call->temperature, best_score = -INFINITY;
  int32_t token = 0;
  for (int64_t first = 0, chunk = 0; first < vocab; first += HEAD_CHUNK, chunk++) {
    int64_t end = first + HEAD_CHUNK < vocab ? first + HEAD_CHUNK : vocab;
    double highest = -INFINITY, sum = 0;
    for (int64_t t = first; t < end; t++) highest = z[t] > highest ? z[t] : highest;
    for (int64_t t = first; t < end; t++) sum += exp((z[t] - highest) / temperature);
    double u = draw_uniform(call->seed, iteration, (uint32_t)position, DRAW_CHUNK, (uint32_t)chunk);
    double score = highest / temperature + log(sum) - log(-log(u));
    if (!(score > best_score)) continue;
    best_score = score;
    u = draw_uniform(call->seed, iteration, (uint32_t)position, DRAW_TOKEN, (uint32_t)chunk);
    double left = u * sum;
    int64_t t = first;
    for (; t + 1 < end; t++) {
      left -= exp((z[t] - highest) / temperature);
      if (left < 0) break;
    }
    token = (int32_t)t;
  }
  return token;
}

static head_row summarize(const head_call *call, const float *z, int64_t vocab, int64_t r) {
  head_row row = {.best_logit = -INFINITY, .second_logit = -INFINITY};
  for (int64_t t = 0; t < vocab; t++) {
    if (z[t] > row.best_logit) {
      row.second_logit = row.best_logit;
      row.best_logit = z[t];
      row.best = (int32_t)t;
    } else if (z[t] > row.second_logit) {
      row.second_logit = z[t];
    }
  }
  double temperature = call->temperature > 0 ? call->temperature : 1;
  double sum = 0, mean = 0, hot_sum = 0, hot_mean = 0;
  for (int64_t t = 0; t < vocab; t++) {
    double below = (double)z[t] - row.best_logit, e = exp(below), hot = exp(below / temperature);
    sum += e;
    mean += e * below;
    hot_sum += hot;
    hot_mean += hot * (below / temperature);
  }
  row.log_sum = (float)(row.best_logit + log(sum));
  row.mean_logit = (float)(row.best_logit + mean / sum);
  row.hot_log_sum = (float)(row.best_logit / temperature + log(hot_sum));
  row.hot_mean = (float)(row.best_logit / temperature + hot_mean / hot_sum);
  row.drawn = call->temperature > 0 ? draw_token(call, z, vocab, call->positions[r]) : row.best;
  row.drawn_logit = z[row.drawn];
  return row;
}

static dimple_status ref_head(context *c, const head_call *call) {
  (void)c;
  int64_t vocab = call->w->rows;
  float *z = malloc((size_t)vocab * sizeof(float));
  if (!z) return dimple_fail_memory((uint64_t)vocab * sizeof(float), "logits");
  for (int64_t r = 0; r < call->rows; r++) {
    for (int64_t t = 0; t < vocab; t++) z[t] = (float)affine(call->x + r * call->x_stride, call->w, NULL, t);
    if (call->logits) memcpy(call->logits + r * vocab, z, (size_t)vocab * sizeof(float));
    if (call->results) call->results[r] = summarize(call, z, vocab, r);
  }
  free(z);
  return DIMPLE_OK;
}

const backend_operations backend_ref = {
    .name = "ref",
    .available = ref_available,
    .weight_upload = ref_weight_upload,
    .weight_free = ref_weight_free,
    .weight_bytes = ref_weight_bytes,
    .context_open = ref_context_open,
    .context_close = ref_context_close,
    .buffer_alloc = ref_buffer_alloc,
    .buffer_free = ref_buffer_free,
    .copy_in = ref_copy,
    .copy_out = ref_copy,
    .embed_rows = ref_embed_rows,
    .gather_rows = ref_gather_rows,
    .scatter_rows = ref_scatter_rows,
    .scatter_add_rows = ref_scatter_add_rows,
    .rms_norm = ref_rms_norm,
    .linear = ref_linear,
    .rotary = ref_rotary,
    .attention = ref_attention,
    .head = ref_head,
};
