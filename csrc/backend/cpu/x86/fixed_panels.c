#include "backend/cpu/x86/fixed_panels.h"

#include <math.h>
#include <string.h>

/* One column of a chunk: what every stretch of inputs with a common scale is multiplied with. */
typedef struct column {
  int8_t codes[FIXED_CHUNK];
  float scale[FIXED_BLOCKS * 2];
  float minimum[FIXED_BLOCKS * 2];
} column;

static int64_t panel_size(const weight *w) {
  fixed_layout f = fixed_layout_of(&w->layout);
  int64_t blocks = w->columns / BLOCK;
  return (blocks + FIXED_BLOCKS - 1) / FIXED_BLOCKS * PANEL * 4 + blocks * f.block_size;
}

/* `row` points at the block of the file where the chunk begins. */
static void read_column(const weight *w, const fixed_layout *f, const uint8_t *row, int64_t blocks, column *out) {
  const code_layout *l = &w->layout;
  int centre = f->has_offset && f->bits == 4 && l->largest > 8 ? 8 : 0; /* 0 .. 15 becomes -8 .. 7 */
  unpacked_block unit;
  memset(&unit, 0, sizeof unit);
  for (int64_t b = 0; b < blocks; b += l->unit_blocks, row += w->format->block_size) {
    w->format->unpack(row, &unit);
    int64_t inputs = l->unit_blocks * BLOCK, stretches = l->unit_blocks * l->halves;
    int8_t *codes = out->codes + b * BLOCK;
    if (f->bits == 4)
      for (int64_t k = 0; k < inputs; k++) codes[k] = (int8_t)(unit.codes[k] + (l->table[0] - centre));
    else if (l->bits == 4)
      for (int64_t k = 0; k < inputs; k++) codes[k] = l->table[unit.codes[k]];
    else
      memcpy(codes, unit.codes, (size_t)inputs);
    for (int64_t j = 0; j < stretches; j++) {
      bool super = l->unit_blocks > 1;
      float scale = l->float_scales ? unit.scale[j] : half_to_float(unit.d) * (super ? unit.factor[j] : 1);
      float minimum = l->has_minimum ? half_to_float(unit.dmin) * (super ? -unit.minimum_factor[j] : 1) : 0;
      out->scale[b * l->halves + j] = scale;
      out->minimum[b * l->halves + j] = minimum + scale * (float)centre;
    }
  }
}

static int16_t round_to_int16(float v) { return (int16_t)lrintf(fminf(fmaxf(v, -FIXED_MOST), FIXED_MOST)); }

/* How far codes can be shifted to the left within their bits. */
static int spare_bits(const code_layout *l, int limit) {
  int shift = 0;
  while (l->largest << (shift + 1) <= limit) shift++;
  return shift;
}

static void store_column(const code_layout *l, const fixed_layout *f, const column *in, int64_t blocks, int64_t o, uint8_t *chunk) {
  int limit = f->bits == 8 ? 128 : 8, spare = spare_bits(l, limit);
  float reach = (float)(limit >> spare), most = 0;
  for (int64_t j = 0; j < blocks * f->halves; j++) {
    float size = fabsf(in->scale[j]) * reach + fabsf(in->minimum[j]);
    if (!(size <= most) && !isnan(most)) most = size; /* NaN, too, and for good */
  }
  float t = most / FIXED_MOST, inverse = t > 1e-30f ? 1 / t : 0;
  memcpy(chunk + o * 4, &t, 4);
  for (int64_t b = 0; b < blocks; b++) {
    uint8_t *block = chunk + PANEL * 4 + b * f->block_size;
    for (int64_t h = 0; h < f->halves; h++) {
      int16_t factor = round_to_int16(in->scale[b * f->halves + h] * reach * inverse);
      memcpy(block + (h * PANEL + o) * 2, &factor, 2);
      if (!f->has_offset) continue;
      int16_t offset = round_to_int16(in->minimum[b * f->halves + h] * inverse);
      memcpy(block + ((f->halves + h) * PANEL + o) * 2, &offset, 2);
    }
    uint8_t *target = block + f->codes + o / 16 * (PANEL * BLOCK / 2 * f->bits / 8) + o % 16 * 4;
    uint8_t codes[BLOCK];
    for (int64_t k = 0; k < BLOCK; k++) codes[k] = (uint8_t)((uint8_t)in->codes[b * BLOCK + k] << spare) & (f->bits == 8 ? 255 : 15);
    if (f->bits == 8)
      for (int64_t k = 0; k < BLOCK; k += 4) store_four(target + k / 4 * 64, load_four(codes + k));
    else
      for (int64_t k = 0; k < BLOCK; k += 8) store_four(target + k / 8 * 64, load_four(codes + k) | load_four(codes + k + 4) << 4);
  }
}

static void pack_panel(const weight *w, const uint8_t *rows, int64_t panel) {
  fixed_layout f = fixed_layout_of(&w->layout);
  int64_t first = panel * PANEL, count = w->rows - first < PANEL ? w->rows - first : PANEL, all = w->columns / BLOCK;
  int64_t row_size = block_format_row_size(w->format, w->columns);
  uint8_t *chunk = w->panels + panel * w->panel_size;
  memset(chunk, 0, (size_t)w->panel_size);
  column c;
  for (int64_t b = 0; b < all; b += FIXED_BLOCKS, chunk += fixed_chunk_size(&f)) {
    int64_t blocks = all - b < FIXED_BLOCKS ? all - b : FIXED_BLOCKS;
    for (int64_t o = 0; o < count; o++) {
      const uint8_t *row = rows + (first + o) * row_size + b / w->layout.unit_blocks * w->format->block_size;
      read_column(w, &f, row, blocks, &c);
      store_column(&w->layout, &f, &c, blocks, o, chunk);
    }
  }
}

const code_packer fixed_packer = {panel_size, pack_panel};
