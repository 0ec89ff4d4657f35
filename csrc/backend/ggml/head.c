/*
 * The head: logits stay on the device, but where they are asked for. Per row come back the two highest tokens, sums of exp(z - highest) and
 * their means, and for a draw the logits of the one chunk of the vocabulary that it fell into. Rows go in pieces, so that a piece's
 * logits and what is made of them take a bounded share of the device's memory.
 */
#include <math.h>

#include "draws.h"
#include "head.h"

enum { PIECE_BYTES = 64 << 20 };

static const int32_t *tokens_of(const head_piece *p, int field) { return p->fields[field]; }

static int64_t chunks_of(const head_call *call) { return (call->w->rows + HEAD_CHUNK - 1) / HEAD_CHUNK; }

static int64_t field_width(const recorded *o, int64_t field) {
  const head_call *call = &o->head;
  if (field >= CLASSES) return class_width(o->plan, field - CLASSES);
  switch (field) {
    case DRAWN_CHUNK: return HEAD_CHUNK;
    case ALL_LOGITS: return call->w->rows;
    case LISTED:
    case LISTED_TOKENS: return list_width(call);
    case LIST_BOUNDS: return list_bounds(call);
    default: return 1;
  }
}

/* Where a field of a piece arrives. */
static void *field_of(context *c, recorded *o, int64_t at) {
  head_piece *p = piece_of(o, at);
  int64_t field = at % PARTS, width = field_width(o, field);
  if (!p->fields[field]) p->fields[field] = arena_take(&c->copies, (size_t)(p->rows * width) * sizeof(float));
  return p->fields[field];
}

static void *callers_logits(context *c, recorded *o, int64_t at) {
  (void)c;
  return o->head.logits + piece_of(o, at)->first * o->head.w->rows;
}

/* Gumbel noise per chunk and row, [chunks, rows]. */
static void *noise_of(context *c, recorded *o, int64_t at) {
  const head_call *call = &o->head;
  const head_piece *p = piece_of(o, at);
  int64_t chunks = chunks_of(call);
  float *noise = arena_take(&c->copies, (size_t)(p->rows * chunks) * sizeof *noise);
  for (int64_t r = 0; noise && r < p->rows; r++)
    for (int64_t k = 0; k < chunks; k++) {
      float u = draw_uniform(call->seed, (uint32_t)call->iteration, (uint32_t)call->positions[p->first + r], DRAW_CHUNK, (uint32_t)k);
      noise[r * chunks + k] = (float)-log(-log((double)u));
    }
  return noise;
}

dimple_status fetch(const piece_at *at, struct ggml_tensor *node, int field) {
  return output_to(at->context, node, field_of, at->piece * PARTS + field);
}

struct ggml_tensor *pick(struct ggml_context *n, struct ggml_tensor *z, struct ggml_tensor *index) {
  int64_t rows = z->ne[1];
  struct ggml_tensor *single = ggml_reshape_3d(n, z, 1, z->ne[0], rows);
  return ggml_reshape_2d(n, ggml_get_rows(n, single, ggml_reshape_2d(n, index, 1, rows)), 1, rows);
}

/* The lowest of the tokens with the highest logit, which GGML's argmax leaves open: of those as high as it gives, by falling numbers. */
static struct ggml_tensor *lowest_best(struct ggml_context *n, struct ggml_tensor *z, struct ggml_tensor *highest) {
  struct ggml_tensor *falling = ggml_scale_bias(n, ggml_arange(n, 0, (float)z->ne[0], 1), -1, (float)z->ne[0]);
  struct ggml_tensor *lower = ggml_step(n, ggml_neg(n, ggml_sub(n, z, highest))); /* 1 where z is below the highest, 0 elsewhere */
  return ggml_argmax(n, ggml_mul(n, ggml_scale_bias(n, lower, -1, 1), falling));
}

/* Sum and mean of exp(below) over every row. */
static dimple_status fetch_sums(const piece_at *at, struct ggml_tensor *below, struct ggml_tensor *e, int sum, int mean) {
  struct ggml_context *n = at->context->graph->nodes;
  DIMPLE_TRY(fetch(at, ggml_sum_rows(n, e), sum));
  return fetch(at, ggml_sum_rows(n, ggml_mul(n, e, below)), mean);
}

/* Which chunk each row's draw falls into, and the logits there. */
static dimple_status fetch_draw(const piece_at *at, struct ggml_tensor *z, struct ggml_tensor *hot) {
  context *c = at->context;
  struct ggml_context *n = c->graph->nodes;
  const head_call *call = &at->operation->head;
  int64_t vocab = z->ne[0], rows = z->ne[1], chunks = chunks_of(call);
  int padding = (int)(chunks * HEAD_CHUNK - vocab);
  struct ggml_tensor *gumbel;
  DIMPLE_TRY(input_of(c, GGML_TYPE_F32, chunks, rows, (graph_input){.part = noise_of, .at = at->piece * PARTS + NOISE, .from = {at->operation}}, &gumbel));
  struct ggml_tensor *padded = padding ? ggml_pad(n, hot, padding, 0, 0, 0) : hot, *logits = padding ? ggml_pad(n, z, padding, 0, 0, 0) : z;
  struct ggml_tensor *sums = ggml_sum_rows(n, ggml_reshape_3d(n, padded, HEAD_CHUNK, chunks, rows));
  struct ggml_tensor *scores = ggml_add(n, ggml_log(n, ggml_reshape_2d(n, sums, chunks, rows)), gumbel);
  struct ggml_tensor *chunk = ggml_argmax(n, scores);
  struct ggml_tensor *there = ggml_get_rows(n, ggml_reshape_3d(n, logits, HEAD_CHUNK, chunks, rows), ggml_reshape_2d(n, chunk, 1, rows));
  DIMPLE_TRY(fetch(at, chunk, CHUNK));
  return fetch(at, there, DRAWN_CHUNK);
}

