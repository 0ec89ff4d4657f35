/* Which weights are packed, and which stay in the mapped file because memory is short. */
#ifndef DIMPLE_PACKING_H
#define DIMPLE_PACKING_H

#include "model/model.h"

/* What passes and everybody else keep of the memory that is there when a model is loaded: a part of so many. */
enum { PACKING_SPARED = 8 };

/* Marks the matrices that stay in the file, in the lists of a model whose tensors are checked and whose context is open: all that can with `all`; otherwise
 * none, unless packed weights would take more than `limit` bytes (0: seven eighths of what the machine has available now): then banks of experts, those
 * of the last layers first, as few as make the rest fit. A pass reads of a bank what its rows have chosen, so it pays least for being packed. Models
 * without experts, and backends that pack everything, keep theirs packed whatever it takes. */
void model_choose_packing(dimple_model *m, bool all, int64_t limit);

#endif
