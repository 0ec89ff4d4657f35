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
static int64_t peak_codes(int64_t turns, void *scratch) {
  enum { SUMS = 12 };
  peak_vector sums[SUMS], v;
  memcpy(&v, scratch, sizeof v);
  for (int i = 0; i < SUMS; i++) sums[i] = v;
  for (int64_t t = 0; t < turns; t++) {
#pragma GCC unroll 12
    for (int i = 0; i < SUMS; i++) sums[i] = PEAK_DOT(sums[i], v);
  }
  memcpy(scratch, sums, sizeof sums);
  return turns * SUMS * PEAK_PRODUCTS;
}
#elif !defined(PEAK_CODES)
#define PEAK_CODES NULL
#endif
