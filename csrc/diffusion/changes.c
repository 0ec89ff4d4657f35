#include "diffusion/changes.h"

#include <math.h>
#include <stdlib.h>

#include "allocate.h"
#include "diffusion/pipeline.h"

/* Whether this iteration's shift is a number; otherwise the token is not to be taken, or nothing is shifted. */
static bool adds_shift(const iteration *it) { return logits_are_shifted(it->shift) && it->shift.value > -INFINITY; }

bool changes_logits(const iteration *it) {
  return it->decoding.no_eos_logits || it->decoding.no_mask_logits || logits_are_shifted(it->shift);
}

void changes_forbid(changes *c, int32_t vocab, int32_t token) {
  if (token < 0 || token >= vocab) return;
  c->forbidden[c->bias.forbidden_count++] = token;
  c->bias.forbidden = c->forbidden;
  c->any = true;
}

/* Under a constraint bans yield. */
static dimple_status let_yield(const iteration *it, const bias *added, changes *c) {
  if (!it->constraint || added->count == 0) return DIMPLE_OK;
  ALLOCATE(c->yielding, c->bias.count, "a bias");
  for (int32_t i = 0; i < c->bias.count; i++) c->yielding[i] = bias_of(added, c->bias.tokens[i], true);
  c->bias.values = c->yielding;
  return DIMPLE_OK;
}

dimple_status changes_open(const iteration *it, const bias *added, int32_t vocab, changes *c) {
  *c = (changes){.any = added->count > 0, .bias = {.tokens = added->tokens, .values = added->values, .count = added->count}};
  if (it->decoding.no_eos_logits) changes_forbid(c, vocab, it->tokens.eos);
  if (it->decoding.no_mask_logits) changes_forbid(c, vocab, it->tokens.mask);
  if (logits_are_shifted(it->shift) && !adds_shift(it)) changes_forbid(c, vocab, it->shift.token);
  if (adds_shift(it) && it->shift.token < vocab) {
    c->bias.shifted = it->shift.token;
    c->bias.shift = it->shift.value;
    c->any = true;
  }
  return let_yield(it, added, c);
}

void changes_close(changes *c) {
  free(c->yielding);
  free(c->row_tokens);
  free(c->row_values);
  *c = (changes){0};
}

static dimple_status make_room(changes *c, int32_t count) {
  if (count < c->row_room) return DIMPLE_OK;
  int32_t room = 2 * count + CHANGED_ROWS;
  int32_t *tokens = realloc(c->row_tokens, (size_t)room * sizeof *tokens);
  if (tokens) c->row_tokens = tokens;
  float *values = realloc(c->row_values, (size_t)room * sizeof *values);
  if (values) c->row_values = values;
  if (!tokens || !values) return dimple_fail_memory((uint64_t)room * (sizeof *tokens + sizeof *values), "a bias of each row");
  c->row_room = room;
  return DIMPLE_OK;
}

dimple_status changes_raise(changes *c, const iteration *it, const sampler_step *step, const int32_t *positions, int32_t rows) {
  const note_keeper *keeper = algorithm_of(&it->decoding)->keeper;
  int32_t count = 0;
  for (int32_t r = 0; r < rows; r++) {
    c->row_first[r] = count;
    for (int32_t i = 0;; i++) {
      DIMPLE_TRY(make_room(c, count));
      if (!keeper->raise(it->notes, step, positions[r], i, &c->row_tokens[count], &c->row_values[count])) break;
      count++;
    }
  }
  c->row_first[rows] = count;
  c->bias.row_first = c->row_first;
  c->bias.row_tokens = c->row_tokens;
  c->bias.row_values = c->row_values;
  c->any = true;
  return DIMPLE_OK;
}
