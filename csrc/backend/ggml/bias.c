/* What is added to a head's logits, to those of all rows and to a row's own. */
#include <math.h>
#include <string.h>

#include "head.h"

/* Some tokens to whose logits is added in all rows. */
typedef struct additions {
  const int32_t *tokens;
  const float *values; /* null: they are forbidden */
  int32_t count;
} additions;

/* The bias that a part is of. */
static const head_bias *bias_of(const recorded *o, int64_t part) { return part >= OF_FORMER ? o->head.comparison->bias : o->head.bias; }

/* By the part that their numbers are; their tokens are the next. */
static additions additions_of(const recorded *o, int64_t part) {
  const head_bias *b = bias_of(o, part);
  if (part >= OF_FORMER) part -= OF_FORMER - FORBIDDEN;
  if (part == FORBIDDEN) return (additions){b->forbidden, NULL, b->forbidden_count};
  if (part == SHIFT) return (additions){&b->shifted, &b->shift, b->shift != 0};
  return (additions){b->tokens, b->values, b->count};
}

static void *added_numbers(context *c, recorded *o, int64_t at) {
  additions all = additions_of(o, at % PARTS);
  float *numbers = arena_take(&c->copies, (size_t)all.count * sizeof *numbers);
  for (int32_t i = 0; numbers && i < all.count; i++) numbers[i] = !all.values || all.values[i] == -INFINITY ? HEAD_FORBIDDEN : all.values[i];
  return numbers;
}

static void *added_tokens(context *c, recorded *o, int64_t at) {
  (void)c;
  return (void *)(uintptr_t)additions_of(o, at % PARTS - 1).tokens;
}

/* z and the numbers of a part: what is forbidden is so large that nothing is left of the logit it is added to. */
static dimple_status add_some(const piece_at *at, int part, struct ggml_tensor **z) {
  context *c = at->context;
  struct ggml_context *n = c->graph->nodes;
  struct ggml_tensor *numbers, *tokens;
  int32_t count = additions_of(at->operation, part).count;
  if (count == 0) return DIMPLE_OK;
  DIMPLE_TRY(input_of(c, GGML_TYPE_F32, count, 1, (graph_input){.part = added_numbers, .at = part, .from = {at->operation}}, &numbers));
  DIMPLE_TRY(input_of(c, GGML_TYPE_I32, count, 1, (graph_input){.part = added_tokens, .at = part + 1, .from = {at->operation}}, &tokens));
  struct ggml_tensor *nothing = ggml_reshape_2d(n, ggml_scale(n, ggml_arange(n, 0, (float)(*z)->ne[0], 1), 0), 1, (*z)->ne[0]);
  struct ggml_tensor *added = ggml_set_rows(n, nothing, ggml_reshape_2d(n, numbers, 1, count), ggml_reshape_1d(n, tokens, count));
  *z = ggml_add(n, *z, ggml_reshape_1d(n, added, (*z)->ne[0]));
  return DIMPLE_OK;
}

/* ------------------------------------------------------------------------------------------------------- of each row its own */

enum { FEWEST_OWN = 8 };

int64_t own_width(const head_bias *b, int64_t rows) {
  int64_t most = 0, width = FEWEST_OWN;
  for (int64_t r = 0; b && b->row_first && r < rows; r++) most = b->row_first[r + 1] - b->row_first[r] > most ? b->row_first[r + 1] - b->row_first[r] : most;
  while (width < most) width *= 2;
  return most > 0 ? width : 0;
}

/* A row's number i of the width: behind its last one that one again, and where it has none nothing for token 0. */
static int32_t own_place(const head_bias *b, int64_t row, int64_t i) {
  int32_t first = b->row_first[row], count = b->row_first[row + 1] - first;
  return count == 0 ? -1 : first + (int32_t)(i < count ? i : count - 1);
}

/* A piece's rows of `kept`, of which each row of the operation has some: its own numbers, or their tokens, four bytes either way. */
static void *own_rows(context *c, const recorded *o, int64_t at, const void *kept) {
  const head_bias *b = bias_of(o, at % PARTS);
  const head_piece *p = piece_of(o, at);
  int64_t width = own_width(b, o->head.x.rows);
  uint32_t *rows = arena_take(&c->copies, (size_t)(p->rows * width) * sizeof *rows);
  for (int64_t i = 0; rows && i < p->rows * width; i++) {
    int32_t place = own_place(b, p->first + i / width, i % width);
    rows[i] = 0;
    if (place >= 0) memcpy(&rows[i], (const uint8_t *)kept + (size_t)place * sizeof *rows, sizeof *rows);
  }
  return rows;
}

static void *own_numbers(context *c, recorded *o, int64_t at) { return own_rows(c, o, at, bias_of(o, at % PARTS)->row_values); }
static void *own_tokens(context *c, recorded *o, int64_t at) { return own_rows(c, o, at, bias_of(o, at % PARTS)->row_tokens); }

_Static_assert(sizeof(float) == sizeof(uint32_t) && sizeof(int32_t) == sizeof(uint32_t), "what own_rows copies");

/* Logits of these tokens are looked up, added to, and written to where they were: one that is named twice gets the same number twice. */
static dimple_status add_own(const piece_at *at, int part, struct ggml_tensor **z) {
  context *c = at->context;
  struct ggml_context *n = c->graph->nodes;
  int64_t width = own_width(bias_of(at->operation, part), at->operation->head.x.rows), vocab = (*z)->ne[0], rows = (*z)->ne[1];
  int64_t here = at->piece * PARTS + part;
  struct ggml_tensor *numbers, *tokens;
  if (width == 0) return DIMPLE_OK;
  DIMPLE_TRY(input_of(c, GGML_TYPE_F32, width, rows, (graph_input){.part = own_numbers, .at = here, .from = {at->operation}}, &numbers));
  DIMPLE_TRY(input_of(c, GGML_TYPE_I32, width, rows, (graph_input){.part = own_tokens, .at = here + 1, .from = {at->operation}}, &tokens));
  struct ggml_tensor *single = ggml_reshape_3d(n, ggml_cont(n, *z), 1, vocab, rows);
  struct ggml_tensor *raised = ggml_add(n, ggml_get_rows(n, single, tokens), ggml_reshape_3d(n, numbers, 1, width, rows));
  *z = ggml_reshape_2d(n, ggml_set_rows(n, single, raised, tokens), vocab, rows);
  return DIMPLE_OK;
}

dimple_status apply_bias(const piece_at *at, bool former, struct ggml_tensor **z) {
  struct ggml_context *n = at->context->graph->nodes;
  const int first = former ? OF_FORMER - FORBIDDEN : 0;
  DIMPLE_TRY(add_some(at, first + FORBIDDEN, z));
  DIMPLE_TRY(add_some(at, first + SHIFT, z));
  if (bias_of(at->operation, first + FORBIDDEN)->log_sums) {
    struct ggml_tensor *best = pick(n, *z, ggml_argmax(n, *z));
    DIMPLE_TRY(fetch(at, best, BARE_BEST));
    DIMPLE_TRY(fetch(at, ggml_sum_rows(n, ggml_exp(n, ggml_sub(n, *z, best))), BARE_SUM));
  }
  DIMPLE_TRY(add_some(at, first + BIAS, z));
  return add_own(at, first + ROWS_OWN, z);
}
