/* Which masked positions an iteration reveals: the table of algorithms. A new one is a file in algorithm/, a line in algorithm.c, and
 * its number in dimple.h. */
#ifndef DIMPLE_ALGORITHM_H
#define DIMPLE_ALGORITHM_H

#include "diffusion/choice.h"
#include "diffusion/confidence.h"

enum { PIPELINE_COUNT = DIMPLE_PIPELINE_DREAM + 1, ALGORITHM_COUNT = DIMPLE_ALGORITHM_ENTROPY + 1 };

/* What the schedule wants revealed of an iteration's masked positions. */
typedef struct quota {
  int32_t count; /* 0 .. masked */
  float share;   /* the probability of each; 1 when everything goes */
} quota;

typedef struct algorithm {
  const char *name; /* for messages */
  const confidence *confidence;
  /* By pipeline (dimple_pipeline). */
  dimple_status (*choose[PIPELINE_COUNT])(choice *c, quota due); /* null: the pipeline does not offer the algorithm */
  bool positions_first[PIPELINE_COUNT]; /* chooses without candidates, before anything goes through the head */
} algorithm;

/* The algorithm of a valid decoding. */
const algorithm *algorithm_of(const dimple_decoding *decoding);

#endif
