/*
 * What the portable part of the CPU backends (operations.h, weights.c) and the kernels of one instruction set share: the
 * layouts of packed weights and activations, and the table of kernels.
 */
#ifndef DIMPLE_CPU_H
#define DIMPLE_CPU_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "backend/backend.h"
#include "backend/cpu/pool.h"
#include "backend/cpu/weight_memory.h"
#include "quant/block_formats.h"

enum {
  PANEL = 32,        /* output columns that are packed and computed together */
  BLOCK = 32,        /* inputs that share a scale: the unit of integer products */
  RUN_PANELS = 4,    /* panels that one work item multiplies at most */
  GROUP_ROWS = 192,  /* rows of x that one work item multiplies; a multiple of every kernel's row tile */
  CHUNK_BLOCKS = 16, /* blocks of a panel that are unpacked at a time and used for all rows of the group: 16 KiB of bytes */
  CHUNK_FLOATS = 128, /* inputs of a float panel that are multiplied with all rows of the group at a time: 16 KiB of floats */
  MULTIPLY_SCRATCH = 1 << 18 /* bytes: the largest scratch memory that `multiply` of any instruction set asks for */
};

/* How a weight is packed. Output columns are cut into panels of PANEL, the last one filled up with zeros. F32, F16, BF16: a panel is
 * [columns][PANEL] elements of the file's type. CODES, for quantized types: as the instruction set's code_packer lays it out. FIXED: as another one
 * of it does, for types with a scale for 16 inputs, where there is one. */
typedef enum packing { PACKED_F32, PACKED_F16, PACKED_BF16, PACKED_CODES, PACKED_FIXED, PACKINGS } packing;

static inline bool is_quantized(packing p) { return p == PACKED_CODES || p == PACKED_FIXED; }

struct weight {
  const block_format *format;
  int64_t matrices; /* of a bank, whose matrices are weights of their own; 0: no bank */
  weight *members;  /* [matrices] */
  int64_t rows;
  int64_t columns;
  const uint8_t *file_rows; /* WEIGHT_ROWS, WEIGHT_UNPACKED: the caller's bytes */
  float *vector;            /* WEIGHT_VECTOR */
  packing packing;          /* WEIGHT_LINEAR, WEIGHT_UNPACKED */
  code_layout layout;
  int64_t panel_size; /* bytes */
  uint8_t *panels;    /* null: WEIGHT_UNPACKED */
  weight_chunk *chunk; /* that the panels lie in; null: memory of their own */
  const packed_part *borrowed; /* the panels are the caller's; null: they are the weight's own */
};

static inline int64_t weight_panels(const weight *w) { return (w->rows + PANEL - 1) / PANEL; }

/* The codes of four inputs at once. */
static inline uint32_t load_four(const uint8_t *p) {
  uint32_t word;
  memcpy(&word, p, sizeof word);
  return word;
}
static inline void store_four(uint8_t *p, uint32_t word) { memcpy(p, &word, sizeof word); }

/* How an instruction set wants quantized weights. */
typedef struct code_packer {
  int64_t (*panel_size)(const weight *w); /* bytes */
  /* Fills a panel, which may hold anything, from the rows of the tensor; columns beyond the last row are zeros. */
  void (*pack_panel)(const weight *w, const uint8_t *rows, int64_t panel);
} code_packer;

/* How kernels want activations: cut into tiles of `tile_rows` rows, the last one filled up with zeros, each laid out as suits
 * the instruction set, maybe by how many rows a tile has; multiply sees the same tiles. */
typedef struct activation_form {
  int64_t tile_rows; /* divides 96, half of GROUP_ROWS */
  int64_t (*tile_size)(int64_t columns); /* bytes */
  /* Lays out up to tile_rows rows of x, `stride` floats apart. */
  void (*prepare)(const float *x, int64_t stride, int64_t rows, int64_t columns, uint8_t *tile);
} activation_form;

/* Activations in one form. */
typedef struct prepared {
  const activation_form *form;
  uint8_t *tiles;
  int64_t tile_size;
} prepared;

/* What the head keeps of one row and one chunk of the vocabulary. Sums are relative to `best`, the chunk's highest logit. */
typedef struct chunk_summary {
  float best, second;
  int32_t best_token; /* within the chunk */
  int32_t drawn_token;
  float drawn_logit;
  float sum, mean;         /* sum exp(z - best), sum exp(z - best) (z - best) */
  float hot_sum, hot_mean; /* the same of z / temperature */
} chunk_summary;

/* An output of linear and a call of attention, their views resolved to memory. */
typedef struct product_target {
  const weight *bias, *up_bias; /* null: none */
  float *y;
  int64_t y_stride;
  linear_mode mode;
} product_target;

typedef struct attention_operands {
  const float *q;
  const uint8_t *k, *v; /* rows in kv_type */
  float *y;
  int64_t q_stride, y_stride; /* floats */
  int64_t k_stride, v_stride; /* bytes */
  int32_t heads, kv_heads, size, kv_type;
  float scale; /* above 0 */
  const int32_t *first_key, *last_key, *skip_key; /* as in attention_call */
} attention_operands;

