/* The language-model head: the vocabulary in chunks, each summarised by a kernel, merged row by row. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/head_bias.h"
#include "backend/cpu/head_classes.h"
#include "backend/cpu/head_comparison.h"
#include "backend/cpu/head_expected.h"
#include "backend/cpu/head_list.h"
#include "draws.h"
#include "error.h"

typedef struct head_task {
  context *c;
  const head_call *call;
  prepared_forms x;
  int64_t first_row, rows; /* of the slab */
  int64_t chunks;
  int64_t first_chunk, wave; /* of them that are worked on: all, but for classes, lists and means */
  chunk_summary *summaries; /* [rows x chunks] */
  class_reduction classes;
  expected_sums expected;
  bias_reduction bias;
  list_reduction list;
  comparison_sums comparison;
} head_task;

static float draw(const head_call *call, int64_t row, draw_purpose purpose, int64_t chunk) {
  return draw_uniform(call->seed, (uint32_t)call->iteration, (uint32_t)call->positions[row], purpose, (uint32_t)chunk);
}

static void head_item(void *work, int64_t item, void *scratch) {
  const head_task *t = work;
  const head_call *call = t->call;
  const cpu_kernels *k = t->c->kernels;
  int64_t place = item % t->wave, chunk = t->first_chunk + place, row = item / t->wave * HEAD_ROWS, vocab = call->w->rows;
  int64_t first = chunk * HEAD_CHUNK, count = smaller(HEAD_CHUNK, vocab - first), rows = smaller(HEAD_ROWS, t->rows - row);
  head_scratch *memory = scratch;
  for (int64_t j = 0; j < count; j += RUN_PANELS * PANEL) {
    int64_t panels = smaller(RUN_PANELS, parts(count - j, PANEL));
    cpu_multiply(t->c, &t->x, call->w, (first + j) / PANEL, panels, row, rows, memory->panels, memory->scratch);
    for (int64_t p = 0; p < panels; p++)
      for (int64_t r = 0; r < rows; r++)
        memcpy(memory->logits + r * HEAD_CHUNK + j + p * PANEL, memory->panels + (p * GROUP_ROWS + r) * PANEL, PANEL * sizeof(float));
  }
  for (int64_t r = 0; r < rows; r++) {
    float *z = memory->logits + r * HEAD_CHUNK;
    if (call->softcap > 0) k->cap(z, count, call->softcap);
    int64_t at = t->first_row + row + r;
    bool added = call->bias && cpu_bias_apply(&t->bias, row + r, at, chunk, z, count);
    cpu_expected_take(&t->expected, row + r, place, z, count);
    cpu_list_take(&t->list, row + r, at, chunk, place, z, count);
    if (call->logits) memcpy(call->logits + at * vocab + first, z, (size_t)count * sizeof(float));
    if (call->classes) cpu_classes_summarize(&t->classes, row + r, at, chunk, place, z);
    if (!call->results) continue;
    float u = call->temperature > 0 ? draw(call, at, DRAW_TOKEN, chunk) : 0.5f;
    chunk_summary *summary = &t->summaries[(row + r) * t->chunks + chunk];
    k->summarize(z, count, call->temperature, u, summary);
    if (!added) cpu_bias_take(&t->bias, row + r, chunk, summary);
  }
  cpu_comparison_take(&t->comparison, row, t->first_row + row, rows, chunk, count, memory->logits, &t->summaries[row * t->chunks + chunk], memory->panels,
                      memory->scratch);
}

/* Adds a wave to the classes and the list of one row. */
static void merge_wave_item(void *work, int64_t item, void *scratch) {
  const head_task *t = work;
  bool last = t->first_chunk + t->wave == t->chunks;
  cpu_list_merge(&t->list, item, t->wave, scratch);
  if (last) cpu_list_finish(&t->list, item, t->first_row + item, scratch);
  if (!t->call->classes) return;
  cpu_classes_merge(&t->classes, item, t->first_row + item, t->first_chunk, t->wave);
  if (last) cpu_classes_finish(&t->classes, item, t->first_row + item);
}

