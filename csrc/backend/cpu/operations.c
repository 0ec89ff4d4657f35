/*
 * The backend operations on the CPU: cuts each into items for the thread pool and leaves the arithmetic to the kernels of
 * an instruction set. What an item computes does not depend on which thread takes it, nor on how many there are.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/cpu.h"
#include "cpu_levels.h"
#include "diffusion/draws.h"
#include "error.h"
#include "platform/platform.h"

/* Rows of x prepared at a time: bounds the memory for wide inputs, and is enough to make reading the weights cheap. */
enum { SLAB_ROWS = 2 * GROUP_ROWS };

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t parts(int64_t whole, int64_t part) { return (whole + part - 1) / part; }

/* ------------------------------------------------------------------------------------------------ context and buffers */

/* A thread's scratch: products of a panel, or logits of a chunk, and what the kernels want. */
typedef struct linear_lane {
  float a[RUN_PANELS * GROUP_ROWS * PANEL];
  float b[RUN_PANELS * GROUP_ROWS * PANEL];
  uint8_t scratch[];
} linear_lane;

/* The head takes fewer rows at a time, to keep their logits near. HEAD_ROWS divides GROUP_ROWS. */
enum { HEAD_ROWS = GROUP_ROWS / 2 };

typedef struct head_lane {
  float panels[RUN_PANELS * GROUP_ROWS * PANEL];
  float logits[HEAD_ROWS * HEAD_CHUNK];
  uint8_t scratch[];
} head_lane;

static void *lane_memory(const context *c, int32_t lane) { return c->lanes + lane * c->lane_size; }

static void context_close(context *c) {
  if (!c) return;
  cpu_pool_close(c->pool);
  platform_free(c->lanes);
  platform_free(c->activations);
  free(c);
}

static dimple_status context_open(const cpu_kernels *kernels, int32_t threads, context **out) {
  context *c = calloc(1, sizeof *c);
  if (!c) return dimple_fail_memory(sizeof *c, "a context");
  c->kernels = kernels;
  int64_t needed = larger((int64_t)sizeof(head_lane) + kernels->multiply_scratch, kernels->attention_scratch);
  c->lane_size = parts(needed, 64) * 64;
  void *lanes = NULL;
  dimple_status status = cpu_allocate(threads, c->lane_size, "the threads' scratch memory", &lanes);
  c->lanes = lanes;
  if (status == DIMPLE_OK) status = cpu_pool_open(threads, &c->pool);
  if (status != DIMPLE_OK) {
    context_close(c);
    return status;
  }
  *out = c;
  return DIMPLE_OK;
}

static dimple_status buffer_alloc(context *c, int64_t count, float **out) {
  (void)c;
  void *buffer;
  DIMPLE_TRY(cpu_allocate(count, sizeof(float), "activations", &buffer));
  *out = buffer;
  return DIMPLE_OK;
}

static void buffer_free(context *c, float *buffer) {
  (void)c;
  platform_free(buffer);
}

static dimple_status copy(context *c, float *target, const float *source, int64_t count) {
  (void)c;
  memcpy(target, source, (size_t)count * sizeof(float));
  return DIMPLE_OK;
}

/* ------------------------------------------------------------------------------------------------- operations on rows */

/* Rows of most operations are cheap: one item takes several, some 16 Ki elements. */
static int64_t rows_per_item(int64_t columns) { return larger(1, (1 << 14) / larger(columns, 1)); }

typedef struct rows_task {
  const cpu_kernels *kernels;
  const weight *w;
  const float *x;
  float *y;
  const int32_t *index;
  const float *scale;
  int64_t rows, columns, per_item;
  float epsilon;
  const rotary_call *rotary;
} rows_task;

static void run_rows(context *c, rows_task *t, cpu_task *task) {
  t->kernels = c->kernels;
  t->per_item = rows_per_item(t->columns);
  cpu_pool_run(c->pool, parts(t->rows, t->per_item), task, t);
}

static void embed_item(void *work, int64_t item, int32_t lane) {
  (void)lane;
  const rows_task *t = work;
  int64_t row_size = block_format_row_size(t->w->format, t->columns);
  for (int64_t r = item * t->per_item; r < smaller(t->rows, (item + 1) * t->per_item); r++)
    t->w->format->dequantize(t->w->file_rows + t->index[r] * row_size, t->y + r * t->columns,
                             t->columns / t->w->format->block_length);
}

