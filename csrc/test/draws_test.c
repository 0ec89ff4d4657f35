/* The generator of random draws: known answers, range, and uniformity in every coordinate of its key. */
#include "draws.h"
#include "test/chi_square.h"
#include "test/expect.h"

/* Known answers of the Random123 library (kat_vectors, "philox4x32 10"): the first output word. */
static void philox_known_answers(void) {
  EXPECT(draw_word(0, 0, 0, 0, 0) == 0x6627e8d5u, "%08x", draw_word(0, 0, 0, 0, 0));
  EXPECT(draw_word(UINT64_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX) == 0x408f276du, "%08x",
         draw_word(UINT64_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX));
  uint32_t pi = draw_word(0x299f31d0a4093822u, 0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u);
  EXPECT(pi == 0xd16cfe09u, "%08x", pi);
}

static void uniform_never_reaches_its_ends(void) {
  /* Iterations whose words are the highest and the lowest of two hundred million. */
  EXPECT(draw_word(1, 171000484u, 0, 0, 0) == 0xfffffffeu, "%08x", draw_word(1, 171000484u, 0, 0, 0));
  EXPECT(draw_word(1, 91093890u, 0, 0, 0) == 0, "%08x", draw_word(1, 91093890u, 0, 0, 0));
  float high = draw_uniform(1, 171000484u, 0, 0, 0), low = draw_uniform(1, 91093890u, 0, 0, 0);
  EXPECT(high < 1 && high > 1 - 1e-6f, "%.9g", (double)high);
  EXPECT(low > 0 && low < 1e-6f, "%.9g", (double)low);
}

/* Every coordinate of the key on its own gives uniform numbers. */
static void uniform_is_uniform(void) {
  enum { CELLS = 64, TOTAL = 64000 };
  double even[CELLS];
  for (int i = 0; i < CELLS; i++) even[i] = 1.0 / CELLS;
  for (int coordinate = 0; coordinate < 4; coordinate++) {
    int32_t counts[CELLS] = {0}, pairs[CELLS] = {0};
    float before = 0;
    for (uint32_t i = 0; i < TOTAL; i++) {
      float u = draw_uniform(coordinate == 0 ? i : 7, coordinate == 1 ? i : 3, coordinate == 2 ? i : 11, DRAW_TOKEN,
                             coordinate == 3 ? i : 5);
      counts[(int)(u * CELLS)]++;
      pairs[(int)(u * 8) * 8 + (int)(before * 8)]++;
      before = u;
    }
    expect_distribution("uniform", counts, even, CELLS, TOTAL);
    expect_distribution("neighbours", pairs, even, CELLS, TOTAL);
  }
}

int main(void) {
  philox_known_answers();
  uniform_never_reaches_its_ends();
  uniform_is_uniform();
  return expect_summary("draws");
}
