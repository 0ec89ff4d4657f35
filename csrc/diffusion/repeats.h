/* Text that repeats itself. */
#ifndef DIMPLE_REPEATS_H
#define DIMPLE_REPEATS_H

#include <stdbool.h>
#include <stdint.h>

/* Whether the last of `count` tokens are one run of them, of any length, `times` >= 1 times in a row; of fewer than two tokens, never. */
bool repeats_at_end(const int32_t *tokens, int32_t count, int32_t times);

#endif
