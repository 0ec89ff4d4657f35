/* The end of a text that repeats itself, beside a count of every run's repetitions. */
#include "diffusion/repeats.h"

#include <string.h>

#include "draws.h"
#include "expect.h"

/* How often the last `length` tokens stand there one after the other. */
static int32_t times_of(const int32_t *tokens, int32_t count, int32_t length) {
  int32_t times = 1;
  const int32_t *last = tokens + count - length;
  while ((times + 1) * length <= count && memcmp(last, last - times * length, (size_t)length * sizeof *tokens) == 0) times++;
  return times;
}

static bool counted(const int32_t *tokens, int32_t count, int32_t times) {
  for (int32_t length = 1; length <= count / 2; length++)
    if (times_of(tokens, count, length) >= times) return true;
  return false;
}

/* Texts of few different tokens, the ends of which are repeated runs of 1 to 6. */
static void every_run_is_found(void) {
  enum { MOST = 70 };
  int32_t tokens[MOST];
  int found = 0, tried = 0;
  for (uint32_t n = 0; n < 3000; n++) {
    int32_t count = (int32_t)(n % MOST), period = 1 + (int32_t)(n / 7 % 6), begin = (int32_t)(draw_uniform(3, n, 0, 0, 0) * (count + 1));
    for (int32_t i = 0; i < count; i++)
      tokens[i] = i < begin + period || i < period ? (int32_t)(draw_uniform(4, n, (uint32_t)i, 0, 0) * 3) : tokens[i - period];
    for (int32_t times = 1; times <= 20; times++, tried++) {
      bool expected = counted(tokens, count, times);
      EXPECT(repeats_at_end(tokens, count, times) == expected, "text %d of %d tokens, %d times: expected %d", (int)n, count, times, expected);
      found += expected;
    }
  }
  EXPECT(found > tried / 10 && found < tried * 9 / 10, "%d of %d repeat themselves", found, tried);
}

int main(void) {
  every_run_is_found();
  int32_t last = INT32_MAX;
  EXPECT(!repeats_at_end(&last, 1, 1) && !repeats_at_end(&last, 0, INT32_MAX), "fewer than two tokens repeat nothing");
  return expect_summary("repeats");
}
