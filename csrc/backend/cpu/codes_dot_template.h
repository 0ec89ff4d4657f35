/*
 * Products of quantized weights and quantized activations by integer dot products. Wants product_template.h and a code_tile_*.h
 * before it, which defines
 *   CODE_ROWS     its row tile, a divisor of 96
 *   CODE_PACKER   one of code_panels.h
 *   CODE_GROUP    4; or 8 with signed_pair_packer, where the activations of a tile are in order [rows / 2][4][2][8], not [rows][32]. Then
 *                 EXPAND_CODES names a function that puts 4-bit codes in groups of 8, too
 *   SUM_FACTOR    see code_record: what is to be multiplied with the sums of activations
 *   code_start(layout, rows): the code that the packer's 0 stands for, as so many rows want it; 4-bit codes are expanded likewise
 *   PACKED_ROWS, multiplies_packed(layout): up to how many rows, and which codes, multiply_code_tile takes as they lie in the panel; none by default. Or, where
 *                 that hangs on the format, in place of PACKED_ROWS
 *   FEW_CODES(rows, layout): whether so many rows are few: they are not worth unpacking for, and wait for weights
 *   RECORD_ROWS(rows): the rows that the records of a tile of so many have room for; CODE_ROWS by default
 *   BESIDE_SIZE(record_rows), KEEP_BESIDE(records, blocks, record_rows, beside): bytes that are kept of each block behind a tile's records, and what
 *                 writes them; they come to multiply_code_tile as chunk->beside; none by default
 *   ASKS_AHEAD(rows): whether multiply_code_tile asks for chunk->ahead, where there is something; false by default
 *   SHARES_AHEAD  1: multiply_code_tile asks for its share of the next chunk, chunk->ahead; 0 by default
 *   MOST_BLOCKS(rows): that a chunk has, a multiple of 8 or a divisor of it; CHUNK_BLOCKS by default
 *   KEEPS_CODES   1: multiply_code_tile expands codes of 4 and 5 bits while it multiplies the first tile of many rows, where chunk->keeps says so; 0 by default
 *   BEGIN_CODES(rows), END_CODES(rows): done before and after the panels of an item; nothing by default
 *   STREAMS(rows, layout), multiply_code_stream(weight, panel, table, rows, records, tile_size, beside, y): whether so many rows are multiplied with a whole panel
 *                 at once, without chunks, and what does it; none by default
 *   PANELS_TOGETHER, multiply_code_tiles(chunks, records, y): 2 where whole tiles of more than PACKED_ROWS rows are multiplied with the chunks of two panels at
 *                 once, both of codes as bytes, and what does it; y of the second panel lies GROUP_ROWS * PANEL floats behind; 1 by default
 *   multiply_code_tile(chunk, records, rows, y): y [rows x PANEL] += the chunk's products with the records of one tile.
 */
#include "backend/cpu/unpack_template.h"

#ifndef FEW_CODES
#ifndef PACKED_ROWS
#define PACKED_ROWS 0
#define multiplies_packed(layout) false
#endif
#define FEW_CODES(rows, layout) ((rows) <= PACKED_ROWS)
#endif

#ifndef BESIDE_SIZE
#define BESIDE_SIZE(record_rows) 0
#define KEEP_BESIDE(records, blocks, record_rows, beside) ((void)(beside))
#endif

#ifndef RECORD_ROWS
#define RECORD_ROWS(rows) ((void)(rows), CODE_ROWS)
#endif

#ifndef BEGIN_CODES
#define ASKS_AHEAD(rows) false
#define BEGIN_CODES(rows) (void)0
#define END_CODES(rows) (void)0
#endif

#ifndef SHARES_AHEAD
#define SHARES_AHEAD 0
#endif
#ifndef MOST_BLOCKS
#define MOST_BLOCKS(rows) CHUNK_BLOCKS
#endif
#ifndef STREAMS
#define STREAMS(rows, layout) false
#define multiply_code_stream(w, panel, table, rows, records, tile_size, beside, y) (void)0
#endif
#ifndef KEEPS_CODES
#define KEEPS_CODES 0
#endif
#ifndef PANELS_TOGETHER
#define PANELS_TOGETHER 1
#define multiply_code_tiles(chunks, records, y) (void)0
#endif

