/* AMX tile registers: eight of 16 rows of 64 bytes (Intel SDM volume 1, chapter 18). */
#ifndef DIMPLE_CPU_X86_AMX_TILES_H
#define DIMPLE_CPU_X86_AMX_TILES_H

#include <immintrin.h>
#include <stdint.h>

enum { TILE_ROWS = 16, TILE_BYTES = 1024 };

/* How the eight registers of a thread are cut. */
typedef struct tile_configuration {
  _Alignas(64) uint8_t palette;
  uint8_t start_row;
  uint8_t reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} tile_configuration;

/* Gives the calling thread eight registers of their full size; _tile_release hands them back. */
static inline void configure_all_tiles(void) {
  static const tile_configuration all = {.palette = 1, .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 16, 16}};
  _tile_loadconfig(&all);
}

#define TILES_OF_ROWS(n) \
  { .palette = 1, .row_bytes = {64, 64, 64, 64, 64}, .rows = {n, n, n, 16, 16} }

/* Gives the calling thread registers 0 to 2, of as many rows as are multiplied, up to all, for sums and activations, and 3 and 4, of full size, for weights:
 * fewer rows are fewer cycles of the tile unit and fewer memory accesses. */
static inline void configure_tiles(int64_t rows) {
  static const tile_configuration of_rows[TILE_ROWS] = {TILES_OF_ROWS(1),  TILES_OF_ROWS(2),  TILES_OF_ROWS(3),  TILES_OF_ROWS(4), TILES_OF_ROWS(5),  TILES_OF_ROWS(6),
                                                        TILES_OF_ROWS(7),  TILES_OF_ROWS(8),  TILES_OF_ROWS(9),  TILES_OF_ROWS(10), TILES_OF_ROWS(11), TILES_OF_ROWS(12),
                                                        TILES_OF_ROWS(13), TILES_OF_ROWS(14), TILES_OF_ROWS(15), TILES_OF_ROWS(16)};
  _tile_loadconfig(&of_rows[(rows < TILE_ROWS ? rows : TILE_ROWS) - 1]);
}

#endif
