/* Keys that stretch the rotary embedding to longer contexts. */
#ifndef DIMPLE_ROPE_SCALING_H
#define DIMPLE_ROPE_SCALING_H

#include "model/hyperparameters.h"

/* Reads rope.scaling.* and the older rope.scale_linear into the scaling of *r, whose size and base are known; the context's length is p's.
 * Keys of a type of scaling that is not done here are left unread, which makes them unknown. Errors: FORMAT. */
dimple_status read_rope_scaling(const gguf_file *file, const text_parameters *p, rotary_parameters *r);

#endif
