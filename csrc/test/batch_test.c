/* Batches: whatever sessions step together, each comes to what it comes to alone, and their rows go through a layer's weights once. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "diffusion/pipeline.h"
#include "draws.h"
#include "model/model.h"
#include "platform/platform.h"
#include "test/random_session.h"

static dimple_batch *open_batch(dimple_model *m, int32_t threads) {
  dimple_batch *b = NULL;
  EXPECT_OK(dimple_batch_create(m, threads, &b));
  return b;
}

/* ------------------------------------------------------------------------------------------------------- at random */

/* A session and its decoding, by a seed. */
typedef struct player {
  dimple_session *session;
  dimple_decoding decoding;
  outcome alone, together;
  bool done;
} player;

/* The session and decoding of a seed; false: the model does not decode so. */
static bool open_player(dimple_model *m, bool pictures, uint64_t seed, player *p) {
  random_session s;
  bool decodes = random_session_open(m, pictures, seed, &s);
  *p = (player){.session = s.session, .decoding = s.decoding, .together = fresh_outcome()};
  p->together.denoises = m->text.canvases;
  return decodes;
}

static void step_alone(player *p, outcome *o) {
  dimple_step step = {0};
  dimple_status status = dimple_session_step(p->session, &step);
  EXPECT(status == DIMPLE_OK, "step %d: %s", o->iterations, dimple_last_error());
  p->done = status != DIMPLE_OK || step.done;
  if (status == DIMPLE_OK) note_step(&step, o);
}

/* The same session alone, to its end. */
static outcome outcome_alone(dimple_model *m, bool pictures, uint64_t seed) {
  player p;
  outcome o = fresh_outcome();
  o.denoises = m->text.canvases;
  open_player(m, pictures, seed, &p);
  while (!p.done && o.iterations < 200) step_alone(&p, &o);
  dimple_session_free(p.session);
  return o;
}

enum { PLAYERS = 7 };

/* One step of some of those that are not done, in any order; now and then one is cancelled, or steps alone instead. */
static void step_some(dimple_batch *b, player *players, random_numbers *r, int32_t *cancelled) {
  dimple_session *sessions[PLAYERS];
  player *who[PLAYERS];
  dimple_step steps[PLAYERS];
  int32_t statuses[PLAYERS], count = 0, first = random_below(r, PLAYERS);
  for (int32_t i = 0; i < PLAYERS; i++) {
    player *p = &players[(first + i) % PLAYERS];
    if (p->done || random_below(r, 4) == 0) continue;
    if (random_below(r, 8) == 0) {
      step_alone(p, &p->together);
      continue;
    }
    if (random_below(r, 8) == 0) dimple_session_cancel(p->session);
    who[count] = p;
    sessions[count++] = p->session;
  }
  if (count == 0) return;
  EXPECT_OK(dimple_batch_step(b, sessions, count, steps, statuses));
  for (int32_t i = 0; i < count; i++) {
    const char *message = dimple_batch_get_error(b, i);
    if (statuses[i] == DIMPLE_ERROR_CANCELLED) {
      EXPECT(strstr(message, "cancelled") != NULL, "%s", message);
      (*cancelled)++;
      continue;
    }
    EXPECT(statuses[i] == DIMPLE_OK && !*message, "%d: %s", statuses[i], message);
    who[i]->done = statuses[i] != DIMPLE_OK || steps[i].done;
    if (statuses[i] == DIMPLE_OK) note_step(&steps[i], &who[i]->together);
  }
}

