#include "diffusion/prompt.h"

#include <string.h>

#include "allocate.h"
#include "vision/tower.h"
#include "model/rope.h"
#include "platform/platform.h"

static dimple_status take_image(const dimple_model *m, const dimple_image *image, prompt_image *own) {
  DIMPLE_TRY(image_check(image));
  DIMPLE_TRY(dimple_model_get_image_grid(m, image->width, image->height, &own->grid));
  ALLOCATE(own->rgb, 3 * (size_t)own->grid.resized_width * (size_t)own->grid.resized_height, "a resized image");
  own->width = image->width;
  own->height = image->height;
  return tower_prepare(&m->vision, image, &own->grid, own->rgb);
}

static dimple_status take_images(const dimple_model *m, const dimple_image *images, int32_t count, prompt *p) {
  if (count < 0 || (count > 0 && !images))
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "image_count is %d with %s images", count, images ? "given" : "null");
  if (count == 0) return DIMPLE_OK;
  int64_t start = platform_now();
  p->images = calloc((size_t)count, sizeof *p->images);
  if (!p->images) return dimple_fail_memory((uint64_t)count * sizeof *p->images, "the prompt's images");
  p->image_count = count;
  for (int32_t i = 0; i < count; i++) DIMPLE_TRY(take_image(m, &images[i], &p->images[i]));
  p->image_time = platform_now() - start;
  return DIMPLE_OK;
}

static dimple_status take_tokens(const int32_t *tokens, int32_t count, prompt *p) {
  ALLOCATE(p->tokens, count, "the prompt");
  memcpy(p->tokens, tokens, (size_t)count * sizeof *tokens);
  p->length = p->given = count;
  return DIMPLE_OK;
}

/* Positions of all tokens, and which of them are placeholders. */
static dimple_status place(const dimple_model *m, prompt *p) {
  ALLOCATE(p->positions, 3 * (int64_t)p->length, "the prompt's positions");
  ALLOCATE(p->feature_rows, p->length, "the prompt's placeholders");
  dimple_image_grid *grids;
  ALLOCATE(grids, p->image_count, "the images' grids");
  for (int32_t i = 0; i < p->image_count; i++) grids[i] = p->images[i].grid;
  /* Without a vision tower a placeholder is a token like any other. */
  int32_t image_token = m->vision.present ? m->text.image_token : -1;
  dimple_status status = rope_prompt_positions(p->tokens, p->length, image_token, m->text.picture_start, &m->vision, grids, p->image_count,
                                               p->positions, &p->next_position);
  free(grids);
  for (int32_t i = 0; i < p->length; i++)
    if (image_token >= 0 && p->tokens[i] == image_token) p->feature_rows[p->feature_count++] = i;
  return status;
}

dimple_status prompt_create(const dimple_model *m, const int32_t *tokens, int32_t count, const dimple_image *images,
                            int32_t image_count, prompt *out) {
  prompt fresh = {0};
  dimple_status status = take_images(m, images, image_count, &fresh);
  if (status == DIMPLE_OK) status = take_tokens(tokens, count, &fresh);
  if (status == DIMPLE_OK) status = place(m, &fresh);
  if (status == DIMPLE_OK)
    *out = fresh;
  else
    prompt_free(&fresh);
  return status;
}

dimple_status prompt_set_answer(prompt *p, const int32_t *tokens, int32_t count) {
  int32_t *all;
  ALLOCATE(all, (int64_t)p->given + count, "prompt and answer");
  memcpy(all, p->tokens, (size_t)p->given * sizeof *all);
  if (count > 0) memcpy(all + p->given, tokens, (size_t)count * sizeof *all);
  free(p->tokens);
  p->tokens = all;
  p->length = p->given + count;
  return DIMPLE_OK;
}

void prompt_free(prompt *p) {
  for (int32_t i = 0; i < p->image_count; i++) free(p->images[i].rgb);
  free(p->images);
  free(p->feature_rows);
  free(p->positions);
  free(p->tokens);
  *p = (prompt){0};
}

int64_t prompt_bytes(const prompt *p) {
  int64_t bytes = p->length * (int64_t)sizeof *p->tokens + p->given * (int64_t)(3 * sizeof *p->positions + sizeof *p->feature_rows);
  for (int32_t i = 0; i < p->image_count; i++)
    bytes += (int64_t)sizeof *p->images + 3 * (int64_t)p->images[i].grid.resized_width * p->images[i].grid.resized_height;
  return bytes;
}

void prompt_positions(const prompt *p, int32_t response_length, int32_t *positions) {
  int64_t given = p->given, total = (int64_t)p->length + response_length;
  for (int axis = 0; axis < 3; axis++) {
    memcpy(positions + axis * total, p->positions + axis * given, (size_t)given * sizeof *positions);
    for (int64_t i = given; i < total; i++) positions[axis * total + i] = p->next_position + (int32_t)(i - given);
  }
}
