/* NaN and infinity, which no model is meant to give: a choice among such logits would mean nothing. */
#ifndef DIMPLE_NUMBERS_H
#define DIMPLE_NUMBERS_H

#include "model/model.h"

/* OK if values[count] are finite, otherwise MODEL with a message that names the model's file and `what` they are. */
dimple_status numbers_check(const dimple_model *m, const char *what, const float *values, int64_t count);

/* The same of the logits that a head's results [rows] were made of. */
dimple_status numbers_check_results(const dimple_model *m, const head_row *results, int64_t rows);

/* Ends a pass of the model, as its backend's pass_end does; one that found such numbers itself fails with the same message. */
dimple_status numbers_end_pass(const dimple_model *m, context *c, dimple_status recorded);

/* The same of a pass that has ended. */
dimple_status numbers_ended(const dimple_model *m, dimple_status status);

#endif
