/* Any calls of sessions in any order, with any arguments that point to memory, of one session or by turns of two that also step together. Now and
 * then a second thread has a session of the same model, and cancels what the first one does. */
#include <math.h>
#include <pthread.h>
#include <stdbool.h>

#include "diffusion/pipeline.h"
#include "fuzz/small_model.h"

enum { MODELS = 8, CANVAS_MODEL = MODELS - 1, LATER_MODELS = 2, EDITOR_MODEL = MODELS + LATER_MODELS, MOST_CALLS = 40, MOST_TOKENS = SMALL_CONTEXT + 4, PIXELS = 12, CONSTRAINTS = 4 };

static dimple_model *models[EDITOR_MODEL + 1]; /* the last ones were not there when the first inputs of the corpus were found */
static dimple_decoding usual[256]; /* every pipeline with its algorithms and caches */
static int32_t usual_count;
static dimple_constraint *constraints[CONSTRAINTS]; /* the first one is null, the last one of another vocabulary than the models' */

/* Token t is the letter a + t. */
static dimple_vocabulary *letters(int32_t count) {
  uint8_t bytes[TOKENS], kinds[TOKENS];
  int64_t offsets[TOKENS + 1];
  for (int32_t t = 0; t < count; t++) {
    bytes[t] = (uint8_t)('a' + t);
    offsets[t] = t;
    kinds[t] = token_kind(t);
  }
  offsets[count] = count;
  dimple_vocabulary *vocabulary = NULL;
  REQUIRE(dimple_vocabulary_create(bytes, offsets, kinds, count, &vocabulary) == DIMPLE_OK);
  return vocabulary;
}

/* (a | b+ c)*, where the letters go on in this order and around: d is as a, and so on; with a slot, b+ is at most three tokens. */
static dimple_constraint *constraint(int32_t tokens, bool slot) {
  uint8_t byte_class[256];
  static const int32_t next[] = {0, 1, -1, -1, 1, 0}, state_slot[] = {-1, 0}, slot_tokens[] = {3};
  for (int i = 0; i < 256; i++) byte_class[i] = (uint8_t)(i % 3);
  dimple_automaton a = {.state_count = 2, .class_count = 3, .byte_class = byte_class, .next = next, .accepting = (uint8_t[]){1, 0}};
  if (slot) {
    a.slot_count = 1;
    a.state_slot = state_slot;
    a.slot_tokens = slot_tokens;
  }
  dimple_vocabulary *vocabulary = letters(tokens);
  dimple_constraint *out = NULL;
  REQUIRE(dimple_constraint_create(vocabulary, &a, &out) == DIMPLE_OK);
  dimple_vocabulary_free(vocabulary);
  return out;
}

static void list_usual(void) {
  dimple_decoding d;
  dimple_decoding_defaults(&d);
  for (d.pipeline = 0; d.pipeline < PIPELINE_COUNT; d.pipeline++)
    for (d.algorithm = 0; d.algorithm < ALGORITHM_COUNT; d.algorithm++)
      for (d.cache = DIMPLE_CACHE_MODEL; d.cache <= DIMPLE_CACHE_DUAL; d.cache++)
        if (dimple_decoding_validate(&d) == DIMPLE_OK) usual[usual_count++] = d;
  REQUIRE(usual_count > 24);
}

int LLVMFuzzerInitialize(int *argument_count, char ***arguments) {
  (void)argument_count;
  (void)arguments;
  models[0] = small_model((model_shape){.expands = true});
  models[1] = small_model((model_shape){.vision = true});
  models[2] = small_model((model_shape){.family = FAMILY_LLADA_MOE, .causal = true});
  models[3] = small_model((model_shape){.family = FAMILY_LLADA, .unshifted = true});
  models[4] = small_model((model_shape){.family = FAMILY_SDAR});
  models[5] = small_model((model_shape){.family = FAMILY_FAST_DLLM_V2});
  models[6] = small_model((model_shape){.family = FAMILY_LLADA2});
  models[CANVAS_MODEL] = small_model((model_shape){.family = FAMILY_DIFFUSION_GEMMA});
  models[MODELS] = small_model((model_shape){.family = FAMILY_DIMPLE_BLOCK, .vision = true});
  models[MODELS + 1] = small_model((model_shape){.family = FAMILY_DIFFUSION_GEMMA, .layers = 2}); /* the second sees everything */
  models[EDITOR_MODEL] = small_model((model_shape){.family = FAMILY_LLADA22, .layers = 2});                /* the first has no experts */
  list_usual();
  constraints[1] = constraint(TOKENS, false);
  constraints[2] = constraint(TOKENS, true);
  constraints[3] = constraint(TOKENS - 1, false);
  return 0;
}