static void play(dimple_model *m, bool pictures, uint64_t seed, dimple_batch_counts *counts, int32_t *cancelled) {
  player players[PLAYERS];
  random_numbers r = {.seed = seed};
  dimple_batch *b = open_batch(m, 1 + random_below(&r, 3));
  for (int32_t i = 0; i < PLAYERS; i++) {
    uint64_t own = seed * 1000 + (uint64_t)i;
    players[i].done = !open_player(m, pictures, own, &players[i]);
    EXPECT(!players[i].done, "no decoding found for %d", (int)own);
    players[i].alone = outcome_alone(m, pictures, own);
  }
  for (int32_t round = 0, open = PLAYERS; open > 0 && round < 1000; round++) {
    step_some(b, players, &r, cancelled);
    open = 0;
    for (int32_t i = 0; i < PLAYERS; i++) open += !players[i].done;
  }
  EXPECT_OK(dimple_batch_get_counts(b, counts));
  for (int32_t i = 0; i < PLAYERS; i++) {
    player *p = &players[i];
    EXPECT(same_outcome(&p->alone, &p->together) && p->alone.forward_passes == p->together.forward_passes,
           "seed %d, session %d (pipeline %d, algorithm %d, cache %d): %d iterations and %d passes, alone %d and %d", (int)seed, i,
           p->decoding.pipeline, p->decoding.algorithm, p->decoding.cache, p->together.iterations, p->together.forward_passes,
           p->alone.iterations, p->alone.forward_passes);
    dimple_session_free(p->session);
  }
  dimple_batch_free(b);
}

/* Sessions of all settings at once, which come and go. */
static void every_session_comes_to_what_it_comes_to_alone(int32_t rounds) {
  int32_t cancelled = 0;
  for (int family = 0; family < FAMILY_COUNT; family++)
    for (int variant = 0; variant < 2; variant++) {
      bool pictures = family == FAMILY_DIMPLE || family == FAMILY_DIMPLE_BLOCK || family == FAMILY_SDAR_VL || family == FAMILY_LLADA_V ||
                      family == FAMILY_LAVIDA_DREAM;
      int32_t types[] = {DIMPLE_TENSOR_F32, DIMPLE_TENSOR_Q8_0};
      dimple_model *m = random_model((model_shape){.family = (model_family)family, .vision = pictures, .type = types[variant]});
      for (int32_t round = 0; m && round < rounds; round++) {
        dimple_batch_counts counts = {0};
        play(m, pictures, (uint64_t)(family * 100 + variant * 50 + round), &counts, &cancelled);
        EXPECT(counts.steps > 0 && counts.session_passes > counts.passes, "%d session's passes in %d", (int)counts.session_passes, (int)counts.passes);
      }
      dimple_model_free(m);
    }
  EXPECT(cancelled > 0 || rounds == 0, "nobody was cancelled");
}

/* -------------------------------------------------------------------------------------------------------- counters */

static const backend_operations *counted;
static int32_t linear_calls;

static dimple_status counting_linear(context *c, const linear_call *call) {
  linear_calls++;
  return counted->linear(c, call);
}

/* A table may be more than the backend's operations: it is asked for as itself. */
static dimple_status counting_open(const backend_operations *self, int32_t threads, context **out) {
  (void)self;
  return counted->context_open(counted, threads, out);
}

/* As many linear calls for six sessions as for one. */
static void weights_are_walked_once(void) {
  enum { SESSIONS = 6 };
  dimple_session *sessions[SESSIONS], *lone = text_session(text_model, 2, 1);
  dimple_step steps[SESSIONS], step;
  int32_t statuses[SESSIONS], alone[RESPONSE], iterations = 0;
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  backend_operations counting = *text_model->ops;
  counted = text_model->ops;
  counting.linear = counting_linear;
  counting.context_open = counting_open;
  text_model->ops = &counting;
  EXPECT_OK(dimple_session_begin(lone, &d));
  for (step.done = 0; !step.done && iterations < RESPONSE;) {
    linear_calls = 0;
    EXPECT_OK(dimple_session_step(lone, &step));
    alone[iterations++] = linear_calls;
  }
  EXPECT(alone[1] >= 4 * LAYERS, "%d linear calls", alone[1]);
  dimple_batch *b = open_batch(text_model, 2);
  for (int32_t i = 0; i < SESSIONS; i++) {
    sessions[i] = text_session(text_model, 2, 1);
    EXPECT_OK(dimple_session_begin(sessions[i], &d));
  }
  for (int32_t i = 0; i < iterations; i++) {
    linear_calls = 0;
    EXPECT_OK(dimple_batch_step(b, sessions, SESSIONS, steps, statuses));
    EXPECT(linear_calls == alone[i], "step %d of %d sessions: %d linear calls, of one %d", i, SESSIONS, linear_calls, alone[i]);
  }
  dimple_batch_counts counts;
  EXPECT_OK(dimple_batch_get_counts(b, &counts));
  EXPECT(counts.steps == SESSIONS * iterations && counts.session_passes == SESSIONS * counts.passes && counts.passes == steps[0].forward_passes,
         "%d steps, %d passes, %d one by one", (int)counts.steps, (int)counts.passes, (int)counts.session_passes);
  EXPECT(counts.rows == SESSIONS * ((PROMPT + RESPONSE) + (counts.passes - 1) * (RESPONSE + 1)) && counts.bytes > 0, "%d rows", (int)counts.rows);
  dimple_batch_free(b);
  for (int32_t i = 0; i < SESSIONS; i++) dimple_session_free(sessions[i]);
  dimple_session_free(lone);
  text_model->ops = counted;
}

