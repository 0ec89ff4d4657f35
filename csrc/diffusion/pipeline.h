/* How many positions an iteration reveals, and when a decoding is done: the table of pipelines. */
#ifndef DIMPLE_PIPELINE_H
#define DIMPLE_PIPELINE_H

#include "diffusion/algorithm.h"

typedef struct pipeline {
  const char *name;     /* for messages */
  bool judges_original; /* dimple_decoding.original_confidence counts */
  /* Chooses the positions of one iteration with >= 1 masked ones. `a` is one that the pipeline offers. Errors: STATE (replay),
   * MEMORY. */
  dimple_status (*choose)(choice *c, const algorithm *a);
  /* Whether the decoding is over before all its steps are used, with `remaining` positions still masked. */
  bool (*done)(int32_t remaining);
} pipeline;

extern const pipeline *const pipelines[PIPELINE_COUNT]; /* by dimple_pipeline */

/* The pipeline of a valid decoding. */
static inline const pipeline *pipeline_of(const dimple_decoding *decoding) { return pipelines[decoding->pipeline]; }

#endif
