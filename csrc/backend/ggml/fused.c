/*
 * Whether a device's fused attention (flash attention) is used. A device may not have it for a head's size, may have it wrong, or may round keys and
 * values to halves for it; and what it does hangs on the size of heads, how many share keys, masks, and whether rows are few. So each such kind is
 * tried on the device once, when a graph first wants it, against sums in double.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cancel.h"
#include "room.h"

/* Rows up to which devices have other kernels, numbers of the trial, rows of junk behind its own, and by how much of the largest it may be off: by
 * what sums of floats round, or by what keys and values rounded to halves make of it. */
enum { FEW = 8, FEW_TRIED = 5, MANY_TRIED = 70, KEYS = 133, KV_HEADS = 2, JUNK_ROWS = 130 };
static const double exact = 2e-5, halved = 5e-3;

/* Held while a list of a few is walked, not while something is tried. */
static void lock(fused_book *b) {
  while (atomic_exchange(&b->busy, true)) continue;
}

static void unlock(fused_book *b) { atomic_store(&b->busy, false); }

static bool is_same(const fused_kind *a, const fused_kind *b) {
  return a->size == b->size && a->group == b->group && a->masked == b->masked && a->few == b->few;
}

/* Rows of heads as they lie in a model's buffers: a head's are not neighbours, and around them there is other memory. */
typedef struct laid_out {
  int64_t rows, heads, size;
  float *host; /* [rows + JUNK_ROWS x (heads + 1) * size]; the last head and the last rows are junk */
  struct ggml_tensor *device;
} laid_out;

static int64_t stride_of(const laid_out *m) { return (m->heads + 1) * m->size; }

static int64_t count_of(const laid_out *m) { return (m->rows + JUNK_ROWS) * stride_of(m); }

static const float *row_of(const laid_out *m, int64_t head, int64_t row) { return m->host + row * stride_of(m) + head * m->size; }

/* A trial: numbers on the host and their tensors. */
typedef struct trial {
  const fused_kind *kind;
  struct ggml_context *nodes;
  ggml_backend_buffer_t memory;
  laid_out q, k, v;
  float *y;          /* [rows x heads x size] */
  ggml_fp16_t *mask; /* [rows x KEYS] */
} trial;

static dimple_status lay_out(laid_out *m, float most, uint32_t random) {
  m->host = malloc((size_t)count_of(m) * sizeof *m->host);
  if (!m->host) return dimple_fail_memory((uint64_t)count_of(m) * sizeof *m->host, "a trial of a device");
  for (int64_t i = 0; i < count_of(m); i++) {
    bool junk = i / stride_of(m) >= m->rows || i % stride_of(m) >= m->heads * m->size;
    random = random * 1664525u + 1013904223u;
    m->host[i] = ((float)(random >> 8) * 0x1p-23f - 1) * (junk ? 1e6f : most);
  }
  return DIMPLE_OK;
}

static dimple_status open_numbers(trial *t) {
  size_t outputs = (size_t)(t->q.rows * t->q.heads * t->q.size), seen = (size_t)(t->q.rows * KEYS);
  DIMPLE_TRY(lay_out(&t->q, 4, 7)); /* scores of a few units */
  DIMPLE_TRY(lay_out(&t->k, 1, 8));
  DIMPLE_TRY(lay_out(&t->v, 1, 9));
  t->y = malloc(outputs * sizeof *t->y);
  t->mask = malloc(seen * sizeof *t->mask);
  if (!t->y || !t->mask) return dimple_fail_memory(outputs * sizeof *t->y, "a trial of a device");
  for (size_t i = 0; i < seen; i++) t->mask[i] = ggml_fp32_to_fp16((i % KEYS + i / KEYS) % 3 == 1 ? -INFINITY : 0);
  return DIMPLE_OK;
}

/* What row r of head h should be, against what it is: the largest of |expected| and of |off| so far. */
static void compare_row(const trial *t, int64_t h, int64_t r, double *largest, double *off) {
  int64_t size = t->q.size, group = t->kind->group;
  const float *q = row_of(&t->q, h, r), *y = t->y + (r * t->q.heads + h) * size;
  double shares[KEYS], sum = 0;
  for (int64_t j = 0; j < KEYS; j++) {
    double score = 0;
    for (int64_t i = 0; i < size; i++) score += (double)q[i] * row_of(&t->k, h / group, j)[i];
    bool hidden = t->kind->masked && ggml_fp16_to_fp32(t->mask[r * KEYS + j]) < 0;
    sum += shares[j] = hidden ? 0 : exp(score / sqrt((double)size));
  }
  for (int64_t i = 0; i < size; i++) {
    double expected = 0, apart;
    for (int64_t j = 0; j < KEYS; j++) expected += shares[j] / sum * row_of(&t->v, h / group, j)[i];
    apart = fabs(expected - (double)y[i]);
    *largest = fmax(*largest, fabs(expected));
    *off = apart <= *off ? *off : isnan(apart) ? INFINITY : apart;
  }
}

