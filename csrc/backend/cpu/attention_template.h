/*
 * Attention for a block of query rows and the heads that share a key head: the softmax is taken online (Milakov and
 * Gimelshein, "Online normalizer calculation for softmax", 2018) over blocks of keys, in a fixed order. Wants product_template.h.
 *
 * "Query" below is a pair (row, head), numbered row by row; up to ATTENTION_ROWS of them. Scores are kept transposed,
 * [keys x queries], so that the softmax runs along vectors and both products read their left operand in order.
 */

enum {
  ATTENTION_KEYS = 96,
  HEAD_STRIDE = ATTENTION_SIZE + 16 /* not a power of two, which would send every row to the same few cache sets */
};

/* Queries that go through a block of keys together, and what they have come to. */
typedef struct attention_part {
  int64_t row, rows, queries, padded_queries;   /* padded to whole vectors */
  float query[ATTENTION_SIZE * ATTENTION_ROWS]; /* [size][queries], scaled */
  float sum[ATTENTION_ROWS * HEAD_STRIDE];      /* of weighted values, [queries][size] */
  float highest[ATTENTION_ROWS];                /* score so far */
  float total[ATTENTION_ROWS];                  /* of exp(score - highest) */
} attention_part;

typedef struct attention_scratch {
  float key[ATTENTION_KEYS * HEAD_STRIDE];
  float value[ATTENTION_KEYS * HEAD_STRIDE];
  float score[ATTENTION_KEYS * ATTENTION_ROWS]; /* [keys][queries] */
  float shrink[ATTENTION_ROWS];                 /* what a new highest score does to sums so far */
  attention_part parts[ATTENTION_PARTS];        /* which share the copy of keys and values */
} attention_scratch;

/* A head's numbers [size] of a row of keys or values (quant/kv_rows.h) as floats, filled up with zeros to whole vectors. */
static void copy_floats(const uint8_t *source, int64_t size, float *target) {
  const float *x = (const float *)(const void *)source;
  int64_t i = 0;
  for (; i + LANES <= size; i += LANES) vf_store(target + i, vf_load(x + i));
  if (i < size) vf_store(target + i, vf_load_some(x + i, size - i));
}

static void widen_halves(const uint8_t *source, int64_t size, float *target) {
  const uint16_t *x = (const uint16_t *)(const void *)source;
  int64_t i = 0;
  for (; i + LANES <= size; i += LANES) vf_store(target + i, vf_load_half(x + i));
  if (i == size) return;
  vf_store(target + i, vf_set(0));
  for (; i < size; i++) target[i] = half_to_float(x[i]);
}

static void widen_codes(const uint8_t *source, int64_t size, float *target) {
  for (int64_t i = 0; i < size; i += BLOCK, source += 2 + BLOCK) {
    uint16_t half;
    memcpy(&half, source, sizeof half);
    const vf scale = vf_set(half_to_float(half));
    for (int64_t j = 0; j < BLOCK; j += LANES) vf_store(target + i + j, vf_mul(vf_load_int8((const int8_t *)source + 2 + j), scale));
  }
}

/* One head of rows `stride` bytes apart to rows HEAD_STRIDE apart. */
static void copy_heads(const attention_operands *of, const uint8_t *source, int64_t stride, int64_t rows, float *target) {
  for (int64_t r = 0; r < rows; r++, source += stride, target += HEAD_STRIDE) {
    if (of->kv_type == DIMPLE_TENSOR_F32) copy_floats(source, of->size, target);
    else if (of->kv_type == DIMPLE_TENSOR_F16) widen_halves(source, of->size, target);
    else widen_codes(source, of->size, target);
  }
}

/* Asks for `bytes` of each of the rows, `stride` bytes apart: short pieces far from each other, which the processor does not foresee. */
static void fetch_heads(const void *source, int64_t stride, int64_t rows, int64_t bytes) {
  for (int64_t r = 0; r < rows; r++)
    for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch((const uint8_t *)source + r * stride + i, 0, 2);
}

enum { TOGETHER = 2 * LANES }; /* columns of a tile */

/* score [keys x queries] = key query. A tile's columns of queries stay in the nearest cache while all keys, `stride` numbers apart, go by. */
static void score_keys(attention_scratch *s, const attention_part *p, const float *first_key, int64_t stride, int64_t keys, int64_t size) {
  const int64_t queries = p->padded_queries;
  for (int64_t q = 0; q < queries; q += TOGETHER) {
    const int64_t columns = queries - q < TOGETHER ? queries - q : TOGETHER;
    for (int64_t j = 0; j < keys; j += FLOAT_ROWS) {
      const float *key = first_key + j * stride;
      float *score = s->score + j * ATTENTION_ROWS + q;
      switch (keys - j < FLOAT_ROWS ? keys - j : FLOAT_ROWS) {
#define CASE(n) \
  case n: product_rows(n, columns, true, key, stride, 1, p->query + q, ATTENTION_ROWS, size, score, ATTENTION_ROWS); break;
        FOR_EACH_FLOAT_ROWS(CASE)
#undef CASE
      }
    }
  }
}

