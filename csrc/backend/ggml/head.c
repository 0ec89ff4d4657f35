/*
 * The head: logits stay on the device, but where they are asked for. Per row come back the two highest tokens, sums of exp(z - highest) and
 * their means, and for a draw the logits of the one chunk of the vocabulary that it fell into. Rows go in pieces, so that a piece's
 * logits and what is made of them take a bounded share of the device's memory.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/summary.h"
#include "draws.h"
#include "room.h"

enum { PIECE_BYTES = 64 << 20 };

/* What comes back of rows [first, first + rows) of a head. Null: not wanted. */
struct head_piece {
  head_piece *next;
  const head_call *call;
  int64_t first, rows;
  int32_t *best, *chunk;
  float *best_logit, *second_logit, *sum, *mean, *hot_sum, *hot_mean, *flaw, *drawn_chunk, *logits;
};

/* A node of `columns` numbers per row, on its way to new host memory. */
static dimple_status fetch(context *c, struct ggml_tensor *node, int64_t count, float **out) {
  *out = arena_take(&c->copies, (size_t)count * sizeof **out);
  if (!*out) return dimple_fail_memory((uint64_t)count * sizeof **out, "a head's rows");
  return output_to(c, node, *out, (size_t)count * sizeof **out);
}

static dimple_status fetch_numbers(context *c, struct ggml_tensor *node, int64_t count, int32_t **out) {
  *out = arena_take(&c->copies, (size_t)count * sizeof **out);
  if (!*out) return dimple_fail_memory((uint64_t)count * sizeof **out, "a head's rows");
  return output_to(c, node, *out, (size_t)count * sizeof **out);
}

/* z[index[r]][r] as [1, rows]. */
static struct ggml_tensor *pick(context *c, struct ggml_tensor *z, struct ggml_tensor *index) {
  struct ggml_context *n = c->nodes;
  int64_t rows = z->ne[1];
  struct ggml_tensor *single = ggml_reshape_3d(n, z, 1, z->ne[0], rows);
  return ggml_reshape_2d(n, ggml_get_rows(n, single, ggml_reshape_2d(n, index, 1, rows)), 1, rows);
}

/* The lowest of the tokens with the highest logit, which GGML's argmax leaves open: those as high as it gives, by falling weights. */
static dimple_status lowest_best(context *c, struct ggml_tensor *z, struct ggml_tensor *highest, struct ggml_tensor **out) {
  struct ggml_context *n = c->nodes;
  int64_t vocab = z->ne[0];
  float *weights = arena_take(&c->copies, (size_t)vocab * sizeof *weights);
  if (!weights) return dimple_fail_memory((uint64_t)vocab * sizeof *weights, "a head's rows");
  for (int64_t t = 0; t < vocab; t++) weights[t] = (float)(vocab - t);
  struct ggml_tensor *falling;
  DIMPLE_TRY(input_of(c, GGML_TYPE_F32, vocab, 1, weights, &falling));
  struct ggml_tensor *lower = ggml_step(n, ggml_neg(n, ggml_sub(n, z, highest))); /* 1 where z is below the highest, 0 elsewhere */
  *out = ggml_argmax(n, ggml_mul(n, ggml_scale_bias(n, lower, -1, 1), falling));
  return DIMPLE_OK;
}

/* Sum and mean of exp(below) over every row. */
static dimple_status fetch_sums(context *c, struct ggml_tensor *below, struct ggml_tensor *e, int64_t rows, float **sum, float **mean) {
  struct ggml_context *n = c->nodes;
  DIMPLE_TRY(fetch(c, ggml_sum_rows(n, e), rows, sum));
  return fetch(c, ggml_sum_rows(n, ggml_mul(n, e, below)), rows, mean);
}

/* Gumbel noise per chunk and row, [chunks, rows]. */
static float *noise_of(context *c, const head_call *call, int64_t first, int64_t rows, int64_t chunks) {
  float *noise = arena_take(&c->copies, (size_t)(rows * chunks) * sizeof *noise);
  for (int64_t r = 0; noise && r < rows; r++)
    for (int64_t k = 0; k < chunks; k++) {
      float u = draw_uniform(call->seed, (uint32_t)call->iteration, (uint32_t)call->positions[first + r], DRAW_CHUNK, (uint32_t)k);
      noise[r * chunks + k] = (float)-log(-log((double)u));
    }
  return noise;
}

