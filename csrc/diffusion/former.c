#include "diffusion/former.h"

#include "allocate.h"
#include "transformer/block.h"

void former_clear(former_states *f) {
  f->kept = 0;
  for (int32_t i = 0; i < f->positions; i++) f->log_sums[i] = HEAD_NO_FORMER;
}

void former_close(former_states *f, const dimple_model *m, context *c) {
  view *matrices[] = {&f->states, &f->bare, &f->brought, &f->brought_bare};
  for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++) m->ops->buffer_free(c, matrices[i]->memory);
  free(f->log_sums);
  *f = (former_states){0};
}

int64_t former_bytes(const former_states *f) {
  const view *matrices[] = {&f->states, &f->bare, &f->brought, &f->brought_bare};
  int64_t floats = f->log_sums ? f->positions : 0;
  for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++) floats += matrices[i]->rows * matrices[i]->columns;
  return floats * (int64_t)sizeof(float);
}

static dimple_status make_room(former_states *f, const dimple_model *m, context *c, int32_t room, bool bare) {
  int64_t width = m->text.width;
  if (f->positions < room) {
    former_close(f, m, c);
    ALLOCATE(f->log_sums, room, "sums of former logits");
    f->positions = room;
    former_clear(f);
  }
  if (!f->states.memory) DIMPLE_TRY(matrix_alloc(m->ops, c, f->positions, width, &f->states));
  if (!f->brought.memory) DIMPLE_TRY(matrix_alloc(m->ops, c, FORMER_ROWS, width, &f->brought));
  if (bare && !f->bare.memory) DIMPLE_TRY(matrix_alloc(m->ops, c, f->positions, width, &f->bare));
  if (bare && !f->brought_bare.memory) DIMPLE_TRY(matrix_alloc(m->ops, c, FORMER_ROWS, width, &f->brought_bare));
  return DIMPLE_OK;
}

static dimple_status scatter(const former_states *f, const dimple_model *m, context *c, const int32_t *positions, view states, view bare) {
  DIMPLE_TRY(m->ops->scatter_rows(c, f->states, states, positions));
  return bare.memory ? m->ops->scatter_rows(c, f->bare, bare, positions) : DIMPLE_OK;
}

dimple_status former_keep(former_states *f, const dimple_model *m, context *c, const int32_t *positions, int32_t count, const float *log_sums, view states,
                          view bare, int32_t room) {
  former_clear(f);
  DIMPLE_TRY(make_room(f, m, c, room, bare.memory != NULL));
  DIMPLE_TRY(m->ops->pass_begin(c, NULL)); /* it is short */
  DIMPLE_TRY(m->ops->pass_end(c, scatter(f, m, c, positions, states, bare)));
  for (int32_t i = 0; i < count; i++) f->log_sums[positions[i]] = log_sums[positions[i]];
  f->kept = count;
  f->first = count > 0 ? positions[0] : 0;
  return DIMPLE_OK;
}

void former_sums(const former_states *f, const int32_t *positions, int32_t count, float *log_sums) {
  for (int32_t i = 0; i < count; i++) log_sums[i] = f->kept > 0 && positions[i] < f->positions ? f->log_sums[positions[i]] : HEAD_NO_FORMER;
}

dimple_status former_bring(const former_states *f, const dimple_model *m, context *c, const int32_t *positions, view now, bool bare, view *out) {
  int32_t index[FORMER_ROWS];
  *out = now;
  if (f->kept == 0) return DIMPLE_OK;
  for (int64_t i = 0; i < now.rows; i++) {
    bool kept = positions[i] < f->positions && f->log_sums[positions[i]] != HEAD_NO_FORMER;
    index[i] = kept ? positions[i] : f->first; /* what was never written to may be no number */
  }
  *out = view_rows(bare ? f->brought_bare : f->brought, 0, now.rows);
  return m->ops->gather_rows(c, *out, bare ? f->bare : f->states, index);
}
