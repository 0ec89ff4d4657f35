/* Operations on one row of any length. Wants a simd_*.h before it, any of them. */

static void rms_norm(float *y, const float *x, const float *w, int64_t columns, float epsilon) {
  vf sums[2] = {vf_set(0), vf_set(0)};
  for (int64_t j = 0; j < columns; j += 2 * LANES)
    for (int v = 0; v < 2; v++) {
      int64_t left = columns - j - v * LANES;
      if (left <= 0) break;
      vf a = left < LANES ? vf_load_some(x + j + v * LANES, left) : vf_load(x + j + v * LANES);
      sums[v] = vf_fma(a, a, sums[v]);
    }
  float mean = vf_sum(vf_add(sums[0], sums[1])) / (float)columns;
  vf scale = vf_set(1 / sqrtf(mean + epsilon) + 0 * mean); /* NaN, not 0, where the squares overflow */
  for (int64_t j = 0; j < columns; j += LANES) {
    int64_t n = columns - j < LANES ? columns - j : LANES;
    vf normed = vf_mul(vf_load_some(x + j, n), scale);
    vf_store_some(y + j, w ? vf_mul(vf_load_some(w + j, n), normed) : normed, n);
  }
}

/* The mean is taken off before squares are summed: a row far from 0 loses nothing. */
static void layer_norm(float *y, const float *x, const float *w, const float *b, int64_t columns, float epsilon) {
  int64_t whole = columns / LANES * LANES;
  vf sum = vf_set(0);
  for (int64_t j = 0; j < whole; j += LANES) sum = vf_add(sum, vf_load(x + j));
  float total = vf_sum(sum), square = 0;
  for (int64_t j = whole; j < columns; j++) total += x[j];
  float mean = total / (float)columns;
  vf centre = vf_set(mean), squares = vf_set(0);
  for (int64_t j = 0; j < whole; j += LANES) {
    vf off = vf_sub(vf_load(x + j), centre);
    squares = vf_fma(off, off, squares);
  }
  square = vf_sum(squares);
  for (int64_t j = whole; j < columns; j++) square += (x[j] - mean) * (x[j] - mean);
  square /= (float)columns;
  vf scale = vf_set(1 / sqrtf(square + epsilon) + 0 * square); /* NaN, not 0, where the squares overflow */
  for (int64_t j = 0; j < columns; j += LANES) {
    int64_t n = columns - j < LANES ? columns - j : LANES;
    vf normed = vf_mul(vf_sub(vf_load_some(x + j, n), centre), scale);
    vf_store_some(y + j, vf_fma(vf_load_some(w + j, n), normed, vf_load_some(b + j, n)), n);
  }
}

static void add_scaled(float *y, const float *x, float scale, int64_t columns) {
  vf factor = vf_set(scale);
  for (int64_t j = 0; j < columns; j += LANES) {
    int64_t n = columns - j < LANES ? columns - j : LANES;
    vf_store_some(y + j, vf_fma(factor, vf_load_some(x + j, n), vf_load_some(y + j, n)), n);
  }
}

static void rotary(float *row, const float *cosine, const float *sine, int32_t heads, int32_t size, int32_t stride) {
  int32_t half = size / 2;
  for (int32_t h = 0; h < heads; h++, row += stride) {
    for (int32_t j = 0; j < half; j += LANES) {
      int32_t n = half - j < LANES ? half - j : LANES;
      vf c = vf_load_some(cosine + j, n), s = vf_load_some(sine + j, n);
      vf a = vf_load_some(row + j, n), b = vf_load_some(row + half + j, n);
      vf_store_some(row + j, vf_sub(vf_mul(a, c), vf_mul(b, s)), n);
      vf_store_some(row + half + j, vf_fma(a, s, vf_mul(b, c)), n);
    }
  }
}
