/* What the vision tower makes of the prompt's pictures. */
#ifndef DIMPLE_FEATURES_H
#define DIMPLE_FEATURES_H

#include "diffusion/prompt.h"
#include "model/model.h"

typedef struct features {
  view rows;    /* [prompt.feature_count x width]; no view until the tower has run */
  int64_t time; /* nanoseconds it took */
} features;

/* Runs the tower over the prompt's pictures, if there are any and it has not run yet. Outside a pass. On failure *f is not touched.
 * Errors: MEMORY, CANCELLED. */
dimple_status features_ensure(const dimple_model *m, context *c, const prompt *p, atomic_bool *cancelled, features *f);
/* Takes rows [prompt.feature_count x width] from elsewhere in the place of the tower's. Outside a pass. On failure *f is not touched. Errors:
 * MEMORY, those of the backend. */
dimple_status features_give(const dimple_model *m, context *c, const prompt *p, const float *given, features *f);
/* Copies the rows to host memory: [rows x width], nothing where there are none. Outside a pass. Errors: those of the backend. */
dimple_status features_read(const dimple_model *m, context *c, const features *f, float *out);

void features_free(const dimple_model *m, context *c, features *f); /* a zeroed one is allowed */

int64_t features_bytes(const features *f); /* of memory they take; a zeroed one is allowed */

#endif
