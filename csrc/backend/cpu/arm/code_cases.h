/* Chooses among the copies of a tile. Wants before it FOR_EACH_CODE_ROWS and
 *   code_tile(rows, halves, has_minimum, chunk, records, column, y): columns [column, column + 2 * LANES) of a panel, inlined with
 *   constants for the first three. */

INLINE void code_columns(const int rows, const code_chunk *chunk, const uint8_t *records, float *y) {
  for (int column = 0; column < PANEL; column += 2 * LANES) {
    if (chunk->halves == 1 && !chunk->has_minimum)
      code_tile(rows, 1, false, chunk, records, column, y);
    else if (chunk->halves == 1)
      code_tile(rows, 1, true, chunk, records, column, y);
    else if (!chunk->has_minimum)
      code_tile(rows, 2, false, chunk, records, column, y);
    else
      code_tile(rows, 2, true, chunk, records, column, y);
  }
}

static void multiply_code_tile(const code_chunk *chunk, const uint8_t *records, int64_t rows, float *y) {
  switch (rows) {
#define CASE(n) \
  case n: code_columns(n, chunk, records, y); break;
    FOR_EACH_CODE_ROWS(CASE)
#undef CASE
  }
}
