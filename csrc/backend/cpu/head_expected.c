#include "backend/cpu/head_expected.h"

#include <math.h>
#include <stdlib.h>

#include "error.h"
#include "platform/platform.h"

enum {
  WAVE_CHUNKS = 4,
  PIECE = CHUNK_FLOATS,         /* tokens whose rows are decoded at a time: with their weights and sums they just fit the second cache of Zen 3 */
  PIECES = HEAD_CHUNK / PIECE,  /* of a chunk */
  FEWEST_COLUMNS = RUN_PANELS * PANEL, /* that one item sums */
  MOST_COLUMNS = 256,           /* the longest block of the formats, which is decoded as a whole */
  SPLIT_ROWS = GROUP_ROWS / 2,  /* rows are cut at multiples of this */
  PANEL_FLOATS = PIECE * PANEL,
  RUN_FLOATS = RUN_PANELS * GROUP_ROWS * PANEL /* the sums of a group of rows and FEWEST_COLUMNS columns */
};

/* A thread's scratch memory. */
typedef struct expected_scratch {
  float panels[MOST_COLUMNS / PANEL * PANEL_FLOATS];
  uint8_t scratch[];
} expected_scratch;

_Static_assert(sizeof(expected_scratch) + MULTIPLY_SCRATCH <= CPU_SCRATCH, "a thread's scratch memory holds what the sums want");
_Static_assert(MOST_COLUMNS % FEWEST_COLUMNS == 0, "items sum whole runs of columns");

static float temperature_of(const head_call *call) { return call->temperature > 0 ? call->temperature : 1; }

dimple_status cpu_expected_open(context *c, const head_call *call, int64_t rows, int64_t chunks, expected_sums *e) {
  *e = (expected_sums){.c = c, .call = call, .wave = chunks};
  if (!call->expected.memory) return DIMPLE_OK;
  const activation_form *form = c->kernels->mean_form;
  e->wave = smaller(chunks, WAVE_CHUNKS);
  e->tile_size = form->tile_size(PIECE);
  int64_t tokens = e->wave * HEAD_CHUNK, pieces = e->wave * PIECES, runs = parts(call->expected.columns, FEWEST_COLUMNS) * parts(rows, GROUP_ROWS);
  void *logits = NULL, *weights = NULL, *sums = NULL;
  dimple_status status = cpu_allocate(rows * tokens, sizeof(float), "logits of a wave", &logits);
  if (status == DIMPLE_OK) status = cpu_allocate(pieces * parts(rows, form->tile_rows), e->tile_size, "weights of a wave", &weights);
  if (status == DIMPLE_OK) status = cpu_allocate(runs, RUN_FLOATS * sizeof(float), "sums over the vocabulary", &sums);
  e->logits = logits;
  e->weights = weights;
  e->sums = sums;
  size_t bytes = (size_t)rows * ((size_t)pieces + 2 * sizeof(float) + sizeof(double));
  e->used = malloc((size_t)(rows * pieces + 1));
  e->highest = malloc((size_t)(rows + 1) * sizeof *e->highest);
  e->shrink = malloc((size_t)(rows + 1) * sizeof *e->shrink);
  e->total = malloc((size_t)(rows + 1) * sizeof *e->total);
  if (status == DIMPLE_OK && !(e->used && e->highest && e->shrink && e->total)) status = dimple_fail_memory(bytes, "sums over the vocabulary");
  if (status != DIMPLE_OK) cpu_expected_close(e);
  return status;
}

void cpu_expected_close(expected_sums *e) {
  platform_free(e->logits);
  platform_free(e->weights);
  platform_free(e->sums);
  free(e->used);
  free(e->highest);
  free(e->shrink);
  free(e->total);
  *e = (expected_sums){0};
}

/* The sums of the run of columns from `column` on and the group of rows that `row` is in: [RUN_PANELS][GROUP_ROWS][PANEL]. */
static float *run_of(const expected_sums *e, int64_t column, int64_t row) {
  return e->sums + (column / FEWEST_COLUMNS * parts(e->rows, GROUP_ROWS) + row / GROUP_ROWS) * RUN_FLOATS;
}