/* A session, the input that decides what becomes of it, and what is known of it. */
typedef struct user {
  dimple_session *session, *victim; /* the victim is only cancelled */
  decisions decisions;
  dimple_model *model;
  dimple_batch *batch; /* null until it is asked for; then there is a mate, with a session of the same model */
  struct user *mate;
  int32_t prompt[2 * MOST_TOKENS], prompt_given, prompt_length; /* as it was set, and with the answer so far; 0: none */
  dimple_image images[2];
  int32_t pictures;
  int32_t given[MOST_TOKENS], length;             /* the response likewise */
  int32_t canvas[MOST_TOKENS], canvas_length;     /* as the latest step left it */
  bool moves; /* the latest decoding changes its length */
  unsigned kind; /* of the latest decoding: its pipeline and algorithm, for mark */
  int32_t candidates, positions[MOST_TOKENS], tokens[MOST_TOKENS]; /* of the latest look */
} user;

static void *maybe_null(decisions *d, void *pointer) { return take_u8(d) == 255 ? NULL : pointer; }

static bool succeeds(dimple_status status) {
  if (status == DIMPLE_OK) return true;
  REQUIRE(status > DIMPLE_OK && status <= DIMPLE_ERROR_MODEL && status != DIMPLE_ERROR_IO && status != DIMPLE_ERROR_FORMAT);
  REQUIRE(dimple_last_error()[0] != '\0' && !strchr(dimple_last_error(), '\n'));
  return false;
}

static int32_t take_token(decisions *d) {
  uint8_t byte = take_u8(d);
  return byte == 255 ? take_i32(d) : byte % TOKENS;
}

/* Mostly a few ids of the vocabulary, and mostly masks where those make sense. */
static int32_t take_tokens(decisions *d, int32_t *tokens, bool masks) {
  int32_t count = take_between(d, -1, take_u8(d) < 240 ? 10 : MOST_TOKENS);
  for (int32_t i = 0; i < count; i++) tokens[i] = masks && take_u8(d) < 160 ? MASK_ID : take_token(d);
  return count;
}

/* Of a prompt of which `first` tokens stand already. */
static void note_prompt(user *u, int32_t first, const int32_t *tokens, int32_t count) {
  memcpy(u->prompt + first, tokens, (size_t)count * sizeof *tokens);
  u->prompt_length = first + count;
  u->length = u->canvas_length = 0;
}

static void set_prompt(user *u, decisions *d) {
  static const uint8_t pixels[3 * PIXELS * PIXELS];
  int32_t tokens[MOST_TOKENS], count = take_tokens(d, tokens, false);
  dimple_image images[2];
  for (int i = 0; i < 2; i++) {
    int32_t width = take_between(d, 0, PIXELS), height = take_between(d, 0, PIXELS);
    images[i] = (dimple_image){.rgb = pixels, .width = width, .height = height, .row_stride = 3 * PIXELS};
  }
  /* The placeholders of the first picture, so that many a prompt is a good one. */
  dimple_image_grid grid;
  int32_t pictures = take_between(d, 0, 2);
  if (pictures == 1 && count >= 0 && dimple_model_get_image_grid(models[1], images[0].width, images[0].height, &grid) == DIMPLE_OK)
    for (int32_t i = 0; i < grid.tokens && count < MOST_TOKENS; i++) tokens[count++] = IMAGE_ID;
  if (!succeeds(dimple_session_set_prompt(u->session, maybe_null(d, tokens), count, maybe_null(d, images), pictures))) return;
  note_prompt(u, 0, tokens, count);
  u->prompt_given = count;
  u->pictures = pictures;
  memcpy(u->images, images, sizeof images);
}

static void set_answer(user *u, decisions *d) {
  int32_t tokens[MOST_TOKENS], count = take_tokens(d, tokens, false);
  if (succeeds(dimple_session_set_answer(u->session, maybe_null(d, tokens), count))) note_prompt(u, u->prompt_given, tokens, count);
}

