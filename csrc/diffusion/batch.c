/*
 * Sessions that step together: the public calls of a batch. A step asks every session which rows it would run, those of its first pass or of
 * its iteration, and runs what several want in one pass (text_forward_together); then each session takes its step as always and finds
 * its rows run. So all that a session does beside the layers is one text, whoever steps with it.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "allocate.h"
#include "cancel.h"
#include "diffusion/numbers.h"
#include "diffusion/session.h"
#include "platform/platform.h"

enum { BATCH_MOST = 1024, BATCH_MESSAGE = 512 };

/* What a session wants to run in a step, in this order: a first pass if there has been none, and the rounds of its iteration. Members are at
 * different stages at a time, and run together all the same. */
typedef enum stage { STAGE_FIRST, STAGE_CANVAS, STAGE_BARE, STAGES } stage;

/* A session of the step under way. */
typedef struct member {
  dimple_session *session;
  dimple_status status;
  session_clock clock;
  stage stage;
  int64_t first_start; /* nanoseconds */
  pass_wish wish;
  text_rows rows; /* what it wants to run next; maybe none */
  char message[BATCH_MESSAGE]; /* of a failure */
} member;

struct dimple_batch {
  dimple_model *model;
  context *context;
  atomic_bool busy;
  text_room room;
  int32_t member_room; /* of the arrays below */
  member *members;
  int32_t count;       /* members of the latest step */
  int32_t *together;   /* which of them run now */
  text_member *joined; /* what these run */
  dimple_batch_counts counts;
};

/* ------------------------------------------------------------------------------------------------------------ life cycle */

dimple_status dimple_batch_create(dimple_model *model, int32_t threads, dimple_batch **batch) {
  if (!model || !batch) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_batch_create: %s is null", model ? "batch" : "model");
  DIMPLE_TRY(dimple_resolve_threads(threads, &threads));
  dimple_batch *b = calloc(1, sizeof *b);
  if (!b) return dimple_fail_memory(sizeof *b, "a batch");
  dimple_status status = model->ops->context_open(model->ops, threads, &b->context);
  if (status != DIMPLE_OK) {
    free(b);
    return status;
  }
  atomic_init(&b->busy, false);
  b->model = model;
  model_retain(model);
  *batch = b;
  return DIMPLE_OK;
}

void dimple_batch_free(dimple_batch *b) {
  if (!b) return;
  text_room_close(b->model, b->context, &b->room);
  b->model->ops->context_close(b->context);
  dimple_model_free(b->model);
  free(b->members);
  free(b->together);
  free(b->joined);
  free(b);
}

static dimple_status enter(dimple_batch *b, const char *function) {
  if (!b) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "%s: batch is null", function);
  if (atomic_exchange(&b->busy, true)) return dimple_fail(DIMPLE_ERROR_STATE, "%s: another thread is inside this batch", function);
  return DIMPLE_OK;
}

static dimple_status leave(dimple_batch *b, dimple_status status) {
  atomic_store(&b->busy, false);
  return status;
}

/* Room for a step of `count` sessions. */
static dimple_status reserve(dimple_batch *b, int32_t count) {
  if (count <= b->member_room) return DIMPLE_OK;
  free(b->members);
  free(b->together);
  free(b->joined);
  b->members = NULL;
  b->together = NULL;
  b->joined = NULL;
  b->member_room = b->count = 0;
  ALLOCATE(b->members, count, "the sessions of a batch");
  ALLOCATE(b->together, count, "the sessions of a batch");
  ALLOCATE(b->joined, count, "the sessions of a batch");
  b->member_room = count;
  return DIMPLE_OK;
}

/* ----------------------------------------------------------------------------------------------------------- passes */

/* Notes how a call for a member went. */
static void note(member *m, dimple_status status) {
  m->status = status;
  if (status == DIMPLE_OK) return;
  strncpy(m->message, dimple_last_error(), sizeof m->message - 1);
  m->message[sizeof m->message - 1] = '\0';
}

static void count_pass(dimple_batch *b, int64_t session_passes, int64_t rows) {
  b->counts.passes++;
  b->counts.session_passes += session_passes;
  b->counts.rows += rows;
}

static void run_alone(dimple_batch *b, member *m) {
  note(m, pass_run(&m->session->pass, &m->rows));
  if (m->status == DIMPLE_OK) count_pass(b, 1, text_rows_count(&m->rows));
}

/* One pass of the first `count` of `together`, which have `rows` rows. */
static dimple_status run_pass(dimple_batch *b, int32_t count, int64_t rows) {
  const dimple_model *model = b->model;
  int64_t room = rows + rows / 4 < TEXT_TOGETHER_ROWS ? rows + rows / 4 : TEXT_TOGETHER_ROWS; /* not anew for every new member */
  DIMPLE_TRY(text_room_reserve(model, b->context, &b->room, rows > b->room.rows ? room : rows, count));
  for (int32_t i = 0; i < count; i++) {
    member *m = &b->members[b->together[i]];
    b->joined[i] = (text_member){.rows = m->rows, .cancelled = &m->session->cancelled};
  }
  DIMPLE_TRY(model->ops->pass_begin(b->context, NULL));
  return numbers_end_pass(model, b->context, text_forward_together(model, b->context, &b->room, b->joined, count));
}

/* The first `count` of `together` run their rows. Where they cannot do so together, for want of memory, each does alone. */
static void run_together(dimple_batch *b, int32_t count, int64_t rows) {
  dimple_status status = count > 1 ? run_pass(b, count, rows) : DIMPLE_OK;
  bool ran = count > 1 && (status == DIMPLE_OK || status == DIMPLE_ERROR_CANCELLED);
  if (ran) count_pass(b, count, rows);
  for (int32_t i = 0; i < count; i++) {
    member *m = &b->members[b->together[i]];
    if (count > 1 && b->joined[i].stopped)
      note(m, dimple_fail(DIMPLE_ERROR_CANCELLED, "the call was cancelled"));
    else if (!ran)
      run_alone(b, m);
  }
}

