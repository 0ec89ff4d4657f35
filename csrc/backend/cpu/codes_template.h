/* Products of quantized weights and quantized activations, see cpu.h. Wants product_template.h and an integer tile before it:
 *   CODE_ROWS     its row tile
 *   CODE_FLIP     see cpu_kernels.code_flip
 *   SUM_FACTOR    see prepared
 *   NARROW_CODES  whether it wants the 4-bit codes of formats whose table is an even scale as they are, 0 .. 15
 *   multiply_code_tile(chunk, records, rows, y): y [rows x PANEL] += the chunk's products with the records of one tile. */

static void quantize(const float *x, int64_t stride, int64_t rows, int64_t columns, uint8_t *tile) {
  for (int64_t k = 0; k < columns; k += BLOCK) {
    int8_t *q = (int8_t *)tile;
    float *scale = (float *)(tile + CODE_ROWS * BLOCK);
    int32_t *total = (int32_t *)(scale + CODE_ROWS), *first = total + CODE_ROWS;
    for (int64_t r = 0; r < rows; r++) {
      quantize_block(x + r * stride + k, q + r * BLOCK, &scale[r], &first[r], &total[r]);
      first[r] = (int32_t)((uint32_t)first[r] * (uint32_t)SUM_FACTOR);
      total[r] = (int32_t)((uint32_t)total[r] * (uint32_t)SUM_FACTOR);
    }
    for (int64_t r = rows; r < CODE_ROWS; r++) {
      memset(q + r * BLOCK, 0, BLOCK);
      scale[r] = 0;
      total[r] = first[r] = 0;
    }
    tile += quantized_record_size(CODE_ROWS);
  }
}

/* Whether 4-bit codes stand for table[0], table[0] + 1, ... */
static bool is_even_scale(const code_layout *l) { return l->bits == 4 && l->table[15] - l->table[0] == 15; }

/* The scales and minima of block `block` of the chunk, block `in_unit` of `unit`. */
static void unpack_scales(const code_layout *l, const unit_layout *u, const uint8_t *unit, int64_t in_unit, int64_t block,
                          code_chunk *chunk) {
  const vf zero = vf_set(0), start = vf_set(chunk->narrow ? l->table[0] : 0);
  for (int64_t h = 0; h < l->halves; h++) {
    int64_t factor = (in_unit * l->halves + h) * PANEL, target = (block * l->halves + h) * PANEL;
    for (int64_t j = 0; j < PANEL; j += LANES) {
      vf scale = vf_load_half((const uint16_t *)unit + j), minimum = zero;
      if (l->unit_blocks > 1) scale = vf_mul(scale, vf_load_int8((const int8_t *)unit + u->factor + factor + j));
      vf_store(chunk->scale + target + j, scale);
      if (!chunk->has_minimum) continue;
      if (l->has_minimum) minimum = vf_load_half((const uint16_t *)(unit + u->minimum) + j);
      if (l->has_minimum && l->unit_blocks > 1)
        minimum = vf_sub(zero, vf_mul(minimum, vf_load_uint8(unit + u->minimum_factor + factor + j)));
      vf_store(chunk->minimum + target + j, vf_fma(scale, start, minimum));
    }
  }
}

/* Unpacks `count` blocks of a panel from block `first` on. */
static void unpack_chunk(const weight *w, int64_t panel, int64_t first, int64_t count, code_chunk *chunk) {
  static const int8_t identity[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const code_layout *l = &w->layout;
  const unit_layout u = unit_layout_of(l);
  chunk->blocks = count;
  chunk->halves = l->halves;
  chunk->narrow = NARROW_CODES && is_even_scale(l);
  chunk->has_minimum = l->has_minimum || chunk->narrow;
  for (int64_t b = 0; b < count; b++) {
    int64_t in_unit = (first + b) % l->unit_blocks;
    const uint8_t *unit = w->panels + panel * w->panel_size + (first + b) / l->unit_blocks * u.size;
    const uint8_t *codes = unit + u.codes + in_unit * u.block_codes;
    if (l->bits == 8) {
      chunk->codes[b] = codes;
    } else {
      uint8_t *expanded = chunk->expanded + b * PANEL * BLOCK;
      expand_codes(codes, chunk->narrow ? identity : l->table, expanded);
      chunk->codes[b] = expanded;
    }
    unpack_scales(l, &u, unit, in_unit, b, chunk);
  }
}

/* Asks for part `part` of `parts` of the `size` bytes at `p`, which the next chunk will read. */
static inline void prefetch_part(const uint8_t *p, int64_t size, int64_t part, int64_t parts) {
  for (const uint8_t *line = p + size * part / parts; line < p + size * (part + 1) / parts; line += 64)
    __builtin_prefetch(line, 0, 2);
}

static void multiply_codes(const weight *w, int64_t panel, const uint8_t *tiles, int64_t tile_size, int64_t rows, float *y,
                           code_chunk *chunk) {
  const int64_t blocks = w->columns / BLOCK, record_size = quantized_record_size(CODE_ROWS);
  const int64_t block_size = w->panel_size / blocks;
  for (int64_t first = 0; first < blocks; first += CHUNK_BLOCKS) {
    int64_t count = blocks - first < CHUNK_BLOCKS ? blocks - first : CHUNK_BLOCKS;
    unpack_chunk(w, panel, first, count, chunk);
    const uint8_t *next = w->panels + panel * w->panel_size + (first + count) * block_size;
    for (int64_t r = 0; r < rows; r += CODE_ROWS) {
      prefetch_part(next, CHUNK_BLOCKS * block_size, r, rows);
      const uint8_t *records = tiles + r / CODE_ROWS * tile_size + first * record_size;
      multiply_code_tile(chunk, records, rows - r < CODE_ROWS ? rows - r : CODE_ROWS, y + r * PANEL);
    }
  }
}

union multiply_scratch {
  code_chunk chunk;
  float widened[CHUNK_FLOATS * PANEL];
};

static void multiply(const weight *w, int64_t panel, const uint8_t *tiles, int64_t tile_size, int64_t rows, float *y,
                     void *memory) {
  union multiply_scratch *scratch = memory;
  memset(y, 0, (size_t)rows * PANEL * sizeof(float));
  if (weight_is_float(w))
    multiply_floats(w, panel, tiles, tile_size, rows, y, scratch->widened);
  else
    multiply_codes(w, panel, tiles, tile_size, rows, y, &scratch->chunk);
}
