/* Passes and iterations without a session: what runs, what stays in the cache, and what a failure leaves as it was. */
#include "diffusion/iteration.h"
#include "test/session_fixture.h"

/* What a session holds, after prefill. */
typedef struct workbench {
  context *machine;
  atomic_bool cancelled;
  prompt prompt;
  canvas canvas;
  features features;
  pass pass;
  iteration iteration;
} workbench;

static void open_bench(workbench *b, bool keep_prompt) {
  int32_t masks[RESPONSE];
  for (int32_t i = 0; i < RESPONSE; i++) masks[i] = MASK;
  *b = (workbench){0};
  atomic_init(&b->cancelled, false);
  EXPECT_OK(text_model->ops->context_open(text_model->ops, 1, &b->machine));
  EXPECT_OK(prompt_create(text_model, prompt_tokens, PROMPT, NULL, 0, &b->prompt));
  EXPECT_OK(canvas_create(masks, RESPONSE, MASK, &b->canvas));
  EXPECT_OK(iteration_resize(&b->iteration, RESPONSE));
  b->pass = (pass){.model = text_model, .context = b->machine, .cancelled = &b->cancelled, .prompt = &b->prompt,
                   .canvas = &b->canvas, .features = &b->features, .keep_prompt = keep_prompt};
  EXPECT_OK(pass_prefill(&b->pass));
}

static void close_bench(workbench *b) {
  pass_discard(&b->pass);
  iteration_free(&b->iteration);
  canvas_free(&b->canvas);
  prompt_free(&b->prompt);
  text_model->ops->context_close(b->machine);
}

static void begin(workbench *b, const dimple_decoding *d) {
  EXPECT_OK(iteration_begin(&b->iteration, d, &text_model->text, &b->canvas));
  canvas_reset(&b->canvas);
  pass_restart(&b->pass, iteration_need(&b->iteration, &b->canvas, b->pass.keep_prompt));
  EXPECT_OK(pass_prefill(&b->pass));
}

static void the_first_pass_runs_once(void) {
  for (int32_t keep = 0; keep < 2; keep++) {
    workbench b;
    open_bench(&b, keep);
    const kv_cache *cache = &b.pass.text.cache;
    EXPECT(cache->capacity == PROMPT + RESPONSE && cache->layer_count == LAYERS, "%d rows", (int)cache->capacity);
    EXPECT(cache->held == PROMPT + RESPONSE, "%d rows", (int)cache->held);
    EXPECT(b.pass.prefilled && b.pass.total == RESPONSE && b.pass.count == 1, "%d passes", (int)b.pass.count);
    EXPECT_OK(pass_prefill(&b.pass));
    EXPECT(b.pass.count == 1, "the first pass runs once, not %d times", (int)b.pass.count);
    pass_discard(&b.pass);
    EXPECT(!b.pass.prefilled && cache->capacity == 0 && cache->held == 0 && b.pass.count == 0, "discarded");
    close_bench(&b);
  }
}

/* States are computed anew when the canvas has changed, and only then. */
static void unchanged_states_are_kept(void) {
  workbench b;
  head_row rows[RESPONSE];
  head_call head = {.results = rows};
  pass_rows all = {.count = RESPONSE}, two = {.count = RESPONSE, .chosen = (int32_t[]){3, 8}, .chosen_count = 2};
  open_bench(&b, true);
  EXPECT_OK(pass_score(&b.pass, all, &head));
  EXPECT(b.pass.count == 1, "the first pass's states do: %d passes", (int)b.pass.count);
  head_row first = rows[3];
  pass_canvas_changed(&b.pass);
  EXPECT_OK(pass_score(&b.pass, all, &head));
  EXPECT_OK(pass_score(&b.pass, all, &head));
  EXPECT(b.pass.count == 2, "%d passes", (int)b.pass.count);
  EXPECT(memcmp(&first, &rows[3], sizeof first) == 0, "the same canvas, other results");
  EXPECT_OK(pass_score(&b.pass, two, &head)); /* two of them */
  EXPECT(memcmp(&first, &rows[0], sizeof first) == 0, "row 3 among the chosen");
  memset(rows, 0, sizeof rows);
  EXPECT_OK(pass_head(&b.pass, VIEW_SCORED, 0, 1, &head)); /* the first of these two */
  EXPECT(memcmp(&first, &rows[0], sizeof first) == 0 && rows[1].best_logit == 0, "row 3 on its own");
  close_bench(&b);
}