/* A block of attention that one item computes: query heads [head, head + head_count) of one key head and query rows
 * [row, row_end), against keys [key, key_end). */
typedef struct attention_block {
  int64_t row, row_end, key, key_end;
} attention_block;

enum { ATTENTION_ROWS = 96, ATTENTION_PARTS = 2, ATTENTION_SIZE = 512 }; /* query rows x heads of a part; parts of an item; largest head */

typedef struct cpu_kernels {
  const activation_form *forms[PACKINGS]; /* what each packing of weights is multiplied with */
  const code_packer *packers[PACKINGS];   /* CODES, and FIXED or null */
  /* y [panels][GROUP_ROWS][PANEL] = x times `panels` panels of w from `panel` on; x is `rows` <= GROUP_ROWS rows from the
   * beginning of `tiles`. */
  void (*multiply)(const weight *w, int64_t panel, int64_t panels, const uint8_t *tiles, int64_t tile_size, int64_t rows, float *y,
                   void *scratch);

  /* The end of a linear operation for a run of panels: `count` columns from `first` on, from the products a (and b if the mode is gated) that
   * multiply left. */
  void (*finish)(const product_target *out, int64_t first, int64_t count, int64_t row, int64_t rows, const float *a,
                 const float *b);

  void (*rms_norm)(float *y, const float *x, const float *w, int64_t columns, float epsilon); /* one row; w may be null */
  void (*layer_norm)(float *y, const float *x, const float *w, const float *b, int64_t columns, float epsilon); /* one row */
  void (*add_scaled)(float *y, const float *x, float scale, int64_t columns); /* one row: y += scale * x */
  void (*rotary)(float *row, const float *cosine, const float *sine, int32_t heads, int32_t size, int32_t stride);
  void (*attention)(const attention_operands *of, const attention_block *block, int32_t head, int32_t head_count, void *scratch);
  /* `u` in (0, 1) picks the token; temperature 0: no draw. */
  void (*summarize)(const float *z, int64_t count, float temperature, float u, chunk_summary *out);
  /* What its multiplications do at most, see peak_template.h; null: there are none of integers. */
  int64_t (*peak_floats)(int64_t turns, void *scratch);
  int64_t (*peak_codes)(int64_t turns, void *scratch);
  void (*cap)(float *z, int64_t count, float softcap); /* z = softcap * tanh(z / softcap), NaN where z is no number */
  /* sum exp(z - best) (z - reference - log(exp(former - log_sum) + HEAD_LEAST)), `best` the highest of the chunk that z [count] is of. */
  float (*diverge)(const float *z, const float *former, int64_t count, float best, float log_sum, float reference);
  /* Where z [count] is above the bound, ascending, into places [count]; returns how many. */
  int64_t (*find_above)(const float *z, int64_t count, float bound, int32_t *places);
  /* z = exp((z - highest) / temperature), or 0 below 2^-40; their sum. */
  float (*soften)(float *z, int64_t count, float highest, float temperature);

  /* The mean of a table's rows (head_expected.h): y += weights of tokens, laid out in mean_form, times rows of the table as floats, PACKED_F32; y and the rest as
   * in `multiply`. Of a product of numbers no more than 3 * 2^-18 is left out. */
  const activation_form *mean_form;
  void (*add_means)(const weight *w, int64_t panel, int64_t panels, const uint8_t *tiles, int64_t tile_size, int64_t rows, float *y, void *scratch);
} cpu_kernels;

/* `count` * `size` bytes, 64-byte aligned, for platform_free. Errors: MEMORY. */
dimple_status cpu_allocate(int64_t count, int64_t size, const char *purpose, void **out);

struct context {
  const cpu_kernels *kernels;
  atomic_bool *cancelled; /* of the pass that is recorded */
  cpu_pool *pool;
  void *scratch; /* CPU_SCRATCH bytes for the thread that calls; null before the first pass or packing */
  uint8_t *activations; /* the prepared x of the current operation; kept for the next one */
  int64_t activations_size;
  uint8_t *unpacked; /* a panel for each thread, for the weights that are not packed; kept likewise */
  int64_t unpacked_size; /* bytes of each */
  atomic_flag *unpacked_taken; /* [threads] */
  float *routed; /* what experts need between their products; kept likewise */
  int64_t routed_size; /* bytes */
  weight_chunk *open_chunk; /* for the next weights that are packed; null: none yet */
};

/* Packs panel `panel` of an unpacked weight into `memory` of panel_size bytes, as the weight *one, whose only panel it is. */
void cpu_pack_panel(const cpu_kernels *k, const weight *w, int64_t panel, uint8_t *memory, weight *one);

dimple_status cpu_weight_upload(context *c, const tensor_source *source, weight_use use, weight **out);
void cpu_weight_free(weight *w);
int64_t cpu_weight_bytes(const weight *w);
int64_t cpu_packed_bytes(const context *c, const tensor_source *source);
bool cpu_packed_part(context *c, const weight *w, const tensor_source *source, int64_t matrix, packed_part *out);

#endif
