/* Packing tensors into panels, see cpu.h. */
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/operations.h"
#include "digest.h"
#include "error.h"
#include "platform/platform.h"

typedef struct packing_task {
  const uint8_t *rows;
  const platform_mapping *file; /* null, or what the rows lie in */
  const weight *w;
  const code_packer *packer; /* null: of floats */
} packing_task;

/* Four columns of four rows of 16-bit elements, `stride` bytes apart, to four elements each at `target`, PANEL elements apart. */
static inline void turn_four_halves(const uint8_t *rows, int64_t stride, uint8_t *target) {
  uint64_t r[4];
  for (int i = 0; i < 4; i++) memcpy(&r[i], rows + i * stride, sizeof r[i]);
  for (int k = 0; k < 4; k++) {
    uint64_t column = 0;
    for (int i = 0; i < 4; i++) column |= (r[i] >> 16 * k & 0xffff) << 16 * i;
    memcpy(target + k * PANEL * 2, &column, sizeof column);
  }
}

/* Columns [k0, end) of four rows from row `o` on. */
static void pack_four_rows(const weight *w, const uint8_t *rows, int64_t o, int64_t k0, int64_t end, uint8_t *panel) {
  int64_t k = k0;
  for (; k + 4 <= end; k += 4) turn_four_halves(rows + (o * w->columns + k) * 2, w->columns * 2, panel + (k * PANEL + o) * 2);
  for (; k < end; k++)
    for (int64_t i = o; i < o + 4; i++) memcpy(panel + (k * PANEL + i) * 2, rows + (i * w->columns + k) * 2, 2);
}

/* A panel of a float tensor: a transpose of up to PANEL rows, some columns at a time, so that what is written stays in the
 * nearest cache until its lines are full. */
static void pack_float_panel(const weight *w, const uint8_t *tensor, int64_t number) {
  enum { AT_A_TIME = 64 };
  int64_t columns = w->columns, first = number * PANEL;
  int64_t count = w->rows - first < PANEL ? w->rows - first : PANEL, size = w->packing == PACKED_F32 ? 4 : 2;
  uint8_t *panel = w->panels + number * w->panel_size;
  if (count < PANEL) memset(panel, 0, (size_t)w->panel_size);
  const uint8_t *rows = tensor + first * block_format_row_size(w->format, columns);
  for (int64_t k0 = 0; k0 < columns; k0 += AT_A_TIME) {
    int64_t end = columns - k0 < AT_A_TIME ? columns : k0 + AT_A_TIME, o = 0;
    for (int64_t i = 0; i < count; i++) /* what the next columns are, which no processor foresees in so many rows */
      for (int64_t line = 0; line < AT_A_TIME * size; line += 64) __builtin_prefetch(rows + (i * columns + end) * size + line);
    if (size == 2)
      for (; o + 4 <= count; o += 4) pack_four_rows(w, rows, o, k0, end, panel);
    for (; o < count; o++) {
      if (size == 4)
        for (int64_t k = k0; k < end; k++) memcpy(panel + (k * PANEL + o) * 4, rows + (o * columns + k) * 4, 4);
      else
        for (int64_t k = k0; k < end; k++) memcpy(panel + (k * PANEL + o) * 2, rows + (o * columns + k) * 2, 2);
    }
  }
}

static void pack_panel(const code_packer *packer, const weight *w, const uint8_t *rows, int64_t number) {
  if (packer)
    packer->pack_panel(w, rows, number);
  else
    pack_float_panel(w, rows, number);
}

/* The panel number `item` of a weight by itself. */
static weight panel_of(const weight *w, int64_t item) {
  weight one = *w;
  one.rows = smaller(w->rows - item * PANEL, PANEL);
  return one;
}

static void pack_item(void *work, int64_t item, void *scratch) {
  const packing_task *t = work;
  weight one = panel_of(t->w, item);
  one.panels = t->w->panels + item * t->w->panel_size;
  int64_t row_size = block_format_row_size(one.format, one.columns), size = one.rows * row_size;
  const uint8_t *rows = t->rows + item * PANEL * row_size;
  if (t->file && size <= CPU_SCRATCH) {
    platform_read(t->file, rows - t->file->bytes, size, scratch);
    rows = scratch;
  }
  pack_panel(t->packer, &one, rows, 0);
}

void cpu_pack_panel(const cpu_kernels *k, const weight *w, int64_t panel, uint8_t *memory, weight *one) {
  *one = panel_of(w, panel);
  one->panels = memory;
  pack_panel(k->packers[w->packing], one, w->file_rows + panel * PANEL * block_format_row_size(w->format, w->columns), 0);
}

