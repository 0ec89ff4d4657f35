/* Settings that nothing would come of. */
#ifndef DIMPLE_HEEDED_H
#define DIMPLE_HEEDED_H

#include "dimple.h"

/* Of a decoding whose fields are in their ranges, and whose pipeline offers the algorithm. Not judged: `steps`, `seed` and `complete`, which
 * may follow from nothing, and original_confidence, which pipeline dream has a value of its own for. Errors: ARGUMENT, naming the setting. */
dimple_status decoding_check_heeded(const dimple_decoding *d);

#endif
