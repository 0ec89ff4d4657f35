/* Recorded draws in the place of the generator, see dimple_session_replay_draws. */
#ifndef DIMPLE_REPLAY_H
#define DIMPLE_REPLAY_H

#include <stdint.h>

#include "dimple.h"

typedef struct replay replay;

/* Copies the records. Errors: ARGUMENT (an unknown kind, lengths that disagree with value_count, a value that no such draw can
 * have), MEMORY. */
dimple_status replay_create(const int32_t *kinds, const int32_t *lengths, int32_t record_count, const double *values,
                            int64_t value_count, replay **out);
void replay_free(replay *r); /* null is allowed */

int64_t replay_bytes(const replay *r); /* of memory they take; null is allowed */

/* The next record's number, and a way back to it: 0 for a new decoding, the number before an iteration that failed. */
int32_t replay_position(const replay *r);
void replay_seek(replay *r, int32_t position);

/* The values of the next record, which must have this kind (dimple_draw) and length. Errors: STATE. */
dimple_status replay_next(replay *r, int32_t kind, int32_t length, const double **values);

/* The values of the record that replay_next gave last. */
const double *replay_last(const replay *r);

#endif
