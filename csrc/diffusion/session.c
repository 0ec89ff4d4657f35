/*
 * The public calls of a session, their checks and their lock. What a session is made of has rooms of its own: prompt, canvas, the
 * features of the pictures, passes of the model with their cache, and iterations of the decoding.
 */
#include "diffusion/session.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "allocate.h"
#include "diffusion/caller.h"
#include "diffusion/pipeline.h"
#include "diffusion/scoring.h"
#include "error.h"
#include "platform/platform.h"
#include "quant/kv_rows.h"

/* ------------------------------------------------------------------------------------------------- entering and leaving */

dimple_status session_enter(dimple_session *s, const char *function) {
  if (!s) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "%s: session is null", function);
  if (atomic_exchange(&s->busy, true))
    return dimple_fail(DIMPLE_ERROR_STATE, "%s: another thread is inside this session", function);
  return DIMPLE_OK;
}

dimple_status session_leave(dimple_session *s, dimple_status status) {
  atomic_store(&s->busy, false);
  return status;
}

/* ------------------------------------------------------------------------------------------------------------ life cycle */

static dimple_status check_kv_type(const dimple_model *m, int32_t type) {
  if (!kv_type_is_known(type))
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "kv_type is %d, expected %d (F32), %d (F16) or %d (Q8_0)", type, DIMPLE_TENSOR_F32, DIMPLE_TENSOR_F16,
                       DIMPLE_TENSOR_Q8_0);
  for (int32_t i = 0; i < m->text.layers; i++) {
    int32_t size = m->text.layer[i].head_size;
    if (!kv_type_takes_heads(type, size))
      return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "kv_type is %s, whose blocks have %d numbers: heads of %d are no whole ones", block_format_type_name(type),
                         block_format_of(type)->block_length, size);
  }
  return DIMPLE_OK;
}

dimple_status dimple_session_create(dimple_model *model, const dimple_session_options *options, dimple_session **session) {
  if (!model || !session)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_session_create: %s is null", model ? "session" : "model");
  dimple_session_options o = options ? *options : (dimple_session_options){.prefill = 1};
  int32_t threads = 0;
  DIMPLE_TRY(dimple_resolve_threads(o.threads, &threads));
  if (o.context_length < 0 || o.context_length > model->text.context)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "context_length is %d, expected 0 (the model's) to the model's %d", o.context_length,
                       model->text.context);
  if (o.prefill != 0 && o.prefill != 1) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "prefill is %d, expected 0 or 1", o.prefill);
  DIMPLE_TRY(check_kv_type(model, o.kv_type));

  dimple_session *s = calloc(1, sizeof *s);
  if (!s) return dimple_fail_memory(sizeof *s, "a session");
  dimple_status status = model->ops->context_open(model->ops, threads, &s->context);
  if (status != DIMPLE_OK) {
    free(s);
    return status;
  }
  atomic_init(&s->busy, false);
  atomic_init(&s->cancelled, false);
  s->context_length = o.context_length ? o.context_length : model->text.context;
  s->model = model;
  s->pass = (pass){.model = model, .context = s->context, .cancelled = &s->cancelled, .prompt = &s->prompt, .canvas = &s->canvas,
                   .features = &s->features, .keep_prompt = o.prefill != 0, .kv_type = o.kv_type};
  s->pass.grid = pass_model_grid(model);
  model_retain(model);
  *session = s;
  return DIMPLE_OK;
}

/* Forgets cache and states, so that the next prefill starts anew, and ends a decoding under way. */
static void discard_pass(dimple_session *s) {
  pass_discard(&s->pass);
  iteration_end(&s->iteration);
  s->prefill_time = s->step_time = 0;
}

static void discard_response(dimple_session *s) {
  discard_pass(s);
  canvas_free(&s->canvas);
}

static void discard_prompt(dimple_session *s) {
  discard_response(s);
  features_free(s->model, s->context, &s->features);
  prompt_free(&s->prompt);
}

void dimple_session_free(dimple_session *s) {
  if (!s) return;
  discard_prompt(s);
  iteration_free(&s->iteration);
  s->model->ops->context_close(s->context);
  dimple_model_free(s->model);
  free(s);
}

void dimple_session_cancel(dimple_session *s) {
  if (s) atomic_store(&s->cancelled, true);
}

/* --------------------------------------------------------------------------------------------------- prompt and response */