_Static_assert(GROUP_ROWS / 2 % CODE_ROWS == 0, "groups of rows, and of the head's, are cut into whole tiles");

/* The bytes of row r of a tile. */
static inline void store_row(const int8_t *bytes, int64_t r, int8_t *tile) {
  if (CODE_GROUP == 4)
    memcpy(tile + r * BLOCK, bytes, BLOCK);
  else
    for (int64_t k = 0; k < BLOCK; k += CODE_GROUP) memcpy(tile + r / 2 * 2 * BLOCK + k * 2 + r % 2 * CODE_GROUP, bytes + k, CODE_GROUP);
}

/* Of a tile's records. */
static int64_t records_size(int64_t columns, int64_t record_rows) { return (columns / BLOCK * code_record_size(record_rows) + 63) / 64 * 64; }

static int64_t code_tile_size(int64_t columns) {
  return records_size(columns, CODE_ROWS) + (columns / BLOCK * BESIDE_SIZE(CODE_ROWS) + 63) / 64 * 64;
}

static void quantize(const float *x, int64_t stride, int64_t rows, int64_t columns, uint8_t *tile) {
  const int64_t record_rows = RECORD_ROWS(rows);
  for (int64_t k = 0; k < columns; k += BLOCK) {
    uint8_t *record = tile + k / BLOCK * code_record_size(record_rows);
    int8_t *q = (int8_t *)record;
    float *scale = (float *)(record + record_rows * BLOCK);
    int32_t *total = (int32_t *)(scale + record_rows), *first = total + record_rows;
    for (int64_t r = 0; r < rows; r++) {
      int8_t bytes[BLOCK];
      quantize_block(x + r * stride + k, bytes, &scale[r], &first[r], &total[r]);
      store_row(bytes, r, q);
      first[r] = (int32_t)((uint32_t)first[r] * (uint32_t)SUM_FACTOR);
      total[r] = (int32_t)((uint32_t)total[r] * (uint32_t)SUM_FACTOR);
    }
    for (int64_t r = rows; r < record_rows; r++) {
      store_row((const int8_t[BLOCK]){0}, r, q);
      scale[r] = 0;
      total[r] = first[r] = 0;
    }
  }
  KEEP_BESIDE(tile, columns / BLOCK, record_rows, tile + records_size(columns, record_rows));
}

static const activation_form code_form = {CODE_ROWS, code_tile_size, quantize};

union multiply_scratch {
  code_chunk chunks[PANELS_TOGETHER];
  float widened[2 * CHUNK_FLOATS * PANEL];
};

/* What the first tile of a chunk has expanded is there for the others. */
static void take_kept_codes(code_chunk *chunk) {
  for (int64_t b = 0; b < chunk->blocks; b++) chunk->codes[b] = chunk->expanded + b * PANEL * BLOCK;
  chunk->bits = 8;
  chunk->packed = chunk->keeps = false;
}

/* Of `rows` rows the share of `some` from `r` on in asking for the `size` bytes at `next`, while the chunk is multiplied with them. */
static void share_ahead(code_chunk *chunk, const uint8_t *next, int64_t size, int64_t r, int64_t some, int64_t rows) {
  chunk->ahead = next + size * r / rows;
  chunk->ahead_size = size * some / rows / chunk->blocks;
}

