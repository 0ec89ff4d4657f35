/* Keys and tensors that a model's files have and this library does not use. What may change the result is unknown: a model that has
 * such is refused, or runs without them at the caller's wish. */
#ifndef DIMPLE_UNKNOWN_H
#define DIMPLE_UNKNOWN_H

#include "model/model.h"

/* Looks through the files of a model whose keys are read and whose tensors are listed: fills in all of *summary but problem_count, and
 * model->ignored. Errors: MEMORY. */
dimple_status unknown_find(dimple_model *model, dimple_model_check_summary *summary);

/* OK if nothing is unknown, otherwise UNSUPPORTED with a message that names the first and counts the others. */
dimple_status unknown_refuse(const dimple_model *model);

#endif
