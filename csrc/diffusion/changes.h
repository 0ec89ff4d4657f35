/* What a decoding does to logits, as a head is told: what it forbids, shifts and adds, in all rows, and what its algorithm's notes raise, of each row
 * its own. */
#ifndef DIMPLE_CHANGES_H
#define DIMPLE_CHANGES_H

#include "diffusion/iteration.h"

enum { CHANGED_ROWS = 64 }; /* at a time */

typedef struct changes {
  bool any;
  head_bias bias;
  int32_t forbidden[5];
  float log_sums[CHANGED_ROWS]; /* of the model's own logits, where a bias or notes make others of them */
  float *yielding; /* [bias.count] under a constraint: what is added, as bias_apply adds it */
  int32_t row_first[CHANGED_ROWS + 1];
  int32_t row_room;
  int32_t *row_tokens; /* [row_room] */
  float *row_values;
} changes;

/* Whether there are any but those of a bias and of notes. */
bool changes_logits(const iteration *it);

/* What the iteration changes in all rows, and this bias, one of the iteration's own. It stays as it is until changes_close. Errors: MEMORY; nothing is to be closed then. */
dimple_status changes_open(const iteration *it, const bias *added, int32_t vocab, changes *c);
void changes_close(changes *c);

/* For a head; null: it changes nothing. */
static inline const head_bias *changes_bias(const changes *c) { return c->any ? &c->bias : NULL; }

/* Forbids a token, if it is one. */
void changes_forbid(changes *c, int32_t vocab, int32_t token);

/* Beside these what the notes raise at each of the positions [rows], in the place of what was there. Errors: MEMORY. */
dimple_status changes_raise(changes *c, const iteration *it, const sampler_step *step, const int32_t *positions, int32_t rows);

#endif