static dimple_status embed_rows(context *c, float *y, const weight *w, const int32_t *ids, int64_t count) {
  rows_task task = {.w = w, .y = y, .index = ids, .rows = count, .columns = w->columns};
  run_rows(c, &task, embed_item);
  return DIMPLE_OK;
}

static void gather_item(void *work, int64_t item, int32_t lane) {
  (void)lane;
  const rows_task *t = work;
  for (int64_t r = item * t->per_item; r < smaller(t->rows, (item + 1) * t->per_item); r++)
    memcpy(t->y + r * t->columns, t->x + t->index[r] * t->columns, (size_t)t->columns * sizeof(float));
}

static dimple_status gather_rows(context *c, float *y, const float *x, const int32_t *index, int64_t count, int64_t columns) {
  rows_task task = {.x = x, .y = y, .index = index, .rows = count, .columns = columns};
  run_rows(c, &task, gather_item);
  return DIMPLE_OK;
}

/* One item, so that of equal indices the last one wins. */
static dimple_status scatter_rows(context *c, float *y, const float *x, const int32_t *index, int64_t count, int64_t columns) {
  (void)c;
  for (int64_t r = 0; r < count; r++)
    memcpy(y + index[r] * columns, x + r * columns, (size_t)columns * sizeof(float));
  return DIMPLE_OK;
}

static void scatter_add_item(void *work, int64_t item, int32_t lane) {
  (void)lane;
  const rows_task *t = work;
  for (int64_t r = item * t->per_item; r < smaller(t->rows, (item + 1) * t->per_item); r++)
    t->kernels->add_scaled(t->y + t->index[r] * t->columns, t->x + r * t->columns, t->scale[r], t->columns);
}

static dimple_status scatter_add_rows(context *c, float *y, const float *x, const int32_t *index, const float *scale,
                                      int64_t count, int64_t columns) {
  rows_task task = {.x = x, .y = y, .index = index, .scale = scale, .rows = count, .columns = columns};
  run_rows(c, &task, scatter_add_item);
  return DIMPLE_OK;
}

static void rms_norm_item(void *work, int64_t item, int32_t lane) {
  (void)lane;
  const rows_task *t = work;
  for (int64_t r = item * t->per_item; r < smaller(t->rows, (item + 1) * t->per_item); r++)
    t->kernels->rms_norm(t->y + r * t->columns, t->x + r * t->columns, t->w->vector, t->columns, t->epsilon);
}

static dimple_status rms_norm(context *c, float *y, const float *x, const weight *w, int64_t rows, int64_t columns,
                              float epsilon) {
  rows_task task = {.w = w, .x = x, .y = y, .rows = rows, .columns = columns, .epsilon = epsilon};
  run_rows(c, &task, rms_norm_item);
  return DIMPLE_OK;
}

static void rotary_item(void *work, int64_t item, int32_t lane) {
  (void)lane;
  const rows_task *t = work;
  const rotary_call *call = t->rotary;
  int64_t half = call->size / 2;
  for (int64_t r = item * t->per_item; r < smaller(t->rows, (item + 1) * t->per_item); r++)
    t->kernels->rotary(call->x + r * call->x_stride, call->cosine + r * half, call->sine + r * half, call->heads, call->size);
}

static dimple_status rotary(context *c, const rotary_call *call) {
  rows_task task = {.rotary = call, .rows = call->rows, .columns = (int64_t)call->heads * call->size};
  run_rows(c, &task, rotary_item);
  return DIMPLE_OK;
}

/* -------------------------------------------------------------------------------------------- preparing activations */

/* x in every form that the weights of an operation want; packings may share one. */
typedef struct prepared_forms {
  prepared of[PACKINGS]; /* form null: not wanted */
} prepared_forms;

static void want(prepared_forms *p, const cpu_kernels *k, const weight *w) { p->of[w->packing].form = k->forms[w->packing]; }

/* The earlier packing with the same form, or `i` itself. */
static int first_with_form(const prepared_forms *p, int i) {
  for (int j = 0; j < i; j++)
    if (p->of[j].form == p->of[i].form) return j;
  return i;
}