static dimple_status check_tokens(const dimple_session *s, const int32_t *tokens, int32_t count, const char *what) {
  int32_t vocab = s->model->text.vocab;
  if (!tokens) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "the %s's tokens are null", what);
  if (count < 1) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "the %s has %d tokens, expected at least 1", what, count);
  for (int32_t i = 0; i < count; i++)
    if (tokens[i] < 0 || tokens[i] >= vocab)
      return dimple_fail(DIMPLE_ERROR_ARGUMENT, "token %d of the %s is %d, expected 0 to %d", i, what, tokens[i], vocab - 1);
  return DIMPLE_OK;
}

static dimple_status check_length(const dimple_session *s, int32_t prompt, int32_t response) {
  if ((int64_t)prompt + response > s->context_length)
    return dimple_fail(DIMPLE_ERROR_LIMIT, "prompt (%d tokens) and response (%d) do not fit the context of %d", prompt, response,
                       s->context_length);
  return DIMPLE_OK;
}

/* The same behind an answer of so many tokens. */
static dimple_status check_continuation(const dimple_session *s, int32_t answer, int32_t response) {
  if (answer == 0) return check_length(s, s->prompt.given, response);
  if ((int64_t)s->prompt.given + answer + response > s->context_length)
    return dimple_fail(DIMPLE_ERROR_LIMIT, "prompt (%d tokens), answer so far (%d) and response (%d) do not fit the context of %d", s->prompt.given,
                       answer, response, s->context_length);
  return DIMPLE_OK;
}

/* The new prompt is complete before the old one goes. */
static dimple_status set_prompt(dimple_session *s, const int32_t *tokens, int32_t count, const dimple_image *images,
                                int32_t image_count) {
  DIMPLE_TRY(check_tokens(s, tokens, count, "prompt"));
  DIMPLE_TRY(check_length(s, count, 0));
  prompt fresh;
  DIMPLE_TRY(prompt_create(s->model, tokens, count, images, image_count, &fresh));
  discard_prompt(s);
  s->prompt = fresh;
  return DIMPLE_OK;
}

dimple_status dimple_session_set_prompt(dimple_session *s, const int32_t *tokens, int32_t token_count, const dimple_image *images,
                                        int32_t image_count) {
  DIMPLE_TRY(session_enter(s, "dimple_session_set_prompt"));
  return session_leave(s, set_prompt(s, tokens, token_count, images, image_count));
}

static dimple_status require_prompt(const dimple_session *s) {
  if (s->prompt.length > 0) return DIMPLE_OK;
  return dimple_fail(DIMPLE_ERROR_STATE, "the session has no prompt yet: call dimple_session_set_prompt first");
}

static dimple_status require_response(const dimple_session *s) {
  DIMPLE_TRY(require_prompt(s));
  if (s->canvas.given_length > 0) return DIMPLE_OK;
  return dimple_fail(DIMPLE_ERROR_STATE, "the session has no response yet: call dimple_session_set_response first");
}

static dimple_status require_mask_token(const dimple_session *s) {
  if (s->model->text.mask_token >= 0) return DIMPLE_OK;
  return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s names no mask token (key tokenizer.ggml.mask_token_id)",
                     gguf_path(model_file(s->model)));
}

static dimple_status set_answer(dimple_session *s, const int32_t *tokens, int32_t count) {
  DIMPLE_TRY(require_prompt(s));
  if (count != 0) DIMPLE_TRY(check_tokens(s, tokens, count, "answer"));
  DIMPLE_TRY(check_continuation(s, count, 0));
  DIMPLE_TRY(prompt_set_answer(&s->prompt, tokens, count));
  discard_response(s);
  return DIMPLE_OK;
}

dimple_status dimple_session_set_answer(dimple_session *s, const int32_t *tokens, int32_t token_count) {
  DIMPLE_TRY(session_enter(s, "dimple_session_set_answer"));
  return session_leave(s, set_answer(s, tokens, token_count));
}

/* The new canvas, and room for its iterations, are there before the old one goes. */
static dimple_status set_response(dimple_session *s, const int32_t *tokens, int32_t count) {
  DIMPLE_TRY(require_prompt(s));
  DIMPLE_TRY(require_mask_token(s));
  DIMPLE_TRY(check_tokens(s, tokens, count, "response"));
  DIMPLE_TRY(check_continuation(s, s->prompt.length - s->prompt.given, count));
  canvas fresh;
  DIMPLE_TRY(canvas_create(tokens, count, s->model->text.mask_token, &fresh));
  dimple_status status = iteration_resize(&s->iteration, count);
  if (status != DIMPLE_OK) {
    canvas_free(&fresh);
    return status;
  }
  discard_response(s);
  s->canvas = fresh;
  return DIMPLE_OK;
}

