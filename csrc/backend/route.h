/* What choosing experts by sigmoid comes to, for backends on the host: the same arithmetic everywhere, so that all choose the same. */
#ifndef DIMPLE_BACKEND_ROUTE_H
#define DIMPLE_BACKEND_ROUTE_H

#include "backend/backend.h"

/* z[experts] to probabilities p[experts], and z to what experts are chosen by: -inf for those of groups that are not kept, and for what is
 * no number. bias: [experts], or null. */
void route_by_sigmoid(const route_call *call, const float *bias, float *z, float *p);

#endif