/* What does not fit a pass runs in a further one, and a long session alone. */
static void passes_are_bounded(int32_t orders) {
  enum { SESSIONS = 5, LENGTHS = 4 };
  static const int32_t lengths[LENGTHS] = {300, 800, 40, 767};
  dimple_model *m = random_model((model_shape){.context = 2048});
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  int32_t *masks = malloc(1024 * sizeof *masks);
  if (!m) return;
  for (int32_t i = 0; i < 1024; i++) masks[i] = MASK;
  for (int32_t at = 0; at < orders && at < LENGTHS; at++) {
    dimple_session *sessions[SESSIONS];
    dimple_step steps[SESSIONS], step;
    int32_t statuses[SESSIONS];
    dimple_batch *b = open_batch(m, 2);
    for (int32_t i = 0; i < SESSIONS; i++) {
      sessions[i] = open_session(m, 2, 1);
      EXPECT_OK(dimple_session_set_prompt(sessions[i], prompt_tokens, 1 + i, NULL, 0));
      EXPECT_OK(dimple_session_set_response(sessions[i], masks, lengths[(at + i) % LENGTHS]));
      EXPECT_OK(dimple_session_begin(sessions[i], &d));
    }
    for (int32_t round = 0; round < 2; round++) EXPECT_OK(dimple_batch_step(b, sessions, SESSIONS, steps, statuses));
    for (int32_t i = 0; i < SESSIONS; i++) {
      int32_t length = steps[i].canvas_length;
      EXPECT(statuses[i] == DIMPLE_OK, "%s", dimple_batch_get_error(b, i));
      int32_t *canvas = malloc((size_t)length * sizeof *canvas);
      memcpy(canvas, steps[i].canvas, (size_t)length * sizeof *canvas);
      EXPECT_OK(dimple_session_begin(sessions[i], &d));
      for (int32_t round = 0; round < 2; round++) EXPECT_OK(dimple_session_step(sessions[i], &step));
      EXPECT(memcmp(canvas, step.canvas, (size_t)length * sizeof *canvas) == 0, "session %d of %d comes out otherwise", i, length);
      free(canvas);
      dimple_session_free(sessions[i]);
    }
    dimple_batch_counts counts;
    EXPECT_OK(dimple_batch_get_counts(b, &counts));
    EXPECT(counts.passes > 2 && counts.passes < counts.session_passes, "%d passes for %d", (int)counts.passes, (int)counts.session_passes);
    dimple_batch_free(b);
  }
  free(masks);
  dimple_model_free(m);
}

/* --------------------------------------------------------------------------------------------------------- failures */