dimple_status dimple_session_set_response(dimple_session *s, const int32_t *tokens, int32_t token_count) {
  DIMPLE_TRY(session_enter(s, "dimple_session_set_response"));
  return session_leave(s, set_response(s, tokens, token_count));
}

/* Everything that can fail comes before the first change. */
static dimple_status set_constraint(dimple_session *s, dimple_constraint *constraint, const lattice_part *part) {
  constrained *fresh = NULL;
  int32_t *initial;
  ALLOCATE(initial, s->canvas.given_length, "the response");
  dimple_status status = !constraint ? DIMPLE_OK
                                     : constrained_create(constraint, s->canvas.given, s->canvas.given_length, part, s->canvas.mask_token,
                                                          s->model->text.vocab, initial, &fresh);
  if (status == DIMPLE_OK) {
    discard_pass(s);
    iteration_constrain(&s->iteration, fresh);
    canvas_set_initial(&s->canvas, fresh ? initial : NULL);
  }
  free(initial);
  return status;
}

dimple_status dimple_session_set_constraint(dimple_session *s, dimple_constraint *constraint) {
  DIMPLE_TRY(session_enter(s, "dimple_session_set_constraint"));
  dimple_status status = require_response(s);
  return session_leave(s, status == DIMPLE_OK ? set_constraint(s, constraint, NULL) : status);
}

static dimple_status set_constraint_part(dimple_session *s, dimple_constraint *constraint, const int32_t *later, int32_t count) {
  DIMPLE_TRY(require_response(s));
  if (!constraint) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_session_set_constraint_part: constraint is null");
  if (count != 0) DIMPLE_TRY(check_tokens(s, later, count, "rest of the response"));
  int32_t before = s->prompt.length - s->prompt.given;
  if ((int64_t)s->prompt.length + s->canvas.given_length + count > s->context_length)
    return dimple_fail(DIMPLE_ERROR_LIMIT, "prompt (%d tokens), answer so far (%d), response (%d) and what follows (%d) do not fit the context of %d",
                       s->prompt.given, before, s->canvas.given_length, count, s->context_length);
  return set_constraint(s, constraint, &(lattice_part){.before = s->prompt.tokens + s->prompt.given, .before_count = before, .later = later,
                                                       .later_count = count, .mask_token = s->canvas.mask_token});
}

dimple_status dimple_session_set_constraint_part(dimple_session *s, dimple_constraint *constraint, const int32_t *later, int32_t later_count) {
  DIMPLE_TRY(session_enter(s, "dimple_session_set_constraint_part"));
  return session_leave(s, set_constraint_part(s, constraint, later, later_count));
}

/* -------------------------------------------------------------------------------------------------------------- decoding */

dimple_status session_open_first(dimple_session *s, text_rows *rows) {
  *rows = (text_rows){.state = &s->pass.text};
  DIMPLE_TRY(require_response(s));
  if (s->pass.prefilled) return DIMPLE_OK;
  canvas_reset(&s->canvas);
  DIMPLE_TRY(features_ensure(s->model, s->context, &s->prompt, &s->cancelled, &s->features));
  return pass_open_first(&s->pass, rows);
}

void session_close_first(dimple_session *s, int64_t start) {
  pass_close_first(&s->pass);
  s->prefill_time = platform_now() - start;
}

/* features_ensure has a clock of its own. */
static dimple_status prefill(dimple_session *s) {
  text_rows rows;
  if (s->pass.prefilled) return DIMPLE_OK;
  DIMPLE_TRY(session_open_first(s, &rows));
  int64_t start = platform_now();
  DIMPLE_TRY(pass_run(&s->pass, &rows));
  session_close_first(s, start);
  return DIMPLE_OK;
}

dimple_status dimple_session_prefill(dimple_session *s) {
  DIMPLE_TRY(session_enter(s, "dimple_session_prefill"));
  return session_leave(s, prefill(s));
}

static bool same_place(const prompt *a, const prompt *b, int32_t row) {
  for (int64_t axis = 0; axis < 3; axis++)
    if (a->positions[axis * a->given + row] != b->positions[axis * b->given + row]) return false;
  return true;
}

/* Of prompt and response. */
static int32_t token_at(const dimple_session *s, int32_t row) {
  return row < s->prompt.length ? s->prompt.tokens[row] : s->canvas.tokens[row - s->prompt.length];
}