/* Those of a row and the panel of `column`. */
static float *sums_of(const expected_sums *e, int64_t column, int64_t row) {
  return run_of(e, column, row) + (column % FEWEST_COLUMNS / PANEL * GROUP_ROWS + row % GROUP_ROWS) * PANEL;
}

void cpu_expected_begin(expected_sums *e, int64_t rows) {
  if (!e->logits) return;
  e->rows = rows;
  e->tiles = parts(rows, e->c->kernels->mean_form->tile_rows);
  for (int64_t r = 0; r < rows; r++) {
    e->highest[r] = -INFINITY;
    e->total[r] = 0;
  }
  int64_t runs = parts(e->call->expected.columns, FEWEST_COLUMNS) * parts(rows, GROUP_ROWS);
  memset(e->sums, 0, (size_t)(runs * RUN_FLOATS) * sizeof(float)); /* the rows that fill up a tile, too */
}

void cpu_expected_take(const expected_sums *e, int64_t row, int64_t place, const float *z, int64_t count) {
  if (!e->logits) return;
  float *target = e->logits + row * e->wave * HEAD_CHUNK + place * HEAD_CHUNK;
  memcpy(target, z, (size_t)count * sizeof(float));
  for (int64_t i = count; i < HEAD_CHUNK; i++) target[i] = -INFINITY;
}

typedef struct expected_task {
  expected_sums *e;
  int64_t first, count; /* chunks of the wave */
  int64_t columns;      /* of an item */
  int64_t splits;       /* of the rows */
} expected_task;

/* The logits of one row become weights. */
static void soften_item(void *work, int64_t item, void *scratch) {
  (void)scratch;
  const expected_task *t = work;
  expected_sums *e = t->e;
  float *z = e->logits + item * e->wave * HEAD_CHUNK, temperature = temperature_of(e->call), before = e->highest[item], highest = before;
  int64_t tokens = t->count * HEAD_CHUNK;
  for (int64_t i = 0; i < tokens; i++) highest = z[i] > highest ? z[i] : highest;
  double total = 0;
  for (int64_t piece = 0; piece < t->count * PIECES; piece++) {
    float sum = e->c->kernels->soften(z + piece * PIECE, PIECE, highest, temperature);
    e->used[item * e->wave * PIECES + piece] = sum != 0;
    total += sum;
  }
  e->shrink[item] = before == highest ? 1 : expf((before - highest) / temperature);
  e->highest[item] = highest;
  e->total[item] = e->total[item] * e->shrink[item] + total;
}

static void prepare_item(void *work, int64_t item, void *scratch) {
  (void)scratch;
  const expected_task *t = work;
  const expected_sums *e = t->e;
  const activation_form *form = e->c->kernels->mean_form;
  int64_t piece = item / e->tiles, tile = item % e->tiles, row = tile * form->tile_rows, stride = e->wave * HEAD_CHUNK;
  form->prepare(e->logits + row * stride + piece * PIECE, stride, smaller(form->tile_rows, e->rows - row), PIECE,
                e->weights + item * e->tile_size);
}

static bool is_used(const expected_sums *e, int64_t row, int64_t end, int64_t piece) {
  for (; row < end; row++)
    if (e->used[row * e->wave * PIECES + piece]) return true;
  return false;
}

/* Columns first .. first + count - 1 of the rows of tokens, as panels [PIECE][PANEL] filled up with zeros. */
static void decode_piece(const weight *rows, int64_t token, int64_t first, int64_t count, float *panels) {
  enum { ROWS_AHEAD = 4 }; /* blocks lie a row apart, which no processor foresees */
  const block_format *format = rows->format;
  int64_t row_size = block_format_row_size(format, rows->columns), size = block_format_row_size(format, count), left = smaller(PIECE, rows->rows - token);
  const uint8_t *source = rows->file_rows + token * row_size + block_format_row_size(format, first);
  float decoded[MOST_COLUMNS];
  if (left < PIECE || count % PANEL != 0) memset(panels, 0, (size_t)(parts(count, PANEL) * PANEL_FLOATS) * sizeof(float));
  for (int64_t i = 0; i < left; i++, source += row_size, panels += PANEL) {
    for (int64_t line = 0; line < size + PLATFORM_CACHE_LINE; line += PLATFORM_CACHE_LINE) __builtin_prefetch(source + ROWS_AHEAD * row_size + line);
    format->dequantize(source, decoded, count / format->block_length);
    float *target = panels;
    int64_t j = 0;
    for (; j + PANEL <= count; j += PANEL, target += PANEL_FLOATS) memcpy(target, decoded + j, PANEL * sizeof(float)); /* of a constant size, a few instructions */
    if (j < count) memcpy(target, decoded + j, (size_t)(count - j) * sizeof(float));
  }
}

