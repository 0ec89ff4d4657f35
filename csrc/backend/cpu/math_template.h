/* Elementary functions on vectors; of NaN they are NaN. Wants a simd_*.h before it, any of them. */

/* v = n log 2 + r, |r| <= log 2 / 2: exp r, by a polynomial of degree 6 fitted for the smallest relative error (3e-9), and n. log 2 is split so that
 * n * high is exact. */
static inline vf vf_exp_parts(vf v, vf *whole) {
  vf n = vf_round(vf_mul(v, vf_set(1.44269504f)));
  vf r = vf_fma(n, vf_set(-0x1.62e4p-1f), v);
  r = vf_fma(n, vf_set(-0x1.7f7d1cp-20f), r);
  vf p = vf_set(0x1.6a23d0p-10f);
  p = vf_fma(p, r, vf_set(0x1.123a20p-7f));
  p = vf_fma(p, r, vf_set(0x1.5558f2p-5f));
  p = vf_fma(p, r, vf_set(0x1.555492p-3f));
  p = vf_fma(p, r, vf_set(0x1.fffffcp-2f));
  p = vf_fma(vf_mul(r, r), p, r);
  *whole = n;
  return vf_add(p, vf_set(1));
}

/* exp v within 2 ulp; 0 below -87.3, where numbers become subnormal, on which processors spend hundreds of cycles; infinity above 89. */
static inline vf vf_exp(vf v) {
  const vf least = vf_set(-87.3f);
  vf n, rest = vf_exp_parts(vf_min(vf_set(89), vf_max(least, v)), &n);
  return vf_if_less(v, least, vf_set(0), vf_scale(rest, n));
}

/* The same, to the bit, of what is not above 0. */
static inline vf vf_exp_of_negative(vf v) {
  const vf least = vf_set(-87.3f);
  vf n, rest = vf_exp_parts(vf_max(least, v), &n);
  return vf_if_less(v, least, vf_set(0), vf_scale_normal(rest, n));
}

/* erf v within 3 ulp. Below 1 an odd polynomial, above it 1 - exp of a polynomial fitted to log erfc. */
static inline vf vf_erf(vf v) {
  vf a = vf_abs(v), t = vf_mul(v, v);
  vf small = vf_set(7.787697541e-05f);
  small = vf_fma(small, t, vf_set(-7.991617313e-04f));
  small = vf_fma(small, t, vf_set(5.186383612e-03f));
  small = vf_fma(small, t, vf_set(-2.685288154e-02f));
  small = vf_fma(small, t, vf_set(1.128356531e-01f));
  small = vf_fma(small, t, vf_set(-3.761262298e-01f));
  small = vf_fma(small, t, vf_set(1.128379107e+00f));
  a = vf_min(vf_set(4), a); /* erfc 4 is below half an ulp of 1 */
  vf q = vf_set(1.879717602e-04f);
  q = vf_fma(q, a, vf_set(-2.964006970e-03f));
  q = vf_fma(q, a, vf_set(2.190648019e-02f));
  q = vf_fma(q, a, vf_set(-1.032562107e-01f));
  q = vf_fma(q, a, vf_set(-6.379649639e-01f));
  q = vf_fma(q, a, vf_set(-1.127202272e+00f));
  q = vf_fma(q, a, vf_set(-3.124685318e-04f));
  vf large = vf_copysign(vf_sub(vf_set(1), vf_exp(q)), v);
  return vf_if_less(a, vf_set(1), vf_mul(v, small), large);
}

/* log(exp v + exp w): the larger of them, and log(1 + t) of what the other is beside it, by the series of 2 artanh(t / (2 + t)), whose
 * argument is at most 1/3. */
static inline vf vf_log_add(vf v, vf w) {
  vf high = vf_max(v, w), t = vf_exp(vf_sub(vf_min(v, w), high));
  vf s = vf_div(t, vf_add(t, vf_set(2))), q = vf_mul(s, s);
  vf sum = vf_set(2.0f / 15);
  sum = vf_fma(sum, q, vf_set(2.0f / 13));
  sum = vf_fma(sum, q, vf_set(2.0f / 11));
  sum = vf_fma(sum, q, vf_set(2.0f / 9));
  sum = vf_fma(sum, q, vf_set(2.0f / 7));
  sum = vf_fma(sum, q, vf_set(2.0f / 5));
  sum = vf_fma(sum, q, vf_set(2.0f / 3));
  sum = vf_fma(sum, q, vf_set(2));
  return vf_fma(sum, s, high);
}

static inline vf vf_silu(vf v) { return vf_div(v, vf_add(vf_set(1), vf_exp(vf_sub(vf_set(0), v)))); }

static inline vf vf_quick_gelu(vf v) { return vf_div(v, vf_add(vf_set(1), vf_exp(vf_mul(vf_set(-1.702f), v)))); }

static inline vf vf_gelu(vf v) {
  vf half = vf_mul(v, vf_set(0.5f));
  return vf_fma(half, vf_erf(vf_mul(v, vf_set(0.707106781f))), half);
}

/* 0.5 v (1 + tanh(sqrt(2 / pi) (v + 0.044715 v^3))), where 0.5 (1 + tanh u) = 1 / (1 + exp(-2 u)). */
static inline vf vf_gelu_by_tanh(vf v) {
  vf cube = vf_mul(vf_mul(v, v), v);
  vf u = vf_mul(vf_fma(cube, vf_set(0.044715f), v), vf_set(-1.595769122f));
  return vf_div(v, vf_add(vf_set(1), vf_exp(u)));
}

/* tanh v within some 3 ulp: an odd polynomial near 0, where the quotient loses digits. */
static inline vf vf_tanh(vf v) {
  vf a = vf_abs(v), t = vf_mul(v, v);
  vf small = vf_set(62.0f / 2835);
  small = vf_fma(small, t, vf_set(-17.0f / 315));
  small = vf_fma(small, t, vf_set(2.0f / 15));
  small = vf_fma(small, t, vf_set(-1.0f / 3));
  small = vf_fma(vf_mul(v, t), small, v);
  vf e = vf_exp(vf_mul(a, vf_set(-2)));
  vf large = vf_copysign(vf_div(vf_sub(vf_set(1), e), vf_add(vf_set(1), e)), v);
  return vf_if_less(a, vf_set(0.3f), small, large);
}
