#include "backend/cpu/code_panels.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline))

/* How codes lie in a panel. */
typedef struct code_order {
  uint8_t add;   /* to every 8-bit code */
  bool planes;
  int64_t group; /* inputs of a column that lie together, with 8 bits: 4 or 8 */
} code_order;

/* The 32 codes of column `o` of a block in `bits` of 5 or 6 each. */
INLINE void store_planes(const uint8_t *codes, const int bits, int64_t o, uint8_t *target) {
  const int each = bits - 4, in_byte = 8 / each;
  uint32_t planes[2] = {0};
  for (int g = 0; g < 8; g += 2) {
    const uint64_t eight = load_eight(codes + g * 4), high = eight >> 4 & 0x0f0f0f0f0f0f0f0f;
    store_four(target + g / 2 * 64 + o % 16 * 4, join_nibbles(eight & 0x0f0f0f0f0f0f0f0f));
    planes[g / in_byte] |= (uint32_t)high << g % in_byte * each | (uint32_t)(high >> 32) << (g + 1) % in_byte * each;
  }
  for (int i = 0; i < 8 / in_byte; i++) store_four(target + 256 + i * 64 + o % 16 * 4, planes[i]);
}

void code_panels_store(const uint8_t *codes, int32_t bits, int64_t group, int64_t o, uint8_t *target) {
  if (bits == 5) {
    store_planes(codes, 5, o, target);
  } else if (bits == 6) {
    store_planes(codes, 6, o, target);
  } else if (bits == 8) {
    for (int64_t k = 0; k < BLOCK; k += 4) store_four(target + (k / group * 16 + o % 16) * group + k % group, load_four(codes + k));
  } else {
    for (int64_t k = 0; k < BLOCK; k += 8) store_four(target + k / 8 * 64 + o % 16 * 4, join_nibbles(load_eight(codes + k)));
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
    code_panels_store(source->codes + b * BLOCK, bits, order.group, o, unit + u->codes + b * u->block_codes + o / 16 * (u->block_codes / 2));
}

static void pack_panel(const weight *w, const uint8_t *rows, int64_t panel, code_order order) {
  const code_layout *l = &w->layout;
  int32_t bits = order.planes ? plane_bits(l) : l->bits;
  if (bits == 5 || bits == 6) order.add = (uint8_t)-lowest_code(l);
  if (bits == 4) order.add = 0;
  unit_layout u = unit_layout_of(l, bits);
  int64_t first = panel * PANEL, count = w->rows - first < PANEL ? w->rows - first : PANEL;
  const int64_t row_size = block_format_row_size(w->format, w->columns), units = w->columns / w->format->block_length, size = w->format->block_size;
  uint8_t *target = w->panels + panel * w->panel_size;
  if (count < PANEL) memset(target, 0, (size_t)w->panel_size);
  unpacked_block unpacked;
  memset(&unpacked, 0, sizeof unpacked);
  for (int64_t i = 0; i < units; i++) {
    for (int64_t o = 0; o < count; o++) {
      const uint8_t *block = rows + (first + o) * row_size + i * size;
      prefetch_blocks_ahead(block, size);
      w->format->unpack(block, &unpacked);
      if (order.add)
        for (int64_t k = 0; k < w->format->block_length; k++) unpacked.codes[k] = (uint8_t)(unpacked.codes[k] + order.add);
      store_unit_column(l, &u, &unpacked, bits, order, o, target + i * u.size);
    }
  }
}

static void pack_signed(const weight *w, const uint8_t *rows, int64_t panel) { pack_panel(w, rows, panel, (code_order){.group = 4}); }

static void pack_unsigned(const weight *w, const uint8_t *rows, int64_t panel) { pack_panel(w, rows, panel, (code_order){0x80, true, 4}); }

static void pack_pairs(const weight *w, const uint8_t *rows, int64_t panel) { pack_panel(w, rows, panel, (code_order){.group = 8}); }

static void pack_spans(const weight *w, const uint8_t *rows, int64_t panel) {
  pack_panel(w, rows, panel, (code_order){(uint8_t)-span_code_start(&w->layout), true, 4});
}

static int64_t size_of_panel(const weight *w, int32_t bits) { return w->columns / w->format->block_length * unit_layout_of(&w->layout, bits).size; }

static int64_t panel_size(const weight *w) { return size_of_panel(w, w->layout.bits); }

static int64_t panel_size_with_planes(const weight *w) { return size_of_panel(w, plane_bits(&w->layout)); }

const code_packer signed_code_packer = {panel_size, pack_signed};
const code_packer unsigned_code_packer = {panel_size_with_planes, pack_unsigned};
const code_packer signed_pair_packer = {panel_size, pack_pairs};
const code_packer span_code_packer = {panel_size_with_planes, pack_spans};
