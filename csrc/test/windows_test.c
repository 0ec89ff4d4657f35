/* Layers with windows keep few rows: to the bit as if they kept all, whatever passes and decodings follow each other. */
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "model/model.h"
#include "model/text.h"
#include "test/constraint_fixture.h"
#include "test/session_fixture.h"

/* Positions, of which a picture's see each other; a canvas comes last. */
enum { POSITIONS = 420, PICTURE_FIRST = 250, PICTURE_END = 290, MOST = 40 };

static int32_t tokens[2000];

/* Rows first .. end - 1, and their states. */
static dimple_status record(const dimple_model *m, context *c, text_state *state, int64_t first, int64_t end, bool canvas, view states, float *out) {
  text_rows rows = {.state = state, .first = first, .pieces = {{tokens + first, end - first}}, .piece_count = 1, .canvas = canvas,
                    .wanted = state->row_numbers, .states = states};
  DIMPLE_TRY(text_forward(m, c, &rows));
  return m->ops->copy_out(c, out, states);
}

static void run_rows(const dimple_model *m, context *c, text_state *state, int64_t first, int64_t end, bool canvas, float *out) {
  buffer *memory = NULL;
  EXPECT_OK(text_state_slide(m, c, state, first, end - first));
  EXPECT_OK(m->ops->buffer_alloc(c, (end - first) * WIDTH, &memory));
  EXPECT_OK(m->ops->pass_begin(c, NULL));
  EXPECT_OK(m->ops->pass_end(c, record(m, c, state, first, end, canvas, view_of(memory, end - first, WIDTH), out + first * WIDTH)));
  m->ops->buffer_free(c, memory);
}

/* All states, where a pass runs `most` rows; returns what keys and values take. */
static int64_t run_all(const dimple_model *m, context *c, int64_t most, int32_t kv_type, float *states) {
  int32_t positions[3 * POSITIONS];
  for (int i = 0; i < 3 * POSITIONS; i++) positions[i] = i % POSITIONS;
  text_state s;
  EXPECT_OK(text_state_open(m, c, positions, POSITIONS, most, kv_type, &s));
  text_state_join(&s, PICTURE_FIRST, PICTURE_END);
  EXPECT_OK(text_state_reserve(m, c, &s, text_state_most(&s)));
  int64_t settled = POSITIONS - CANVAS, bytes = s.cache.bytes;
  for (int64_t first = 0, cut; first < settled; first = cut) {
    cut = text_state_cut(&s, first, settled);
    EXPECT(cut <= PICTURE_FIRST || cut >= PICTURE_END, "a picture is cut at %d", (int)cut);
    run_rows(m, c, &s, first, cut, false, states);
  }
  run_rows(m, c, &s, settled, POSITIONS, true, states);
  text_state_close(m, c, &s);
  return bytes;
}

static void states_are_those_of_a_full_cache(const dimple_model *m, int32_t kv_type) {
  static float full[POSITIONS * WIDTH], slid[POSITIONS * WIDTH];
  context *c;
  EXPECT_OK(m->ops->context_open(m->ops, 2, &c));
  int64_t before = run_all(m, c, POSITIONS, kv_type, full), after = run_all(m, c, MOST, kv_type, slid);
  EXPECT(after < before, "%d bytes, %d with all rows", (int)after, (int)before);
  for (int row = 0; row < POSITIONS; row++)
    EXPECT(memcmp(full + row * WIDTH, slid + row * WIDTH, WIDTH * sizeof *full) == 0, "%s: row %d has other states", m->ops->name, row);
  m->ops->context_close(c);
}

/* The layers that slide have 2 (WINDOW - 1 + KV_STEP) + TEXT_PIECE_ROWS = 968 rows: those of the prompt are moved once, and they are full
 * with the rows of the response but for the last canvas's. Then what its rows saw of the prompt falls out. */
enum { LONG_PROMPT = 1580, LONG_RESPONSE = 64 };

static dimple_session *long_session(dimple_model *m, int32_t length) {
  dimple_session *s = open_session(m, 2, 1);
  int32_t response[LONG_RESPONSE];
  for (int i = 0; i < LONG_RESPONSE; i++) response[i] = i < LONG_RESPONSE - CANVAS ? tokens[i] : MASK; /* given, but for the last canvas */
  EXPECT_OK(dimple_session_set_prompt(s, tokens, length, NULL, 0));
  EXPECT_OK(dimple_session_set_response(s, response, LONG_RESPONSE));
  return s;
}

static int32_t taken(dimple_session *s, dimple_session *from) {
  int32_t rows = -1;
  EXPECT_OK(dimple_session_take_prefix(s, from, &rows));
  return rows;
}

