/* What is added to the logits of tokens, from outside. */
#ifndef DIMPLE_BIAS_H
#define DIMPLE_BIAS_H

#include <stdbool.h>

#include "dimple.h"

typedef struct bias {
  int32_t *tokens; /* [count] ascending */
  float *values;   /* [count] -65536 .. 65536, or -inf: banned */
  int32_t count;   /* 0: none */
} bias;

/* Copies `count` >= 0 tokens below `vocab` and what is added to each in the place of what there was. On failure nothing changes. Errors:
 * ARGUMENT, MEMORY. */
dimple_status bias_set(bias *b, const int32_t *tokens, const float *values, int32_t count, int32_t vocab);
/* Bans `count` >= 0 ascending tokens that it says nothing of. On failure nothing changes. Errors: MEMORY. */
dimple_status bias_ban(bias *b, const int32_t *tokens, int32_t count);
/* Whether one of `vocab` tokens is not banned, other than those of `barred` [count], which stand nowhere anyway, -1: none. */
bool bias_leaves_one(const bias *b, int32_t vocab, const int32_t *barred, int32_t count);
/* The same as another, which may be itself. On failure nothing changes. Errors: MEMORY. */
dimple_status bias_copy(bias *b, const bias *from);
void bias_clear(bias *b); /* a zeroed one is allowed */

/* Of memory it takes. */
static inline int64_t bias_bytes(const bias *b) { return b->count * (int64_t)(sizeof *b->tokens + sizeof *b->values); }

/* Adds to a row of logits [vocab]. A ban that `yields` costs more than any logits can differ by, and is no -inf: what stands nowhere else
 * may stand there. */
void bias_apply(const bias *b, float *logits, bool yields);

/* What was added to a token's logit. */
float bias_of(const bias *b, int32_t token, bool yields);

#endif