/* Tokens that the prompt begins with as the other and what is settled of its response do, at the same positions. Without pictures a token's position is
 * its row, of an answer's too. */
static int32_t common_prefix(const dimple_session *s, const dimple_session *from) {
  const prompt *a = &s->prompt, *b = &from->prompt;
  bool pictures = a->feature_count > 0 || b->feature_count > 0;
  int32_t settled = pass_settled(&from->pass), of_b = pictures ? b->given : settled > b->length ? settled : b->length;
  int32_t of_a = pictures ? a->given : a->length, most = of_a < of_b ? of_a : of_b, same = 0;
  while (same < most && a->tokens[same] == token_at(from, same) && (!pictures || same_place(a, b, same))) same++;
  return same;
}

/* How many of the first `count` features are equal, read into `room` [rows of both]. */
static dimple_status equal_features(dimple_session *s, const dimple_session *from, float *room, int64_t count, int64_t *equal) {
  int64_t width = s->model->text.width;
  float *others = room + s->prompt.feature_count * width;
  *equal = 0;
  DIMPLE_TRY(features_read(s->model, s->context, &s->features, room));
  DIMPLE_TRY(features_read(from->model, from->context, &from->features, others));
  while (*equal < count && memcmp(room + *equal * width, others + *equal * width, (size_t)width * sizeof *room) == 0) ++*equal;
  return DIMPLE_OK;
}

/* Ends the rows that are alike before the first picture's token that another picture has given other features. */
static dimple_status end_at_other_pictures(dimple_session *s, const dimple_session *from, int32_t *same) {
  int64_t count = 0, equal;
  while (count < s->prompt.feature_count && s->prompt.feature_rows[count] < *same) count++;
  if (count == 0) return DIMPLE_OK;
  if (s->model->text.canvases) { /* rows of a picture see those behind them */
    *same = s->prompt.feature_rows[0];
    return DIMPLE_OK;
  }
  DIMPLE_TRY(features_ensure(s->model, s->context, &s->prompt, &s->cancelled, &s->features));
  if (!from->features.rows.memory || !s->features.rows.memory) { /* it was given a prompt and has not run */
    *same = s->prompt.feature_rows[0];
    return DIMPLE_OK;
  }
  float *room;
  ALLOCATE(room, (s->prompt.feature_count + from->prompt.feature_count) * s->model->text.width, "features of two prompts");
  dimple_status status = equal_features(s, from, room, count, &equal);
  free(room);
  if (status == DIMPLE_OK && equal < count) *same = s->prompt.feature_rows[equal];
  return status;
}

static dimple_status take_prefix(dimple_session *s, const dimple_session *from, int32_t *rows) {
  if (from->model != s->model) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_session_take_prefix: the other session is of another model");
  DIMPLE_TRY(require_response(s));
  if (s->pass.prefilled) return dimple_fail(DIMPLE_ERROR_STATE, "dimple_session_take_prefix: the first pass ran already");
  if (backend_is_device(s->model->ops->name)) return DIMPLE_OK; /* the result would not be the same to the bit */
  if (!from->pass.prefilled) return DIMPLE_OK;
  int32_t same = common_prefix(s, from);
  DIMPLE_TRY(end_at_other_pictures(s, from, &same));
  return pass_take_prefix(&s->pass, &from->pass, same, s->iteration.begun, rows);
}

dimple_status dimple_session_take_prefix(dimple_session *s, dimple_session *from, int32_t *rows) {
  if (!from || !rows || from == s)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_session_take_prefix: %s", !rows ? "rows is null" : !from ? "from is null" : "from is the session itself");
  *rows = 0;
  DIMPLE_TRY(session_enter(s, "dimple_session_take_prefix"));
  dimple_status status = session_enter(from, "dimple_session_take_prefix");
  if (status != DIMPLE_OK) return session_leave(s, status);
  status = take_prefix(s, from, rows);
  session_leave(from, DIMPLE_OK);
  return session_leave(s, status);
}

static dimple_status refuse_padding(const dimple_session *s, const char *pipeline, const int32_t *tokens, int32_t count, const char *what) {
  int32_t padding = s->model->text.pad_token;
  for (int32_t i = 0; i < count && padding >= 0; i++)
    if (tokens[i] == padding)
      return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "pipeline %s: token %d of the %s is the padding token %d, which its authors hide from all others: that is not done",
                         pipeline, i, what, padding);
  return DIMPLE_OK;
}

