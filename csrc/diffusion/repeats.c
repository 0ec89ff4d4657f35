#include "diffusion/repeats.h"

bool repeats_at_end(const int32_t *tokens, int32_t count, int32_t times) {
  int32_t longest = count / times < count / 2 ? count / times : count / 2;
  for (int32_t length = 1; length <= longest; length++) {
    int32_t at = count - 1, first = count - length * times + length; /* what lies before it is compared with nothing */
    while (at >= first && tokens[at] == tokens[at - length]) at--;
    if (at < first) return true;
  }
  return false;
}
