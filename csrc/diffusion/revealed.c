#include "diffusion/revealed.h"

#include <math.h>

static void copy(iteration_room *r, int32_t to, int32_t from) {
  r->revealed[to] = r->revealed[from];
  r->tokens[to] = r->tokens[from];
  r->confidence[to] = r->confidence[from];
  r->log_probability[to] = r->log_probability[from];
  r->rows[to] = r->rows[from];
}

/* With a token that no candidate has told of. */
static void set(iteration_room *r, int32_t i, int32_t position, int32_t token, float confidence) {
  r->revealed[i] = position;
  r->tokens[i] = token;
  r->confidence[i] = confidence;
  r->log_probability[i] = NAN;
  r->rows[i] = -1;
}

void revealed_insert(iteration *it, int32_t position, int32_t token, float confidence) {
  int32_t i = it->revealed_count++;
  for (; i > 0 && it->room.revealed[i - 1] > position; i--) copy(&it->room, i, i - 1);
  set(&it->room, i, position, token, confidence);
}

void revealed_put(iteration *it, int32_t position, int32_t token) {
  for (int32_t i = 0; i < it->revealed_count; i++) {
    if (it->room.revealed[i] != position) continue;
    set(&it->room, i, position, token, 1);
    return;
  }
  revealed_insert(it, position, token, 1);
}

void revealed_move(iteration *it, revealed_walk *w, int32_t from, int32_t to) {
  if (w->met == it->revealed_count || it->room.revealed[w->met] != from) return;
  int32_t i = w->met++;
  if (to < 0) return;
  copy(&it->room, w->kept, i);
  it->room.revealed[w->kept++] = to;
}
