#include "model/rope.h"

#include <math.h>

#include "error.h"

dimple_status rope_prompt_positions(const int32_t *tokens, int64_t count, int32_t image_token, const dimple_image_grid *grids,
                                    int32_t grid_count, int32_t merge_size, int32_t *positions, int32_t *next_position) {
  int32_t *time = positions, *row = positions + count, *column = positions + 2 * count;
  int32_t next = 0, grid = 0;
  for (int64_t i = 0; i < count;) {
    if (tokens[i] != image_token || image_token < 0) {
      time[i] = row[i] = column[i] = next++;
      i++;
      continue;
    }
    if (grid == grid_count)
      return dimple_fail(DIMPLE_ERROR_ARGUMENT, "the prompt has an image placeholder at position %lld, but only %d image%s given",
                         (long long)i, grid_count, grid_count == 1 ? " is" : "s are");
    int32_t rows = grids[grid].rows / merge_size, columns = grids[grid].columns / merge_size;
    for (int32_t r = 0; r < rows; r++)
      for (int32_t c = 0; c < columns; c++, i++) {
        if (i == count || tokens[i] != image_token)
          return dimple_fail(DIMPLE_ERROR_ARGUMENT, "image %d needs %d placeholders in the prompt, found %d", grid, rows * columns, r * columns + c);
        time[i] = next;
        row[i] = next + r;
        column[i] = next + c;
      }
    int32_t extent = rows > columns ? rows : columns;
    next += extent > 1 ? extent : 1;
    grid++;
  }
  if (grid != grid_count)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "%d images are given, but the prompt has placeholders for %d", grid_count, grid);
  *next_position = next;
  return DIMPLE_OK;
}

void rope_text_angles(const text_parameters *p, const int32_t *positions, int64_t count, float *cosine, float *sine) {
  int32_t half = p->head_size / 2, coordinate = 0, section_end = p->rope_sections[0];
  for (int32_t j = 0; j < half; j++) {
    while (j >= section_end) section_end += p->rope_sections[++coordinate];
    float frequency = 1.0f / (float)pow(p->rope_base, (double)(2 * j) / p->head_size);
    const int32_t *at = positions + coordinate * count;
    for (int64_t i = 0; i < count; i++) {
      float angle = (float)at[i] * frequency;
      cosine[i * half + j] = cosf(angle);
      sine[i * half + j] = sinf(angle);
    }
  }
}

void rope_vision_angles(int32_t head_size, const int32_t *rows, const int32_t *columns, int64_t count, float *cosine, float *sine) {
  int32_t half = head_size / 2, quarter = head_size / 4;
  for (int32_t j = 0; j < half; j++) {
    const int32_t *at = j < quarter ? rows : columns;
    float frequency = 1.0f / (float)pow(10000.0, (double)(2 * (j % quarter)) / half);
    for (int64_t i = 0; i < count; i++) {
      float angle = (float)at[i] * frequency;
      cosine[i * half + j] = cosf(angle);
      sine[i * half + j] = sinf(angle);
    }
  }
}
