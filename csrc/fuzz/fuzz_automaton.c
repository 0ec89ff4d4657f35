/* An automaton over bytes with any tables: refused, or compiled and decoded under, and then the response is one that it accepts. */
#include <math.h>
#include <stdbool.h>

#include "diffusion/pipeline.h"
#include "fuzz/small_model.h"

enum { MAX_STATES = 12, MAX_CLASSES = 6, MAX_SLOTS = 2, MAX_RESPONSE = 12, LETTERS = 4, STEPS = 6 };

static dimple_model *model;
static dimple_vocabulary *vocabulary;
static uint8_t bytes[2 * TOKENS];
static int64_t offsets[TOKENS + 1];
static uint8_t kinds[TOKENS];

/* Tokens are one or two of the letters a to d; the last four are the model's own. */
int LLVMFuzzerInitialize(int *argument_count, char ***arguments) {
  (void)argument_count;
  (void)arguments;
  int64_t size = 0;
  for (int32_t t = 0; t < TOKENS; t++) {
    offsets[t] = size;
    kinds[t] = token_kind(t);
    if (kinds[t] != DIMPLE_TOKEN_TEXT) continue;
    bytes[size++] = (uint8_t)('a' + t % LETTERS);
    if (t >= LETTERS) bytes[size++] = (uint8_t)('a' + t / LETTERS - 1);
  }
  offsets[TOKENS] = size;
  model = small_model((model_shape){0});
  REQUIRE(dimple_vocabulary_create(bytes, offsets, kinds, TOKENS, &vocabulary) == DIMPLE_OK);
  return 0;
}

typedef struct tables {
  uint8_t byte_class[256], accepting[MAX_STATES];
  int32_t next[MAX_STATES * MAX_CLASSES], state_slot[MAX_STATES], slot_tokens[MAX_SLOTS];
} tables;

/* Numbers are mostly in range. */
static int32_t take_index(decisions *d, int32_t count) {
  uint8_t byte = take_u8(d);
  return byte == 255 ? take_i32(d) : byte % (count + 1) - 1;
}

static dimple_automaton take_automaton(decisions *d, tables *t) {
  dimple_automaton a = {.state_count = 1 + take_u8(d) % MAX_STATES, .class_count = 1 + take_u8(d) % MAX_CLASSES, .byte_class = t->byte_class,
                        .next = t->next, .accepting = t->accepting};
  for (int i = 0; i < 256; i++) t->byte_class[i] = (uint8_t)(i % a.class_count);
  if (take_u8(d) == 255) t->byte_class['c'] = take_u8(d);
  for (int32_t i = 0; i < a.state_count; i++) t->accepting[i] = take_u8(d) < 80;
  for (int32_t i = 0; i < a.state_count * a.class_count; i++) t->next[i] = take_index(d, a.state_count);
  if (take_u8(d) < 64) {
    a.slot_count = 1 + take_u8(d) % MAX_SLOTS;
    a.state_slot = t->state_slot;
    a.slot_tokens = t->slot_tokens;
    for (int32_t i = 0; i < a.state_count; i++) t->state_slot[i] = take_index(d, a.slot_count);
    for (int32_t i = 0; i < a.slot_count; i++) t->slot_tokens[i] = take_between(d, 0, 4);
  }
  a.start = take_u8(d) == 255 ? take_i32(d) : 0;
  return a;
}

/* Whether the response is the bytes of a text that is accepted, and behind it nothing but an end and what may follow one. */
static bool is_accepted(const dimple_automaton *a, const int32_t *canvas, int32_t length) {
  int32_t state = a->start, i = 0;
  for (; i < length && kinds[canvas[i]] == DIMPLE_TOKEN_TEXT; i++)
    for (int64_t b = offsets[canvas[i]]; b < offsets[canvas[i] + 1]; b++) {
      state = a->next[state * a->class_count + a->byte_class[bytes[b]]];
      if (state < 0) return false;
    }
  if (!a->accepting[state]) return false;
  if (i < length && kinds[canvas[i]] != DIMPLE_TOKEN_END) return false;
  for (; i < length; i++)
    if (kinds[canvas[i]] != DIMPLE_TOKEN_END && kinds[canvas[i]] != DIMPLE_TOKEN_FILLER) return false;
  return true;
}