dimple_status cpu_allocate(int64_t count, int64_t size, const char *purpose, void **out) {
  enum { LARGE = 4 << 20 };
  if (count < 0 || size < 0 || (size > 0 && count > (INT64_MAX - PLATFORM_LARGE_PAGE) / size))
    return dimple_fail_memory(UINT64_MAX, purpose);
  size_t alignment = count * size >= LARGE ? PLATFORM_LARGE_PAGE : PLATFORM_CACHE_LINE;
  size_t bytes = ((size_t)(count * size) + alignment - 1) / alignment * alignment;
  *out = platform_allocate(bytes, alignment);
  if (!*out) return dimple_fail_memory(bytes, purpose);
  return DIMPLE_OK;
}

/* How a matrix is packed: packing, layout and panel size. */
static dimple_status lay_out(const context *c, const tensor_source *source, weight *w) {
  switch (source->type) {
    case DIMPLE_TENSOR_F32: w->packing = PACKED_F32; break;
    case DIMPLE_TENSOR_F16: w->packing = PACKED_F16; break;
    case DIMPLE_TENSOR_BF16: w->packing = PACKED_BF16; break;
    default:
      if (!w->format->unpack)
        return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "tensor %s: no kernel multiplies type %s", source->name, w->format->name);
      w->layout = w->format->codes;
      w->packing = w->layout.halves == 2 && c->kernels->packers[PACKED_FIXED] ? PACKED_FIXED : PACKED_CODES;
  }
  if (is_quantized(w->packing))
    w->panel_size = c->kernels->packers[w->packing]->panel_size(w);
  else
    w->panel_size = w->columns * PANEL * (w->packing == PACKED_F32 ? 4 : 2);
  return DIMPLE_OK;
}

/* ------------------------------------------------------------------------------------------------------- kept and given again */

typedef struct digest_task {
  const weight *w;
  const uint8_t *rows; /* of the tensor, or null: the panels' */
  uint64_t *digests;   /* [panels] */
} digest_task;

static void digest_item(void *work, int64_t item, void *scratch) {
  (void)scratch;
  const digest_task *t = work;
  const weight *w = t->w;
  int64_t row_size = block_format_row_size(w->format, w->columns), first = item * PANEL, rows = w->rows - first < PANEL ? w->rows - first : PANEL;
  t->digests[item] = t->rows ? digest_of(t->rows + first * row_size, rows * row_size) : digest_of(w->panels + item * w->panel_size, w->panel_size);
}

/* The digest of the digests of a weight's panels, or of the rows that each was packed from; on all threads. False: no memory. */
static bool digest_panels(context *c, const weight *w, const uint8_t *rows, uint64_t *out) {
  int64_t size = weight_panels(w) * (int64_t)sizeof(uint64_t);
  digest_task task = {w, rows, malloc((size_t)size)};
  if (!task.digests) return false;
  cpu_pool_run(c->pool, weight_panels(w), digest_item, &task, NULL);
  *out = digest_of(task.digests, size);
  free(task.digests);
  return true;
}

/* Takes the panels that were kept of a matrix, if they are what they were. */
static bool borrow(context *c, const tensor_source *source, weight *w) {
  const packed_part *kept = source->packed;
  uint64_t found;
  if (!kept || kept->size != weight_panels(w) * w->panel_size) return false;
  if (source->packed_unproven && (!digest_panels(c, w, source->data, &found) || found != kept->source)) return false;
  w->panels = (uint8_t *)(uintptr_t)kept->bytes;
  if (digest_panels(c, w, NULL, &found) && found == kept->digest) {
    w->borrowed = kept;
    return true;
  }
  w->panels = NULL;
  return false;
}

bool cpu_packed_part(context *c, const weight *w, const tensor_source *source, int64_t matrix, packed_part *out) {
  const uint8_t *rows = source->data;
  if (w->matrices > 0) {
    rows += matrix * source->rows * block_format_row_size(w->format, w->columns);
    w = &w->members[matrix];
  }
  if (!w->panels) return false;
  if (w->borrowed) {
    *out = *w->borrowed;
    return true;
  }
  *out = (packed_part){.bytes = w->panels, .size = weight_panels(w) * w->panel_size};
  return digest_panels(c, w, NULL, &out->digest) && digest_panels(c, w, rows, &out->source);
}

