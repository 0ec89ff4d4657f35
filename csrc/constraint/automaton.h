/* An automaton over bytes, checked and trimmed, and the walk of tokens through it. */
#ifndef DIMPLE_AUTOMATON_H
#define DIMPLE_AUTOMATON_H

#include <stdbool.h>

#include "constraint/vocabulary.h"

/*
 * What a token does to a state is its *effect*: the state behind it, and what it meant for slots (dimple_automaton). With slots of a
 * limited number of tokens the response's state is a state of the automaton and the tokens used in the slot it is in, and effects say how
 * that number goes on, whatever it was.
 */
typedef struct effect {
  int32_t state;
  bool counts;  /* a byte led on inside the slot that the token began in, before it left it */
  bool left;    /* it left the slot that it began in, or began in none and entered one */
  bool arrived; /* and a byte led on inside the slot where it ends */
} effect;

/* Effects as one number, the state times EFFECTS and flags; -1: the token cannot stand here. */
enum { EFFECT_COUNTS = 1, EFFECT_LEFT = 2, EFFECT_ARRIVED = 4, EFFECTS = 8 };

typedef struct automaton {
  int32_t state_count, class_count;
  uint8_t byte_class[256];
  int32_t *steps;    /* [state_count x class_count] the next state times STEPS and flags; -1: no way, or none to an accepted end */
  uint8_t *accepting; /* [state_count] */
  uint8_t *live;     /* [state_count] lies on a way from the start to an accepted end */
  int32_t start;
  int32_t *slot;     /* [state_count] -1: none */
  int32_t *limit;    /* [slots] tokens */
} automaton;

/* Flags of a step. */
enum { STEP_INSIDE = 1, STEP_MOVED = 2, STEPS = 4 };

/* Copies and trims. On failure *out is not touched. Errors: ARGUMENT, LIMIT, MEMORY. */
dimple_status automaton_create(const dimple_automaton *source, automaton *out);
void automaton_free(automaton *a); /* a zeroed one is allowed */

/* The effect of `size` bytes on a state, as a number. */
int32_t automaton_effect(const automaton *a, int32_t state, const uint8_t *bytes, int32_t size);

/* The effect of one more byte; `so_far` is not -1. */
static inline int32_t automaton_advance(const automaton *a, int32_t so_far, uint8_t byte) {
  int32_t step = a->steps[(int64_t)(so_far / EFFECTS) * a->class_count + a->byte_class[byte]];
  if (step < 0) return -1;
  int32_t flags = so_far % EFFECTS;
  if (step % STEPS == STEP_MOVED) flags = (flags | EFFECT_LEFT) & ~EFFECT_ARRIVED;
  if (step % STEPS == STEP_INSIDE) flags |= flags & EFFECT_LEFT ? EFFECT_ARRIVED : EFFECT_COUNTS;
  return step / STEPS * EFFECTS + flags;
}

static inline effect effect_of(int32_t number) {
  return (effect){number / EFFECTS, number & EFFECT_COUNTS, number & EFFECT_LEFT, number & EFFECT_ARRIVED};
}

#endif
