/* Sessions and several threads: cancelled calls, a second thread in a session, two sessions of a model. */
#include <stdatomic.h>
#include <string.h>

#include "draws.h"
#include "platform/platform.h"
#include "test/session_fixture.h"

static void cancelled_calls_can_be_repeated(void) {
  dimple_session *s = picture_session(vision_model, 2, 1), *t = picture_session(vision_model, 2, 1);
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_ORIGIN);
  d.temperature = 0.7f;
  outcome expected = decode(t, &d), o = fresh_outcome();
  float features[PICTURE_TOKENS * WIDTH];
  dimple_session_cancel(s);
  EXPECT_FAILS(dimple_session_get_image_features(s, features, PICTURE_TOKENS * WIDTH), DIMPLE_ERROR_CANCELLED, "cancel");
  dimple_session_cancel(s);
  dimple_session_cancel(s); /* one request */
  EXPECT_FAILS(dimple_session_prefill(s), DIMPLE_ERROR_CANCELLED, "cancel");
  EXPECT_OK(dimple_session_begin(s, &d));
  for (dimple_step step = {0}; !step.done && o.iterations < d.steps;) {
    dimple_session_cancel(s);
    EXPECT_FAILS(dimple_session_step(s, &step), DIMPLE_ERROR_CANCELLED, "cancel");
    dimple_status status = dimple_session_step(s, &step);
    EXPECT(status == DIMPLE_OK, "step %d: %s", o.iterations, dimple_last_error());
    if (status != DIMPLE_OK) break;
    note_step(&step, &o);
  }
  EXPECT(same_outcome(&o, &expected), "cancelled iterations change the result");
  dimple_session_free(s);
  dimple_session_free(t);
}

typedef struct visitor {
  dimple_session *session;
  atomic_bool stop;
  float pause; /* nanoseconds, about one iteration */
  atomic_int requests; /* to cancel */
  atomic_int refused;
  int32_t served, failed;
} visitor;

static void pass_time(int64_t nanoseconds) {
  for (int64_t end = platform_now() + nanoseconds; platform_now() < end;) platform_yield();
}

static void keep_cancelling(void *argument) {
  visitor *v = argument;
  for (uint32_t i = 0; !atomic_load(&v->stop); i++) {
    atomic_fetch_add(&v->requests, 1);
    dimple_session_cancel(v->session);
    pass_time((int64_t)(v->pause * (0.5f + 3 * draw_uniform(3, i, 0, 0, 0))));
  }
}

/* Cancelled at any moment, a decoding that goes on comes to the same end, and a request stops one call. */
static void cancelled_at_any_moment(void) {
  visitor v = {.session = picture_session(vision_model, 2, 1)};
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  d.temperature = 0.7f;
  d.top_k = 20;
  outcome expected = decode(v.session, &d);
  dimple_timings timings;
  EXPECT_OK(dimple_session_get_timings(v.session, &timings));
  v.pause = (float)timings.steps / (float)expected.iterations;
  int32_t cancelled = 0;
  platform_thread *thread;
  EXPECT(!platform_thread_start(keep_cancelling, &v, &thread), "no thread");
  for (int round = 0; round < 8 || (cancelled == 0 && round < 500); round++) { /* on a busy machine the other thread comes late */
    outcome o = fresh_outcome();
    EXPECT_OK(dimple_session_begin(v.session, &d));
    for (dimple_step step = {0}; !step.done && o.iterations < d.steps;) {
      dimple_status status = dimple_session_step(v.session, &step);
      cancelled += status == DIMPLE_ERROR_CANCELLED;
      EXPECT(status == DIMPLE_OK || status == DIMPLE_ERROR_CANCELLED, "%d: %s", status, dimple_last_error());
      if (status == DIMPLE_OK) note_step(&step, &o);
      if (status != DIMPLE_OK && status != DIMPLE_ERROR_CANCELLED) break;
    }
    EXPECT(same_outcome(&o, &expected), "round %d ends differently", round);
  }
  atomic_store(&v.stop, true);
  platform_thread_join(thread);
  EXPECT(cancelled > 0, "nothing was ever cancelled");
  EXPECT(cancelled <= v.requests, "%d requests cancelled %d calls", v.requests, cancelled);
  dimple_session_free(v.session);
}

