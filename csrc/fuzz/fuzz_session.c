/* Any calls of a session in any order, with any arguments that point to memory. */
#include <stdbool.h>

#include "fuzz/fuzz.h"
#include "test/random_model.h"

enum { MODELS = 3, MOST_CALLS = 40, MOST_TOKENS = CONTEXT + 4, PIXELS = 16 };

static dimple_model *models[MODELS];

int LLVMFuzzerInitialize(int *argument_count, char ***arguments) {
  (void)argument_count;
  (void)arguments;
  models[0] = random_model((model_shape){0});
  models[1] = random_model((model_shape){.vision = true});
  models[2] = random_model((model_shape){.family = FAMILY_LLADA_MOE, .causal = true});
  for (int i = 0; i < MODELS; i++) REQUIRE(models[i]);
  return 0;
}

/* Mostly ids of the vocabulary, and mostly masks where those make sense. */
static int32_t take_tokens(decisions *d, int32_t *tokens, bool masks) {
  int32_t count = take_between(d, -1, take_u8(d) & 15 ? 12 : MOST_TOKENS);
  for (int32_t i = 0; i < count; i++) {
    uint8_t byte = take_u8(d);
    tokens[i] = byte == 255 ? take_i32(d) : masks && byte < 160 ? MASK : byte % VOCAB;
  }
  return count;
}

static void set_prompt(dimple_session *session, decisions *d) {
  static uint8_t pixels[3 * PIXELS * PIXELS];
  int32_t tokens[MOST_TOKENS];
  int32_t count = take_tokens(d, tokens, false);
  dimple_image image = {.rgb = pixels, .width = take_between(d, 0, PIXELS), .height = take_between(d, 0, PIXELS), .row_stride = 3 * PIXELS};
  dimple_session_set_prompt(session, tokens, count, &image, take_between(d, 0, 1));
}

static dimple_decoding take_decoding(decisions *d) {
  dimple_decoding decoding;
  dimple_decoding_defaults(&decoding);
  decoding.steps = take_between(d, 1, 20);
  uint8_t wild = take_u8(d);
  if (wild & 1) take(d, &decoding, sizeof decoding);
  if (wild & 2) decoding.pipeline = take_between(d, -1, 4);
  if (wild & 4) decoding.algorithm = take_between(d, -1, 16);
  if (wild & 8) decoding.threshold = take_float(d);
  if (wild & 16) decoding.temperature = take_float(d);
  if (wild & 32) decoding.top_p = take_float(d);
  if (wild & 64) decoding.top_k = take_i32(d);
  if (wild & 128) decoding.algorithm_temperature = take_float(d);
  if (decoding.steps > 64) decoding.steps = 64;
  return decoding;
}

static void step(dimple_session *session) {
  dimple_step done;
  if (dimple_session_step(session, &done) != DIMPLE_OK) return;
  int32_t masked = 0;
  for (int32_t i = 0; i < done.canvas_length; i++) {
    REQUIRE(done.canvas[i] >= 0 && done.canvas[i] < VOCAB);
    masked += done.canvas[i] == MASK;
  }
  REQUIRE(masked >= done.remaining && done.revealed_count <= done.canvas_length);
  for (int32_t i = 0; i < done.revealed_count; i++) {
    REQUIRE(done.revealed[i] >= 0 && done.revealed[i] < done.canvas_length);
    REQUIRE(i == 0 || done.revealed[i] > done.revealed[i - 1]);
    REQUIRE(done.confidence[i] == done.confidence[i]);
  }
}

static void replay(dimple_session *session, decisions *d) {
  int32_t kinds[4], lengths[4], count = take_between(d, 0, 4);
  double values[32];
  for (int32_t i = 0; i < count; i++) {
    kinds[i] = take_between(d, -1, 4);
    lengths[i] = take_between(d, -1, 8);
  }
  for (int i = 0; i < 32; i++) values[i] = take_u8(d) & 1 ? take_between(d, 0, VOCAB) : (double)take_float(d);
  dimple_session_replay_draws(session, kinds, lengths, count, values, take_between(d, 0, 32));
}

static void look(dimple_session *session, decisions *d) {
  static float logits[2 * CONTEXT * VOCAB];
  dimple_timings timings;
  REQUIRE(dimple_session_get_timings(session, &timings) == DIMPLE_OK);
  REQUIRE(timings.kv_bytes >= 0 && timings.scratch_bytes >= 0);
  int64_t count = (int64_t)take_between(d, 0, 2 * CONTEXT) * VOCAB;
  if (take_u8(d) & 1) dimple_session_get_logits(session, logits, count);
  else dimple_session_get_image_features(session, logits, count / VOCAB * WIDTH);
}

static void call(dimple_session *session, decisions *d) {
  int32_t tokens[MOST_TOKENS];
  dimple_decoding decoding;
  switch (take_u8(d) % 12) {
    case 0: set_prompt(session, d); break;
    case 1:
    case 2: dimple_session_set_response(session, tokens, take_tokens(d, tokens, true)); break;
    case 3: dimple_session_prefill(session); break;
    case 4:
      decoding = take_decoding(d);
      if (dimple_session_begin(session, &decoding) == DIMPLE_OK) REQUIRE(dimple_decoding_validate(&decoding) == DIMPLE_OK);
      break;
    case 5: replay(session, d); break;
    case 6: look(session, d); break;
    case 7:
      if (take_u8(d) < 40) dimple_session_cancel(session);
      break;
    default: step(session);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  decisions d = {data, size};
  dimple_session_options options = {.prefill = take_between(&d, -1, 2), .context_length = take_u8(&d) < 200 ? 0 : take_i32(&d), .threads = 1};
  dimple_session *session = NULL;
  if (dimple_session_create(models[take_u8(&d) % MODELS], &options, &session) != DIMPLE_OK) return 0;
  for (int i = 0; i < MOST_CALLS && d.size > 0; i++) call(session, &d);
  dimple_session_free(session);
  return 0;
}