/* Which chunk each row's draw falls into, and the logits there. */
static dimple_status fetch_draw(context *c, head_piece *p, struct ggml_tensor *z, struct ggml_tensor *hot) {
  struct ggml_context *n = c->nodes;
  int64_t vocab = z->ne[0], rows = p->rows, chunks = (vocab + HEAD_CHUNK - 1) / HEAD_CHUNK;
  int padding = (int)(chunks * HEAD_CHUNK - vocab);
  float *noise = noise_of(c, p->call, p->first, rows, chunks);
  if (!noise) return dimple_fail_memory((uint64_t)(rows * chunks) * sizeof *noise, "noise");
  struct ggml_tensor *gumbel;
  DIMPLE_TRY(input_of(c, GGML_TYPE_F32, chunks, rows, noise, &gumbel));
  struct ggml_tensor *padded = padding ? ggml_pad(n, hot, padding, 0, 0, 0) : hot, *logits = padding ? ggml_pad(n, z, padding, 0, 0, 0) : z;
  struct ggml_tensor *sums = ggml_sum_rows(n, ggml_reshape_3d(n, padded, HEAD_CHUNK, chunks, rows));
  struct ggml_tensor *scores = ggml_add(n, ggml_log(n, ggml_reshape_2d(n, sums, chunks, rows)), gumbel);
  struct ggml_tensor *chunk = ggml_argmax(n, scores);
  struct ggml_tensor *there = ggml_get_rows(n, ggml_reshape_3d(n, logits, HEAD_CHUNK, chunks, rows), ggml_reshape_2d(n, chunk, 1, rows));
  DIMPLE_TRY(fetch_numbers(c, chunk, rows, &p->chunk));
  return fetch(c, there, rows * HEAD_CHUNK, &p->drawn_chunk);
}

static dimple_status fetch_summary(context *c, head_piece *p, struct ggml_tensor *z) {
  struct ggml_context *n = c->nodes;
  int64_t rows = p->rows;
  struct ggml_tensor *best_logit = pick(c, z, ggml_argmax(n, z)), *best = NULL;
  DIMPLE_TRY(lowest_best(c, z, best_logit, &best));
  DIMPLE_TRY(fetch_numbers(c, best, rows, &p->best));
  DIMPLE_TRY(fetch(c, best_logit, rows, &p->best_logit));
  DIMPLE_TRY(fetch(c, ggml_sum_rows(n, ggml_scale(n, z, 0)), rows, &p->flaw));
  struct ggml_tensor *below = ggml_sub(n, z, best_logit), *e = ggml_exp(n, below);
  DIMPLE_TRY(fetch_sums(c, below, e, rows, &p->sum, &p->mean));
  if (p->call->temperature > 0) {
    struct ggml_tensor *hot_below = ggml_scale(n, below, 1 / p->call->temperature), *hot = ggml_exp(n, hot_below);
    DIMPLE_TRY(fetch_sums(c, hot_below, hot, rows, &p->hot_sum, &p->hot_mean));
    DIMPLE_TRY(fetch_draw(c, p, z, hot));
  }
  if (z->ne[0] == 1) return DIMPLE_OK;
  /* The second: the highest once the best one's distance to itself is set to what nothing is as far as. */
  float *nothing = arena_take(&c->copies, (size_t)rows * sizeof *nothing);
  if (!nothing) return dimple_fail_memory((uint64_t)rows * sizeof *nothing, "a head's rows");
  for (int64_t r = 0; r < rows; r++) nothing[r] = -INFINITY;
  struct ggml_tensor *low;
  DIMPLE_TRY(input_of(c, GGML_TYPE_F32, 1, rows, nothing, &low));
  struct ggml_tensor *others = ggml_set_rows(n, ggml_reshape_3d(n, ggml_cont(n, z), 1, z->ne[0], rows), ggml_reshape_3d(n, low, 1, 1, rows),
                                             ggml_reshape_2d(n, best, 1, rows));
  others = ggml_reshape_2d(n, others, z->ne[0], rows);
  return fetch(c, pick(c, others, ggml_argmax(n, others)), rows, &p->second_logit);
}

/* The mean of the vocabulary's rows under the softmax of z / temperature, by the outer products that GGML has for it. */
static dimple_status build_expected(context *c, const head_piece *p, struct ggml_tensor *z) {
  struct ggml_context *n = c->nodes;
  const weight *rows = p->call->rows;
  if (!rows->tensor) return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s cannot read rows of type %s", c->device->name, ggml_type_name((enum ggml_type)rows->type));
  struct ggml_tensor *q = p->call->temperature > 0 ? ggml_scale(n, z, 1 / p->call->temperature) : z;
  struct ggml_tensor *shares = ggml_cont(n, ggml_transpose(n, ggml_soft_max(n, q))); /* [rows, vocab] */
  struct ggml_tensor *table = ggml_reshape_2d(n, rows->tensor, rows->columns, rows->rows);
  return write_view(c, view_rows(p->call->expected, p->first, p->rows), ggml_out_prod(n, table, shares));
}