/* The second: the highest once the best one's is set to what nothing is below. */
static dimple_status fetch_second(const piece_at *at, struct ggml_tensor *z, struct ggml_tensor *best, struct ggml_tensor *best_logit) {
  struct ggml_context *n = at->context->graph->nodes;
  int64_t vocab = z->ne[0], rows = z->ne[1];
  struct ggml_tensor *low = ggml_reshape_3d(n, ggml_fill(n, ggml_cont(n, best_logit), -INFINITY), 1, 1, rows);
  struct ggml_tensor *others = ggml_set_rows(n, ggml_reshape_3d(n, ggml_cont(n, z), 1, vocab, rows), low, ggml_reshape_2d(n, best, 1, rows));
  others = ggml_reshape_2d(n, others, vocab, rows);
  return fetch(at, pick(n, others, ggml_argmax(n, others)), SECOND_LOGIT);
}

static dimple_status fetch_summary(const piece_at *at, struct ggml_tensor *z) {
  struct ggml_context *n = at->context->graph->nodes;
  float temperature = at->operation->head.temperature;
  struct ggml_tensor *best_logit = pick(n, z, ggml_argmax(n, z)), *best = lowest_best(n, z, best_logit);
  DIMPLE_TRY(fetch(at, best, BEST));
  DIMPLE_TRY(fetch(at, best_logit, BEST_LOGIT));
  DIMPLE_TRY(fetch(at, ggml_sum_rows(n, ggml_scale(n, z, 0)), FLAW));
  struct ggml_tensor *below = ggml_sub(n, z, best_logit), *e = ggml_exp(n, below);
  DIMPLE_TRY(fetch_sums(at, below, e, SUM, MEAN));
  if (temperature > 0) {
    struct ggml_tensor *hot_below = ggml_clamp(n, ggml_scale(n, below, 1 / temperature), HEAD_FORBIDDEN, 0), *hot = ggml_exp(n, hot_below);
    DIMPLE_TRY(fetch_sums(at, hot_below, hot, HOT_SUM, HOT_MEAN));
    DIMPLE_TRY(fetch_draw(at, z, hot));
  }
  return z->ne[0] == 1 ? DIMPLE_OK : fetch_second(at, z, best, best_logit);
}

/* The mean of the vocabulary's rows under the softmax of z / temperature, by the outer products that GGML has for it. */
static dimple_status build_expected(const piece_at *at, struct ggml_tensor *z) {
  context *c = at->context;
  struct ggml_context *n = c->graph->nodes;
  const head_call *call = &at->operation->head;
  const head_piece *p = &at->operation->pieces[at->piece];
  const weight *rows = call->rows;
  if (!rows->tensor) return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s cannot read rows of type %s", c->device->name, ggml_type_name((enum ggml_type)rows->type));
  struct ggml_tensor *q = call->temperature > 0 ? ggml_scale(n, z, 1 / call->temperature) : z;
  struct ggml_tensor *shares = ggml_cont(n, ggml_transpose(n, ggml_soft_max(n, q))); /* [rows, vocab] */
  struct ggml_tensor *table = ggml_reshape_2d(n, rows->tensor, rows->columns, rows->rows);
  return write_view(c, view_rows(call->expected, p->first, p->rows), ggml_out_prod(n, table, shares));
}

static struct ggml_tensor *product_of(const piece_at *at, view x) {
  context *c = at->context;
  struct ggml_context *n = c->graph->nodes;
  const head_call *call = &at->operation->head;
  const head_piece *p = &at->operation->pieces[at->piece];
  struct ggml_tensor *matrix = ggml_reshape_2d(n, call->w->tensor, call->w->columns, call->w->rows);
  struct ggml_tensor *z = ggml_mul_mat(n, matrix, matrix_of(c, view_rows(x, p->first, p->rows)));
  ggml_prec_set_acc(z, GGML_PREC_F32);
  if (!(call->softcap > 0)) return z;
  struct ggml_tensor *capped = ggml_scale(n, ggml_tanh(n, ggml_scale(n, z, 1 / call->softcap)), call->softcap);
  return ggml_add(n, capped, ggml_scale(n, z, 0)); /* the cap makes numbers of infinities: they stay as NaN */
}