/* Of what is given. */
static dimple_status check_padding(const dimple_session *s, const dimple_decoding *decoding) {
  const pipeline *how = pipeline_of(decoding);
  if (!how->hides_padding) return DIMPLE_OK;
  DIMPLE_TRY(refuse_padding(s, how->name, s->prompt.tokens, s->prompt.given, "prompt"));
  return refuse_padding(s, how->name, s->canvas.given, s->canvas.given_length, "response");
}

/* Room for all that the response may grow to. */
static dimple_status reserve_growth(dimple_session *s, const dimple_decoding *decoding) {
  const reshaper *reshaper = pipeline_of(decoding)->reshaper;
  int64_t most = s->canvas.given_length;
  if (!reshaper) return DIMPLE_OK;
  DIMPLE_TRY(reshaper->most(decoding, &s->canvas, &most));
  if (s->prompt.length + most > s->context_length)
    return dimple_fail(DIMPLE_ERROR_LIMIT, "prompt (%d tokens) and a response that may grow to %" PRId64 " do not fit the context of %d", s->prompt.length,
                       most, s->context_length);
  DIMPLE_TRY(canvas_reserve(&s->canvas, (int32_t)most));
  return iteration_reserve(&s->iteration, (int32_t)most);
}

static dimple_status begin(dimple_session *s, const dimple_decoding *decoding) {
  DIMPLE_TRY(require_response(s));
  if (!decoding) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_session_begin: decoding is null");
  DIMPLE_TRY(dimple_decoding_validate(decoding));
  DIMPLE_TRY(check_padding(s, decoding));
  DIMPLE_TRY(reserve_growth(s, decoding));
  DIMPLE_TRY(iteration_begin(&s->iteration, decoding, &s->model->text, &s->canvas));
  canvas_reset(&s->canvas);
  pass_reserve_growth(&s->pass);
  pass_reserve_shadow(&s->pass, iteration_shadow_rows(&s->iteration));
  pass_reserve_canvas(&s->pass, iteration_canvas_rows(&s->iteration, &s->canvas));
  pass_limit(&s->pass, iteration_grid(&s->iteration, s->prompt.length));
  pass_restart(&s->pass, iteration_need(&s->iteration, &s->canvas, s->pass.keep_prompt));
  if (!s->pass.prefilled) s->prefill_time = 0;
  s->step_time = 0;
  return DIMPLE_OK;
}

dimple_status dimple_session_begin(dimple_session *s, const dimple_decoding *decoding) {
  DIMPLE_TRY(session_enter(s, "dimple_session_begin"));
  return session_leave(s, begin(s, decoding));
}

static int64_t vision_time(const dimple_session *s) { return s->prompt.image_time + s->features.time; }

static dimple_step step_result(const dimple_session *s, int64_t elapsed) {
  const iteration *it = &s->iteration;
  return (dimple_step){.iteration = it->number - 1, .done = it->done, .remaining = s->canvas.masked_count,
                       .revealed_count = it->revealed_count, .revealed = it->room.revealed, .confidence = it->room.confidence,
                       .log_probability = it->room.log_probability,
                       .canvas = s->canvas.tokens, .canvas_length = s->canvas.length,
                       .forward_passes = (int32_t)s->pass.count, .forced_count = it->forced_count, .nanoseconds = elapsed,
                       .remasked_count = it->remasked_count, .remasked = it->remasked, .block = it->block,
                       .settled = iteration_settled(it, &s->canvas), .origins = it->origins};
}

static dimple_status require_iteration(const dimple_session *s) {
  if (!s->iteration.begun)
    return dimple_fail(DIMPLE_ERROR_STATE, "decoding has not begun: call dimple_session_begin first");
  if (!s->iteration.done) return DIMPLE_OK;
  return dimple_fail(DIMPLE_ERROR_STATE, "decoding is done after %d iterations: call dimple_session_begin to start again",
                     s->iteration.number);
}

dimple_status session_open_step(dimple_session *s, session_clock *clock) {
  DIMPLE_TRY(require_iteration(s));
  *clock = (session_clock){.start = platform_now(), .earlier = vision_time(s) + s->prefill_time};
  return DIMPLE_OK;
}

dimple_status session_close_step(dimple_session *s, const session_clock *clock, dimple_step *result) {
  DIMPLE_TRY(prefill(s));
  DIMPLE_TRY(iteration_run(&s->iteration, &s->pass, &s->canvas));
  int64_t elapsed = platform_now() - clock->start, other_work = vision_time(s) + s->prefill_time - clock->earlier;
  s->step_time += elapsed - other_work;
  *result = step_result(s, elapsed);
  return DIMPLE_OK;
}

