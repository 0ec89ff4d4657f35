/* How sure a model is of a token: the measures that algorithms rank positions by. */
#ifndef DIMPLE_CONFIDENCE_H
#define DIMPLE_CONFIDENCE_H

#include "backend/backend.h"
#include "diffusion/distribution.h"

/* Of one row of logits z, p = softmax(z / temperature). */
typedef struct confidence {
  /* Rounding must not carry a confidence out of low .. high (a threshold of 1 is never passed), nor NaN into comparisons. */
  float low, high;
  /* From the head's summary; `logit` is the token's. `hot`: at the `temperature` of the head call, otherwise at 1. */
  double (*of_summary)(const head_row *row, float logit, bool hot, double temperature);
  /* After temperature and filters. */
  double (*of_token)(const distribution *d, int32_t token);
} confidence;

extern const confidence confidence_probability; /* of the token; 0 .. 1 */
extern const confidence confidence_margin;      /* the highest probability less the second; 0 .. 1 */
extern const confidence confidence_entropy;     /* minus the entropy, sum p log p in nats; <= 0 */

/* `value` within the measure's range; low for NaN. */
float confidence_bounded(const confidence *c, double value);

#endif