static void note_response(user *u, const int32_t *tokens, int32_t count) {
  u->length = count;
  u->canvas_length = 0;
  memcpy(u->given, tokens, (size_t)count * sizeof *tokens);
}

static void set_response(user *u, decisions *d) {
  int32_t tokens[MOST_TOKENS], count = take_tokens(d, tokens, true);
  if (!succeeds(dimple_session_set_response(u->session, maybe_null(d, tokens), count))) return;
  note_response(u, tokens, count);
}

static void set_constraint(user *u, decisions *d) {
  succeeds(dimple_session_set_constraint(u->session, constraints[take_u8(d) % CONSTRAINTS]));
}

static void set_constraint_part(user *u, decisions *d) {
  int32_t later[MOST_TOKENS], count = take_tokens(d, later, true);
  succeeds(dimple_session_set_constraint_part(u->session, constraints[take_u8(d) % CONSTRAINTS], maybe_null(d, later), count));
}

static void prefill(user *u, decisions *d) {
  (void)d;
  succeeds(dimple_session_prefill(u->session));
}

static void take_wild(decisions *d, dimple_decoding *decoding) {
  uint8_t wild = take_u8(d);
  if (wild & 1) decoding->threshold = take_float(d);
  if (wild & 2) decoding->temperature = take_float(d);
  if (wild & 4) decoding->top_p = take_float(d);
  if (wild & 8) decoding->top_k = take_between(d, -1, TOKENS);
  if (wild & 16) decoding->algorithm_temperature = take_float(d);
  if (wild & 32) decoding->guidance_scale = take_float(d);
  if (wild & 64) decoding->factor = take_float(d);
  if (wild & 128) take(d, decoding, sizeof *decoding);
}

static void take_denoising(decisions *d, dimple_decoding *decoding) {
  decoding->t_min = take_float(d);
  decoding->t_max = take_float(d);
  decoding->gamma = take_float(d);
  decoding->stability_threshold = take_between(d, 0, 3);
  decoding->confidence_threshold = take_float(d);
}

static void take_blocks(decisions *d, dimple_decoding *decoding) {
  decoding->block_length = take_between(d, -1, 10);
  decoding->cache = take_between(d, -1, 4);
  uint8_t flags = take_u8(d);
  decoding->complete = flags & 1;
  decoding->no_eos_logits = flags >> 1 & 1;
  decoding->no_eos_confidence = flags >> 2 & 1;
  decoding->no_mask_logits = flags >> 3 & 1;
  decoding->original_confidence = flags >> 4 & 1;
  decoding->allowed_confidence = flags >> 5 & 1;
}

static void take_rules(decisions *d, dimple_decoding *decoding) {
  decoding->order = take_between(d, -1, 3);
  decoding->gamma = take_float(d);
  decoding->kl_threshold = take_float(d);
  decoding->kl_history = take_between(d, 0, 65);
  decoding->unmask = take_between(d, -1, 3);
  decoding->credit_alpha = take_float(d);
  decoding->boost_gamma = take_float(d);
  decoding->decay_beta = take_float(d);
  decoding->low_threshold = take_float(d);
  decoding->expected_tpf = take_between(d, 0, 10);
  decoding->maximum_unroll = take_between(d, 0, 10);
  decoding->threshold_back = take_float(d);
  decoding->editing_threshold = take_float(d);
  decoding->max_post_steps = take_between(d, 0, 6);
  decoding->num_to_transfer = take_between(d, 1, 4);
  if (decoding->pipeline == DIMPLE_PIPELINE_DIFFUSION_GEMMA) take_denoising(d, decoding);
  if (decoding->pipeline == DIMPLE_PIPELINE_DREAM) decoding->eos_penalty = take_float(d);
  if (decoding->pipeline == DIMPLE_PIPELINE_LLADA2) decoding->eos_early_stop = take_between(d, 0, 1);
  if (decoding->pipeline == DIMPLE_PIPELINE_SDAR) decoding->tail_repeats = take_between(d, 0, 3);
  if (decoding->pipeline == DIMPLE_PIPELINE_LAVIDA || decoding->pipeline == DIMPLE_PIPELINE_LAVIDA_DREAM) decoding->schedule_shift = take_float(d);
  if (decoding->pipeline != DIMPLE_PIPELINE_FAST_DLLM_V2) return;
  decoding->sub_block_length = take_between(d, 0, 4);
  decoding->block_cache = take_between(d, 0, 1);
  decoding->fill_last_block = take_between(d, 0, 1);
}