static dimple_decoding take_decoding(decisions *d) {
  dimple_decoding decoding;
  dimple_decoding_defaults(&decoding);
  decoding.steps = 1 + take_u8(d) % STEPS;
  decoding.pipeline = take_u8(d) % PIPELINE_COUNT;
  decoding.algorithm = take_u8(d) % ALGORITHM_COUNT;
  decoding.threshold = take_u8(d) & 1 ? 0 : (float)take_u8(d) / 250;
  decoding.temperature = take_u8(d) & 1 ? 0 : (float)take_u8(d) / 100;
  decoding.top_k = take_u8(d) & 1 ? 0 : take_u8(d) % 5;
  decoding.seed = take_u8(d);
  return decoding;
}

/* Bans a token and favours another. */
static void set_bias(dimple_session *session, decisions *d) {
  int32_t banned = take_u8(d) % (TOKENS - 1);
  REQUIRE(dimple_session_set_bias(session, (int32_t[]){banned, banned + 1}, (float[]){-INFINITY, take_u8(d)}, 2) == DIMPLE_OK);
}

/* An iteration whose decision is the input's: any tokens for some of the candidates, which fit or are refused. */
static void decide(dimple_session *session, decisions *d, dimple_step *step) {
  dimple_candidates found;
  dimple_status status = dimple_session_look(session, &found);
  REQUIRE(status == DIMPLE_OK || status == DIMPLE_ERROR_UNSUPPORTED);
  if (status != DIMPLE_OK) return;
  int32_t positions[MAX_RESPONSE], tokens[MAX_RESPONSE], count = 0;
  for (int32_t i = 0; i < found.count; i++) {
    uint8_t byte = take_u8(d);
    if (byte & 1) continue;
    positions[count] = found.positions[i];
    tokens[count++] = byte < 160 ? found.tokens[i] : byte % TOKENS;
  }
  status = dimple_session_reveal(session, positions, tokens, count, step);
  REQUIRE(status == DIMPLE_OK || status == DIMPLE_ERROR_ARGUMENT);
}

static void decode(dimple_session *session, const dimple_automaton *a, decisions *d) {
  dimple_decoding decoding = take_decoding(d);
  if (dimple_session_begin(session, &decoding) != DIMPLE_OK) return;
  dimple_step step = {0};
  for (int i = take_u8(d) % (STEPS + 1); i > 0 && !step.done; i--) {
    uint8_t how = take_u8(d);
    if (how % 8 == 1) set_bias(session, d);
    if (how < 64) decide(session, d, &step);
    else REQUIRE(dimple_session_step(session, &step) == DIMPLE_OK);
  }
  if (!step.done || step.remaining > 0) REQUIRE(dimple_session_complete(session, &step) == DIMPLE_OK);
  REQUIRE(step.remaining == 0 && is_accepted(a, step.canvas, step.canvas_length));
  mark((unsigned)(decoding.pipeline * 32 + decoding.algorithm));
}

static void run(dimple_constraint *constraint, const dimple_automaton *a, decisions *d) {
  int32_t prompt[2] = {1, 2}, response[MAX_RESPONSE], length = 1 + take_u8(d) % MAX_RESPONSE;
  for (int32_t i = 0; i < length; i++) {
    uint8_t byte = take_u8(d);
    response[i] = byte < 230 ? MASK_ID : byte % TOKENS;
  }
  dimple_session *session = NULL;
  REQUIRE(dimple_session_create(model, &(dimple_session_options){.threads = 1, .prefill = 1}, &session) == DIMPLE_OK);
  REQUIRE(dimple_session_set_prompt(session, prompt, 2, NULL, 0) == DIMPLE_OK);
  REQUIRE(dimple_session_set_response(session, response, length) == DIMPLE_OK);
  if (dimple_session_set_constraint(session, constraint) == DIMPLE_OK) decode(session, a, d);
  dimple_session_free(session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  decisions d = {data, size};
  tables t = {0};
  dimple_automaton a = take_automaton(&d, &t);
  dimple_constraint *constraint = NULL;
  dimple_status status = dimple_constraint_create(vocabulary, &a, &constraint);
  REQUIRE((status == DIMPLE_OK) == (constraint != NULL));
  if (constraint) run(constraint, &a, &d);
  dimple_constraint_free(constraint);
  return 0;
}