/* What is wrong with one changes nothing for another. */
static void failures_are_each_ones_own(void) {
  enum { SESSIONS = 7 };
  dimple_model *other = random_model((model_shape){.family = FAMILY_LLADA});
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  dimple_session *good = text_session(text_model, 1, 1), *not_begun = text_session(text_model, 1, 1), *done = text_session(text_model, 1, 1);
  dimple_session *foreign = text_session(other, 1, 1), *asked = text_session(text_model, 1, 1);
  outcome expected = decode(good, &d), o = fresh_outcome();
  decode(done, &d);
  EXPECT_OK(dimple_session_begin(good, &d));
  EXPECT_OK(dimple_session_begin(foreign, &d));
  EXPECT_OK(dimple_session_begin(asked, &d));
  dimple_session *sessions[SESSIONS] = {not_begun, done, good, good, NULL, foreign, asked};
  static const int32_t expected_status[SESSIONS] = {DIMPLE_ERROR_STATE, DIMPLE_ERROR_STATE, DIMPLE_OK, DIMPLE_ERROR_STATE, DIMPLE_ERROR_ARGUMENT,
                                                    DIMPLE_ERROR_ARGUMENT, DIMPLE_ERROR_CANCELLED};
  static const char *const text[SESSIONS] = {"has not begun", "is done", "", "inside this session", "null", "another model", "cancelled"};
  dimple_step steps[SESSIONS];
  int32_t statuses[SESSIONS];
  dimple_batch *b = open_batch(text_model, 2);
  EXPECT(!*dimple_batch_get_error(b, 0) && !*dimple_batch_get_error(NULL, 0), "a message of nothing");
  for (bool over = false; !over;) {
    dimple_session_cancel(asked);
    memset(steps, 0x5a, sizeof steps);
    EXPECT_OK(dimple_batch_step(b, sessions, SESSIONS, steps, statuses));
    for (int32_t i = 0; i < SESSIONS; i++) {
      const char *message = dimple_batch_get_error(b, i);
      EXPECT(statuses[i] == expected_status[i] && strstr(message, text[i]), "session %d: %d, %s", i, statuses[i], message);
      EXPECT(i == 2 || steps[i].done == 0x5a5a5a5a, "session %d failed, and its step is written", i);
    }
    if (statuses[2] == DIMPLE_OK) note_step(&steps[2], &o);
    over = statuses[2] != DIMPLE_OK || steps[2].done;
  }
  EXPECT(same_outcome(&o, &expected), "the others matter");
  EXPECT(!*dimple_batch_get_error(b, -1) && !*dimple_batch_get_error(b, SESSIONS), "a message of nobody");
  outcome later = decode(asked, &d);
  EXPECT(same_outcome(&later, &expected), "a cancelled session comes out otherwise");
  dimple_session_free(good); /* before the batch, and the batch before the others */
  dimple_batch_free(b);
  dimple_session *rest[] = {not_begun, done, foreign, asked};
  for (size_t i = 0; i < sizeof rest / sizeof *rest; i++) dimple_session_free(rest[i]);
  dimple_model_free(other);
}

/* The writer takes no NaN, so it stands in the file for a number that occurs nowhere else. */
static void spoil(const char *path, float number) {
  static char bytes[1 << 20];
  FILE *file = fopen(path, "r+b");
  size_t size = fread(bytes, 1, sizeof bytes, file);
  int32_t found = 0;
  for (size_t at = 0; at + sizeof number <= size; at += sizeof number) {
    if (memcmp(bytes + at, &number, sizeof number) != 0) continue;
    memcpy(bytes + at, &(float){NAN}, sizeof number);
    found++;
  }
  rewind(file);
  EXPECT(found == WIDTH && fwrite(bytes, 1, size, file) == size, "%d numbers spoilt", found);
  fclose(file);
}

