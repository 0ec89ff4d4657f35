/* What the head keeps of a chunk of logits, of any length up to HEAD_CHUNK. Wants a simd_*.h, any of them, and math_template.h before it. */

/* The first place of a logit; 0 if there is none. Stretches of a fixed length, which becomes vector code, are passed over as a whole. */
static int64_t find_equal(const float *z, int64_t count, float logit) {
  enum { STRETCH = 64 };
  int64_t t = 0;
  for (; t + STRETCH <= count; t += STRETCH) {
    int32_t found = 0;
    for (int i = 0; i < STRETCH; i++) found |= z[t + i] == logit;
    if (found) break;
  }
  for (; t < count; t++)
    if (z[t] == logit) return t;
  return 0;
}

/* The two highest logits and the place of the first. */
static void find_best(const float *z, int64_t count, chunk_summary *out) {
  vf first = vf_set(-INFINITY), second = first;
  int64_t j = 0;
  for (; j + LANES <= count; j += LANES) {
    vf v = vf_load(z + j);
    second = vf_max(second, vf_min(first, v));
    first = vf_max(first, v);
  }
  float firsts[LANES], seconds[LANES], best = -INFINITY, next = -INFINITY;
  vf_store(firsts, first);
  vf_store(seconds, second);
  for (int i = 0; i < LANES; i++) {
    if (firsts[i] > best) {
      next = best > seconds[i] ? best : seconds[i];
      best = firsts[i];
    } else if (firsts[i] > next) {
      next = firsts[i];
    }
  }
  for (; j < count; j++) {
    if (z[j] > best) {
      next = best;
      best = z[j];
    } else if (z[j] > next) {
      next = z[j];
    }
  }
  out->best = best;
  out->second = next;
  out->best_token = (int32_t)find_equal(z, count, best);
}

/* What logits are multiplied by, for a division takes as long as an exponential; finite, so that 0 stays 0. */
static inline vf inverse_of(float temperature) { return vf_set(1 / temperature < FLT_MAX ? 1 / temperature : FLT_MAX); }

/* *sum = sum of e = exp v and *mean = sum of e v for v = (z - best) / temperature. */
static void sum_exponentials(const float *z, int64_t count, float best, float temperature, float *sum, float *mean) {
  vf highest = vf_set(best), inverse = inverse_of(temperature), sums = vf_set(0), means = sums;
  for (int64_t j = 0; j < count; j += LANES) {
    int64_t n = count - j < LANES ? count - j : LANES;
    vf v = vf_mul(vf_sub(vf_load_some(z + j, n), highest), inverse);
    v = vf_min(vf_set(0), vf_max(vf_set(-200), v)); /* keeps e * v finite, also beyond the end */
    vf e = vf_exp(v);
    if (n < LANES) {
      float lanes[LANES];
      vf_store(lanes, e);
      e = vf_load_some(lanes, n);
    }
    sums = vf_add(sums, e);
    means = vf_fma(e, v, means);
  }
  *sum = vf_sum(sums);
  *mean = vf_sum(means);
}

/* The last of `count` tokens that weighs anything: forbidden ones do not. */
static int32_t last_with_weight(const float *z, int64_t count, float best, float temperature) {
  for (int64_t i = count - 1; i > 0; i--) {
    float lanes[LANES];
    vf_store(lanes, vf_exp(vf_mul(vf_sub(vf_set(z[i]), vf_set(best)), inverse_of(temperature))));
    if (lanes[0] > 0) return (int32_t)i;
  }
  return 0;
}

/* The first token whose cumulative sum of exp((z - best) / temperature) exceeds u times the whole. Three levels: stretches of vectors, vectors, the tokens
 * of one. */
static int32_t draw_token(const float *z, int64_t count, float best, float temperature, float u, float sum) {
  float left = u * sum;
  vf highest = vf_set(best), inverse = inverse_of(temperature);
  enum { STRETCH = 8 * LANES };
  int64_t j = 0;
  for (; j + STRETCH < count; j += STRETCH) {
    vf sums = vf_set(0);
    for (int64_t i = j; i < j + STRETCH; i += LANES) sums = vf_add(sums, vf_exp(vf_mul(vf_sub(vf_load(z + i), highest), inverse)));
    const float part = vf_sum(sums);
    if (!(left >= part)) break;
    left -= part;
  }
  for (; j < count; j += LANES) {
    int64_t n = count - j < LANES ? count - j : LANES;
    float lanes[LANES];
    vf_store(lanes, vf_exp(vf_mul(vf_sub(vf_load_some(z + j, n), highest), inverse)));
    float part = vf_sum(vf_load_some(lanes, n));
    if (left >= part && j + n < count) {
      left -= part;
      continue;
    }
    for (int64_t i = 0; i < n; i++) {
      left -= lanes[i];
      if (left < 0) return (int32_t)(j + i);
    }
    return last_with_weight(z, j + n, best, temperature); /* rounding has left something */
  }
  return 0;
}

