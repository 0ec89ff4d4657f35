/* A choice of masked positions in the making, and the ways of choosing that several algorithms share. */
#ifndef DIMPLE_CHOICE_H
#define DIMPLE_CHOICE_H

#include "draws.h"
#include "diffusion/sampler.h"

typedef struct choice {
  const sampler_step *step;    /* step->masked >= 1 */
  const candidate *candidates; /* [step->masked]; null when positions come first */
  int32_t *chosen;             /* [step->masked] indices into step->positions, in any order, all different */
  int32_t count;               /* chosen so far */
} choice;

/* Chooses one more: index 0 .. masked - 1. */
static inline void choice_add(choice *c, int32_t index) { c->chosen[c->count++] = index; }

/* A random word of the generator for the position with this index. */
uint32_t choice_word(const choice *c, int32_t index, draw_purpose purpose);

/* A key: the confidence of a candidate. */
double choice_confidence(const choice *c, int32_t index);

/* The index of the most confident candidate, the lowest among equals. */
int32_t choice_best(const choice *c);

/* Chooses every candidate of at least the threshold, and the most confident one in any case. */
void choice_from_threshold(choice *c);

/* All indices by falling keys (not NaN), the lower one first among equals, in memory that the caller frees. Errors: MEMORY. */
dimple_status choice_order(const choice *c, double (*key)(const choice *c, int32_t index), int32_t **order);

/* The `count` >= 1 positions with the highest keys (not NaN); the lower position among equals. Errors: MEMORY. */
dimple_status choice_highest(choice *c, int32_t count, double (*key)(const choice *c, int32_t index));

/* The first `count` indices of the next recorded draw, of `kind` (dimple_draw) and `length` >= count. Errors: STATE. */
dimple_status choice_recorded(choice *c, int32_t kind, int32_t length, int32_t count);

#endif
