#include "diffusion/numbers.h"

#include <math.h>

#include "error.h"

/* `zero` is a sum of finite numbers times 0: one that is not leaves NaN. */
static dimple_status check(const dimple_model *m, const char *what, float zero) {
  if (zero == 0) return DIMPLE_OK;
  return dimple_fail(DIMPLE_ERROR_MODEL, "%s: the model gives %s that are NaN or infinite: a weight is none, or its numbers overflow",
                     gguf_path(model_file(m)), what);
}

dimple_status numbers_check(const dimple_model *m, const char *what, const float *values, int64_t count) {
  float sum = 0;
  for (int64_t i = 0; i < count; i++) sum += 0 * values[i];
  return check(m, what, sum);
}

dimple_status numbers_check_results(const dimple_model *m, const head_row *results, int64_t rows) {
  float sum = 0;
  for (int64_t i = 0; i < rows; i++) sum += 0 * results[i].log_sum;
  return check(m, "logits", sum);
}

dimple_status numbers_ended(const dimple_model *m, dimple_status status) { return status == DIMPLE_ERROR_MODEL ? check(m, "numbers", NAN) : status; }

dimple_status numbers_end_pass(const dimple_model *m, context *c, dimple_status recorded) { return numbers_ended(m, m->ops->pass_end(c, recorded)); }
