/* What the head keeps of one row of logits, by plain loops in double: the definition that every backend is held to. */
#ifndef DIMPLE_SUMMARY_H
#define DIMPLE_SUMMARY_H

#include "backend/backend.h"

/* Row r of a head over its logits z [vocab]. */
head_row summarize_row(const head_call *call, const float *z, int64_t vocab, int64_t r);

/* The wanted classes of row r, into call->classes->results; `tokens` [vocab] is scratch. */
void summarize_classes(const head_call *call, const float *z, int64_t r, int32_t *tokens);

#endif