/* Of a model with a token whose embedding is no number, sessions that have it fail, and the others do not notice. */
static void numbers_of_one_stay_its_own(void) {
  gguf_writer w = {0};
  model_shape shape = {.type = DIMPLE_TENSOR_Q8_0};
  float *embedding = malloc(VOCAB * WIDTH * sizeof *embedding);
  for (int32_t i = 0; i < VOCAB * WIDTH; i++) embedding[i] = i / WIDTH == 5 ? 12345.678f : (float)(i * 37 % 101 - 50) / 50;
  uint64_t dimensions[] = {WIDTH, VOCAB};
  gguf_writer_tensor(&w, "token_embd.weight", 2, dimensions, DIMPLE_TENSOR_F32, embedding);
  random_model_write(&w, &shape);
  char path[64];
  dimple_model *m = NULL;
  temporary_file(&w, path);
  spoil(path, 12345.678f);
  if (backend_under_test() && backend_is_device(backend_under_test()))
    EXPECT_FAILS(load_model(path, NULL, &m), DIMPLE_ERROR_FORMAT, "expected finite numbers"); /* which does not go to devices at all */
  else
    EXPECT_OK(load_model(path, NULL, &m));
  remove(path);
  free(embedding);
  if (!m) return;
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  dimple_session *sessions[3];
  for (int32_t i = 0; i < 3; i++) {
    int32_t prompt[] = {1, i == 1 ? 5 : 6, 2};
    sessions[i] = open_session(m, 1, 1);
    EXPECT_OK(dimple_session_set_prompt(sessions[i], prompt, 3, NULL, 0));
    set_masks(sessions[i], RESPONSE);
  }
  outcome expected = decode(sessions[0], &d), o = fresh_outcome();
  dimple_batch *b = open_batch(m, 1);
  for (int32_t i = 0; i < 3; i++) EXPECT_OK(dimple_session_begin(sessions[i], &d));
  for (bool over = false; !over;) {
    dimple_step steps[3];
    int32_t statuses[3];
    EXPECT_OK(dimple_batch_step(b, sessions, 3, steps, statuses));
    EXPECT(statuses[1] == DIMPLE_ERROR_MODEL && statuses[2] == DIMPLE_OK, "%d, %d", statuses[1], statuses[2]);
    over = statuses[0] != DIMPLE_OK || steps[0].done;
    if (statuses[0] == DIMPLE_OK) note_step(&steps[0], &o);
  }
  EXPECT(same_outcome(&o, &expected), "numbers spread from one session to another");
  dimple_batch_free(b);
  for (int32_t i = 0; i < 3; i++) dimple_session_free(sessions[i]);
  dimple_model_free(m);
}

static void arguments(void) {
  dimple_session *s = text_session(text_model, 1, 1);
  dimple_step step;
  dimple_batch_counts counts;
  int32_t status = 77;
  dimple_batch *b = open_batch(text_model, 1), *none = NULL;
  EXPECT_NULL_REFUSED(dimple_batch_create(NULL, 1, &none));
  EXPECT_NULL_REFUSED(dimple_batch_create(text_model, 1, NULL));
  EXPECT_FAILS(dimple_batch_create(text_model, -1, &none), DIMPLE_ERROR_ARGUMENT, "threads");
  EXPECT_NULL_REFUSED(dimple_batch_step(NULL, &s, 1, &step, &status));
  EXPECT_NULL_REFUSED(dimple_batch_step(b, NULL, 1, &step, &status));
  EXPECT_NULL_REFUSED(dimple_batch_step(b, &s, 1, NULL, &status));
  EXPECT_NULL_REFUSED(dimple_batch_step(b, &s, 1, &step, NULL));
  EXPECT_FAILS(dimple_batch_step(b, &s, 0, &step, &status), DIMPLE_ERROR_ARGUMENT, "count is 0, expected 1 to 1024");
  EXPECT_FAILS(dimple_batch_step(b, &s, 1025, &step, &status), DIMPLE_ERROR_ARGUMENT, "count is 1025");
  EXPECT_NULL_REFUSED(dimple_batch_get_counts(b, NULL));
  EXPECT_NULL_REFUSED(dimple_batch_get_counts(NULL, &counts));
  EXPECT(status == 77, "a refused call writes");
  dimple_batch_free(b);
  dimple_batch_free(NULL);
  dimple_session_free(s);
}

/* ----------------------------------------------------------------------------------------------------------- threads */

typedef struct runner {
  dimple_batch *batch;
  dimple_session *sessions[3];
  dimple_decoding decoding;
  outcome expected;
  int32_t wrong, cancelled, turned_away;
} runner;