/* 0, or NaN if a logit is NaN or infinite. */
static float zero_if_finite(const float *z, int64_t count) {
  vf sums = vf_set(0);
  for (int64_t j = 0; j < count; j += LANES) sums = vf_fma(vf_load_some(z + j, count - j < LANES ? count - j : LANES), vf_set(0), sums);
  return vf_sum(sums);
}

static void summarize(const float *z, int64_t count, float temperature, float u, chunk_summary *out) {
  find_best(z, count, out);
  sum_exponentials(z, count, out->best, 1, &out->sum, &out->mean);
  out->sum += zero_if_finite(z, count);
  out->drawn_token = out->best_token;
  out->hot_sum = out->sum;
  out->hot_mean = out->mean;
  if (temperature > 0) {
    sum_exponentials(z, count, out->best, temperature, &out->hot_sum, &out->hot_mean);
    out->drawn_token = draw_token(z, count, out->best, temperature, u, out->hot_sum);
  }
  out->drawn_logit = z[out->drawn_token];
}

/* sum e (z - reference - log(q + least)) for e = exp(z - best) and q = exp(former - log_sum). */
static float diverge(const float *z, const float *former, int64_t count, float best, float log_sum, float reference) {
  vf highest = vf_set(best), sums = vf_set(0), above = vf_set(best - reference), least = vf_set(-27.6310211f); /* log HEAD_LEAST */
  for (int64_t j = 0; j < count; j += LANES) {
    int64_t n = count - j < LANES ? count - j : LANES;
    vf v = vf_max(vf_set(-200), vf_sub(vf_load_some(z + j, n), highest)), e = vf_exp(v);
    if (n < LANES) {
      float lanes[LANES];
      vf_store(lanes, e);
      e = vf_load_some(lanes, n);
    }
    vf before = vf_log_add(vf_sub(vf_load_some(former + j, n), vf_set(log_sum)), least);
    sums = vf_fma(e, vf_sub(vf_add(v, above), before), sums);
  }
  return vf_sum(sums);
}

/* Stretches of vectors in which nothing is above the bound, which are most, are passed over. */
static int64_t find_above(const float *z, int64_t count, float bound, int32_t *places) {
  enum { STRETCH = 8 * LANES };
  int64_t found = 0;
  for (int64_t j = 0; j < count; j += STRETCH) {
    int64_t n = count - j < STRETCH ? count - j : STRETCH;
    float lanes[LANES], highest = n < STRETCH ? INFINITY : -INFINITY;
    if (n == STRETCH) {
      vf most = vf_load(z + j);
      for (int i = 1; i < 8; i++) most = vf_max(most, vf_load(z + j + i * LANES));
      vf_store(lanes, most);
      for (int i = 0; i < LANES; i++) highest = lanes[i] > highest ? lanes[i] : highest;
    }
    if (!(highest > bound)) continue;
    for (int64_t i = j; i < j + n; i++) {
      places[found] = (int32_t)i;
      found += z[i] > bound;
    }
  }
  return found;
}

static void cap(float *z, int64_t count, float softcap) {
  vf most = vf_set(softcap);
  for (int64_t j = 0; j < count; j += LANES) {
    int64_t n = count - j < LANES ? count - j : LANES;
    vf v = vf_load_some(z + j, n);
    vf_store_some(z + j, vf_fma(vf_set(0), v, vf_mul(most, vf_tanh(vf_div(v, most)))), n); /* NaN where v is infinite */
  }
}

/* `count` is a multiple of LANES. */
static float soften_logits(float *z, int64_t count, float highest, float temperature) {
  vf sums = vf_set(0), top = vf_set(highest), inverse = inverse_of(temperature), least = vf_set(-27.725887f); /* -40 log 2 */
  for (int64_t j = 0; j < count; j += LANES) {
    vf v = vf_mul(vf_sub(vf_load(z + j), top), inverse), e = vf_if_less(v, least, vf_set(0), vf_exp(v));
    vf_store(z + j, e);
    sums = vf_add(sums, e);
  }
  return vf_sum(sums);
}