/* `count` panels, PANELS_TOGETHER at most, from `panel` on. */
static void multiply_code_panels(const weight *w, int64_t panel, int64_t count, const uint8_t *tiles, int64_t tile_size, int64_t rows, float *y,
                                 union multiply_scratch *scratch) {
  const int32_t start = code_start(&w->layout, rows);
  int8_t table[16];
  for (int i = 0; i < 16; i++) table[i] = (int8_t)(uint8_t)(w->layout.table[i] - start);
  if (STREAMS(rows, &w->layout)) {
    multiply_code_stream(w, panel, table, rows, tiles, tile_size, tiles + records_size(w->columns, RECORD_ROWS(rows)), y);
    return;
  }
  const int64_t blocks = w->columns / BLOCK;
  const int64_t block_size = w->panel_size / blocks;
  const bool few = FEW_CODES(rows, &w->layout), packed = (few || (KEEPS_CODES && plane_bits(&w->layout) < 6)) && multiplies_packed(&w->layout);
  const int64_t room = packed ? CHUNK_BLOCKS : CHUNK_BLOCKS * 8 / EXPANDED_BITS(&w->layout), most = room < MOST_BLOCKS(rows) ? room : MOST_BLOCKS(rows);
  for (int64_t first = 0; first < blocks; first += most) {
    const int64_t some_blocks = blocks - first < most ? blocks - first : most;
    for (int64_t p = 0; p < count; p++) {
      scratch->chunks[p].start = start;
      unpack_chunk(w, panel + p, first, some_blocks, table, packed, &scratch->chunks[p]);
    }
    for (int64_t r = 0; r < rows; r += CODE_ROWS) {
      const uint8_t *tile = tiles + r / CODE_ROWS * tile_size;
      const int64_t some = rows - r < CODE_ROWS ? rows - r : CODE_ROWS, record_rows = RECORD_ROWS(some);
      const uint8_t *records = tile + first * code_record_size(record_rows);
      for (int64_t p = 0; p < count; p++) {
        code_chunk *chunk = &scratch->chunks[p];
        const uint8_t *at = w->panels + (panel + p) * w->panel_size + first * block_size;
        /* Panels that are multiplied together begin together, too. */
        const uint8_t *next = first + most < blocks ? at + some_blocks * block_size : w->panels + (panel + p + count) * w->panel_size;
        chunk->streams = few && r == 0;
        chunk->keeps = packed && !few && r == 0;
        chunk->beside = tile + records_size(w->columns, record_rows) + first * BESIDE_SIZE(record_rows);
        /* The next tile of the chunk, or the first with the next chunk. */
        const bool last_tile = r + CODE_ROWS >= rows;
        const int64_t next_first = !last_tile ? first : first + most < blocks ? first + most : 0;
        const uint8_t *next_tile = last_tile ? tiles : tile + tile_size;
        chunk->next_records = next_tile + next_first * code_record_size(record_rows);
        chunk->next_beside = next_tile + records_size(w->columns, record_rows) + next_first * BESIDE_SIZE(record_rows);
        if (SHARES_AHEAD) {
          share_ahead(chunk, next, few ? 0 : most * block_size, r, some, rows);
        } else {
          chunk->ahead = at + STREAM_AHEAD;
          chunk->ahead_size = r == 0 ? block_size / 2 : 0;
        }
        if (!ASKS_AHEAD(rows) && (few || !SHARES_AHEAD)) prefetch_part(next, most * block_size, r, CODE_ROWS, rows);
      }
      if (count > 1 && some == CODE_ROWS && !scratch->chunks[0].packed) {
        multiply_code_tiles(scratch->chunks, records, y + r * PANEL);
        continue;
      }
      for (int64_t p = 0; p < count; p++) {
        multiply_code_tile(&scratch->chunks[p], records, some, y + p * GROUP_ROWS * PANEL + r * PANEL);
        if (scratch->chunks[p].keeps) take_kept_codes(&scratch->chunks[p]);
      }
    }
  }
}

static void multiply_codes(const weight *w, int64_t panel, int64_t panels, const uint8_t *tiles, int64_t tile_size, int64_t rows, float *y,
                           union multiply_scratch *scratch) {
  BEGIN_CODES(rows);
  const int64_t together = FEW_CODES(rows, &w->layout) ? 1 : PANELS_TOGETHER;
  for (int64_t p = 0; p < panels; p += together) {
    const int64_t count = panels - p < together ? panels - p : together;
    multiply_code_panels(w, panel + p, count, tiles, tile_size, rows, y + p * GROUP_ROWS * PANEL, scratch);
  }
  END_CODES(rows);
}
