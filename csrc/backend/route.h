/* What choosing experts comes to, for backends on the host: the same arithmetic everywhere, so that all choose the same. */
#ifndef DIMPLE_BACKEND_ROUTE_H
#define DIMPLE_BACKEND_ROUTE_H

#include <stdbool.h>

#include "backend/backend.h"

/* Whether all scores z[count], and what is added to them (bias may be null), are finite. Shares of a row where they are not are NaN, whatever experts it
 * goes to: softmax and sigmoid make numbers of infinities, and a choice passes over NaN, so that a spoilt router would do its work unnoticed. */
bool route_has_numbers(const float *z, const float *bias, int64_t count);

/* z[experts] to probabilities p[experts], and z to what experts are chosen by: -inf for those of groups that are not kept, and for what is
 * no number; probabilities are NaN where a score or what is added to one is NaN or infinite. bias: [experts], or null. */
void route_by_sigmoid(const route_call *call, const float *bias, float *z, float *p);

/* What a block of rows admits, before a row of it chooses. highest[experts] becomes the larger of it and z[experts], for every row of the block; then, of all, the
 * `admitted` highest stay and the others become -inf. */
void route_note_highest(float *highest, const float *z, int64_t experts);
void route_keep_admitted(float *highest, int64_t experts, int32_t admitted);

/* z[experts] of a row becomes -inf where that is what `highest` holds. */
void route_leave_admitted(float *z, const float *highest, int64_t experts);

#endif