struct ggml_tensor *logits_of(const piece_at *at, view x, view bare) {
  struct ggml_context *n = at->context->graph->nodes;
  struct ggml_tensor *z = product_of(at, x);
  if (!bare.memory) return z;
  struct ggml_tensor *without = product_of(at, bare);
  return ggml_add(n, without, ggml_scale(n, ggml_sub(n, z, without), at->operation->head.guidance + 1));
}

static dimple_status build_piece(const piece_at *at) {
  context *c = at->context;
  const head_call *call = &at->operation->head;
  struct ggml_tensor *z = logits_of(at, call->x, call->bare);
  if (call->bias) DIMPLE_TRY(apply_bias(at, false, &z));
  if (call->expected.memory) DIMPLE_TRY(build_expected(at, z));
  if (call->logits) DIMPLE_TRY(output_to(c, z, callers_logits, at->piece * PARTS + CALLERS_LOGITS));
  if (call->classes) DIMPLE_TRY(fetch_classes(at, z));
  if (call->list) DIMPLE_TRY(fetch_list(at, z));
  if (call->comparison) DIMPLE_TRY(fetch_divergence(at, z));
  return call->results ? fetch_summary(at, z) : DIMPLE_OK;
}

dimple_status build_head(context *c, const recorded *o) {
  for (int64_t i = 0; i < o->piece_count; i++) DIMPLE_TRY(build_piece(&(piece_at){c, o, i}));
  return DIMPLE_OK;
}

/* How many rows a piece has at most. */
static int64_t rows_of_piece(const recorded *o) {
  int64_t width = o->head.w->rows, places = o->plan ? class_places(o->plan) : 0;
  int64_t most = PIECE_BYTES / ((places > width ? places : width) * (int64_t)sizeof(float));
  if (o->plan && most > class_rows(o->plan)) most = class_rows(o->plan);
  return most > 1 ? most : 1;
}

dimple_status open_head(context *c, recorded *o) {
  int64_t rows = o->head.x.rows, most = rows_of_piece(o);
  o->piece_count = (rows + most - 1) / most;
  size_t bytes = (size_t)o->piece_count * sizeof *o->pieces;
  o->pieces = arena_take(&c->copies, bytes);
  if (!o->pieces) return dimple_fail_memory(bytes, "a head's rows");
  for (int64_t i = 0; i < o->piece_count; i++)
    o->pieces[i] = (head_piece){.first = i * most, .rows = rows - i * most < most ? rows - i * most : most};
  return DIMPLE_OK;
}

/* The token of the drawn chunk where the sum of exp(z / temperature) passes the drawn share, as head_call defines it. */
static void finish_draw(const head_call *call, const head_piece *p, int64_t r, head_row *row) {
  const float *z = floats_of(p, DRAWN_CHUNK) + r * HEAD_CHUNK;
  int64_t chunk = tokens_of(p, CHUNK)[r], first = chunk * HEAD_CHUNK, count = call->w->rows - first < HEAD_CHUNK ? call->w->rows - first : HEAD_CHUNK;
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

static void finish_row(const head_call *call, const head_piece *p, int64_t r, head_row *row) {
  double best = floats_of(p, BEST_LOGIT)[r], temperature = call->temperature, sum = floats_of(p, SUM)[r];
  *row = (head_row){.best = tokens_of(p, BEST)[r], .best_logit = (float)best, .second_logit = p->fields[SECOND_LOGIT] ? floats_of(p, SECOND_LOGIT)[r] : -INFINITY};
  row->log_sum = (float)(best + log(sum) + floats_of(p, FLAW)[r]);
  row->mean_logit = (float)(best + (double)floats_of(p, MEAN)[r] / sum);
  row->hot_log_sum = row->log_sum;
  row->hot_mean = row->mean_logit;
  row->drawn = row->best;
  row->drawn_logit = row->best_logit;
  if (!(temperature > 0)) return;
  row->hot_log_sum = (float)(best / temperature + log(floats_of(p, HOT_SUM)[r]));
  row->hot_mean = (float)(best / temperature + (double)floats_of(p, HOT_MEAN)[r] / floats_of(p, HOT_SUM)[r]);
  finish_draw(call, p, r, row);
}

static dimple_status finish_piece(const recorded *o, const head_piece *p) {
  const head_call *call = &o->head;
  for (int64_t r = 0; call->bias && call->bias->log_sums && r < p->rows; r++)
    call->bias->log_sums[p->first + r] = (float)((double)floats_of(p, BARE_BEST)[r] + log((double)floats_of(p, BARE_SUM)[r]));
  for (int64_t r = 0; call->comparison && r < p->rows; r++) call->comparison->divergences[p->first + r] = floats_of(p, DIVERGENCE)[r];
  if (call->list) DIMPLE_TRY(finish_list(o, p));
  for (int64_t r = 0; call->results && r < p->rows; r++) finish_row(call, p, r, &call->results[p->first + r]);
  return call->classes ? finish_classes(o, p) : DIMPLE_OK;
}

dimple_status finish_head(const recorded *o) {
  for (int64_t i = 0; i < o->piece_count; i++) DIMPLE_TRY(finish_piece(o, &o->pieces[i]));
  return DIMPLE_OK;
}