/* Canvases hold tokens where nothing is settled. */
static bool has_canvases(const user *u) { return u->model == models[CANVAS_MODEL] || u->model == models[MODELS + 1]; }

/* Pipelines behind llada-v are the last numbers of the byte, each before those of the one before it, so that the others are of those that the corpus
 * was found with. */
static dimple_decoding take_usual(decisions *d) {
  int32_t first = 0, number = take_u8(d), begin = 256;
  while (usual[first].pipeline <= DIMPLE_PIPELINE_LLADA_V) first++;
  for (int32_t i = first, end; i < usual_count; i = end) {
    for (end = i; end < usual_count && usual[end].pipeline == usual[i].pipeline;) end++;
    begin -= end - i;
    if (number >= begin) return usual[i + number - begin];
  }
  return usual[number % first];
}

static dimple_decoding usual_of(int32_t pipeline) {
  int32_t i = 0;
  while (usual[i].pipeline != pipeline) i++;
  return usual[i];
}

/* Tokens delete and split positions of the block. */
static bool is_edited(const user *u) { return u->model == models[EDITOR_MODEL]; }

/* What its one pipeline heeds. */
static void take_edits(decisions *d, uint8_t block, dimple_decoding *decoding) {
  decoding->block_length = 2 * (block % 5); /* whole blocks of ROUTED rows */
  decoding->editing_threshold = take_float(d);
  decoding->max_post_steps = take_between(d, 0, 6);
  decoding->num_to_transfer = take_between(d, 1, 4);
}

static void take_growth(decisions *d, dimple_decoding *decoding) {
  decoding->grow_to = take_between(d, -1, SMALL_CONTEXT + 1);
  decoding->expand_budget = take_between(d, -2, 9);
  decoding->number_transfer_tokens = take_between(d, 0, 4);
  decoding->pad_delete_to_right = take_u8(d) & 1;
}

static void begin(user *u, decisions *d) {
  dimple_decoding decoding = take_usual(d);
  if (has_canvases(u)) decoding = usual_of(DIMPLE_PIPELINE_DIFFUSION_GEMMA);
  if (is_edited(u)) decoding = usual_of(DIMPLE_PIPELINE_LLADA22);
  uint8_t block = take_u8(d);
  if (decoding.pipeline == DIMPLE_PIPELINE_LLADA || decoding.cache > DIMPLE_CACHE_NONE) decoding.block_length = block % 11;
  decoding.steps = take_between(d, 0, 20);
  decoding.threshold = (float)take_u8(d) / 250;
  decoding.seed = take_u8(d);
  uint8_t more = take_u8(d);
  if (more & 1) take_blocks(d, &decoding);
  if (more & 2) take_rules(d, &decoding);
  if (more & 4) take_wild(d, &decoding);
  if (more & 8) decoding.pipeline = take_between(d, -1, PIPELINE_COUNT);
  if (more & 16) decoding.algorithm = take_between(d, -1, ALGORITHM_COUNT);
  if (decoding.pipeline == DIMPLE_PIPELINE_DREAMON) take_growth(d, &decoding);
  if (decoding.pipeline == DIMPLE_PIPELINE_LLADA22) take_edits(d, block, &decoding);
  bool valid = succeeds(dimple_decoding_validate(&decoding));
  if (!succeeds(dimple_session_begin(u->session, maybe_null(d, &decoding)))) return;
  REQUIRE(valid);
  u->moves = decoding.pipeline == DIMPLE_PIPELINE_DREAMON;
  u->kind = (unsigned)(decoding.pipeline * ALGORITHM_COUNT + decoding.algorithm);
}

/* Of a response whose length changes, given tokens stay as many, wherever they go. */
static void check_length(const user *u, const dimple_step *step) {
  int32_t given = 0;
  for (int32_t i = 0; i < u->length; i++) given += u->given[i] != MASK_ID;
  REQUIRE(step->canvas_length >= given && step->canvas_length <= SMALL_CONTEXT);
}