static dimple_status step(dimple_session *s, dimple_step *result) {
  session_clock clock;
  if (!result) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_session_step: step is null");
  DIMPLE_TRY(session_open_step(s, &clock));
  return session_close_step(s, &clock, result);
}

dimple_status dimple_session_step(dimple_session *s, dimple_step *result) {
  DIMPLE_TRY(session_enter(s, "dimple_session_step"));
  return session_leave(s, step(s, result));
}

static dimple_status set_bias(dimple_session *s, const int32_t *tokens, const float *values, int32_t count) {
  DIMPLE_TRY(require_iteration(s));
  if (pipeline_of(&s->iteration.decoding)->loop)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "pipeline %s knows no bias of tokens", pipeline_of(&s->iteration.decoding)->name);
  const text_parameters *model = &s->model->text;
  bias fresh = {0};
  DIMPLE_TRY(bias_set(&fresh, tokens, values, count, model->vocab));
  dimple_status status = bias_ban(&fresh, model->suppressed, model->suppressed_count);
  if (status == DIMPLE_OK && !iteration_leaves_one(&s->iteration, &s->iteration.decoding, model, &fresh))
    status = dimple_fail(DIMPLE_ERROR_ARGUMENT, "bias: every token but the mask is banned, by it, by the file or by the decoding, expected one that can stand");
  if (status != DIMPLE_OK) {
    bias_clear(&fresh);
    return status;
  }
  bias_clear(&s->iteration.bias);
  s->iteration.bias = fresh;
  s->iteration.looked = false;
  return DIMPLE_OK;
}

dimple_status dimple_session_set_bias(dimple_session *s, const int32_t *tokens, const float *values, int32_t count) {
  DIMPLE_TRY(session_enter(s, "dimple_session_set_bias"));
  return session_leave(s, set_bias(s, tokens, values, count));
}

static dimple_status look(dimple_session *s, dimple_candidates *result) {
  if (!result) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_session_look: candidates is null");
  DIMPLE_TRY(require_iteration(s));
  int64_t start = platform_now(), earlier = vision_time(s) + s->prefill_time;
  DIMPLE_TRY(prefill(s));
  DIMPLE_TRY(caller_look(&s->iteration, &s->pass, &s->canvas));
  int64_t elapsed = platform_now() - start, other_work = vision_time(s) + s->prefill_time - earlier;
  s->step_time += elapsed - other_work;
  const iteration *it = &s->iteration;
  *result = (dimple_candidates){.iteration = it->number, .count = it->offered_count, .positions = s->canvas.masked + it->offered_from,
                                .tokens = it->room.tokens, .confidence = it->room.confidence, .log_probability = it->room.log_probability,
                                .nanoseconds = elapsed};
  return DIMPLE_OK;
}

dimple_status dimple_session_look(dimple_session *s, dimple_candidates *candidates) {
  DIMPLE_TRY(session_enter(s, "dimple_session_look"));
  return session_leave(s, look(s, candidates));
}

static dimple_status alternatives(dimple_session *s, int32_t count, int32_t *tokens, float *log_probability) {
  if (!tokens || !log_probability)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_session_alternatives: %s is null", tokens ? "log_probability" : "tokens");
  if (!s->iteration.listable) DIMPLE_TRY(require_iteration(s)); /* otherwise it may be over */
  int64_t start = platform_now();
  DIMPLE_TRY(caller_alternatives(&s->iteration, &s->pass, &s->canvas, count, tokens, log_probability));
  s->step_time += platform_now() - start;
  return DIMPLE_OK;
}

dimple_status dimple_session_alternatives(dimple_session *s, int32_t count, int32_t *tokens, float *log_probability) {
  DIMPLE_TRY(session_enter(s, "dimple_session_alternatives"));
  return session_leave(s, alternatives(s, count, tokens, log_probability));
}

static dimple_status reveal(dimple_session *s, const int32_t *positions, const int32_t *tokens, int32_t count, dimple_step *result) {
  if (!result) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_session_reveal: step is null");
  if (count < 0) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_session_reveal: count is %d, expected at least 0", count);
  if (count > 0 && (!positions || !tokens))
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_session_reveal: %s is null", positions ? "tokens" : "positions");
  DIMPLE_TRY(require_iteration(s));
  int64_t start = platform_now();
  DIMPLE_TRY(caller_reveal(&s->iteration, &s->pass, &s->canvas, positions, tokens, count));
  int64_t elapsed = platform_now() - start;
  s->step_time += elapsed;
  *result = step_result(s, elapsed);
  return DIMPLE_OK;
}

