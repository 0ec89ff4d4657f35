/*
 * Codes of 4 to 6 bits as they lie in a panel (code_panels.h), to a byte each: 32 bytes of AVX2 or 64 of AVX-512 at a time, which are 8 or 16 columns.
 * Wants a simd_*.h of x86 before it.
 */
#ifdef __AVX512BW__
typedef __m512i vb;
static inline vb vb_load(const void *p) { return _mm512_loadu_si512(p); }
static inline void vb_store(void *p, vb v) { _mm512_storeu_si512(p, v); }
static inline vb vb_set(int8_t v) { return _mm512_set1_epi8(v); }
static inline vb vb_table(const int8_t *entries) { return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)entries)); }
static inline vb vb_look_up(vb table, vb v) { return _mm512_shuffle_epi8(table, v); }
static inline vb vb_and(vb a, vb b) { return _mm512_and_si512(a, b); }
static inline vb vb_or(vb a, vb b) { return _mm512_or_si512(a, b); }
static inline vb vb_add(vb a, vb b) { return _mm512_add_epi8(a, b); }
/* By bits of 16, so that what is kept must be masked. */
static inline vb vb_left(vb v, int n) { return _mm512_sll_epi16(v, _mm_cvtsi32_si128(n)); }
static inline vb vb_right(vb v, int n) { return _mm512_srl_epi16(v, _mm_cvtsi32_si128(n)); }
#else
typedef __m256i vb;
static inline vb vb_load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
static inline void vb_store(void *p, vb v) { _mm256_storeu_si256((__m256i *)p, v); }
static inline vb vb_set(int8_t v) { return _mm256_set1_epi8(v); }
static inline vb vb_table(const int8_t *entries) { return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)entries)); }
static inline vb vb_look_up(vb table, vb v) { return _mm256_shuffle_epi8(table, v); }
static inline vb vb_and(vb a, vb b) { return _mm256_and_si256(a, b); }
static inline vb vb_or(vb a, vb b) { return _mm256_or_si256(a, b); }
static inline vb vb_add(vb a, vb b) { return _mm256_add_epi8(a, b); }
static inline vb vb_left(vb v, int n) { return _mm256_sll_epi16(v, _mm_cvtsi32_si128(n)); }
static inline vb vb_right(vb v, int n) { return _mm256_srl_epi16(v, _mm_cvtsi32_si128(n)); }
#endif

enum { PLANE_PARTS = 64 / (int)sizeof(vb) };

/* What 4-bit codes are looked up in, and what is added to wider ones. */
typedef struct plane_values {
  vb table, lift;
} plane_values;

/* The codes of groups 2 j and 2 j + 1, of the columns whose bytes `nibbles` begins with. `linear`: 4-bit codes stand for themselves. */
INLINE void planes_pair(const int bits, const bool linear, const uint8_t *nibbles, const int j, const plane_values *values, vb codes[2]) {
  const vb low = vb_set(15), pair = vb_load(nibbles + 64 * j);
  codes[0] = vb_and(pair, low);
  codes[1] = vb_and(vb_right(pair, 4), low);
  if (bits == 4 && linear) return;
  if (bits == 4) {
    for (int i = 0; i < 2; i++) codes[i] = vb_look_up(values->table, codes[i]);
    return;
  }
  const int each = bits - 4, in_byte = 8 / each;
  const vb plane = vb_load(nibbles + 256 + 2 * j / in_byte * 64), mask = vb_set((int8_t)(((1 << each) - 1) << 4));
  for (int i = 0; i < 2; i++) {
    const int bit = (2 * j + i) % in_byte * each;
    const vb high = bit < 4 ? vb_left(plane, 4 - bit) : bit > 4 ? vb_right(plane, bit - 4) : plane;
    codes[i] = vb_add(vb_or(codes[i], vb_and(high, mask)), values->lift);
  }
}

/* Asks for what will be read STREAM_AHEAD bytes after these `size`. */
INLINE void prefetch_ahead(const uint8_t *block, const int size) {
  for (int line = 0; line < size; line += 64) __builtin_prefetch(block + STREAM_AHEAD + line, 0, 2);
}

/* A block of a panel, [2][8][16][4] bytes. */
INLINE void expand_planes(const int bits, const uint8_t *block, const plane_values *values, uint8_t *expanded) {
  for (int half = 0; half < 2; half++) {
    const uint8_t *nibbles = block + half * 64 * bits;
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++)
      for (int part = 0; part < PLANE_PARTS; part++) {
        vb codes[2];
        planes_pair(bits, false, nibbles + part * (int)sizeof(vb), j, values, codes);
        for (int i = 0; i < 2; i++) vb_store(expanded + half * 512 + (2 * j + i) * 64 + part * (int)sizeof(vb), codes[i]);
      }
  }
}