static int64_t rows_wanted(const member *m) { return m->status == DIMPLE_OK ? text_rows_count(&m->rows) : 0; }

/* Chooses who runs with the first of those that want to: everyone who fits, in their order. Returns how many. */
static int32_t choose_together(dimple_batch *b, int64_t *rows) {
  int32_t count = 0;
  *rows = 0;
  for (int32_t i = 0; i < b->count; i++) {
    int64_t own = rows_wanted(&b->members[i]);
    if (own == 0 || (count > 0 && *rows + own > TEXT_TOGETHER_ROWS)) continue;
    b->together[count++] = i;
    *rows += own;
  }
  return count;
}

/* Runs what the members want to run, as many of them in a pass as fit. */
static void run_rows(dimple_batch *b) {
  int64_t rows;
  for (int32_t count; (count = choose_together(b, &rows)) > 0;) {
    run_together(b, count, rows);
    for (int32_t i = 0; i < count; i++) b->members[b->together[i]].rows.piece_count = 0; /* it wants nothing more */
  }
}

/* ---------------------------------------------------------------------------------------------------------------- a step */

static void open_member(const dimple_batch *b, member *m, dimple_session *s) {
  *m = (member){.session = s};
  note(m, session_enter(s, "dimple_batch_step"));
  if (m->status != DIMPLE_OK) {
    m->session = NULL; /* it is not ours */
    return;
  }
  note(m, s->model == b->model ? session_open_step(s, &m->clock)
                               : dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_batch_step: the session is of another model than the batch"));
}

static dimple_status open_stage(member *m) {
  dimple_session *s = m->session;
  if (m->stage == STAGE_FIRST) {
    DIMPLE_TRY(session_open_first(s, &m->rows));
    m->first_start = platform_now();
    return DIMPLE_OK;
  }
  if (m->stage == STAGE_CANVAS) m->wish = iteration_foresee(&s->iteration, &s->pass, &s->canvas);
  return pass_open_ahead(&s->pass, &m->wish, m->stage == STAGE_CANVAS ? ROUND_CANVAS : ROUND_BARE, &m->rows);
}

static void close_stage(member *m) {
  if (m->stage == STAGE_FIRST && !m->session->pass.prefilled) session_close_first(m->session, m->first_start);
  m->stage++;
}

/* The next rows of a member; none when it has failed or all have run. Returns whether there are some. */
static bool next_rows(member *m) {
  m->rows.piece_count = 0;
  while (m->status == DIMPLE_OK && m->stage < STAGES) {
    note(m, open_stage(m));
    if (m->status != DIMPLE_OK) return false;
    if (text_rows_count(&m->rows) > 0) return true;
    close_stage(m);
  }
  return false;
}

static void run_stages(dimple_batch *b) {
  for (bool more = true; more;) {
    more = false;
    for (int32_t i = 0; i < b->count; i++) more |= next_rows(&b->members[i]);
    if (more) run_rows(b);
    for (int32_t i = 0; i < b->count; i++)
      if (b->members[i].status == DIMPLE_OK && b->members[i].stage < STAGES) close_stage(&b->members[i]);
  }
}

static void close_member(dimple_batch *b, member *m, dimple_step *step) {
  dimple_session *s = m->session;
  if (!s) return;
  if (m->status == DIMPLE_OK) {
    pass_set_ahead(&s->pass, &m->wish);
    note(m, session_close_step(s, &m->clock, step));
    pass_set_ahead(&s->pass, NULL);
  }
  b->counts.steps += m->status == DIMPLE_OK;
  session_leave(s, m->status);
}

static dimple_status step(dimple_batch *b, dimple_session **sessions, int32_t count, dimple_step *steps, int32_t *statuses) {
  if (!sessions || !steps || !statuses)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_batch_step: %s is null", !sessions ? "sessions" : !steps ? "steps" : "statuses");
  if (count < 1 || count > BATCH_MOST)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_batch_step: count is %d, expected 1 to %d", count, BATCH_MOST);
  DIMPLE_TRY(reserve(b, count));
  b->count = count;
  for (int32_t i = 0; i < count; i++) open_member(b, &b->members[i], sessions[i]);
  run_stages(b);
  for (int32_t i = 0; i < count; i++) {
    close_member(b, &b->members[i], &steps[i]);
    statuses[i] = b->members[i].status;
  }
  return DIMPLE_OK;
}

dimple_status dimple_batch_step(dimple_batch *b, dimple_session **sessions, int32_t count, dimple_step *steps, int32_t *statuses) {
  DIMPLE_TRY(enter(b, "dimple_batch_step"));
  return leave(b, step(b, sessions, count, steps, statuses));
}

const char *dimple_batch_get_error(const dimple_batch *b, int32_t index) {
  return b && index >= 0 && index < b->count ? b->members[index].message : "";
}

dimple_status dimple_batch_get_counts(dimple_batch *b, dimple_batch_counts *counts) {
  DIMPLE_TRY(enter(b, "dimple_batch_get_counts"));
  if (!counts) return leave(b, dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_batch_get_counts: counts is null"));
  *counts = b->counts;
  counts->bytes = (int64_t)sizeof *b + text_room_bytes(b->model, &b->room) + b->model->ops->context_bytes(b->context) +
                  b->member_room * (int64_t)(sizeof *b->members + sizeof *b->together + sizeof *b->joined);
  return leave(b, DIMPLE_OK);
}