/* Positions that moved stay in their order, and what came in is masked. */
static void check_origins(const dimple_step *step) {
  int32_t last = -1;
  for (int32_t i = 0; i < step->canvas_length && step->origins; i++) {
    REQUIRE(step->origins[i] < 0 ? step->canvas[i] == MASK_ID : step->origins[i] > last);
    if (step->origins[i] >= 0) last = step->origins[i];
  }
}

/* What every step promises, whichever call made it. */
static void check_step(user *u, const dimple_step *step) {
  int32_t masked = 0;
  REQUIRE((u->moves || step->canvas_length == u->length) && step->remaining >= 0);
  if (u->moves) check_length(u, step);
  check_origins(step);
  for (int32_t i = 0; i < step->canvas_length; i++) {
    REQUIRE(step->canvas[i] >= 0 && step->canvas[i] < TOKENS);
    REQUIRE(u->moves || u->given[i] == MASK_ID || step->canvas[i] == u->given[i]);
    masked += step->canvas[i] == MASK_ID;
  }
  REQUIRE((has_canvases(u) ? step->canvas_length : masked) >= step->remaining && step->revealed_count >= 0 && step->revealed_count <= step->canvas_length);
  REQUIRE(step->forced_count >= 0 && step->forced_count <= step->revealed_count && step->remasked_count <= step->canvas_length);
  for (int32_t i = 0; i < step->revealed_count; i++) {
    REQUIRE(step->revealed[i] > (i ? step->revealed[i - 1] : -1) && step->revealed[i] < step->canvas_length);
    REQUIRE(!isnan(step->confidence[i]) && !(step->log_probability[i] > 1e-4f));
  }
  for (int32_t i = 0; i < step->remasked_count; i++)
    REQUIRE(step->remasked[i] > (i ? step->remasked[i - 1] : -1) && step->remasked[i] < step->canvas_length);
  u->canvas_length = step->canvas_length < MOST_TOKENS ? step->canvas_length : MOST_TOKENS;
  memcpy(u->canvas, step->canvas, (size_t)u->canvas_length * sizeof *u->canvas);
}

static void step(user *u, decisions *d) {
  dimple_step done;
  if (!succeeds(dimple_session_step(u->session, maybe_null(d, &done)))) return;
  check_step(u, &done);
  mark(u->kind);
}

static void complete(user *u, decisions *d) {
  dimple_step done;
  if (!succeeds(dimple_session_complete(u->session, maybe_null(d, &done)))) return;
  check_step(u, &done);
  REQUIRE(done.done && done.remaining == 0);
}

static void look(user *u, decisions *d) {
  dimple_candidates found;
  if (!succeeds(dimple_session_look(u->session, maybe_null(d, &found)))) return;
  REQUIRE(found.count >= 0 && found.count <= u->length);
  for (int32_t i = 0; i < found.count; i++) {
    REQUIRE(found.positions[i] > (i ? found.positions[i - 1] : -1) && found.positions[i] < u->length);
    REQUIRE(u->given[found.positions[i]] == MASK_ID && found.tokens[i] >= 0 && found.tokens[i] < TOKENS);
    REQUIRE(!isnan(found.confidence[i]) && !(found.log_probability[i] > 1e-4f));
    u->positions[i] = found.positions[i];
    u->tokens[i] = found.tokens[i];
  }
  u->candidates = found.count;
}

/* Of the candidates of a look, or of what a step revealed: whole rows of `count`, from the first on, and nothing behind them. */
static void alternatives(user *u, decisions *d) {
  enum { UNTOUCHED = -7 };
  int32_t count = take_between(d, 0, 5), tokens[MOST_TOKENS * 5], written = 0;
  float likely[MOST_TOKENS * 5];
  for (int32_t i = 0; i < MOST_TOKENS * 5; i++) {
    tokens[i] = UNTOUCHED;
    likely[i] = 1;
  }
  if (!succeeds(dimple_session_alternatives(u->session, count, maybe_null(d, tokens), maybe_null(d, likely)))) return;
  while (written < MOST_TOKENS * 5 && tokens[written] != UNTOUCHED) written++;
  REQUIRE(count > 0 && written % count == 0 && written / count <= (u->moves ? SMALL_CONTEXT : u->length));
  for (int32_t i = 0; i < written; i++)
    REQUIRE(tokens[i] >= -1 && tokens[i] < TOKENS && !(likely[i] > 0) && (tokens[i] < 0) == (isnan(likely[i]) != 0));
  for (int32_t i = written; i < MOST_TOKENS * 5; i++) REQUIRE(tokens[i] == UNTOUCHED && likely[i] == 1);
}