static void keep_visiting(void *argument) {
  visitor *v = argument;
  dimple_decoding d = decoding_of(1, DIMPLE_ALGORITHM_ORIGIN);
  while (!atomic_load(&v->stop)) {
    dimple_timings timings;
    dimple_status status = dimple_session_get_timings(v->session, &timings);
    v->served += status == DIMPLE_OK;
    v->refused += status == DIMPLE_ERROR_STATE;
    v->failed += status != DIMPLE_OK && (status != DIMPLE_ERROR_STATE || !strstr(dimple_last_error(), "thread"));
    d.steps = 0; /* refused in any case */
    v->failed += dimple_session_begin(v->session, &d) == DIMPLE_OK;
  }
}

/* A second thread is turned away and harms nothing. The owner, turned away in its turn, tries again. */
static void two_threads_in_one_session(void) {
  visitor v = {.session = picture_session(vision_model, 1, 1)};
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  outcome expected = decode(v.session, &d);
  platform_thread *thread;
  EXPECT(!platform_thread_start(keep_visiting, &v, &thread), "no thread");
  for (int round = 0; round < 8 || (atomic_load(&v.refused) == 0 && round < 500); round++) {
    outcome o = fresh_outcome();
    dimple_step step = {0};
    dimple_status status;
    do status = dimple_session_begin(v.session, &d);
    while (status == DIMPLE_ERROR_STATE && strstr(dimple_last_error(), "thread"));
    EXPECT_OK(status);
    while (!step.done && o.iterations < d.steps) {
      status = dimple_session_step(v.session, &step);
      if (status == DIMPLE_ERROR_STATE && strstr(dimple_last_error(), "thread")) continue;
      EXPECT(status == DIMPLE_OK, "%d: %s", status, dimple_last_error());
      if (status != DIMPLE_OK) break;
      o.iterations++;
      o.remaining = step.remaining; /* its pointers may be stale: the visitor's calls come after */
    }
    EXPECT(o.iterations == expected.iterations && o.remaining == expected.remaining, "round %d: %d iterations", round, o.iterations);
  }
  atomic_store(&v.stop, true);
  platform_thread_join(thread);
  EXPECT(v.refused > 0 && v.failed == 0, "%d refused, %d served, %d failed", v.refused, v.served, v.failed);
  outcome after = decode(v.session, &d);
  EXPECT(same_outcome(&after, &expected), "the visitor changed the result");
  dimple_session_free(v.session);
}

typedef struct worker {
  dimple_session *session;
  dimple_decoding decoding;
  int32_t rounds, wrong;
  int32_t expected[RESPONSE];
} worker;

static void keep_decoding(void *argument) {
  worker *w = argument;
  for (int32_t round = 0; round < w->rounds; round++) {
    dimple_step step = {0};
    dimple_status status = dimple_session_begin(w->session, &w->decoding);
    while (status == DIMPLE_OK && !step.done) status = dimple_session_step(w->session, &step);
    w->wrong += status != DIMPLE_OK || memcmp(step.canvas, w->expected, sizeof w->expected) != 0;
  }
}

static void two_sessions_of_one_model(void) {
  worker workers[2];
  platform_thread *threads[2];
  for (int i = 0; i < 2; i++) {
    workers[i] = (worker){.session = picture_session(vision_model, 2, 1), .decoding = decoding_of(i, DIMPLE_ALGORITHM_ENTROPY), .rounds = 5};
    outcome o = decode(workers[i].session, &workers[i].decoding);
    memcpy(workers[i].expected, o.tokens, sizeof workers[i].expected);
  }
  for (int i = 0; i < 2; i++) EXPECT(!platform_thread_start(keep_decoding, &workers[i], &threads[i]), "no thread");
  for (int i = 0; i < 2; i++) {
    platform_thread_join(threads[i]);
    EXPECT(workers[i].wrong == 0, "%d of %d decodings differ", workers[i].wrong, workers[i].rounds);
    dimple_session_free(workers[i].session);
  }
}

int main(void) {
  if (fixture_open()) {
    cancelled_calls_can_be_repeated();
    cancelled_at_any_moment();
    two_threads_in_one_session();
    two_sessions_of_one_model();
  }
  fixture_close();
  return expect_summary("concurrency");
}
