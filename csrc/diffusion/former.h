/* The final states of the rows that were scored last, by the positions that they score: what logits of the next iteration are compared with. They are
 * some thousand numbers a row, where its distribution has as many as the vocabulary. */
#ifndef DIMPLE_FORMER_H
#define DIMPLE_FORMER_H

#include "model/model.h"

enum { FORMER_ROWS = 64 }; /* that are brought at a time */

typedef struct former_states {
  int32_t positions;            /* there is room for; 0: for none */
  int32_t kept, first;          /* of so many states are kept, one of which is the first; 0: of none */
  view states, bare;            /* [positions x width]; of passes without the prompt, where guidance asked for these */
  view brought, brought_bare;   /* [FORMER_ROWS x width] */
  float *log_sums;              /* [positions] what the head said of them; HEAD_NO_FORMER: nothing is kept */
} former_states;

/* Forgets what is kept. */
void former_clear(former_states *f);
void former_close(former_states *f, const dimple_model *m, context *c);
int64_t former_bytes(const former_states *f);

/* Keeps states [count x width] of positions [count] below `room`, and bare ones, if these have memory, with their sums by position, in the place of all
 * that was kept. On failure nothing is. Errors: MEMORY. */
dimple_status former_keep(former_states *f, const dimple_model *m, context *c, const int32_t *positions, int32_t count, const float *log_sums, view states,
                          view bare, int32_t room);

/* The sums of positions [count <= FORMER_ROWS]. */
void former_sums(const former_states *f, const int32_t *positions, int32_t count, float *log_sums);

/* Within a pass: their states, of those that have none any numbers; `now` is taken where nothing is kept at all. */
dimple_status former_bring(const former_states *f, const dimple_model *m, context *c, const int32_t *positions, view now, bool bare, view *out);

#endif