/* Some of the latest candidates, which may be long gone, with tokens of their own now and then. */
static void reveal(user *u, decisions *d) {
  int32_t positions[MOST_TOKENS], tokens[MOST_TOKENS], count = 0;
  for (int32_t i = 0; i < u->candidates; i++) {
    uint8_t byte = take_u8(d);
    if (byte & 1) continue;
    positions[count] = byte < 250 ? u->positions[i] : take_between(d, -1, MOST_TOKENS);
    tokens[count++] = byte < 200 ? u->tokens[i] : take_token(d);
  }
  dimple_step done;
  if (take_u8(d) == 255) count = -1;
  dimple_status status = dimple_session_reveal(u->session, maybe_null(d, positions), maybe_null(d, tokens), count, maybe_null(d, &done));
  if (succeeds(status)) check_step(u, &done);
}

static void shorten(user *u, decisions *d) { succeeds(dimple_session_shorten(u->session, take_between(d, -1, MOST_TOKENS))); }

static void set_bias(user *u, decisions *d) {
  int32_t tokens[8], count = take_between(d, -1, 8), last = -1;
  float values[8];
  for (int32_t i = 0; i < count; i++) {
    uint8_t byte = take_u8(d);
    tokens[i] = last = byte == 255 ? take_i32(d) : last + 1 + byte % 5;
    values[i] = byte % 3 == 0 ? -INFINITY : 4 * take_float(d);
    if (last > TOKENS) last = 0;
  }
  succeeds(dimple_session_set_bias(u->session, maybe_null(d, tokens), maybe_null(d, values), count));
}

static void score(user *u, decisions *d) {
  int32_t response[MOST_TOKENS], targets[MOST_TOKENS], count = take_tokens(d, response, true);
  float results[MOST_TOKENS], scale = take_u8(d) < 200 ? 0 : take_float(d);
  for (int32_t i = 0; i < count; i++) targets[i] = take_u8(d) < 80 ? -1 : take_token(d);
  if (!succeeds(dimple_session_score(u->session, response, maybe_null(d, targets), count, scale, maybe_null(d, results)))) return;
  for (int32_t i = 0; i < count; i++) REQUIRE(targets[i] < 0 ? isnan(results[i]) : results[i] <= 1e-4f);
}

static void score_masks(user *u, decisions *d) {
  (void)u;
  uint8_t masks[8 * MOST_TOKENS];
  int32_t length = take_between(d, -1, MOST_TOKENS), rows = take_between(d, -1, 8);
  if (!succeeds(dimple_score_masks(length, rows, take_u8(d), take_between(d, -1, 200), maybe_null(d, masks)))) return;
  for (int32_t r = 0; r < rows; r++) {
    int32_t masked = 0;
    for (int32_t i = 0; i < length; i++) masked += masks[r * length + i];
    REQUIRE(masked >= 1 && masked <= length);
  }
}

static void replay_draws(user *u, decisions *d) {
  int32_t kinds[4], lengths[4], count = take_between(d, -1, 4);
  double values[32];
  for (int32_t i = 0; i < count; i++) {
    kinds[i] = take_between(d, -1, 4);
    lengths[i] = take_between(d, -1, 8);
  }
  for (int i = 0; i < 32; i++) values[i] = take_u8(d) & 1 ? take_between(d, 0, TOKENS) : (double)take_float(d);
  succeeds(dimple_session_replay_draws(u->session, kinds, lengths, count, values, take_between(d, -1, 32)));
}

static void get_logits(user *u, decisions *d) {
  float logits[2 * SMALL_CONTEXT * TOKENS];
  int64_t count = (int64_t)take_between(d, 0, 2 * SMALL_CONTEXT) * TOKENS;
  if (!succeeds(dimple_session_get_logits(u->session, maybe_null(d, logits), count))) return;
  for (int64_t i = 0; i < count; i++) REQUIRE(isfinite(logits[i]));
}

