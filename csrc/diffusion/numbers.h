/* NaN and infinity, which no model is meant to give: a choice among such logits would mean nothing. */
#ifndef DIMPLE_NUMBERS_H
#define DIMPLE_NUMBERS_H

#include "model/model.h"

/* OK if values[count] are finite, otherwise MODEL with a message that names the model's file and `what` they are. */
dimple_status numbers_check(const dimple_model *m, const char *what, const float *values, int64_t count);

/* The same of the logits that a head's results [rows] were made of. */
dimple_status numbers_check_results(const dimple_model *m, const head_row *results, int64_t rows);

#endif
