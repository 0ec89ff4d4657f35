/* Products with packed weights: laying out activations, and the linear operation. */
#include <stdlib.h>

#include "backend/cpu/operations.h"
#include "error.h"
#include "platform/platform.h"

void cpu_want(prepared_forms *p, const cpu_kernels *k, const weight *w) {
  p->of[w->packing].form = k->forms[w->packing];
  if (!w->panels) p->unpacked_size = larger(p->unpacked_size, w->panel_size);
}

/* The earlier packing with the same form, or `i` itself. */
static int first_with_form(const prepared_forms *p, int i) {
  for (int j = 0; j < i; j++)
    if (p->of[j].form == p->of[i].form) return j;
  return i;
}

/* Panels lie a whole number of cache lines apart. */
static dimple_status reserve_unpacked(context *c, int64_t size) {
  int32_t threads = cpu_pool_threads(c->pool);
  size = parts(size, PLATFORM_CACHE_LINE) * PLATFORM_CACHE_LINE;
  if (size <= c->unpacked_size) return DIMPLE_OK;
  if (!c->unpacked_taken) {
    c->unpacked_taken = malloc((size_t)threads * sizeof *c->unpacked_taken);
    if (!c->unpacked_taken) return dimple_fail_memory((uint64_t)threads * sizeof *c->unpacked_taken, "a context");
    for (int32_t i = 0; i < threads; i++) atomic_flag_clear(&c->unpacked_taken[i]);
  }
  platform_free(c->unpacked);
  c->unpacked_size = 0;
  c->unpacked = NULL;
  void *memory;
  DIMPLE_TRY(cpu_allocate(threads, size, "panels of unpacked weights", &memory));
  c->unpacked = memory;
  c->unpacked_size = size;
  return DIMPLE_OK;
}

bool cpu_prepares(const prepared_forms *p, int i) { return p->of[i].form && first_with_form(p, i) == i; }

dimple_status cpu_reserve(context *c, prepared_forms *p, int64_t rows, int64_t columns) {
  if (p->unpacked_size) DIMPLE_TRY(reserve_unpacked(c, p->unpacked_size));
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
  view x;
} prepare_task;

static void prepare_item(void *work, int64_t item, void *scratch) {
  (void)scratch;
  const prepare_task *t = work;
  const activation_form *form = t->target->form;
  int64_t first = item * form->tile_rows;
  form->prepare(row_of(t->x, first), t->x.stride, smaller(form->tile_rows, t->x.rows - first), t->x.columns,
                t->target->tiles + item * t->target->tile_size);
}

void cpu_prepare(context *c, const prepared_forms *p, view x) {
  for (int i = 0; i < PACKINGS; i++) {
    if (!cpu_prepares(p, i)) continue;
    prepare_task task = {.target = &p->of[i], .x = x};
    cpu_pool_run(c->pool, parts(x.rows, p->of[i].form->tile_rows), prepare_item, &task, c->scratch);
  }
}

/* Packs panel after panel, and multiplies each at once. No more items run at a time than there are threads, so one place is free. */
static void multiply_unpacked(const context *c, const prepared *x, const weight *w, int64_t panel, int64_t panels, const uint8_t *tiles,
                              int64_t rows, float *y, void *scratch) {
  int32_t place = 0, threads = cpu_pool_threads(c->pool);
  while (atomic_flag_test_and_set_explicit(&c->unpacked_taken[place], memory_order_acquire)) place = (place + 1) % threads;
  for (int64_t i = 0; i < panels; i++) {
    weight one;
    cpu_pack_panel(c->kernels, w, panel + i, c->unpacked + place * c->unpacked_size, &one);
    c->kernels->multiply(&one, 0, 1, tiles, x->tile_size, rows, y + i * GROUP_ROWS * PANEL, scratch);
  }
  atomic_flag_clear_explicit(&c->unpacked_taken[place], memory_order_release);
}

void cpu_multiply(const context *c, const prepared_forms *p, const weight *w, int64_t panel, int64_t panels, int64_t row,
                  int64_t rows, float *y, void *scratch) {
  const prepared *x = &p->of[w->packing];
  const uint8_t *tiles = x->tiles + row / x->form->tile_rows * x->tile_size;
  if (w->panels)
    c->kernels->multiply(w, panel, panels, tiles, x->tile_size, rows, y, scratch);
  else
    multiply_unpacked(c, x, w, panel, panels, tiles, rows, y, scratch);
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

static void linear_item(void *work, int64_t item, void *scratch) {
  const linear_task *t = work;
  const linear_output *out = t->call->outputs;
  int64_t run = item / t->groups, row = item % t->groups * GROUP_ROWS;
  for (; run >= runs_of(t, out); out++) run -= runs_of(t, out);
  linear_scratch *memory = scratch;
  int64_t rows = smaller(GROUP_ROWS, t->rows - row), panel = run * t->run;
  int64_t panels = smaller(t->run, weight_panels(out->w) - panel);
  cpu_multiply(t->c, &t->x, out->w, panel, panels, row, rows, memory->a, memory->scratch);
  if (linear_is_gated(out->mode)) cpu_multiply(t->c, &t->x, out->up, panel, panels, row, rows, memory->b, memory->scratch);
  int64_t first = panel * PANEL;
  product_target target = {.bias = out->bias, .up_bias = out->up_bias, .y = row_of(out->y, 0), .y_stride = out->y.stride, .mode = out->mode};
  t->c->kernels->finish(&target, first, smaller(panels * PANEL, out->w->rows - first), t->first_row + row, rows, memory->a, memory->b);
}

dimple_status cpu_linear(context *c, const linear_call *call) {
  linear_task task = {.c = c, .call = call};
  int64_t panels = 0;
  for (int32_t i = 0; i < call->output_count; i++) {
    const linear_output *out = &call->outputs[i];
    cpu_want(&task.x, c->kernels, out->w);
    if (linear_is_gated(out->mode)) cpu_want(&task.x, c->kernels, out->up);
    panels += weight_panels(out->w);
  }
  DIMPLE_TRY(cpu_reserve(c, &task.x, smaller(call->x.rows, SLAB_ROWS), call->x.columns));
  for (task.first_row = 0; task.first_row < call->x.rows; task.first_row += SLAB_ROWS) {
    task.rows = smaller(SLAB_ROWS, call->x.rows - task.first_row);
    task.groups = parts(task.rows, GROUP_ROWS);
    /* Long runs, but several items for every thread. */
    task.run = larger(1, smaller(RUN_PANELS, panels * task.groups / (4 * cpu_pool_threads(c->pool))));
    int64_t runs = 0;
    for (int32_t i = 0; i < call->output_count; i++) runs += runs_of(&task, &call->outputs[i]);
    cpu_prepare(c, &task.x, view_rows(call->x, task.first_row, task.rows));
    cpu_pool_run(c->pool, runs * task.groups, linear_item, &task, c->scratch);
  }
  return DIMPLE_OK;
}
