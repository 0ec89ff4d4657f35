/*
 * Rows of keys or values as a cache keeps them: floats, or what GGML's formats F16 and Q8_0 make of them, block after block as in a file, and at
 * the end of a row as many bytes as make it whole elements of four. A block does not go past the end of a head: heads of rows in Q8_0 are
 * multiples of 32 wide.
 */
#ifndef DIMPLE_KV_ROWS_H
#define DIMPLE_KV_ROWS_H

#include "quant/block_formats.h"

/* Whether rows are kept in this type (dimple_tensor_type), and with heads of this size. */
bool kv_type_is_known(int32_t type);
bool kv_type_takes_heads(int32_t type, int32_t size);

/* Bytes of `count` neighbouring numbers of a row, of a head or of several; and elements of four bytes of a whole row. */
int64_t kv_bytes(int32_t type, int64_t count);
int64_t kv_row_elements(int32_t type, int64_t width);

/* A row [width] of floats, rounded; half floats to the nearest, ties to even, and what is beyond 65504 becomes that. NaN stays NaN, and in Q8_0 makes
 * NaN of its block, as an infinite number does. */
void kv_row_pack(int32_t type, const float *row, int64_t width, void *packed);

/* And back to floats. */
void kv_row_unpack(int32_t type, const void *packed, int64_t width, float *row);

#endif