static void sessions_find_what_they_need_or_run_it_again(dimple_model *m) {
  dimple_decoding d = decoding_of(DIMPLE_PIPELINE_DIFFUSION_GEMMA, DIMPLE_ALGORITHM_ENTROPY_BOUND);
  d.steps = 2;
  d.complete = true;
  dimple_session *first = long_session(m, LONG_PROMPT), *second = long_session(m, LONG_PROMPT + 1), *third = long_session(m, LONG_PROMPT + 1),
                 *fourth = long_session(m, 700);
  EXPECT_OK(dimple_session_prefill(first));
  EXPECT(taken(second, first) == LONG_PROMPT, "the prompt is shared while it is there");
  outcome once = decode(first, &d);
  EXPECT(taken(third, first) == 0, "what has fallen out is not shared");
  EXPECT(taken(fourth, first) == 0, "nor the beginning");
  outcome again = decode(first, &d);
  EXPECT(same_outcome(&once, &again), "a second decoding");
  outcome shared = decode(second, &d), alone = decode(third, &d);
  EXPECT(same_outcome(&shared, &alone), "a session that took a prefix");
  dimple_session *all[] = {first, second, third, fourth};
  for (int i = 0; i < 4; i++) dimple_session_free(all[i]);
}

/* What a response kept is shared, too: the next prompt, which goes on behind it, runs what follows alone, and nothing comes out otherwise. */
static void kept_canvases_are_shared(dimple_model *m, int32_t length) {
  enum { GIVEN = LONG_RESPONSE - CANVAS, BEHIND = 9 };
  dimple_decoding d = decoding_of(DIMPLE_PIPELINE_DIFFUSION_GEMMA, DIMPLE_ALGORITHM_ENTROPY_BOUND);
  d.steps = 2;
  int32_t prompt[2000];
  memcpy(prompt, tokens, sizeof prompt);
  memcpy(prompt + length, tokens, GIVEN * sizeof *prompt); /* the response */
  for (int32_t other = 0; other <= GIVEN; other += GIVEN / 2) {
    dimple_session *from = long_session(m, length), *s = open_session(m, 1, 1), *alone = open_session(m, 1, 1), *both[] = {s, alone};
    decode(from, &d);
    if (other < GIVEN) prompt[length + other] = (tokens[other] + 1) % IMAGE;
    for (int i = 0; i < 2; i++) {
      EXPECT_OK(dimple_session_set_prompt(both[i], prompt, length + GIVEN + BEHIND, NULL, 0));
      set_masks(both[i], CANVAS);
    }
    EXPECT(taken(s, from) == length + other, "%d tokens are alike", length + other);
    outcome shared = decode(s, &d), expected = decode(alone, &d);
    EXPECT(same_outcome(&shared, &expected), "behind %d tokens that were taken over", length + other);
    if (other < GIVEN) prompt[length + other] = tokens[other];
    dimple_session *all[] = {from, s, alone};
    for (int i = 0; i < 3; i++) dimple_session_free(all[i]);
  }
}

/* A decoding that begins again writes over the canvases of the one before. */
static void canvases_of_earlier_decodings_are_not_shared(dimple_model *m) {
  enum { GIVEN = LONG_RESPONSE - CANVAS };
  dimple_decoding d = decoding_of(DIMPLE_PIPELINE_DIFFUSION_GEMMA, DIMPLE_ALGORITHM_ENTROPY_BOUND);
  int32_t prompt[2000];
  memcpy(prompt, tokens, sizeof prompt);
  memcpy(prompt + PROMPT, tokens, GIVEN * sizeof *prompt);
  dimple_session *from = long_session(m, PROMPT), *s = open_session(m, 1, 1);
  decode(from, &d);
  EXPECT_OK(dimple_session_begin(from, &d));
  EXPECT_OK(dimple_session_set_prompt(s, prompt, PROMPT + GIVEN, NULL, 0));
  set_masks(s, CANVAS);
  EXPECT(taken(s, from) == PROMPT, "the prompt alone is there");
  dimple_session_free(from);
  dimple_session_free(s);
}

int main(void) {
  random_numbers r = {.seed = 3};
  dimple_model *m = random_model((model_shape){.family = FAMILY_DIFFUSION_GEMMA, .context = 4096});
  if (!m) return expect_summary("windows");
  for (int i = 0; i < 2000; i++) tokens[i] = random_below(&r, IMAGE);
  states_are_those_of_a_full_cache(m, DIMPLE_TENSOR_F32);
  states_are_those_of_a_full_cache(m, DIMPLE_TENSOR_F16);
  sessions_find_what_they_need_or_run_it_again(m);
  kept_canvases_are_shared(m, PROMPT);
  kept_canvases_are_shared(m, 900);
  canvases_of_earlier_decodings_are_not_shared(m);
  dimple_model_free(m);
  return expect_summary("windows");
}