/* A runner's sessions decode again and again, in a batch that another thread may be inside. */
static void keep_running(void *argument) {
  runner *r = argument;
  for (int32_t round = 0; round < 6; round++) {
    int32_t open = 3;
    bool done[3] = {0};
    int32_t tokens[3][RESPONSE];
    for (int32_t i = 0; i < 3; i++) r->wrong += dimple_session_begin(r->sessions[i], &r->decoding) != DIMPLE_OK;
    while (open > 0) {
      dimple_session *some[3];
      dimple_step steps[3];
      int32_t who[3], statuses[3], count = 0;
      for (int32_t i = 0; i < 3; i++)
        if (!done[i]) {
          who[count] = i;
          some[count++] = r->sessions[i];
        }
      dimple_status status = dimple_batch_step(r->batch, some, count, steps, statuses);
      r->turned_away += status == DIMPLE_ERROR_STATE;
      r->wrong += status != DIMPLE_OK && status != DIMPLE_ERROR_STATE;
      for (int32_t i = 0; status == DIMPLE_OK && i < count; i++) {
        r->cancelled += statuses[i] == DIMPLE_ERROR_CANCELLED;
        r->wrong += statuses[i] != DIMPLE_OK && statuses[i] != DIMPLE_ERROR_CANCELLED;
        if (statuses[i] != DIMPLE_OK || !steps[i].done) continue;
        memcpy(tokens[who[i]], steps[i].canvas, sizeof tokens[0]);
        done[who[i]] = true;
        open--;
      }
      if (status != DIMPLE_OK) platform_yield();
    }
    for (int32_t i = 0; i < 3; i++) r->wrong += memcmp(tokens[i], r->expected.tokens, sizeof tokens[0]) != 0;
  }
}

/* Two threads with a batch each, or with one between them, and a third that cancels. */
static void threads_share(bool one_batch) {
  runner runners[2];
  platform_thread *threads[2];
  memset(runners, 0, sizeof runners);
  for (int32_t i = 0; i < 2; i++) {
    runner *r = &runners[i];
    r->batch = one_batch && i == 1 ? runners[0].batch : open_batch(text_model, 2);
    r->decoding = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
    r->decoding.temperature = 0.5f;
    r->decoding.seed = (uint64_t)i;
    for (int32_t k = 0; k < 3; k++) r->sessions[k] = text_session(text_model, 1 + k, 1);
    r->expected = decode(r->sessions[0], &r->decoding);
  }
  for (int32_t i = 0; i < 2; i++) EXPECT(!platform_thread_start(keep_running, &runners[i], &threads[i]), "no thread");
  for (uint32_t i = 0; i < 200; i++) {
    dimple_session_cancel(runners[i % 2].sessions[i % 3]);
    for (int64_t end = platform_now() + (int64_t)(2e5 * draw_uniform(5, i, 0, 0, 0)); platform_now() < end;) platform_yield();
  }
  for (int32_t i = 0; i < 2; i++) platform_thread_join(threads[i]);
  EXPECT(runners[0].wrong + runners[1].wrong == 0, "%d and %d are wrong", runners[0].wrong, runners[1].wrong);
  for (int32_t i = 0; i < 2; i++) {
    for (int32_t k = 0; k < 3; k++) dimple_session_free(runners[i].sessions[k]);
    if (!one_batch || i == 0) dimple_batch_free(runners[i].batch);
  }
}

/* batch_test [ROUNDS]: of random sessions; without them, for what threads do, one order of long ones is enough. */
int main(int argc, char **argv) {
  int32_t rounds = argc > 1 ? atoi(argv[1]) : 2;
  if (fixture_open()) {
    every_session_comes_to_what_it_comes_to_alone(rounds);
    weights_are_walked_once();
    passes_are_bounded(rounds ? 4 : 1);
    failures_are_each_ones_own();
    numbers_of_one_stay_its_own();
    arguments();
    threads_share(false);
    threads_share(true);
  }
  fixture_close();
  return expect_summary("batch_test");
}
