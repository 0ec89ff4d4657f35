/* What the head keeps of one row of logits, by plain loops in double: the definition that every backend is held to. */
#ifndef DIMPLE_SUMMARY_H
#define DIMPLE_SUMMARY_H

#include "backend/backend.h"

/* Row r of a head over its logits z [vocab]. */
head_row summarize_row(const head_call *call, const float *z, int64_t vocab, int64_t r);

/* The wanted classes of row r, into call->classes->results; `tokens` [vocab] is scratch. */
void summarize_classes(const head_call *call, const float *z, int64_t r, int32_t *tokens);

/* What a bias makes of row r's logits z [vocab], once z holds the head's own. */
void summarize_bias(const head_bias *b, float *z, int64_t vocab, int64_t r);

/* What a comparison says of logits z [vocab] and former ones, whose sum is `log_sum`. */
float summarize_divergence(const float *z, const float *former, int64_t vocab, float log_sum);

/* Row r of call->list, from z [vocab]. `tokens` [vocab] is scratch. */
void summarize_list(const head_call *call, const float *z, int64_t vocab, int64_t r, int32_t *tokens);

#endif