/* Makes room for `rows` rows in the forms that are wanted. */
static dimple_status reserve_activations(context *c, prepared_forms *p, int64_t rows, int64_t columns) {
  int64_t offset[PACKINGS] = {0}, bytes = 0;
  for (int i = 0; i < PACKINGS; i++) {
    if (!p->of[i].form) continue;
    p->of[i].tile_size = p->of[i].form->tile_size(columns);
    int shared = first_with_form(p, i);
    offset[i] = shared < i ? offset[shared] : bytes;
    if (shared == i) bytes += p->of[i].tile_size * parts(rows, p->of[i].form->tile_rows);
  }
  if (bytes > c->activations_size) {
    platform_free(c->activations);
    c->activations_size = 0;
    c->activations = NULL;
    void *memory;
    DIMPLE_TRY(cpu_allocate(bytes, 1, "prepared activations", &memory));
    c->activations = memory;
    c->activations_size = bytes;
  }
  for (int i = 0; i < PACKINGS; i++) p->of[i].tiles = c->activations + offset[i];
  return DIMPLE_OK;
}

typedef struct prepare_task {
  const prepared *target;
  const float *x;
  int64_t x_stride, rows, columns;
} prepare_task;

static void prepare_item(void *work, int64_t item, int32_t lane) {
  (void)lane;
  const prepare_task *t = work;
  const activation_form *form = t->target->form;
  int64_t first = item * form->tile_rows;
  form->prepare(t->x + first * t->x_stride, t->x_stride, smaller(form->tile_rows, t->rows - first), t->columns,
                t->target->tiles + item * t->target->tile_size);
}

static void prepare(context *c, const prepared_forms *p, const float *x, int64_t x_stride, int64_t rows, int64_t columns) {
  for (int i = 0; i < PACKINGS; i++) {
    if (!p->of[i].form || first_with_form(p, i) < i) continue;
    prepare_task task = {.target = &p->of[i], .x = x, .x_stride = x_stride, .rows = rows, .columns = columns};
    cpu_pool_run(c->pool, parts(rows, p->of[i].form->tile_rows), prepare_item, &task);
  }
}

/* Multiplies rows from `row` on, a multiple of HEAD_ROWS, with some panels. */
static void multiply_panels(const context *c, const prepared_forms *p, const weight *w, int64_t panel, int64_t panels, int64_t row,
                            int64_t rows, float *y, void *scratch) {
  const prepared *x = &p->of[w->packing];
  c->kernels->multiply(w, panel, panels, x->tiles + row / x->form->tile_rows * x->tile_size, x->tile_size, rows, y, scratch);
}

/* -------------------------------------------------------------------------------------------------------------- linear */

typedef struct linear_task {
  context *c;
  const linear_call *call;
  prepared_forms x;
  int64_t first_row, rows; /* of the slab */
  int64_t groups;
  int64_t run; /* panels per item */
} linear_task;

static int64_t runs_of(const linear_task *t, const linear_output *out) { return parts(weight_panels(out->w), t->run); }

static void linear_item(void *work, int64_t item, int32_t lane) {
  const linear_task *t = work;
  const linear_output *out = t->call->outputs;
  int64_t run = item / t->groups, row = item % t->groups * GROUP_ROWS;
  for (; run >= runs_of(t, out); out++) run -= runs_of(t, out);
  linear_lane *memory = lane_memory(t->c, lane);
  int64_t rows = smaller(GROUP_ROWS, t->rows - row), panel = run * t->run;
  int64_t panels = smaller(t->run, weight_panels(out->w) - panel);
  multiply_panels(t->c, &t->x, out->w, panel, panels, row, rows, memory->a, memory->scratch);
  if (out->mode == LINEAR_SWIGLU) multiply_panels(t->c, &t->x, out->up, panel, panels, row, rows, memory->b, memory->scratch);
  int64_t first = panel * PANEL;
  t->c->kernels->finish(out, first, smaller(panels * PANEL, out->w->rows - first), t->first_row + row, rows, memory->a, memory->b);
}

static dimple_status linear(context *c, const linear_call *call) {
  linear_task task = {.c = c, .call = call};
  int64_t panels = 0;
  for (int32_t i = 0; i < call->output_count; i++) {
    const linear_output *out = &call->outputs[i];
    want(&task.x, c->kernels, out->w);
    if (out->mode == LINEAR_SWIGLU) want(&task.x, c->kernels, out->up);
    panels += weight_panels(out->w);
  }
  DIMPLE_TRY(reserve_activations(c, &task.x, smaller(call->rows, SLAB_ROWS), call->columns));
  for (task.first_row = 0; task.first_row < call->rows; task.first_row += SLAB_ROWS) {
    task.rows = smaller(SLAB_ROWS, call->rows - task.first_row);
    task.groups = parts(task.rows, GROUP_ROWS);
    /* Long runs, but several items for every thread. */
    task.run = larger(1, smaller(RUN_PANELS, panels * task.groups / (4 * cpu_pool_threads(c->pool))));
    int64_t runs = 0;
    for (int32_t i = 0; i < call->output_count; i++) runs += runs_of(&task, &call->outputs[i]);
    prepare(c, &task.x, call->x + task.first_row * call->x_stride, call->x_stride, task.rows, call->columns);
    cpu_pool_run(c->pool, runs * task.groups, linear_item, &task);
  }
  return DIMPLE_OK;
}

