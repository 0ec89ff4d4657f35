#include "diffusion/algorithm.h"

/* One line an algorithm: its number in dimple.h and what it does, `algorithm_...` in a file of algorithm/. */
#define ALGORITHMS(LINE)                                          \
  LINE(DIMPLE_ALGORITHM_ORIGIN, algorithm_origin)                 \
  LINE(DIMPLE_ALGORITHM_ORIGIN_RATIO, algorithm_origin_ratio)     \
  LINE(DIMPLE_ALGORITHM_AUTOREGRESSIVE, algorithm_autoregressive) \
  LINE(DIMPLE_ALGORITHM_MASKGIT_PLUS, algorithm_maskgit_plus)     \
  LINE(DIMPLE_ALGORITHM_TOPK_MARGIN, algorithm_topk_margin)       \
  LINE(DIMPLE_ALGORITHM_ENTROPY, algorithm_entropy)

#define DECLARE(number, name) extern const algorithm name;
ALGORITHMS(DECLARE)
#undef DECLARE

#define ENTER(number, name) [number] = &name,
static const algorithm *const table[] = {ALGORITHMS(ENTER)};
#undef ENTER

_Static_assert(sizeof table / sizeof table[0] == ALGORITHM_COUNT, "dimple.h and the table have the same algorithms");

const algorithm *algorithm_of(const dimple_decoding *decoding) { return table[decoding->algorithm]; }