/* One piece of the vocabulary, decoded into panels, times the weights of some rows of a group. */
static void add_piece(const expected_sums *e, int64_t piece, int64_t row, int64_t rows, int64_t first, int64_t count, expected_scratch *memory) {
  const cpu_kernels *k = e->c->kernels;
  const uint8_t *tiles = e->weights + (piece * e->tiles + row / k->mean_form->tile_rows) * e->tile_size;
  weight w = {.packing = PACKED_F32, .rows = count, .columns = PIECE, .panel_size = PANEL_FLOATS * (int64_t)sizeof(float),
              .panels = (uint8_t *)memory->panels};
  for (int64_t j = 0; j < count; j += FEWEST_COLUMNS)
    k->add_means(&w, j / PANEL, parts(smaller(FEWEST_COLUMNS, count - j), PANEL), tiles, e->tile_size, rows, sums_of(e, first + j, row), memory->scratch);
}

/* Sums so far, relative to a new highest logit. */
static void shrink_sums(const expected_sums *e, int64_t row, int64_t end, int64_t first, int64_t count) {
  for (; row < end; row++)
    for (int64_t j = 0; j < count && e->shrink[row] != 1; j += PANEL)
      for (int64_t i = 0; i < PANEL; i++) sums_of(e, first + j, row)[i] *= e->shrink[row];
}

/* Some columns of some rows. */
static void add_item(void *work, int64_t item, void *scratch) {
  const expected_task *t = work;
  const expected_sums *e = t->e;
  int64_t groups = parts(e->rows, SPLIT_ROWS), split = item % t->splits, first = item / t->splits * t->columns;
  int64_t begin = groups * split / t->splits * SPLIT_ROWS, end = smaller(e->rows, groups * (split + 1) / t->splits * SPLIT_ROWS);
  int64_t count = smaller(t->columns, e->call->expected.columns - first);
  shrink_sums(e, begin, end, first, count);
  expected_scratch *memory = scratch;
  for (int64_t piece = 0; piece < t->count * PIECES; piece++) {
    if (!is_used(e, begin, end, piece)) continue;
    decode_piece(e->call->rows, t->first * HEAD_CHUNK + piece * PIECE, first, count, memory->panels);
    for (int64_t row = begin, next; row < end; row = next) {
      next = smaller(end, (row / GROUP_ROWS + 1) * GROUP_ROWS);
      if (is_used(e, row, next, piece)) add_piece(e, piece, row, next - row, first, count, memory);
    }
  }
}

void cpu_expected_add(expected_sums *e, int64_t first, int64_t count) {
  if (!e->logits) return;
  context *c = e->c;
  int64_t block = e->call->rows->format->block_length, threads = cpu_pool_threads(c->pool);
  expected_task task = {.e = e, .first = first, .count = count, .columns = larger(block, FEWEST_COLUMNS)};
  int64_t items = parts(e->call->expected.columns, task.columns);
  task.splits = larger(1, smaller(parts(e->rows, SPLIT_ROWS), parts(2 * threads, items)));
  cpu_pool_run(c->pool, e->rows, soften_item, &task, c->scratch);
  cpu_pool_run(c->pool, count * PIECES * e->tiles, prepare_item, &task, c->scratch);
  cpu_pool_run(c->pool, items * task.splits, add_item, &task, c->scratch);
}

void cpu_expected_finish(const expected_sums *e, int64_t first_row) {
  if (!e->logits) return;
  view y = e->call->expected;
  for (int64_t r = 0; r < e->rows; r++) {
    float share = (float)(1 / e->total[r]), *target = row_of(y, first_row + r);
    for (int64_t j = 0; j < y.columns; j++) target[j] = sums_of(e, j, r)[j % PANEL] * share;
  }
}
