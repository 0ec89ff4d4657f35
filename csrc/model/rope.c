#include "model/rope.h"

#include <math.h>

#include "error.h"
#include "transformer/tensor_list.h"

/* How many of the `count` tokens are placeholders before the first that is none, up to `most`. */
static int64_t run_of(const int32_t *tokens, int64_t count, int32_t image_token, int64_t most) {
  int64_t length = 0;
  while (length < most && length < count && tokens[length] == image_token) length++;
  return length;
}

/* How often `start` stands right before a placeholder. */
static int32_t started(const int32_t *tokens, int64_t count, int32_t image_token, int32_t start) {
  int32_t found = 0;
  for (int64_t i = 0; i + 1 < count; i++) found += tokens[i] == start && tokens[i + 1] == image_token;
  return found;
}

dimple_status rope_prompt_positions(const int32_t *tokens, int64_t count, int32_t image_token, int32_t picture_start,
                                    const vision_parameters *vision,
                                    const dimple_image_grid *grids, int32_t grid_count, int32_t *positions, int32_t *next_position) {
  int32_t *time = positions, *row = positions + count, *column = positions + 2 * count;
  int32_t next = 0, grid = 0, on_grids = picture_start < 0 ? grid_count : started(tokens, count, image_token, picture_start);
  for (int64_t i = 0; i < count;) {
    if (tokens[i] != image_token || image_token < 0) {
      time[i] = row[i] = column[i] = next++;
      i++;
      continue;
    }
    if (grid == grid_count)
      return dimple_fail(DIMPLE_ERROR_ARGUMENT, "the prompt has an image placeholder at position %lld, but only %d image%s given",
                         (long long)i, grid_count, grid_count == 1 ? " is" : "s are");
    int32_t needed = grids[grid].tokens, found = (int32_t)run_of(tokens + i, count - i, image_token, needed);
    if (found < needed)
      return dimple_fail(DIMPLE_ERROR_ARGUMENT, "image %d needs %d placeholders in the prompt, found %d", grid, needed, found);
    if (grid < on_grids)
      next = vision->tower->place(vision, &grids[grid], next, time + i, row + i, column + i);
    else
      for (int32_t k = 0; k < needed; k++) time[i + k] = row[i + k] = column[i + k] = next++;
    i += needed;
    grid++;
  }
  if (grid != grid_count)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "%d images are given, but the prompt has placeholders for %d", grid_count, grid);
  *next_position = next;
  return DIMPLE_OK;
}

/* f(j) = base^(-2j/size), of which the part that is not kept is divided by the factor. */
static float frequency_of(const rotary_parameters *r, int32_t j) {
  const rotary_scaling *s = &r->scaling;
  float plain = 1.0f / (float)pow(r->base, (double)(2 * j) / r->size);
  if (s->factor == 1.0f) return plain;
  float passed = ((float)j - s->fast) / fmaxf(s->slow - s->fast, 0.001f); /* llama.cpp's shortest ramp */
  float kept = s->kept * (1.0f - fminf(fmaxf(passed, 0.0f), 1.0f));
  return plain / s->factor * (1.0f - kept) + plain * kept;
}

void rope_angles(const rotary_parameters *r, const uint8_t *divisors, const int32_t *positions, int64_t count, float *cosine, float *sine) {
  int32_t half = r->size / 2, coordinate = 0, section_end = r->sections[0];
  float magnitude = r->scaling.magnitude;
  for (int32_t j = 0; j < half; j++) {
    while (j >= section_end) section_end += r->sections[++coordinate];
    float frequency = frequency_of(r, j) / (divisors ? table_at(divisors, j) : 1);
    const int32_t *at = positions + coordinate * count;
    for (int64_t i = 0; i < count; i++) {
      float angle = (float)at[i] * frequency;
      cosine[i * half + j] = magnitude * cosf(angle);
      sine[i * half + j] = magnitude * sinf(angle);
    }
  }
}
