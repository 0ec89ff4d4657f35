/* What a session is made of, and its step in halves, between which its rows may run with those of others (batch.c). */
#ifndef DIMPLE_SESSION_H
#define DIMPLE_SESSION_H

#include <stdatomic.h>

#include "diffusion/canvas.h"
#include "diffusion/features.h"
#include "diffusion/iteration.h"
#include "diffusion/pass.h"
#include "diffusion/prompt.h"
#include "model/model.h"

struct dimple_session {
  dimple_model *model;
  context *context;
  atomic_bool busy;
  atomic_bool cancelled;
  int32_t context_length;

  prompt prompt;
  canvas canvas;
  features features;
  pass pass;
  iteration iteration;
  int64_t prefill_time, step_time; /* nanoseconds */
};

/* Makes the calling thread the only one inside, until session_leave. Errors: ARGUMENT (null), STATE. */
dimple_status session_enter(dimple_session *s, const char *function);
/* Returns `status`. */
dimple_status session_leave(dimple_session *s, dimple_status status);

/* When a step began, and what had been spent on other things by then. */
typedef struct session_clock {
  int64_t start, earlier; /* nanoseconds */
} session_clock;

/* The beginning of a step. Errors: STATE. */
dimple_status session_open_step(dimple_session *s, session_clock *clock);

/* Runs the vision tower, if that has to be, and says which rows the first pass would run; none if it has run. Errors: STATE, MEMORY, CANCELLED. */
dimple_status session_open_first(dimple_session *s, text_rows *rows);
/* They have run, since `start`. */
void session_close_first(dimple_session *s, int64_t start);

/* The rest of a step: all that has not run yet. Errors: as dimple_session_step. */
dimple_status session_close_step(dimple_session *s, const session_clock *clock, dimple_step *result);

#endif