/* sum [queries x size] += score' value, likewise. */
static void add_values(attention_scratch *s, attention_part *p, int64_t keys, int64_t size) {
  for (int64_t i = 0; i < size; i += TOGETHER) {
    const int64_t columns = size - i < TOGETHER ? size - i : TOGETHER;
    for (int64_t q = 0; q < p->queries; q += FLOAT_ROWS) {
      float *sum = p->sum + q * HEAD_STRIDE + i;
      switch (p->queries - q < FLOAT_ROWS ? p->queries - q : FLOAT_ROWS) {
#define CASE(n) \
  case n: product_rows(n, columns, false, s->score + q, 1, ATTENTION_ROWS, s->value + i, HEAD_STRIDE, keys, sum, HEAD_STRIDE); break;
        FOR_EACH_FLOAT_ROWS(CASE)
#undef CASE
      }
    }
  }
}

/* Turns scores into exp(score - highest) and scales what was summed before to the new highest. */
static void soften(attention_scratch *s, attention_part *p, int64_t keys, int64_t size) {
  for (int64_t q = 0; q < p->padded_queries; q += LANES) {
    vf before = vf_load(p->highest + q), highest = before, total = vf_set(0);
    for (int64_t j = 0; j < keys; j++) highest = vf_max(highest, vf_load(s->score + j * ATTENTION_ROWS + q));
    for (int64_t j = 0; j < keys; j++) {
      float *score = s->score + j * ATTENTION_ROWS + q;
      vf e = vf_exp_of_negative(vf_sub(vf_load(score), highest));
      vf_store(score, e);
      total = vf_add(total, e);
    }
    vf shrink = vf_exp_of_negative(vf_sub(before, highest));
    vf_store(p->highest + q, highest);
    vf_store(s->shrink + q, shrink);
    vf_store(p->total + q, vf_fma(vf_load(p->total + q), shrink, total));
  }
  for (int64_t q = 0; q < p->queries; q++) {
    if (s->shrink[q] == 1) continue;
    vf shrink = vf_set(s->shrink[q]);
    for (int64_t i = 0; i < size; i += LANES)
      vf_store(p->sum + q * HEAD_STRIDE + i, vf_mul(vf_load(p->sum + q * HEAD_STRIDE + i), shrink));
  }
}

/* Keys first .. end - 1 of those whose scores are held count nothing for row r of the block. */
static void hide_keys(attention_scratch *s, int64_t r, int32_t heads, int64_t first, int64_t end) {
  for (int64_t j = first; j < end; j++)
    for (int32_t h = 0; h < heads; h++) s->score[j * ATTENTION_ROWS + r * heads + h] = -INFINITY;
}

/* Hides the keys before a row's first one, behind its last one, and the one it skips. */
static void mask_keys(attention_scratch *s, const attention_operands *of, int64_t row, int64_t rows, int32_t heads, int64_t key,
                      int64_t keys) {
  for (int64_t r = 0; r < rows && of->first_key; r++) {
    int64_t hidden = of->first_key[row + r] - key;
    hide_keys(s, r, heads, 0, hidden < keys ? hidden : keys);
  }
  for (int64_t r = 0; r < rows && of->last_key; r++) {
    int64_t visible = of->last_key[row + r] + 1 - key;
    hide_keys(s, r, heads, visible > 0 ? visible : 0, keys);
  }
  for (int64_t r = 0; r < rows && of->skip_key; r++) {
    int64_t skipped = of->skip_key[row + r] - key;
    if (skipped >= 0 && skipped < keys) hide_keys(s, r, heads, skipped, skipped + 1);
  }
}

/* The end of the keys that any row of the block sees. */
static int64_t end_of_keys(const attention_operands *of, const attention_block *block) {
  if (!of->last_key) return block->key_end;
  int64_t furthest = 0;
  for (int64_t r = block->row; r < block->row_end; r++)
    if (of->last_key[r] + 1 > furthest) furthest = of->last_key[r] + 1;
  return furthest < block->key_end ? furthest : block->key_end;
}

