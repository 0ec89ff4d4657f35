#include "backend/cpu/code_panels.h"

#include <string.h>

/* How codes lie in a panel. */
typedef struct code_order {
  uint8_t add;   /* to every 8-bit code */
  bool planes;
  int64_t group; /* inputs of a column that lie together, with 8 bits: 2, 4 or 8; 4-bit codes know 2 and 4, which stands for 8, too */
} code_order;

/* `add` on each of four bytes. */
static inline uint32_t add_bytes(uint32_t four, uint8_t add) {
  uint32_t all = add * 0x01010101u, high = 0x80808080u;
  return ((four & ~high) + (all & ~high)) ^ ((four ^ all) & high);
}

/* The 32 codes of column `o` of a block in `bits` of 5 or 6 each. */
static void store_planes(const uint8_t *codes, int32_t bits, uint8_t add, int64_t o, uint8_t *target) {
  const int each = bits - 4, in_byte = 8 / each;
  uint32_t planes[2] = {0};
  for (int g = 0; g < 8; g += 2) {
    uint32_t first = add_bytes(load_four(codes + g * 4), add), second = add_bytes(load_four(codes + g * 4 + 4), add);
    store_four(target + g / 2 * 64 + o % 16 * 4, (first & 0x0f0f0f0fu) | (second & 0x0f0f0f0fu) << 4);
    planes[g / in_byte] |= (first >> 4 & 0x0f0f0f0fu) << g % in_byte * each | (second >> 4 & 0x0f0f0f0fu) << (g + 1) % in_byte * each;
  }
  for (int i = 0; i < 8 / in_byte; i++) store_four(target + 256 + i * 64 + o % 16 * 4, planes[i]);
}

/* The 32 codes of column `o` of a block. */
static void store_codes(const uint8_t *codes, int32_t bits, code_order order, int64_t o, uint8_t *target) {
  if (bits == 5 || bits == 6) {
    store_planes(codes, bits, order.add, o, target);
  } else if (bits == 8 && order.group == 2) {
    for (int64_t k = 0; k < BLOCK; k += 4) {
      uint32_t four = add_bytes(load_four(codes + k), order.add);
      memcpy(target + (k / 2 * 16 + o % 16) * 2, &four, 2);
      memcpy(target + ((k / 2 + 1) * 16 + o % 16) * 2, (uint8_t *)&four + 2, 2);
    }
  } else if (bits == 8) {
    for (int64_t k = 0; k < BLOCK; k += 4)
      store_four(target + (k / order.group * 16 + o % 16) * order.group + k % order.group, add_bytes(load_four(codes + k), order.add));
  } else if (order.group == 2) {
    for (int64_t k = 0; k < BLOCK; k += 8)
      for (int64_t i = 0; i < 4; i++) target[k / 8 * 64 + i / 2 * 32 + o % 16 * 2 + i % 2] = (uint8_t)(codes[k + i] | codes[k + 4 + i] << 4);
  } else {
    for (int64_t k = 0; k < BLOCK; k += 8) store_four(target + k / 8 * 64 + o % 16 * 4, load_four(codes + k) | load_four(codes + k + 4) << 4);
  }
}

/* Column `o` of a unit. */
static void store_unit_column(const code_layout *l, const unit_layout *u, const unpacked_block *source, int32_t bits, code_order order, int64_t o,
                              uint8_t *unit) {
  if (l->float_scales)
    for (int j = 0; j < l->unit_blocks * l->halves; j++) memcpy(unit + (j * PANEL + o) * 4, &source->scale[j], 4);
  else
    memcpy(unit + o * 2, &source->d, 2);
  if (l->has_minimum) memcpy(unit + u->minimum + o * 2, &source->dmin, 2);
  if (l->unit_blocks > 1 && !l->float_scales) {
    for (int j = 0; j < l->unit_blocks * l->halves; j++) {
      unit[u->factor + j * PANEL + o] = (uint8_t)source->factor[j];
      if (l->has_minimum) unit[u->minimum_factor + j * PANEL + o] = source->minimum_factor[j];
    }
  }
  for (int b = 0; b < l->unit_blocks; b++)
    store_codes(source->codes + b * BLOCK, bits, order, o, unit + u->codes + b * u->block_codes + o / 16 * (u->block_codes / 2));
}

static void pack_panel(const weight *w, const uint8_t *rows, int64_t panel, code_order order) {
  const code_layout *l = &w->layout;
  int32_t bits = order.planes ? plane_bits(l) : l->bits;
  if (bits == 5 || bits == 6) order.add = (uint8_t)-lowest_code(l);
  unit_layout u = unit_layout_of(l, bits);
  int64_t first = panel * PANEL, count = w->rows - first < PANEL ? w->rows - first : PANEL;
  int64_t row_size = block_format_row_size(w->format, w->columns), units = w->columns / w->format->block_length;
  uint8_t *target = w->panels + panel * w->panel_size;
  unpacked_block unpacked;
  memset(&unpacked, 0, sizeof unpacked);
  for (int64_t i = 0; i < units; i++) {
    for (int64_t o = 0; o < count; o++) {
      w->format->unpack(rows + (first + o) * row_size + i * w->format->block_size, &unpacked);
      store_unit_column(l, &u, &unpacked, bits, order, o, target + i * u.size);
    }
  }
}

static void pack_signed(const weight *w, const uint8_t *rows, int64_t panel) { pack_panel(w, rows, panel, (code_order){.group = 4}); }

static void pack_unsigned(const weight *w, const uint8_t *rows, int64_t panel) { pack_panel(w, rows, panel, (code_order){0x80, true, 4}); }

static void pack_pairs(const weight *w, const uint8_t *rows, int64_t panel) { pack_panel(w, rows, panel, (code_order){.group = 8}); }

static void pack_spans(const weight *w, const uint8_t *rows, int64_t panel) {
  bool wide = code_span(&w->layout) > WIDEST_SPAN;
  pack_panel(w, rows, panel, (code_order){(uint8_t)-span_code_start(&w->layout), true, wide ? 2 : 4});
}

static int64_t size_of_panel(const weight *w, int32_t bits) { return w->columns / w->format->block_length * unit_layout_of(&w->layout, bits).size; }

static int64_t panel_size(const weight *w) { return size_of_panel(w, w->layout.bits); }

static int64_t panel_size_with_planes(const weight *w) { return size_of_panel(w, plane_bits(&w->layout)); }

const code_packer signed_code_packer = {panel_size, pack_signed};
const code_packer unsigned_code_packer = {panel_size_with_planes, pack_unsigned};
const code_packer signed_pair_packer = {panel_size, pack_pairs};
const code_packer span_code_packer = {panel_size_with_planes, pack_spans};