/* ----------------------------------------------------------------------------------------------------------- attention */

typedef struct attention_task {
  context *c;
  const attention_call *call;
  const attention_block *blocks;
  int64_t block_count;
  int32_t heads_per_item;
  int32_t parts_per_group; /* items of one key head */
} attention_task;

/* In windows, all heads of a block of rows follow each other: they lie side by side in memory. Otherwise all blocks of a head, which
 * read the same keys and values. */
static void attention_item(void *work, int64_t item, int32_t lane) {
  const attention_task *t = work;
  int32_t group = t->call->heads / t->call->kv_heads, parts_per_row = t->call->kv_heads * t->parts_per_group;
  int32_t part = (int32_t)(t->call->spans ? item % parts_per_row : item / t->block_count);
  int64_t block = t->call->spans ? item / parts_per_row : item % t->block_count;
  int32_t within = part % t->parts_per_group * t->heads_per_item;
  int32_t count = group - within < t->heads_per_item ? group - within : t->heads_per_item;
  t->c->kernels->attention(t->call, &t->blocks[block], part / t->parts_per_group * group + within, count,
                           lane_memory(t->c, lane));
}

/* Cuts the rows of a window into equal blocks of at most `most` rows; returns how many, and writes them if `blocks` is not null. */
static int64_t cut_window(int64_t row, int64_t row_end, int64_t key, int64_t key_end, int64_t most, attention_block *blocks) {
  int64_t rows = row_end - row, count = parts(rows, most);
  for (int64_t i = 0; blocks && i < count; i++)
    blocks[i] = (attention_block){row + rows * i / count, row + rows * (i + 1) / count, key, key_end};
  return count;
}

static int64_t cut_rows(const attention_call *call, int64_t most, attention_block *blocks) {
  if (!call->spans) return cut_window(0, call->query_rows, 0, call->key_rows, most, blocks);
  int64_t count = 0;
  for (int32_t i = 0; i < call->span_count; i++) {
    int64_t first = call->spans[i], end = call->spans[i + 1];
    count += cut_window(first, end, first, end, most, blocks ? blocks + count : NULL);
  }
  return count;
}

static dimple_status attention(context *c, const attention_call *call) {
  if (call->size > ATTENTION_SIZE)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "attention heads of %d elements; the CPU kernels take at most %d", call->size,
                       ATTENTION_SIZE);
  int32_t group = call->heads / call->kv_heads;
  attention_task task = {.c = c, .call = call, .heads_per_item = (int32_t)smaller(group, ATTENTION_ROWS)};
  task.parts_per_group = (int32_t)parts(group, task.heads_per_item);
  int64_t most = ATTENTION_ROWS / task.heads_per_item;
  task.block_count = cut_rows(call, most, NULL);
  attention_block *blocks = malloc((size_t)larger(1, task.block_count) * sizeof *blocks);
  if (!blocks) return dimple_fail_memory((uint64_t)task.block_count * sizeof *blocks, "attention blocks");
  cut_rows(call, most, blocks);
  task.blocks = blocks;
  cpu_pool_run(c->pool, task.block_count * call->kv_heads * task.parts_per_group, attention_item, &task);
  free(blocks);
  return DIMPLE_OK;
}

/* ---------------------------------------------------------------------------------------------------------------- head */

typedef struct head_task {
  context *c;
  const head_call *call;
  prepared_forms x;
  int64_t first_row, rows; /* of the slab */
  int64_t chunks;
  chunk_summary *summaries; /* [rows x chunks] */
} head_task;

static float draw(const head_call *call, int64_t row, draw_purpose purpose, int64_t chunk) {
  return draw_uniform(call->seed, (uint32_t)call->iteration, (uint32_t)call->positions[row], purpose, (uint32_t)chunk);
}