/* [size, rows, heads] of a tensor that has it all. */
static struct ggml_tensor *heads_in(struct ggml_context *n, laid_out *m) {
  m->device = ggml_new_tensor_1d(n, GGML_TYPE_F32, count_of(m));
  size_t number = sizeof(float);
  struct ggml_tensor *rows = ggml_view_3d(n, m->device, m->size, m->heads, m->rows, (size_t)m->size * number, (size_t)stride_of(m) * number, 0);
  return ggml_permute(n, rows, 0, 2, 1, 3);
}

/* How far the device is off, as a share of the largest number; infinity where it does not run it. */
static dimple_status measure(context *c, trial *t, double *error) {
  struct ggml_init_params room = {.mem_size = 24 * ggml_tensor_overhead() + ggml_graph_overhead(), .no_alloc = true};
  DIMPLE_TRY(open_numbers(t));
  struct ggml_context *n = t->nodes = ggml_init(room);
  if (!n) return dimple_fail_memory(room.mem_size, "a trial of a device");
  struct ggml_tensor *q = heads_in(n, &t->q), *k = heads_in(n, &t->k), *v = heads_in(n, &t->v);
  struct ggml_tensor *mask = t->kind->masked ? ggml_new_tensor_2d(n, GGML_TYPE_F16, KEYS, t->q.rows) : NULL;
  struct ggml_tensor *y = ggml_flash_attn_ext(n, q, k, v, mask, 1 / sqrtf((float)t->q.size), 0, 0);
  ggml_prec_set_acc(y, GGML_PREC_F32);
  *error = INFINITY;
  if (!runs_here(c, y)) return DIMPLE_OK;
  struct ggml_cgraph *order = ggml_new_graph(n);
  ggml_build_forward_expand(order, y);
  t->memory = ggml_backend_alloc_ctx_tensors(n, c->stream);
  if (!t->memory) return dimple_fail(DIMPLE_ERROR_MEMORY, "%s: no memory for a trial", c->device->name);
  laid_out *all[] = {&t->q, &t->k, &t->v};
  for (int i = 0; i < 3; i++) ggml_backend_tensor_set(all[i]->device, all[i]->host, 0, ggml_nbytes(all[i]->device));
  if (mask) ggml_backend_tensor_set(mask, t->mask, 0, ggml_nbytes(mask));
  enum ggml_status status = ggml_backend_graph_compute(c->stream, order);
  if (status == GGML_STATUS_ABORTED) DIMPLE_TRY(check_cancelled(c->cancelled)); /* takes the request back */
  if (status != GGML_STATUS_SUCCESS) return DIMPLE_OK;
  ggml_backend_tensor_get(y, t->y, 0, ggml_nbytes(y));
  double largest = 0, off = 0;
  for (int64_t h = 0; h < t->q.heads; h++)
    for (int64_t r = 0; r < t->q.rows; r++) compare_row(t, h, r, &largest, &off);
  *error = off / largest;
  return DIMPLE_OK;
}

static dimple_status try_kind(context *c, const fused_kind *kind, double *error) {
  laid_out keys = {.rows = KEYS, .heads = KV_HEADS, .size = kind->size}, queries = keys;
  queries.rows = kind->few ? FEW_TRIED : MANY_TRIED;
  queries.heads = (int64_t)KV_HEADS * kind->group;
  trial t = {.kind = kind, .q = queries, .k = keys, .v = keys};
  dimple_status status = measure(c, &t, error);
  if (t.memory) ggml_backend_buffer_free(t.memory);
  if (t.nodes) ggml_free(t.nodes);
  free(t.q.host);
  free(t.k.host);
  free(t.v.host);
  free(t.y);
  free(t.mask);
  return status;
}

/* Whether all of a pass's products are of F32 weights: then keys rounded to halves would be the coarsest of its numbers. */
static bool wants_exact(const context *c) {
  for (int64_t i = 0; i < c->operation_count; i++) {
    const recorded *o = &c->operations[i];
    for (int32_t k = 0; k < o->output_count; k++)
      if (o->outputs[k].w->type != DIMPLE_TENSOR_F32) return false;
  }
  return true;
}

/* Servers do not say what their devices run, and end where they cannot run something; of a process of ours we know it. */
static bool is_told(const device *d) {
  const char *wanted = getenv("DIMPLE_RPC_FUSED");
  return d->server == GUARD_NO_SERVER || d->judge != d->handle || (wanted && strcmp(wanted, "1") == 0);
}

dimple_status use_fused(context *c, const attention_call *call, int64_t rows, bool masked, bool *used) {
  fused_book *book = c->device->fused;
  fused_kind kind = {.size = call->size, .group = call->heads / call->kv_heads, .masked = masked, .few = rows <= FEW};
  double error = -1;
  *used = false;
  if (!is_told(c->device)) return DIMPLE_OK;
  lock(book);
  for (int32_t i = 0; i < book->count; i++)
    if (is_same(&book->kinds[i], &kind)) error = book->kinds[i].error;
  unlock(book);
  if (error < 0) {
    DIMPLE_TRY(try_kind(c, &kind, &error));
    kind.error = error;
    lock(book);
    if (book->count < FUSED_KINDS) book->kinds[book->count++] = kind;
    unlock(book);
  }
  *used = error <= (wants_exact(c) ? exact : halved);
  return DIMPLE_OK;
}