static void iterations_are_counted_to_the_last(void) {
  workbench b;
  dimple_decoding d = decoding_of(DIMPLE_PIPELINE_DREAM, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  d.steps = 3;
  open_bench(&b, true);
  begin(&b, &d);
  int32_t left = RESPONSE;
  for (int32_t i = 0; i < 3; i++) {
    EXPECT(!b.iteration.done && b.iteration.number == i, "iteration %d is number %d", i, b.iteration.number);
    EXPECT_OK(iteration_run(&b.iteration, &b.pass, &b.canvas));
    left -= b.iteration.revealed_count;
    EXPECT(b.canvas.masked_count == left, "%d masked, not %d", b.canvas.masked_count, left);
    for (int32_t k = 0; k < b.iteration.revealed_count; k++)
      EXPECT(b.canvas.tokens[b.iteration.room.revealed[k]] == b.iteration.room.tokens[k], "token %d", k);
  }
  EXPECT(b.iteration.done && left == 0, "%d left", left);
  close_bench(&b);
}

/* A failed iteration has not happened: not on the canvas, not in its number, not in the recorded draws. */
static void failures_change_nothing(void) {
  static const int32_t kinds[] = {DIMPLE_DRAW_CATEGORICAL, DIMPLE_DRAW_SUBSET}, lengths[] = {RESPONSE, 1};
  static const double values[RESPONSE + 1] = {7, 8, 9};
  workbench b;
  replay *recorded;
  dimple_decoding d = decoding_of(DIMPLE_PIPELINE_DIM, DIMPLE_ALGORITHM_ORIGIN);
  d.temperature = 1;
  open_bench(&b, true);
  EXPECT_OK(replay_create(kinds, lengths, 2, values, RESPONSE + 1, &recorded));
  iteration_replay(&b.iteration, recorded);
  begin(&b, &d);
  for (int again = 0; again < 2; again++) { /* the tokens are drawn, then the positions cannot be */
    EXPECT_FAILS(iteration_run(&b.iteration, &b.pass, &b.canvas), DIMPLE_ERROR_STATE, "record 1 is a subset of 1");
    EXPECT(b.iteration.number == 0 && replay_position(recorded) == 0, "record %d is next", replay_position(recorded));
    EXPECT(b.canvas.masked_count == RESPONSE, "%d masked", b.canvas.masked_count);
  }
  atomic_store(&b.cancelled, true);
  EXPECT_FAILS(iteration_run(&b.iteration, &b.pass, &b.canvas), DIMPLE_ERROR_CANCELLED, "cancelled");
  iteration_replay(&b.iteration, NULL);
  EXPECT(!b.iteration.begun, "other draws end a decoding");
  begin(&b, &d);
  EXPECT_OK(iteration_run(&b.iteration, &b.pass, &b.canvas));
  EXPECT(b.iteration.number == 1 && b.canvas.masked_count == RESPONSE - b.iteration.revealed_count, "it goes on");
  close_bench(&b);
}

/* Positions chosen first, and none: the model does not run. */
static void nothing_chosen_costs_no_pass(void) {
  workbench b;
  dimple_decoding d = decoding_of(DIMPLE_PIPELINE_DREAM, DIMPLE_ALGORITHM_ORIGIN);
  d.steps = 1000;
  open_bench(&b, true);
  begin(&b, &d);
  int32_t empty = 0, passes = 0;
  for (int32_t i = 0; i < 200; i++) {
    int64_t before = b.pass.count;
    bool changed = b.pass.fresh == NULL;
    EXPECT_OK(iteration_run(&b.iteration, &b.pass, &b.canvas));
    int32_t expected = b.iteration.revealed_count > 0 && changed;
    EXPECT(b.pass.count - before == expected, "%d revealed in %d passes", b.iteration.revealed_count, (int)(b.pass.count - before));
    empty += b.iteration.revealed_count == 0;
    passes += expected;
  }
  EXPECT(empty > 0 && passes > 0, "%d empty iterations, %d passes", empty, passes);
  close_bench(&b);
}

int main(void) {
  if (fixture_open()) {
    the_first_pass_runs_once();
    unchanged_states_are_kept();
    iterations_are_counted_to_the_last();
    failures_change_nothing();
    nothing_chosen_costs_no_pass();
  }
  fixture_close();
  return expect_summary("iteration");
}