/* The first key that any row of the block sees, or one before it: the cut into blocks of keys does not depend on the rows. */
static int64_t first_of_keys(const attention_operands *of, const attention_block *block) {
  if (!of->first_key) return block->key;
  int64_t first = block->key_end;
  for (int64_t r = block->row; r < block->row_end; r++)
    if (of->first_key[r] < first) first = of->first_key[r];
  return first > block->key ? first - (first - block->key) % ATTENTION_KEYS : block->key;
}

/* The part's queries, and nothing come to yet. */
static void begin_part(attention_part *p, const attention_operands *of, int64_t row, int64_t row_end, int32_t head, int32_t heads) {
  p->row = row;
  p->rows = row_end - row;
  p->queries = p->rows * heads;
  p->padded_queries = (p->queries + LANES - 1) / LANES * LANES;
  for (int64_t q = 0; q < p->padded_queries; q++) {
    const float *query = q < p->queries ? of->q + (row + q / heads) * of->q_stride + (head + q % heads) * of->size : NULL;
    for (int64_t i = 0; i < of->size; i++) p->query[i * ATTENTION_ROWS + q] = query ? query[i] * of->scale : 0;
    p->highest[q] = -FLT_MAX;
    p->total[q] = 0;
  }
  memset(p->sum, 0, (size_t)p->queries * HEAD_STRIDE * sizeof(float));
}

static void end_part(const attention_part *p, const attention_operands *of, int32_t head, int32_t heads) {
  const int64_t size = of->size;
  for (int64_t q = 0; q < p->queries; q++) {
    float *y = of->y + (p->row + q / heads) * of->y_stride + (head + q % heads) * size;
    vf inverse = vf_set(1 / p->total[q]);
    for (int64_t i = 0; i < size; i += LANES)
      vf_store_some(y + i, vf_mul(vf_load(p->sum + q * HEAD_STRIDE + i), inverse), size - i < LANES ? size - i : LANES);
  }
}

static void attention(const attention_operands *of, const attention_block *block, int32_t head, int32_t heads, void *scratch) {
  attention_scratch *s = scratch;
  const int64_t size = of->size, rows = block->row_end - block->row, most = ATTENTION_ROWS / heads, count = (rows + most - 1) / most;
  int64_t padded_size = (size + LANES - 1) / LANES * LANES;
  int64_t head_bytes = kv_bytes(of->kv_type, size), key_offset = (int64_t)(head / (of->heads / of->kv_heads)) * head_bytes;
  const uint8_t *k = of->k + key_offset, *v = of->v + key_offset;
  int64_t first = first_of_keys(of, block), end = end_of_keys(of, block), keys = end - first < ATTENTION_KEYS ? end - first : ATTENTION_KEYS;
  const int64_t float_bytes = sizeof(float);
  const bool in_place = of->kv_type == DIMPLE_TENSOR_F32; /* of keys each number is read by itself, of values a vector of each row in turn */
  fetch_heads(of->q + block->row * of->q_stride + head * size, of->q_stride * float_bytes, rows, heads * size * float_bytes);
  fetch_heads(k + first * of->k_stride, of->k_stride, keys, head_bytes);
  fetch_heads(v + first * of->v_stride, of->v_stride, keys, head_bytes);
  for (int64_t i = 0; i < count; i++)
    begin_part(&s->parts[i], of, block->row + rows * i / count, block->row + rows * (i + 1) / count, head, heads);
  for (int64_t key = first; key < end; key += keys) {
    keys = end - key < ATTENTION_KEYS ? end - key : ATTENTION_KEYS;
    const uint8_t *source = k + key * of->k_stride;
    if (!in_place) copy_heads(of, source, of->k_stride, keys, s->key);
    copy_heads(of, v + key * of->v_stride, of->v_stride, keys, s->value);
    int64_t coming = end - key - keys < ATTENTION_KEYS ? end - key - keys : ATTENTION_KEYS;
    fetch_heads(k + (key + keys) * of->k_stride, of->k_stride, coming, head_bytes);
    fetch_heads(v + (key + keys) * of->v_stride, of->v_stride, coming, head_bytes);
    for (attention_part *p = s->parts; p < s->parts + count; p++) {
      if (in_place)
        score_keys(s, p, (const float *)(const void *)source, of->k_stride / float_bytes, keys, size);
      else
        score_keys(s, p, s->key, HEAD_STRIDE, keys, size);
      if (of->first_key || of->last_key || of->skip_key) mask_keys(s, of, p->row, p->rows, heads, key, keys);
      soften(s, p, keys, padded_size);
      add_values(s, p, keys, padded_size);
    }
  }
  for (int64_t i = 0; i < count; i++) end_part(&s->parts[i], of, head, heads);
}
