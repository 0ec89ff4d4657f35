/* Which backend each stage of a model's passes runs on, and whether its weights fit there. */
#ifndef DIMPLE_PLACEMENT_H
#define DIMPLE_PLACEMENT_H

#include "backend/devices.h"
#include "model/model.h"

/* What a device keeps free beside weights: keys and values of so many positions, and so many bytes for what passes compute on the way. */
enum { PLACEMENT_POSITIONS = 2048, PLACEMENT_PASS_BYTES = 256 << 20 };

/* Sets the model's backend from a list, and the stages of its tensors, which are checked. The first `layers` layers (0: as many as fit) are shared
 * out over the devices in their order, by their free memory; the rest, and what follows the last layer, is the host backend's: the list's last one, if
 * that is no device, or else the best one here. Lists without devices share all layers evenly. Errors: ARGUMENT (more layers than there are, a number
 * without devices); MEMORY (a device has less free than its share needs: both are said); IO (a device is lost). */
dimple_status model_place(dimple_model *m, const backend_names *list, int32_t layers);

#endif