static void get_image_features(user *u, decisions *d) {
  float features[SMALL_CONTEXT * SMALL_WIDTH];
  int64_t count = (int64_t)take_between(d, 0, SMALL_CONTEXT) * SMALL_WIDTH;
  if (!succeeds(dimple_session_get_image_features(u->session, maybe_null(d, features), count))) return;
  for (int64_t i = 0; i < count; i++) REQUIRE(isfinite(features[i]));
}

static void get_timings(user *u, decisions *d) {
  dimple_timings t;
  if (!succeeds(dimple_session_get_timings(u->session, maybe_null(d, &t)))) return;
  REQUIRE(t.vision >= 0 && t.prefill >= 0 && t.steps >= 0 && t.forward_passes >= 0 && t.kv_bytes >= 0 && t.scratch_bytes > 0);
}

/* Those that the same prompt gave, or any. */
static void set_image_features(user *u, decisions *d) {
  float features[SMALL_CONTEXT * SMALL_WIDTH];
  int64_t count = (int64_t)take_between(d, 0, SMALL_CONTEXT) * SMALL_WIDTH;
  bool own = take_u8(d) & 1 && dimple_session_get_image_features(u->session, features, count) == DIMPLE_OK;
  for (int64_t i = 0; i < count && !own; i++) features[i] = i % SMALL_WIDTH == 0 ? take_float(d) : features[i - 1];
  succeeds(dimple_session_set_image_features(u->session, maybe_null(d, features), count));
}

static bool open_user(user *u);

/* From now on the calls are those of the other one. */
static void change_places(user *u, decisions *d) {
  (void)d;
  if (!u->mate) return;
  user was = *u, *mate = u->mate;
  *u = *mate;
  u->decisions = was.decisions;
  u->batch = was.batch;
  u->mate = mate;
  *mate = was;
}

/* Both, or one of them, or one twice. */
static void step_together(user *u, decisions *d) {
  static _Thread_local user mate;
  if (!u->mate) {
    mate = (user){.model = u->model, .decisions = *d, .victim = u->victim};
    if (!open_user(&mate)) return;
    *d = mate.decisions;
    u->mate = &mate;
  }
  if (!u->batch && !succeeds(dimple_batch_create(u->model, 1, &u->batch))) return;
  dimple_session *sessions[3] = {u->session, u->mate->session, u->session};
  dimple_step steps[3];
  int32_t statuses[3], count = take_between(d, 0, 39) % 4, first = take_u8(d) == 7;
  dimple_status status = dimple_batch_step(u->batch, maybe_null(d, sessions + first), count - first, maybe_null(d, steps), maybe_null(d, statuses));
  if (!succeeds(status)) return;
  REQUIRE(count - first >= 1 && (count - first < 3 || statuses[2] != DIMPLE_OK));
  for (int32_t i = 0; i < count - first; i++) {
    user *whose = sessions[first + i] == u->session ? u : u->mate;
    REQUIRE((statuses[i] == DIMPLE_OK) == (dimple_batch_get_error(u->batch, i)[0] == '\0'));
    if (statuses[i] == DIMPLE_OK) check_step(whose, &steps[i]);
  }
  dimple_batch_counts counts;
  REQUIRE(dimple_batch_get_counts(u->batch, &counts) == DIMPLE_OK && counts.passes <= counts.session_passes && counts.bytes >= 0);
}

/* Of the other one, or of itself, which is refused. */
static void take_prefix(user *u, decisions *d) {
  int32_t rows = -1;
  dimple_session *from = u->mate ? u->mate->session : u->session;
  if (succeeds(dimple_session_take_prefix(u->session, maybe_null(d, from), maybe_null(d, &rows)))) REQUIRE(u->mate && rows >= 0 && rows <= SMALL_CONTEXT);
}

