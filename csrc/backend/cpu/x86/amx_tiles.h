/* AMX tile registers: eight of 16 rows of 64 bytes (Intel SDM volume 1, chapter 18). */
#ifndef DIMPLE_CPU_X86_AMX_TILES_H
#define DIMPLE_CPU_X86_AMX_TILES_H

#include <immintrin.h>
#include <stdint.h>

enum { TILE_ROWS = 16, TILE_BYTES = 1024 };

/* Gives all eight registers of the calling thread their full size; _tile_release hands them back. */
static inline void configure_tiles(void) {
  static const struct {
    _Alignas(64) uint8_t palette;
    uint8_t start_row;
    uint8_t reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
  } all = {.palette = 1, .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 16, 16}};
  _tile_loadconfig(&all);
}

#endif