/* Merges the chunks of one row, in their order. */
static void merge_item(void *work, int64_t item, void *scratch) {
  (void)scratch;
  const head_task *t = work;
  const head_call *call = t->call;
  const chunk_summary *chunks = t->summaries + item * t->chunks;
  int64_t row = t->first_row + item;
  double temperature = call->temperature > 0 ? call->temperature : 1;
  head_row out = {.best_logit = -INFINITY, .second_logit = -INFINITY};
  double best_score = -INFINITY;
  for (int64_t i = 0; i < t->chunks; i++) {
    const chunk_summary *s = &chunks[i];
    if (s->best > out.best_logit) {
      out.second_logit = out.best_logit > s->second ? out.best_logit : s->second;
      out.best_logit = s->best;
      out.best = (int32_t)(i * HEAD_CHUNK) + s->best_token;
    } else if (s->best > out.second_logit) {
      out.second_logit = s->best;
    }
    if (call->temperature > 0) {
      double score = s->best / temperature + log(s->hot_sum) - log(-log(draw(call, row, DRAW_CHUNK, i)));
      if (score > best_score) {
        best_score = score;
        out.drawn = (int32_t)(i * HEAD_CHUNK) + s->drawn_token;
        out.drawn_logit = s->drawn_logit;
      }
    }
  }
  double sum = 0, mean = 0, hot_sum = 0, hot_mean = 0;
  for (int64_t i = 0; i < t->chunks; i++) {
    double below = (double)chunks[i].best - out.best_logit, weight = exp(below), hot = exp(below / temperature);
    sum += weight * chunks[i].sum;
    mean += weight * (chunks[i].mean + below * chunks[i].sum);
    hot_sum += hot * chunks[i].hot_sum;
    hot_mean += hot * (chunks[i].hot_mean + below / temperature * chunks[i].hot_sum);
  }
  out.log_sum = (float)(out.best_logit + log(sum));
  out.mean_logit = (float)(out.best_logit + mean / sum);
  out.hot_log_sum = (float)(out.best_logit / temperature + log(hot_sum));
  out.hot_mean = (float)(out.best_logit / temperature + hot_mean / hot_sum);
  if (!(call->temperature > 0)) {
    out.drawn = out.best;
    out.drawn_logit = out.best_logit;
  }
  call->results[row] = out;
  cpu_comparison_finish(&t->comparison, item, row, chunks, out.best_logit, sum);
  cpu_bias_finish(&t->bias, item, row);
}

/* The rows from first_row on, as many as fit a slab. */
static void run_slab(head_task *t) {
  context *c = t->c;
  const head_call *call = t->call;
  t->rows = smaller(SLAB_ROWS, call->x.rows - t->first_row);
  cpu_prepare(c, &t->x, view_rows(call->x, t->first_row, t->rows));
  cpu_classes_begin(&t->classes, t->rows);
  cpu_list_begin(&t->list, t->rows);
  cpu_comparison_begin(&t->comparison, t->first_row, t->rows);
  cpu_expected_begin(&t->expected, t->rows);
  for (t->first_chunk = 0; t->first_chunk < t->chunks; t->first_chunk += t->wave) {
    t->wave = smaller(smaller(smaller(t->classes.wave, cpu_list_wave(&t->list, t->first_chunk)), t->expected.wave), t->chunks - t->first_chunk);
    cpu_pool_run(c->pool, t->wave * parts(t->rows, HEAD_ROWS), head_item, t, c->scratch);
    if (call->classes || call->list) cpu_pool_run(c->pool, t->rows, merge_wave_item, t, c->scratch);
    cpu_expected_add(&t->expected, t->first_chunk, t->wave);
  }
  cpu_expected_finish(&t->expected, t->first_row);
  if (call->results) cpu_pool_run(c->pool, t->rows, merge_item, t, c->scratch);
}

static dimple_status run_slabs(head_task *t, int64_t slab) {
  cpu_want(&t->x, t->c->kernels, t->call->w);
  DIMPLE_TRY(cpu_reserve(t->c, &t->x, cpu_comparison_rows(t->call, slab), t->call->x.columns));
  size_t bytes = (size_t)(slab * t->chunks) * sizeof *t->summaries;
  t->summaries = malloc(bytes ? bytes : 1);
  if (!t->summaries) return dimple_fail_memory(bytes, "summaries of the vocabulary");
  DIMPLE_TRY(cpu_bias_open(t->call, t->c->kernels, slab, t->chunks, &t->bias));
  DIMPLE_TRY(cpu_list_open(t->call, t->c->kernels, slab, t->chunks, &t->list));
  DIMPLE_TRY(cpu_classes_open(t->call, t->c->kernels, slab, t->chunks, &t->classes));
  DIMPLE_TRY(cpu_comparison_open(t->c, t->call, &t->x, slab, t->chunks, &t->comparison));
  DIMPLE_TRY(cpu_expected_open(t->c, t->call, slab, t->chunks, &t->expected));
  for (t->first_row = 0; t->first_row < t->call->x.rows; t->first_row += SLAB_ROWS) run_slab(t);
  return DIMPLE_OK;
}

dimple_status cpu_head(context *c, const head_call *call) {
  head_task task = {.c = c, .call = call, .chunks = parts(call->w->rows, HEAD_CHUNK)};
  dimple_status status = run_slabs(&task, smaller(call->x.rows, SLAB_ROWS));
  free(task.summaries);
  cpu_bias_close(&task.bias);
  cpu_list_close(&task.list);
  cpu_classes_close(&task.classes);
  cpu_comparison_close(&task.comparison);
  cpu_expected_close(&task.expected);
  return status;
}