/* A prompt that goes on behind the other one's, or behind its canvas, takes over what that has computed. */
static void follow(user *u, decisions *d) {
  int32_t tokens[MOST_TOKENS], masks[MOST_TOKENS], count = 0, rows = -1;
  const user *from = u->mate;
  if (!from) return;
  int32_t of_prompt = take_u8(d) < 200 ? from->prompt_length : take_between(d, 0, MOST_TOKENS), of_canvas = take_between(d, 0, 12),
          more = take_between(d, 0, 3);
  for (int32_t i = 0; i < of_prompt && i < from->prompt_length && count < MOST_TOKENS; i++) tokens[count++] = from->prompt[i];
  for (int32_t i = 0; i < of_canvas && i < from->canvas_length && count < MOST_TOKENS; i++) tokens[count++] = from->canvas[i];
  for (int32_t i = 0; i < more && count < MOST_TOKENS; i++) tokens[count++] = take_token(d);
  if (!succeeds(dimple_session_set_prompt(u->session, tokens, count, from->images, from->pictures))) return;
  note_prompt(u, 0, tokens, count);
  u->prompt_given = count;
  u->pictures = from->pictures;
  memcpy(u->images, from->images, sizeof u->images);
  int32_t length = take_between(d, 1, 10);
  for (int32_t i = 0; i < length; i++) masks[i] = MASK_ID;
  if (!succeeds(dimple_session_set_response(u->session, masks, length))) return;
  note_response(u, masks, length);
  if (succeeds(dimple_session_take_prefix(u->session, from->session, &rows))) REQUIRE(rows >= 0 && rows < count);
}

static void close_user(user *u) {
  dimple_batch_free(u->batch);
  if (u->mate) dimple_session_free(u->mate->session);
  dimple_session_free(u->session);
}

static void cancel(user *u, decisions *d) { dimple_session_cancel(take_u8(d) < 128 ? u->session : u->victim); }

/* What is called most stands several times. */
static void (*const calls[])(user *, decisions *) = {
    set_prompt, set_prompt, set_answer, set_response, set_response, set_response, set_constraint, prefill, begin, begin, begin, step, step,
    step, step, step, complete, look, look, alternatives, reveal, reveal, reveal, shorten, set_bias, score, score_masks, replay_draws,
    get_logits, get_image_features, get_timings, cancel};

/* What was not there when the first inputs of the corpus were found. */
enum { LATER = 224, LATEST = 248 };
static void (*const later[])(user *, decisions *) = {step_together, step_together, step_together, change_places, change_places, set_image_features, take_prefix,
                                                  set_constraint_part};

static void *run(void *argument) {
  user *u = argument;
  decisions *d = &u->decisions;
  for (int i = 0; i < MOST_CALLS && d->size > 0; i++) {
    uint8_t byte = take_u8(d);
    if (byte < LATER)
      calls[byte % (sizeof calls / sizeof *calls)](u, d);
    else if (byte >= LATEST)
      follow(u, d);
    else
      later[(byte - LATER) % (sizeof later / sizeof *later)](u, d);
  }
  return NULL;
}

static bool open_user(user *u) {
  decisions *d = &u->decisions;
  dimple_session_options options = {.threads = 1, .prefill = 2};
  if (take_u8(d) < 250) {
    uint8_t byte = take_u8(d);
    options.prefill = byte & 1;
    options.kv_type = byte >= 192 ? DIMPLE_TENSOR_F16 : DIMPLE_TENSOR_F32;
  }
  if (take_u8(d) >= 240) options.context_length = take_i32(d);
  if (take_u8(d) >= 250) options.threads = 2;
  return succeeds(dimple_session_create(u->model, &options, &u->session));
}

/* The second half of the input is another session's, and runs beside the first half. */
static void run_two(user *first) {
  size_t half = first->decisions.size / 2;
  user second = {.model = first->model, .victim = first->session, .decisions = {first->decisions.data + half, first->decisions.size - half}};
  pthread_t thread;
  if (!open_user(&second)) return;
  first->decisions.size = half;
  REQUIRE(pthread_create(&thread, NULL, run, &second) == 0);
  run(first);
  REQUIRE(pthread_join(thread, NULL) == 0);
  close_user(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  user u = {.decisions = {data, size}};
  uint8_t model = take_u8(&u.decisions);
  u.model = models[model >= 240                 ? CANVAS_MODEL
                   : model >= 228 && model < 232 ? EDITOR_MODEL
                   : model >= 224                ? MODELS + model % LATER_MODELS
                                                 : model % (MODELS - 1)];
  bool two = take_u8(&u.decisions) >= 252; /* a thread takes longer than all calls together */
  if (!open_user(&u)) return 0;
  if (two) run_two(&u);
  else run(&u);
  close_user(&u);
  return 0;
}