static dimple_status pack_linear(context *c, const tensor_source *source, weight_use use, weight *w) {
  DIMPLE_TRY(lay_out(c, source, w));
  if (use == WEIGHT_UNPACKED) {
    w->file_rows = source->data;
    return DIMPLE_OK;
  }
  if (borrow(c, source, w)) return DIMPLE_OK;
  void *panels;
  DIMPLE_TRY(weight_memory_take(&c->open_chunk, weight_panels(w), w->panel_size, source->name, &w->chunk, &panels));
  w->panels = panels;
  packing_task task = {.rows = source->data, .file = source->file, .w = w, .packer = c->kernels->packers[w->packing]};
  DIMPLE_TRY(cpu_need_scratch(c));
  cpu_pool_run(c->pool, weight_panels(w), pack_item, &task, c->scratch);
  return DIMPLE_OK;
}

static dimple_status pack(context *c, const tensor_source *source, weight_use use, weight *w) {
  if (use == WEIGHT_ROWS) {
    w->file_rows = source->data;
    return DIMPLE_OK;
  }
  if (use == WEIGHT_LINEAR || use == WEIGHT_UNPACKED) return pack_linear(c, source, use, w);
  void *values;
  DIMPLE_TRY(cpu_allocate(w->rows * w->columns, sizeof(float), source->name, &values));
  w->vector = values;
  w->format->dequantize(source->data, w->vector, w->rows * w->columns / w->format->block_length);
  return DIMPLE_OK;
}

/* Every matrix of a bank is packed as a weight of its own. */
static dimple_status pack_bank(context *c, const tensor_source *source, weight_use use, weight *bank) {
  bank->members = calloc((size_t)source->matrices, sizeof *bank->members);
  if (!bank->members) return dimple_fail_memory((uint64_t)source->matrices * sizeof *bank->members, source->name);
  int64_t size = source->rows * block_format_row_size(bank->format, source->columns);
  for (; bank->matrices < source->matrices; bank->matrices++) {
    tensor_source one = *source;
    one.data += bank->matrices * size;
    if (one.packed) one.packed += bank->matrices;
    weight *member = &bank->members[bank->matrices];
    *member = (weight){.format = bank->format, .rows = source->rows, .columns = source->columns};
    DIMPLE_TRY(pack(c, &one, use, member));
  }
  return DIMPLE_OK;
}

dimple_status cpu_weight_upload(context *c, const tensor_source *source, weight_use use, weight **out) {
  const block_format *format = block_format_of(source->type);
  if (!format)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "tensor %s: type %s (%d) is not read", source->name, block_format_type_name(source->type), source->type);
  DIMPLE_TRY(block_format_check_columns(format, source->columns, DIMPLE_ERROR_UNSUPPORTED, "tensor %s: %lld columns", source->name,
                                        (long long)source->columns));
  weight *w = calloc(1, sizeof *w);
  if (!w) return dimple_fail_memory(sizeof *w, source->name);
  w->format = format;
  w->rows = source->rows;
  w->columns = source->columns;
  dimple_status status = source->matrices ? pack_bank(c, source, use, w) : pack(c, source, use, w);
  if (status != DIMPLE_OK) {
    cpu_weight_free(w);
    return status;
  }
  *out = w;
  return DIMPLE_OK;
}

static void free_packed(weight *w) {
  platform_free(w->vector);
  if (!w->borrowed) weight_memory_give(w->chunk, w->panels);
}

void cpu_weight_free(weight *w) {
  if (!w) return;
  for (int64_t i = 0; i < w->matrices; i++) free_packed(&w->members[i]);
  free(w->members);
  free_packed(w);
  free(w);
}

int64_t cpu_weight_bytes(const weight *w) {
  int64_t bytes = (int64_t)sizeof *w;
  if (w->vector) bytes += w->rows * w->columns * (int64_t)sizeof(float);
  if (w->panels && !w->borrowed) bytes += weight_panels(w) * w->panel_size;
  for (int64_t i = 0; i < w->matrices; i++) bytes += cpu_weight_bytes(&w->members[i]);
  return bytes;
}

int64_t cpu_packed_bytes(const context *c, const tensor_source *source) {
  weight w = {.format = block_format_of(source->type), .rows = source->rows, .columns = source->columns};
  if (!w.format || lay_out(c, source, &w) != DIMPLE_OK) return 0;
  return (source->matrices ? source->matrices : 1) * weight_panels(&w) * w.panel_size;
}