dimple_status dimple_session_reveal(dimple_session *s, const int32_t *positions, const int32_t *tokens, int32_t count, dimple_step *step) {
  DIMPLE_TRY(session_enter(s, "dimple_session_reveal"));
  return session_leave(s, reveal(s, positions, tokens, count, step));
}

static dimple_status complete(dimple_session *s, dimple_step *result) {
  if (!result) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_session_complete: step is null");
  if (!s->iteration.begun)
    return dimple_fail(DIMPLE_ERROR_STATE, "decoding has not begun: call dimple_session_begin first");
  if (!s->iteration.constraint)
    return dimple_fail(DIMPLE_ERROR_STATE, "the session has no constraint to complete the response by: call dimple_session_set_constraint");
  int64_t start = platform_now();
  DIMPLE_TRY(iteration_complete(&s->iteration, &s->canvas));
  pass_canvas_changed(&s->pass);
  int64_t elapsed = platform_now() - start;
  s->step_time += elapsed;
  *result = step_result(s, elapsed);
  return DIMPLE_OK;
}

dimple_status dimple_session_complete(dimple_session *s, dimple_step *step) {
  DIMPLE_TRY(session_enter(s, "dimple_session_complete"));
  return session_leave(s, complete(s, step));
}

static dimple_status shorten(dimple_session *s, int32_t length) {
  if (!s->iteration.begun || s->iteration.done)
    return dimple_fail(DIMPLE_ERROR_STATE, "no decoding is under way: call dimple_session_begin first");
  DIMPLE_TRY(iteration_check_shortening(&s->iteration));
  if (length < 1 || length > s->canvas.used)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_session_shorten: length is %d, expected 1 to %d", length, s->canvas.used);
  if (length < s->canvas.used) {
    DIMPLE_TRY(prefill(s)); /* what is left out is seen as it was set */
    pass_shortened(&s->pass);
  }
  canvas_shorten(&s->canvas, length);
  iteration_shortened(&s->iteration, &s->canvas);
  return DIMPLE_OK;
}

dimple_status dimple_session_shorten(dimple_session *s, int32_t length) {
  DIMPLE_TRY(session_enter(s, "dimple_session_shorten"));
  return session_leave(s, shorten(s, length));
}

dimple_status dimple_session_replay_draws(dimple_session *s, const int32_t *kinds, const int32_t *lengths, int32_t record_count,
                                          const double *values, int64_t value_count) {
  DIMPLE_TRY(session_enter(s, "dimple_session_replay_draws"));
  replay *recorded = NULL;
  dimple_status status = record_count == 0 ? DIMPLE_OK : replay_create(kinds, lengths, record_count, values, value_count, &recorded);
  if (status == DIMPLE_OK) iteration_replay(&s->iteration, recorded);
  return session_leave(s, status);
}

/* ------------------------------------------------------------------------------------------------------ looking inside */

static int64_t scratch_bytes(const dimple_session *s) {
  return (int64_t)sizeof *s + prompt_bytes(&s->prompt) + canvas_bytes(&s->canvas) + features_bytes(&s->features) + pass_scratch_bytes(&s->pass) +
         iteration_bytes(&s->iteration) + s->model->ops->context_bytes(s->context);
}

dimple_status dimple_session_get_timings(dimple_session *s, dimple_timings *timings) {
  DIMPLE_TRY(session_enter(s, "dimple_session_get_timings"));
  if (!timings) return session_leave(s, dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_session_get_timings: timings is null"));
  *timings = (dimple_timings){.vision = vision_time(s), .prefill = s->prefill_time, .steps = s->step_time,
                              .forward_passes = s->pass.count, .kv_bytes = s->pass.text.cache.bytes,
                              .scratch_bytes = scratch_bytes(s)};
  return session_leave(s, DIMPLE_OK);
}

static dimple_status get_logits(dimple_session *s, float *logits, int64_t count) {
  DIMPLE_TRY(require_prompt(s));
  int32_t rows = s->prompt.length + s->canvas.given_length, vocab = s->model->text.vocab;
  int64_t expected = (int64_t)rows * vocab;
  if (!logits) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_session_get_logits: logits is null");
  if (count != expected)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT,
                       "dimple_session_get_logits: count is %" PRId64 ", expected %" PRId64 " (%d positions x %d tokens)", count,
                       expected, rows, vocab);
  DIMPLE_TRY(features_ensure(s->model, s->context, &s->prompt, &s->cancelled, &s->features));
  s->iteration.scored = s->iteration.listable = false;
  return pass_logits(&s->pass, logits);
}

