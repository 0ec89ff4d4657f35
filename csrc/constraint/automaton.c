#include "constraint/automaton.h"

#include <string.h>

#include "allocate.h"

enum { MAX_STATES = 65536, MAX_CLASSES = 256, BYTES = 256 };

/* ------------------------------------------------------------------------------------------------------------- checking */

static dimple_status check_shape(const dimple_automaton *s) {
  if (!s->byte_class || !s->next || !s->accepting)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "automaton: %s is null", !s->byte_class ? "byte_class" : !s->next ? "next" : "accepting");
  if (s->state_count > MAX_STATES)
    return dimple_fail(DIMPLE_ERROR_LIMIT, "automaton: it has %d states, expected at most %d", s->state_count, MAX_STATES);
  if (s->state_count < 1) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "automaton: state_count is %d, expected at least 1", s->state_count);
  if (s->class_count < 1 || s->class_count > MAX_CLASSES)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "automaton: class_count is %d, expected 1 .. %d", s->class_count, MAX_CLASSES);
  if (s->start < 0 || s->start >= s->state_count)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "automaton: start is %d, expected 0 .. %d", s->start, s->state_count - 1);
  if (s->slot_count < 0 || (s->slot_count > 0 && (!s->state_slot || !s->slot_tokens)))
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "automaton: slot_count is %d, expected 0, or more with state_slot and slot_tokens not null",
                       s->slot_count);
  return DIMPLE_OK;
}

static dimple_status check_tables(const dimple_automaton *s) {
  for (int32_t b = 0; b < BYTES; b++)
    if (s->byte_class[b] >= s->class_count)
      return dimple_fail(DIMPLE_ERROR_ARGUMENT, "automaton: byte_class[%d] is %d, expected 0 .. %d", b, s->byte_class[b],
                         s->class_count - 1);
  for (int32_t q = 0; q < s->state_count; q++) {
    for (int32_t c = 0; c < s->class_count; c++) {
      int32_t to = s->next[(int64_t)q * s->class_count + c];
      if (to < -1 || to >= s->state_count)
        return dimple_fail(DIMPLE_ERROR_ARGUMENT, "automaton: next of state %d and class %d is %d, expected -1 .. %d", q, c, to,
                           s->state_count - 1);
    }
    if (s->accepting[q] > 1)
      return dimple_fail(DIMPLE_ERROR_ARGUMENT, "automaton: accepting[%d] is %d, expected 0 or 1", q, s->accepting[q]);
    if (s->slot_count > 0 && (s->state_slot[q] < -1 || s->state_slot[q] >= s->slot_count))
      return dimple_fail(DIMPLE_ERROR_ARGUMENT, "automaton: state_slot[%d] is %d, expected -1 .. %d", q, s->state_slot[q],
                         s->slot_count - 1);
  }
  for (int32_t k = 0; k < s->slot_count; k++)
    if (s->slot_tokens[k] < 1)
      return dimple_fail(DIMPLE_ERROR_ARGUMENT, "automaton: slot_tokens[%d] is %d, expected at least 1", k, s->slot_tokens[k]);
  return DIMPLE_OK;
}

/* ------------------------------------------------------------------------------------------------------------- trimming */

/* Marks the states that are reached from the start; `queue` [state_count]. */
static void mark_reached(const dimple_automaton *s, uint8_t *reached, int32_t *queue) {
  int32_t count = 0;
  memset(reached, 0, (size_t)s->state_count);
  reached[s->start] = 1;
  queue[count++] = s->start;
  for (int32_t at = 0; at < count; at++) {
    for (int32_t c = 0; c < s->class_count; c++) {
      int32_t to = s->next[(int64_t)queue[at] * s->class_count + c];
      if (to < 0 || reached[to]) continue;
      reached[to] = 1;
      queue[count++] = to;
    }
  }
}

/* Of the states on ways from the start, those with a way to an accepted end: backwards over steps sorted by their target, first[target]
 * .. first[target + 1] of `from`. */
