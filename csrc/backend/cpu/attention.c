/* Attention: cuts query rows and heads into blocks for the kernels. */
#include <math.h>
#include <stdlib.h>

#include "backend/cpu/operations.h"
#include "error.h"

enum { ITEMS_OF_A_THREAD = 4 };

typedef struct attention_task {
  context *c;
  attention_operands of;
  bool windows;
  const attention_block *blocks;
  int64_t block_count;
  int32_t heads_per_item;
  int32_t parts_per_group; /* items of one key head */
} attention_task;

/* In windows, all heads of a block of rows follow each other: they lie side by side in memory. Otherwise all blocks of a head, which
 * read the same keys and values. */
static void attention_item(void *work, int64_t item, void *scratch) {
  const attention_task *t = work;
  int32_t group = t->of.heads / t->of.kv_heads, parts_per_row = t->of.kv_heads * t->parts_per_group;
  int32_t part = (int32_t)(t->windows ? item % parts_per_row : item / t->block_count);
  int64_t block = t->windows ? item / parts_per_row : item % t->block_count;
  int32_t within = part % t->parts_per_group * t->heads_per_item;
  int32_t count = group - within < t->heads_per_item ? group - within : t->heads_per_item;
  t->c->kernels->attention(&t->of, &t->blocks[block], part / t->parts_per_group * group + within, count,
                           scratch);
}

/* Cuts the rows of a window into equal blocks of at most `most` rows; returns how many, and writes them if `blocks` is not null. */
static int64_t cut_window(int64_t row, int64_t row_end, int64_t key, int64_t key_end, int64_t most, attention_block *blocks) {
  int64_t rows = row_end - row, count = parts(rows, most);
  for (int64_t i = 0; blocks && i < count; i++)
    blocks[i] = (attention_block){row + rows * i / count, row + rows * (i + 1) / count, key, key_end};
  return count;
}

static int64_t cut_rows(const attention_call *call, int64_t most, attention_block *blocks) {
  if (!call->spans) return cut_window(0, call->q.rows, 0, call->k.rows, most, blocks);
  int64_t count = 0;
  for (int32_t i = 0; i < call->span_count; i++) {
    int64_t first = call->spans[i], end = call->spans[i + 1];
    count += cut_window(first, end, first, end, most, blocks ? blocks + count : NULL);
  }
  return count;
}

static attention_operands operands_of(const attention_call *call) {
  const int64_t bytes = sizeof(float);
  return (attention_operands){
      .q = row_of(call->q, 0), .k = (const uint8_t *)row_of(call->k, 0), .v = (const uint8_t *)row_of(call->v, 0), .y = row_of(call->y, 0),
      .q_stride = call->q.stride, .k_stride = call->k.stride * bytes, .v_stride = call->v.stride * bytes, .y_stride = call->y.stride,
      .heads = call->heads, .kv_heads = call->kv_heads, .size = call->size, .kv_type = call->kv_type,
      .scale = call->scale > 0 ? call->scale : 1 / sqrtf((float)call->size), .first_key = call->first_key, .last_key = call->last_key,
      .skip_key = call->skip_key};
}

dimple_status cpu_attention(context *c, const attention_call *call) {
  if (call->size > ATTENTION_SIZE)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "attention heads of %d elements; the CPU kernels take at most %d", call->size,
                       ATTENTION_SIZE);
  int32_t group = call->heads / call->kv_heads;
  attention_task task = {.c = c, .of = operands_of(call), .windows = call->spans, .heads_per_item = (int32_t)smaller(group, ATTENTION_ROWS)};
  task.parts_per_group = (int32_t)parts(group, task.heads_per_item);
  int64_t most = ATTENTION_ROWS / task.heads_per_item, heads = (int64_t)call->kv_heads * task.parts_per_group;
  /* Larger items copy keys and values less often; each thread should still find some. */
  if (cut_rows(call, most, NULL) * heads >= ATTENTION_PARTS * ITEMS_OF_A_THREAD * cpu_pool_threads(c->pool)) most *= ATTENTION_PARTS;
  task.block_count = cut_rows(call, most, NULL);
  attention_block *blocks = malloc((size_t)larger(1, task.block_count) * sizeof *blocks);
  if (!blocks) return dimple_fail_memory((uint64_t)task.block_count * sizeof *blocks, "attention blocks");
  cut_rows(call, most, blocks);
  task.blocks = blocks;
  cpu_pool_run(c->pool, task.block_count * heads, attention_item, &task, c->scratch);
  free(blocks);
  return DIMPLE_OK;
}