static void head_item(void *work, int64_t item, int32_t lane) {
  const head_task *t = work;
  const head_call *call = t->call;
  const cpu_kernels *k = t->c->kernels;
  int64_t chunk = item % t->chunks, row = item / t->chunks * HEAD_ROWS, vocab = call->w->rows;
  int64_t first = chunk * HEAD_CHUNK, count = smaller(HEAD_CHUNK, vocab - first), rows = smaller(HEAD_ROWS, t->rows - row);
  head_lane *memory = lane_memory(t->c, lane);
  for (int64_t j = 0; j < count; j += RUN_PANELS * PANEL) {
    int64_t panels = smaller(RUN_PANELS, parts(count - j, PANEL));
    multiply_panels(t->c, &t->x, call->w, (first + j) / PANEL, panels, row, rows, memory->panels, memory->scratch);
    for (int64_t p = 0; p < panels; p++)
      for (int64_t r = 0; r < rows; r++)
        memcpy(memory->logits + r * HEAD_CHUNK + j + p * PANEL, memory->panels + (p * GROUP_ROWS + r) * PANEL, PANEL * sizeof(float));
  }
  for (int64_t r = 0; r < rows; r++) {
    const float *z = memory->logits + r * HEAD_CHUNK;
    int64_t at = t->first_row + row + r;
    if (call->logits) memcpy(call->logits + at * vocab + first, z, (size_t)count * sizeof(float));
    if (!call->results) continue;
    float u = call->temperature > 0 ? draw(call, at, DRAW_TOKEN, chunk) : 0.5f;
    k->summarize(z, count, call->temperature, u, &t->summaries[(row + r) * t->chunks + chunk]);
  }
}

/* Merges the chunks of one row, in their order. */
static void merge_item(void *work, int64_t item, int32_t lane) {
  (void)lane;
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
}

static dimple_status head(context *c, const head_call *call) {
  head_task task = {.c = c, .call = call, .chunks = parts(call->w->rows, HEAD_CHUNK)};
  int64_t slab = smaller(call->rows, SLAB_ROWS);
  want(&task.x, c->kernels, call->w);
  DIMPLE_TRY(reserve_activations(c, &task.x, slab, call->columns));
  size_t bytes = (size_t)(slab * task.chunks) * sizeof *task.summaries;
  task.summaries = malloc(bytes ? bytes : 1);
  if (!task.summaries) return dimple_fail_memory(bytes, "summaries of the vocabulary");
  for (task.first_row = 0; task.first_row < call->rows; task.first_row += SLAB_ROWS) {
    task.rows = smaller(SLAB_ROWS, call->rows - task.first_row);
    prepare(c, &task.x, call->x + task.first_row * call->x_stride, call->x_stride, task.rows, call->columns);
    cpu_pool_run(c->pool, task.chunks * parts(task.rows, HEAD_ROWS), head_item, &task);
    if (call->results) cpu_pool_run(c->pool, task.rows, merge_item, &task);
  }
  free(task.summaries);
  return DIMPLE_OK;
}

/* -------------------------------------------------------------------------------------------------------------- tables */

/* What the levels share. */
#define CPU_OPERATIONS                  \
  .weight_upload = cpu_weight_upload,   \
  .weight_free = cpu_weight_free,       \
  .weight_bytes = cpu_weight_bytes,     \
  .context_close = context_close,       \
  .buffer_alloc = buffer_alloc,         \
  .buffer_free = buffer_free,           \
  .copy_in = copy,                      \
  .copy_out = copy,                     \
  .embed_rows = embed_rows,             \
  .gather_rows = gather_rows,           \
  .scatter_rows = scatter_rows,         \
  .scatter_add_rows = scatter_add_rows, \
  .rms_norm = rms_norm,                 \
  .linear = linear,                     \
  .rotary = rotary,                     \
  .attention = attention,               \
  .head = head

#define BACKEND(level, shown_name, usable)                                                                       \
  extern const cpu_kernels cpu_kernels_##level;                                                                  \
  static bool level##_available(void) { return usable; }                                                         \
  static dimple_status level##_open(int32_t threads, context **out) { return context_open(&cpu_kernels_##level, threads, out); } \
  const backend_operations backend_cpu_##level = {                                                               \
      .name = shown_name, .available = level##_available, .context_open = level##_open, CPU_OPERATIONS};
CPU_LEVELS(BACKEND)
