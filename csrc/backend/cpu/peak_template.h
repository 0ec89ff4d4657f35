/*
 * What the instructions that the kernels multiply with do at most: nothing but them, on registers. Wants a simd_*.h and product_template.h before it,
 * and, where codes are multiplied as integers, from the tile's header either
 *   PEAK_DOT(sum, v), with peak_vector, the type of both, and PEAK_PRODUCTS, the products that it makes; or
 *   PEAK_CODES, which names another way to the same.
 * Both functions return the products that they have made; the first bytes of `scratch` are what they multiply.
 */
static int64_t peak_floats(int64_t turns, void *scratch) {
  enum { SUMS = 2 * FLOAT_ROWS };
  vf sums[SUMS];
  const vf factor = vf_load(scratch), addend = vf_load((float *)scratch + LANES);
  for (int i = 0; i < SUMS; i++) sums[i] = addend;
  for (int64_t t = 0; t < turns; t++) {
#pragma GCC unroll 24
    for (int i = 0; i < SUMS; i++) sums[i] = vf_fma(sums[i], factor, addend);
  }
  for (int i = 0; i < SUMS; i++) vf_store((float *)scratch + i * LANES, sums[i]);
  return turns * SUMS * LANES;
}

#ifdef PEAK_DOT
#define PEAK_CODES peak_codes
/* Keeps a sum in its register from turn to turn: gcc 12 moves each twice, which takes a processor of five instructions a cycle longer than its products. */
#ifdef __aarch64__
#define PEAK_STAY(sum) __asm__ volatile("" : "+w"(sum))
#else
#define PEAK_STAY(sum) __asm__ volatile("" : "+v"(sum))
#endif
/* Sums that have a name each, which an array's do not have where gcc sees the asm. */
#define FOR_PEAK_SUMS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define BEGIN_SUM(i) peak_vector sum##i = v;
#define ADD_TO_SUM(i)         \
  sum##i = PEAK_DOT(sum##i, v); \
  PEAK_STAY(sum##i);
#define STORE_SUM(i) memcpy((uint8_t *)scratch + i % 2 * sizeof v, &sum##i, sizeof v);
#define COUNT_SUM(i) +1
static int64_t peak_codes(int64_t turns, void *scratch) {
  enum { SUMS = FOR_PEAK_SUMS(COUNT_SUM) };
  peak_vector v;
  memcpy(&v, scratch, sizeof v);
  FOR_PEAK_SUMS(BEGIN_SUM)
  for (int64_t t = 0; t < turns; t++) {
    FOR_PEAK_SUMS(ADD_TO_SUM)
  }
  FOR_PEAK_SUMS(STORE_SUM)
  return turns * SUMS * PEAK_PRODUCTS;
}
#undef FOR_PEAK_SUMS
#undef BEGIN_SUM
#undef ADD_TO_SUM
#undef STORE_SUM
#undef COUNT_SUM
#elif !defined(PEAK_CODES)
#define PEAK_CODES NULL
#endif