static void mark_ending(const dimple_automaton *s, const uint8_t *reached, uint8_t *live, int32_t *queue, int64_t *first, int32_t *from) {
  int64_t entries = (int64_t)s->state_count * s->class_count;
  memset(first, 0, ((size_t)s->state_count + 2) * sizeof *first);
  for (int64_t i = 0; i < entries; i++)
    if (s->next[i] >= 0) first[s->next[i] + 2]++;
  for (int32_t q = 2; q < s->state_count + 2; q++) first[q] += first[q - 1];
  for (int64_t i = 0; i < entries; i++)
    if (s->next[i] >= 0) from[first[s->next[i] + 1]++] = (int32_t)(i / s->class_count);
  int32_t count = 0;
  for (int32_t q = 0; q < s->state_count; q++) {
    live[q] = s->accepting[q] && reached[q];
    if (live[q]) queue[count++] = q;
  }
  for (int32_t at = 0; at < count; at++) {
    for (int64_t i = first[queue[at]]; i < first[queue[at] + 1]; i++) {
      if (!reached[from[i]] || live[from[i]]) continue;
      live[from[i]] = 1;
      queue[count++] = from[i];
    }
  }
}

typedef struct trimming {
  uint8_t *reached;
  int32_t *queue;
  int64_t *first;
  int32_t *from;
} trimming;

static dimple_status mark_live(const dimple_automaton *s, automaton *a, trimming *t) {
  ALLOCATE(t->reached, s->state_count, "trimming an automaton");
  ALLOCATE(t->queue, s->state_count, "trimming an automaton");
  ALLOCATE(t->first, (int64_t)s->state_count + 2, "trimming an automaton");
  ALLOCATE(t->from, (int64_t)s->state_count * s->class_count, "trimming an automaton");
  mark_reached(s, t->reached, t->queue);
  mark_ending(s, t->reached, a->live, t->queue, t->first, t->from);
  if (a->live[a->start]) return DIMPLE_OK;
  return dimple_fail(DIMPLE_ERROR_ARGUMENT, "automaton: it accepts nothing: no way leads from its start to an accepting state");
}

/* -------------------------------------------------------------------------------------------------------------- copying */

static int32_t step_of(const automaton *a, int32_t from, int32_t to) {
  if (to < 0 || !a->live[from] || !a->live[to]) return -1;
  bool same = a->slot[from] == a->slot[to];
  return to * STEPS + (!same ? STEP_MOVED : a->slot[from] >= 0 ? STEP_INSIDE : 0);
}

static dimple_status fill(const dimple_automaton *s, automaton *a) {
  size_t states = (size_t)s->state_count;
  ALLOCATE(a->steps, (int64_t)s->state_count * s->class_count, "an automaton");
  ALLOCATE(a->accepting, s->state_count, "an automaton");
  ALLOCATE(a->live, s->state_count, "an automaton");
  ALLOCATE(a->slot, s->state_count, "an automaton");
  ALLOCATE(a->limit, s->slot_count, "an automaton");
  memcpy(a->byte_class, s->byte_class, BYTES);
  memcpy(a->accepting, s->accepting, states);
  for (int32_t q = 0; q < s->state_count; q++) a->slot[q] = s->slot_count > 0 ? s->state_slot[q] : -1;
  if (s->slot_count > 0) memcpy(a->limit, s->slot_tokens, (size_t)s->slot_count * sizeof *a->limit);
  trimming t = {0};
  dimple_status status = mark_live(s, a, &t);
  free(t.reached);
  free(t.queue);
  free(t.first);
  free(t.from);
  DIMPLE_TRY(status);
  for (int32_t q = 0; q < s->state_count; q++)
    for (int32_t c = 0; c < s->class_count; c++) {
      int64_t at = (int64_t)q * s->class_count + c;
      a->steps[at] = step_of(a, q, s->next[at]);
    }
  return DIMPLE_OK;
}

dimple_status automaton_create(const dimple_automaton *source, automaton *out) {
  if (!source) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "automaton is null");
  DIMPLE_TRY(check_shape(source));
  DIMPLE_TRY(check_tables(source));
  automaton fresh = {.state_count = source->state_count, .class_count = source->class_count, .start = source->start};
  dimple_status status = fill(source, &fresh);
  if (status != DIMPLE_OK) {
    automaton_free(&fresh);
    return status;
  }
  *out = fresh;
  return DIMPLE_OK;
}

void automaton_free(automaton *a) {
  free(a->steps);
  free(a->accepting);
  free(a->live);
  free(a->slot);
  free(a->limit);
  *a = (automaton){0};
}

int32_t automaton_effect(const automaton *a, int32_t state, const uint8_t *bytes, int32_t size) {
  int32_t so_far = state * EFFECTS;
  for (int32_t i = 0; i < size && so_far >= 0; i++) so_far = automaton_advance(a, so_far, bytes[i]);
  return so_far;
}
