/* Which masked positions an iteration reveals: the table of algorithms. A new one is a file in algorithm/, a line in the table, and
 * its number in dimple.h. */
#ifndef DIMPLE_ALGORITHM_H
#define DIMPLE_ALGORITHM_H

#include "diffusion/choice.h"
#include "diffusion/confidence.h"

/* The table. One line an algorithm: its number in dimple.h, and what it does, a constant `algorithm_...` in a file of algorithm/. */
#define ALGORITHMS(LINE)                                          \
  LINE(DIMPLE_ALGORITHM_ORIGIN, algorithm_origin)                 \
  LINE(DIMPLE_ALGORITHM_ORIGIN_RATIO, algorithm_origin_ratio)     \
  LINE(DIMPLE_ALGORITHM_AUTOREGRESSIVE, algorithm_autoregressive) \
  LINE(DIMPLE_ALGORITHM_MASKGIT_PLUS, algorithm_maskgit_plus)     \
  LINE(DIMPLE_ALGORITHM_TOPK_MARGIN, algorithm_topk_margin)       \
  LINE(DIMPLE_ALGORITHM_ENTROPY, algorithm_entropy)               \
  LINE(DIMPLE_ALGORITHM_CONFIDENCE_THRESHOLD, algorithm_confidence_threshold)

#define ALGORITHM_ONE_MORE(number, name) +1
enum { ALGORITHM_COUNT = ALGORITHMS(ALGORITHM_ONE_MORE), PIPELINE_COUNT = DIMPLE_PIPELINE_LLADA + 1 };
#undef ALGORITHM_ONE_MORE

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
