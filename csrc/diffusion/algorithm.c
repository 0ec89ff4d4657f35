#include "diffusion/algorithm.h"

#define DECLARE(number, name) extern const algorithm name;
ALGORITHMS(DECLARE)
#undef DECLARE

/* By number; one that leaves a gap does not fit. */
#define ENTER(number, name) [number] = &name,
static const algorithm *const table[ALGORITHM_COUNT] = {ALGORITHMS(ENTER)};
#undef ENTER

const algorithm *algorithm_of(const dimple_decoding *decoding) { return table[decoding->algorithm]; }

const confidence *confidence_of(const dimple_decoding *decoding) {
  const algorithm *a = algorithm_of(decoding);
  if (decoding->algorithm != DIMPLE_ALGORITHM_ENTROPY_BOUND || decoding->order == DIMPLE_ORDER_ENTROPY) return a->confidence;
  return decoding->order == DIMPLE_ORDER_CONFIDENCE ? &confidence_probability : &confidence_margin;
}
