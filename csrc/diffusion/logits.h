/* Rows of whole logits on the host: what a decoding does to them before candidates are taken, and what it needs to know of them. */
#ifndef DIMPLE_LOGITS_H
#define DIMPLE_LOGITS_H

#include "backend/backend.h"
#include "dimple.h"

/* Special tokens of a model; -1: it names none. */
typedef struct special_tokens {
  int32_t mask, eos, eot;
} special_tokens;

/* What is added to a token's logits at all positions, -inf where none takes it. */
typedef struct logit_shift {
  int32_t token; /* -1: none */
  float value;
} logit_shift;

/* Whether it is one: of what is zero nothing comes. */
static inline bool logits_are_shifted(logit_shift shift) { return shift.token >= 0 && shift.value != 0; }

static inline void logits_shift(float *z, int32_t vocab, logit_shift shift) {
  if (shift.token >= 0 && shift.token < vocab) z[shift.token] += shift.value;
}

/* Whether the decoding changes rows of logits or takes confidences from a part of them. */
bool logits_are_changed(const dimple_decoding *d);

/* Classifier-free guidance: z = u + (scale + 1) (z - u), where u [vocab] are the logits without the prompt. */
void logits_guide(float *z, const float *u, int32_t vocab, float scale);

/* Forbids a token: its logit becomes -inf. -1 is allowed. */
void logits_forbid(float *z, int32_t vocab, int32_t token);

/* What the head says of a row, but for a draw: `drawn` is the best token at any temperature. A row may hold -inf, but not only. */
head_row logits_summary(const float *z, int32_t vocab, float temperature);

/* How far the distribution of a row z [vocab], whose sum is `log_sum`, is from that of `former`, as KLASS's code adds it up; null: it was 0 everywhere. */
float logits_divergence(const float *z, double log_sum, const float *former, double former_sum, int32_t vocab);

#endif