static dimple_status build_piece(context *c, const head_call *call, int64_t first, int64_t rows) {
  struct ggml_context *n = c->nodes;
  head_piece *p = arena_take(&c->copies, sizeof *p);
  if (!p) return dimple_fail_memory(sizeof *p, "a head's rows");
  *p = (head_piece){.next = c->heads, .call = call, .first = first, .rows = rows};
  c->heads = p;
  struct ggml_tensor *matrix = ggml_reshape_2d(n, call->w->tensor, call->w->columns, call->w->rows);
  struct ggml_tensor *z = ggml_mul_mat(n, matrix, matrix_of(c, view_rows(call->x, first, rows))); /* [vocab, rows] */
  ggml_prec_set_acc(z, GGML_PREC_F32);
  if (call->softcap > 0) z = ggml_scale(n, ggml_tanh(n, ggml_scale(n, z, 1 / call->softcap)), call->softcap);
  if (call->expected.memory) DIMPLE_TRY(build_expected(c, p, z));
  if (call->logits) DIMPLE_TRY(output_to(c, z, call->logits + first * call->w->rows, (size_t)(rows * call->w->rows) * sizeof(float)));
  if (call->classes) DIMPLE_TRY(fetch(c, z, rows * call->w->rows, &p->logits));
  return call->results ? fetch_summary(c, p, z) : DIMPLE_OK;
}

dimple_status build_head(context *c, const head_call *call) {
  int64_t most = PIECE_BYTES / (call->w->rows * (int64_t)sizeof(float));
  if (most < 1) most = 1;
  for (int64_t first = 0; first < call->x.rows; first += most) {
    int64_t rows = call->x.rows - first < most ? call->x.rows - first : most;
    DIMPLE_TRY(build_piece(c, call, first, rows));
  }
  return DIMPLE_OK;
}

/* The token of the drawn chunk where the sum of exp(z / temperature) passes the drawn share, as head_call defines it. */
static void finish_draw(const head_piece *p, int64_t r, head_row *row) {
  const head_call *call = p->call;
  const float *z = p->drawn_chunk + r * HEAD_CHUNK;
  int64_t chunk = p->chunk[r], first = chunk * HEAD_CHUNK, count = call->w->rows - first < HEAD_CHUNK ? call->w->rows - first : HEAD_CHUNK;
  double highest = -INFINITY, left = 0, temperature = call->temperature;
  double u = draw_uniform(call->seed, (uint32_t)call->iteration, (uint32_t)call->positions[p->first + r], DRAW_TOKEN, (uint32_t)chunk);
  for (int64_t t = 0; t < count; t++) highest = z[t] > highest ? z[t] : highest;
  for (int64_t t = 0; t < count; t++) left += u * exp((z[t] - highest) / temperature);
  int64_t t = 0;
  for (; t + 1 < count; t++) {
    left -= exp((z[t] - highest) / temperature);
    if (left < 0) break;
  }
  row->drawn = (int32_t)(first + t);
  row->drawn_logit = z[t];
}

static void finish_row(const head_piece *p, int64_t r, head_row *row) {
  double best = p->best_logit[r], temperature = p->call->temperature;
  *row = (head_row){.best = p->best[r], .best_logit = p->best_logit[r], .second_logit = p->second_logit ? p->second_logit[r] : -INFINITY};
  row->log_sum = (float)(best + log(p->sum[r]) + p->flaw[r]);
  row->mean_logit = (float)(best + (double)p->mean[r] / p->sum[r]);
  row->hot_log_sum = row->log_sum;
  row->hot_mean = row->mean_logit;
  row->drawn = row->best;
  row->drawn_logit = row->best_logit;
  if (!(temperature > 0)) return;
  row->hot_log_sum = (float)(best / temperature + log(p->hot_sum[r]));
  row->hot_mean = (float)(best / temperature + (double)p->hot_mean[r] / p->hot_sum[r]);
  finish_draw(p, r, row);
}

static dimple_status finish_piece(const head_piece *p) {
  const head_call *call = p->call;
  if (call->results)
    for (int64_t r = 0; r < p->rows; r++) finish_row(p, r, &call->results[p->first + r]);
  if (!call->classes) return DIMPLE_OK;
  int32_t *tokens = malloc((size_t)call->w->rows * sizeof *tokens);
  if (!tokens) return dimple_fail_memory((uint64_t)call->w->rows * sizeof *tokens, "classes of tokens");
  for (int64_t r = 0; r < p->rows; r++) summarize_classes(call, p->logits + r * call->w->rows, p->first + r, tokens);
  free(tokens);
  return DIMPLE_OK;
}

dimple_status finish_heads(context *c) {
  for (const head_piece *p = c->heads; p; p = p->next) DIMPLE_TRY(finish_piece(p));
  return DIMPLE_OK;
}
