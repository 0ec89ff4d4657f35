#include "diffusion/features.h"

#include "diffusion/numbers.h"
#include "error.h"
#include "platform/platform.h"
#include "transformer/block.h"
#include "vision/vision.h"

static dimple_status run_tower(const dimple_model *m, context *c, const prompt *p, atomic_bool *cancelled, view rows) {
  int64_t row = 0;
  for (int32_t i = 0; i < p->image_count; i++) {
    const prompt_image *image = &p->images[i];
    tower_call call = {m->ops, c, &m->vision, &m->vision_weights, &image->grid, image->rgb, image->width, image->height, cancelled};
    DIMPLE_TRY(numbers_ended(m, vision_forward(&call, view_rows(rows, row, image->grid.tokens))));
    row += image->grid.tokens;
  }
  return DIMPLE_OK;
}

dimple_status features_ensure(const dimple_model *m, context *c, const prompt *p, atomic_bool *cancelled, features *f) {
  if (f->rows.memory || p->image_count == 0) return DIMPLE_OK;
  int64_t start = platform_now();
  view rows;
  DIMPLE_TRY(matrix_alloc(m->ops, c, p->feature_count, m->text.width, &rows));
  dimple_status status = run_tower(m, c, p, cancelled, rows);
  if (status == DIMPLE_OK)
    *f = (features){rows, platform_now() - start};
  else
    m->ops->buffer_free(c, rows.memory);
  return status;
}

dimple_status features_give(const dimple_model *m, context *c, const prompt *p, const float *given, features *f) {
  view rows;
  DIMPLE_TRY(matrix_alloc(m->ops, c, p->feature_count, m->text.width, &rows));
  dimple_status status = m->ops->pass_begin(c, NULL);
  if (status == DIMPLE_OK) status = m->ops->pass_end(c, m->ops->copy_in(c, rows, given));
  if (status != DIMPLE_OK) {
    m->ops->buffer_free(c, rows.memory);
    return status;
  }
  features_free(m, c, f);
  *f = (features){.rows = rows};
  return DIMPLE_OK;
}

dimple_status features_read(const dimple_model *m, context *c, const features *f, float *out) {
  if (!f->rows.memory) return DIMPLE_OK;
  DIMPLE_TRY(m->ops->pass_begin(c, NULL));
  DIMPLE_TRY(m->ops->pass_end(c, m->ops->copy_out(c, out, f->rows)));
  return numbers_check(m, "image features", out, f->rows.rows * f->rows.columns);
}

void features_free(const dimple_model *m, context *c, features *f) {
  m->ops->buffer_free(c, f->rows.memory);
  *f = (features){0};
}

int64_t features_bytes(const features *f) { return f->rows.rows * f->rows.columns * (int64_t)sizeof(float); }