dimple_status dimple_session_get_logits(dimple_session *s, float *logits, int64_t count) {
  DIMPLE_TRY(session_enter(s, "dimple_session_get_logits"));
  return session_leave(s, get_logits(s, logits, count));
}

/* -1 for one that names none. */
static dimple_status check_targets(const dimple_session *s, const int32_t *targets, int32_t count) {
  if (!targets) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_session_score: targets is null");
  for (int32_t i = 0; i < count; i++)
    if (targets[i] < -1 || targets[i] >= s->model->text.vocab)
      return dimple_fail(DIMPLE_ERROR_ARGUMENT, "target %d is %d, expected -1 (none) to %d", i, targets[i], s->model->text.vocab - 1);
  return DIMPLE_OK;
}

static dimple_status score(dimple_session *s, const int32_t *response, const int32_t *targets, int32_t count, float guidance_scale,
                           float *log_probability) {
  DIMPLE_TRY(require_prompt(s));
  DIMPLE_TRY(require_mask_token(s));
  DIMPLE_TRY(check_tokens(s, response, count, "response"));
  DIMPLE_TRY(check_targets(s, targets, count));
  if (s->model->text.canvases) return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "a model that denoises canvases has no likelihood of masked tokens");
  DIMPLE_TRY(check_length(s, s->prompt.given, count));
  if (!log_probability) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_session_score: log_probability is null");
  if (!(guidance_scale >= 0 && guidance_scale <= FLT_MAX))
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_session_score: guidance_scale is %g, expected a finite number >= 0",
                       (double)guidance_scale);
  DIMPLE_TRY(features_ensure(s->model, s->context, &s->prompt, &s->cancelled, &s->features));
  s->iteration.scored = s->iteration.listable = false;
  scoring_call call = {response, targets, count, s->model->text.mask_token, guidance_scale};
  int32_t length = s->prompt.length;
  s->prompt.length = s->prompt.given; /* an answer so far has no part in it */
  dimple_status status = scoring_run(&s->pass, &call, log_probability);
  s->prompt.length = length;
  return status;
}

dimple_status dimple_session_score(dimple_session *s, const int32_t *response, const int32_t *targets, int32_t count,
                                   float guidance_scale, float *log_probability) {
  DIMPLE_TRY(session_enter(s, "dimple_session_score"));
  return session_leave(s, score(s, response, targets, count, guidance_scale, log_probability));
}

static dimple_status check_features(const dimple_session *s, const char *function, const float *features, int64_t count) {
  int64_t tokens = s->prompt.feature_count, expected = tokens * s->model->text.width;
  if ((features || expected == 0) && count == expected) return DIMPLE_OK;
  return dimple_fail(DIMPLE_ERROR_ARGUMENT, "%s: count is %" PRId64 ", expected %" PRId64 " (%" PRId64 " image tokens x %d)", function, count,
                     expected, tokens, s->model->text.width);
}

static dimple_status get_image_features(dimple_session *s, float *features, int64_t count) {
  DIMPLE_TRY(require_prompt(s));
  DIMPLE_TRY(check_features(s, "dimple_session_get_image_features", features, count));
  DIMPLE_TRY(features_ensure(s->model, s->context, &s->prompt, &s->cancelled, &s->features));
  return features_read(s->model, s->context, &s->features, features);
}

dimple_status dimple_session_get_image_features(dimple_session *s, float *features, int64_t count) {
  DIMPLE_TRY(session_enter(s, "dimple_session_get_image_features"));
  return session_leave(s, get_image_features(s, features, count));
}

static dimple_status set_image_features(dimple_session *s, const float *features, int64_t count) {
  DIMPLE_TRY(require_prompt(s));
  DIMPLE_TRY(check_features(s, "dimple_session_set_image_features", features, count));
  for (int64_t i = 0; i < count; i++)
    if (!isfinite(features[i]))
      return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_session_set_image_features: number %" PRId64 " is %g, expected a finite one", i,
                         (double)features[i]);
  if (count > 0) DIMPLE_TRY(features_give(s->model, s->context, &s->prompt, features, &s->features));
  discard_pass(s);
  return DIMPLE_OK;
}

dimple_status dimple_session_set_image_features(dimple_session *s, const float *features, int64_t count) {
  DIMPLE_TRY(session_enter(s, "dimple_session_set_image_features"));
  return session_leave(s, set_image_features(s, features, count));
}
