/*
 * A session: prompt and response, the cache of keys and values, and the loop body of masked-diffusion decoding.
 *
 * Prefilling (paper section 4.2). The first pass runs over prompt + fully masked response. With prefill on, the keys and values it
 * computed for the prompt stay for good, and later passes run only the rows that score the response: row j scores position
 * j + 1 when the model's logits are shifted, so the last prompt token belongs to them. With prefill off, every pass recomputes
 * everything, and the prompt sees the partly decoded response.
 *
 * The first pass depends on prompt and initial response alone, so its final states are kept: dimple_session_begin can start any
 * number of decodings from them.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "cancel.h"
#include "diffusion/pipeline.h"
#include "diffusion/sampler.h"
#include "error.h"
#include "model/model.h"
#include "model/rope.h"
#include "model/text.h"
#include "model/vision.h"
#include "platform/platform.h"

/* Rows of full logits held at a time when a sampler needs them: 64 rows of Dimple's vocabulary take 39 MB. */
enum { LOGIT_ROWS = 64 };

typedef struct prompt_image {
  dimple_image_grid grid;
  uint8_t *rgb; /* resized, tight rows */
} prompt_image;

typedef struct prompt {
  int32_t length;        /* P; 0: no prompt */
  int32_t *tokens;       /* [P + L] prompt and, behind it, the canvas */
  int32_t *positions;    /* [3 x P] */
  int32_t next_position; /* first position behind the prompt */
  prompt_image *images;
  int32_t image_count;
  int32_t *image_rows;   /* [feature_count] prompt positions of the image tokens */
  int64_t feature_count;
} prompt;

struct dimple_session {
  dimple_model *model;
  context *context;
  atomic_bool busy;
  atomic_bool cancelled;
  int32_t context_length;
  bool keep_prompt; /* prefill on */

  prompt prompt;
  int32_t response_length;  /* L; 0: no response */
  int32_t *initial;         /* [L] response as it was set */
  view features;            /* [prompt.feature_count x width]; no memory until the tower ran */

  text_state text;          /* capacity 0: not open */
  bool prefilled;           /* the first pass ran: its states are in first_states */
  view first_states;        /* [initially masked x width] */
  view states;              /* the same for the latest later pass */
  view head_rows;           /* chosen rows gathered for the head */
  int32_t *masked;          /* [L] response positions masked now */
  int32_t *wanted;          /* [P + L] rows asked of a pass, or chosen */
  int32_t *revealed;        /* [L] */
  float *confidence;        /* [L] */
  candidate *candidates;    /* [L] */
  head_row *summaries;      /* [L] */

  bool begun, done;
  dimple_decoding decoding;
  float *levels;            /* [steps + 1] */
  int32_t iteration;
  int32_t total;            /* masks of the initial response */
  const view *fresh_states; /* states of the canvas as it is: first_states, states, or null after a token was revealed */
  replay *recorded;
  int64_t forward_passes;
  int64_t vision_time, prefill_time, step_time;
};

/* malloc for `count` elements, never for zero bytes. */
#define ALLOCATE(target, count, purpose)                                                    \
  do {                                                                                      \
    size_t allocate_count = (size_t)(count);                                                \
    size_t allocate_bytes = (allocate_count ? allocate_count : 1) * sizeof *(target);       \
    (target) = malloc(allocate_bytes);                                                      \
    if (!(target)) return dimple_fail_memory(allocate_bytes, purpose);                      \
  } while (0)

/* ------------------------------------------------------------------------------------------------- entering and leaving */

static dimple_status enter(dimple_session *s, const char *function) {
  if (!s) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "%s: session is null", function);
  if (atomic_exchange(&s->busy, true))
    return dimple_fail(DIMPLE_ERROR_STATE, "%s: another thread is inside this session", function);
  return DIMPLE_OK;
}

static dimple_status leave(dimple_session *s, dimple_status status) {
  atomic_store(&s->busy, false);
  return status;
}

/* ------------------------------------------------------------------------------------------------------------ life cycle */

dimple_status dimple_session_create(dimple_model *model, const dimple_session_options *options, dimple_session **session) {
  if (!model || !session) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_session_create: %s is null", model ? "session" : "model");
  dimple_session_options o = options ? *options : (dimple_session_options){.prefill = 1};
  int32_t threads = 0;
  DIMPLE_TRY(resolve_threads(o.threads, &threads));
  if (o.context_length < 0 || o.context_length > model->text.context)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "context_length is %d, expected 0 (the model's) to the model's %d", o.context_length, model->text.context);
  if (o.prefill != 0 && o.prefill != 1) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "prefill is %d, expected 0 or 1", o.prefill);

  dimple_session *s = calloc(1, sizeof *s);
  if (!s) return dimple_fail_memory(sizeof *s, "a session");
  dimple_status status = model->ops->context_open(threads, &s->context);
  if (status != DIMPLE_OK) {
    free(s);
    return status;
  }
  atomic_init(&s->busy, false);
  atomic_init(&s->cancelled, false);
  s->context_length = o.context_length ? o.context_length : model->text.context;
  s->keep_prompt = o.prefill != 0;
  s->model = model;
  model_retain(model);
  *session = s;
  return DIMPLE_OK;
}

/* Forgets cache, states and canvas, so that the next prefill starts anew. */
static void discard_pass(dimple_session *s) {
  const backend_operations *ops = s->model->ops;
  if (s->text.capacity) text_state_close(s->model, s->context, &s->text);
  view *matrices[] = {&s->first_states, &s->states, &s->head_rows};
  for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++) {
    ops->buffer_free(s->context, matrices[i]->memory);
    *matrices[i] = (view){0};
  }
  s->prefilled = s->begun = s->done = false;
  s->fresh_states = NULL;
  s->prefill_time = s->step_time = s->forward_passes = 0;
}

static void discard_response(dimple_session *s) {
  discard_pass(s);
  void **host[] = {(void **)&s->initial, (void **)&s->masked, (void **)&s->wanted, (void **)&s->revealed,
                   (void **)&s->confidence, (void **)&s->candidates, (void **)&s->summaries};
  for (size_t i = 0; i < sizeof host / sizeof *host; i++) {
    free(*host[i]);
    *host[i] = NULL;
  }
  s->response_length = 0;
}

static void prompt_free(prompt *p) {
  for (int32_t i = 0; i < p->image_count; i++) free(p->images[i].rgb);
  free(p->images);
  free(p->image_rows);
  free(p->positions);
  free(p->tokens);
  *p = (prompt){0};
}

static void discard_prompt(dimple_session *s) {
  discard_response(s);
  s->model->ops->buffer_free(s->context, s->features.memory);
  s->features = (view){0};
  prompt_free(&s->prompt);
  s->vision_time = 0;
}

void dimple_session_free(dimple_session *s) {
  if (!s) return;
  discard_prompt(s);
  free(s->levels);
  replay_free(s->recorded);
  s->model->ops->context_close(s->context);
  dimple_model_free(s->model);
  free(s);
}

void dimple_session_cancel(dimple_session *s) {
  if (s) atomic_store(&s->cancelled, true);
}

/* --------------------------------------------------------------------------------------------------- prompt and response */

static dimple_status check_tokens(const dimple_session *s, const int32_t *tokens, int32_t count, const char *what) {
  if (!tokens) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "the %s's tokens are null", what);
  if (count < 1) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "the %s has %d tokens, expected at least 1", what, count);
  for (int32_t i = 0; i < count; i++)
    if (tokens[i] < 0 || tokens[i] >= s->model->text.vocab)
      return dimple_fail(DIMPLE_ERROR_ARGUMENT, "token %d of the %s is %d, expected 0 to %d", i, what, tokens[i], s->model->text.vocab - 1);
  return DIMPLE_OK;
}

static dimple_status check_length(const dimple_session *s, int32_t prompt, int32_t response) {
  if ((int64_t)prompt + response > s->context_length)
    return dimple_fail(DIMPLE_ERROR_LIMIT, "prompt (%d tokens) and response (%d) do not fit the context of %d", prompt, response, s->context_length);
  return DIMPLE_OK;
}

static dimple_status take_images(const dimple_model *m, const dimple_image *images, int32_t count, prompt *p) {
  if (count < 0 || (count > 0 && !images)) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "image_count is %d with %s images", count, images ? "given" : "null");
  if (count == 0) return DIMPLE_OK;
  p->images = calloc((size_t)count, sizeof *p->images);
  if (!p->images) return dimple_fail_memory((uint64_t)count * sizeof *p->images, "the prompt's images");
  for (; p->image_count < count; p->image_count++) {
    const dimple_image *image = &images[p->image_count];
    prompt_image *own = &p->images[p->image_count];
    DIMPLE_TRY(image_check(image));
    DIMPLE_TRY(dimple_model_get_image_grid(m, image->width, image->height, &own->grid));
    ALLOCATE(own->rgb, 3 * (size_t)own->grid.resized_width * (size_t)own->grid.resized_height, "a resized image");
    dimple_status status = image_resize(image, own->grid.resized_width, own->grid.resized_height, own->rgb);
    if (status != DIMPLE_OK) {
      free(own->rgb);
      return status;
    }
  }
  return DIMPLE_OK;
}

/* Positions of all prompt tokens, and which of them are image placeholders. */
static dimple_status place_prompt(const dimple_model *m, const int32_t *tokens, int32_t count, prompt *p) {
  ALLOCATE(p->tokens, count, "the prompt");
  memcpy(p->tokens, tokens, (size_t)count * sizeof *tokens);
  ALLOCATE(p->positions, 3 * (int64_t)count, "the prompt's positions");
  ALLOCATE(p->image_rows, count, "the prompt's placeholders");
  dimple_image_grid *grids;
  ALLOCATE(grids, p->image_count, "the images' grids");
  for (int32_t i = 0; i < p->image_count; i++) grids[i] = p->images[i].grid;
  /* Without a vision tower a placeholder is a token like any other. */
  int32_t image_token = m->vision.present ? m->text.image_token : -1;
  dimple_status status = rope_prompt_positions(tokens, count, image_token, grids, p->image_count, m->vision.image.merge_size,
                                               p->positions, &p->next_position);
  free(grids);
  for (int32_t i = 0; i < count; i++)
    if (image_token >= 0 && tokens[i] == image_token) p->image_rows[p->feature_count++] = i;
  p->length = count;
  return status;
}

/* The new prompt is complete before the old one goes. */
static dimple_status set_prompt(dimple_session *s, const int32_t *tokens, int32_t count, const dimple_image *images, int32_t image_count) {
  DIMPLE_TRY(check_tokens(s, tokens, count, "prompt"));
  DIMPLE_TRY(check_length(s, count, 0));
  int64_t start = platform_now();
  prompt fresh = {0};
  dimple_status status = take_images(s->model, images, image_count, &fresh);
  int64_t vision_time = image_count > 0 ? platform_now() - start : 0;
  if (status == DIMPLE_OK) status = place_prompt(s->model, tokens, count, &fresh);
  if (status != DIMPLE_OK) {
    prompt_free(&fresh);
    return status;
  }
  discard_prompt(s);
  s->prompt = fresh;
  s->vision_time = vision_time;
  return DIMPLE_OK;
}

dimple_status dimple_session_set_prompt(dimple_session *s, const int32_t *tokens, int32_t token_count, const dimple_image *images, int32_t image_count) {
  DIMPLE_TRY(enter(s, "dimple_session_set_prompt"));
  return leave(s, set_prompt(s, tokens, token_count, images, image_count));
}

static dimple_status require_prompt(const dimple_session *s) {
  if (s->prompt.length == 0) return dimple_fail(DIMPLE_ERROR_STATE, "the session has no prompt yet: call dimple_session_set_prompt first");
  return DIMPLE_OK;
}

static dimple_status require_response(const dimple_session *s) {
  DIMPLE_TRY(require_prompt(s));
  if (s->response_length == 0) return dimple_fail(DIMPLE_ERROR_STATE, "the session has no response yet: call dimple_session_set_response first");
  return DIMPLE_OK;
}

static dimple_status take_response(dimple_session *s, const int32_t *tokens, int32_t count) {
  int32_t *all = realloc(s->prompt.tokens, (size_t)(s->prompt.length + count) * sizeof *all);
  if (!all) return dimple_fail_memory((uint64_t)(s->prompt.length + count) * sizeof *all, "prompt and response");
  s->prompt.tokens = all;
  ALLOCATE(s->initial, count, "the response");
  ALLOCATE(s->masked, count, "the masked positions");
  ALLOCATE(s->wanted, s->prompt.length + count, "row numbers");
  ALLOCATE(s->revealed, count, "the revealed positions");
  ALLOCATE(s->confidence, count, "confidences");
  ALLOCATE(s->candidates, count, "candidates");
  ALLOCATE(s->summaries, count, "summaries of logits");
  memcpy(s->initial, tokens, (size_t)count * sizeof *tokens);
  memcpy(s->prompt.tokens + s->prompt.length, tokens, (size_t)count * sizeof *tokens);
  return DIMPLE_OK;
}

static dimple_status set_response(dimple_session *s, const int32_t *tokens, int32_t count) {
  DIMPLE_TRY(require_prompt(s));
  if (s->model->text.mask_token < 0)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s names no mask token (key tokenizer.ggml.mask_token_id)", gguf_path(model_file(s->model)));
  DIMPLE_TRY(check_tokens(s, tokens, count, "response"));
  DIMPLE_TRY(check_length(s, s->prompt.length, count));
  discard_response(s);
  dimple_status status = take_response(s, tokens, count);
  if (status == DIMPLE_OK)
    s->response_length = count;
  else
    discard_response(s);
  return status;
}

dimple_status dimple_session_set_response(dimple_session *s, const int32_t *tokens, int32_t token_count) {
  DIMPLE_TRY(enter(s, "dimple_session_set_response"));
  return leave(s, set_response(s, tokens, token_count));
}

/* ---------------------------------------------------------------------------------------------------------- model passes */

static dimple_status new_matrix(dimple_session *s, int64_t rows, int64_t columns, view *out) {
  buffer *memory;
  DIMPLE_TRY(s->model->ops->buffer_alloc(s->context, rows * columns, &memory));
  *out = view_of(memory, rows, columns);
  return DIMPLE_OK;
}

/* Runs the vision tower over the prompt's images, once. */
static dimple_status ensure_features(dimple_session *s) {
  if (s->features.memory || s->prompt.image_count == 0) return DIMPLE_OK;
  const dimple_model *m = s->model;
  int64_t start = platform_now(), row = 0;
  view features;
  DIMPLE_TRY(new_matrix(s, s->prompt.feature_count, m->text.width, &features));
  for (int32_t i = 0; i < s->prompt.image_count; i++) {
    const prompt_image *image = &s->prompt.images[i];
    dimple_status status = vision_forward(m, s->context, &image->grid, image->rgb, &s->cancelled, view_rows(features, row, image->grid.tokens));
    if (status != DIMPLE_OK) {
      m->ops->buffer_free(s->context, features.memory);
      return status;
    }
    row += image->grid.tokens;
  }
  s->features = features;
  s->vision_time += platform_now() - start;
  return DIMPLE_OK;
}

static text_images prompt_images(const dimple_session *s) {
  return (text_images){.features = s->features, .at = s->prompt.image_rows, .count = s->prompt.feature_count};
}

/* Opens a cache for prompt + response. The response goes on behind the prompt, all three coordinates equal. */
static dimple_status open_text_state(dimple_session *s, text_state *state) {
  int64_t prompt = s->prompt.length, total = prompt + s->response_length;
  int32_t *positions;
  ALLOCATE(positions, 3 * total, "positions");
  for (int axis = 0; axis < 3; axis++) {
    memcpy(positions + axis * total, s->prompt.positions + axis * prompt, (size_t)prompt * sizeof *positions);
    for (int64_t i = prompt; i < total; i++) positions[axis * total + i] = s->prompt.next_position + (int32_t)(i - prompt);
  }
  dimple_status status = text_state_open(s->model, s->context, positions, total, state);
  free(positions);
  return status;
}

/* Lists the masked response positions in s->masked. */
static int32_t list_masked(dimple_session *s) {
  const int32_t *canvas = s->prompt.tokens + s->prompt.length;
  int32_t count = 0;
  for (int32_t i = 0; i < s->response_length; i++)
    if (canvas[i] == s->model->text.mask_token) s->masked[count++] = i;
  return count;
}

/* The row of prompt + response whose logits score response position `i`. */
static int32_t scoring_row(const dimple_session *s, int32_t i) { return s->prompt.length + i - s->model->text.shift_logits; }

/* The first row that a later pass runs: what lies before it stays in the cache. */
static int32_t first_row(const dimple_session *s) { return s->keep_prompt ? scoring_row(s, 0) : 0; }

/* Records rows first .. P + L - 1; the final states of the rows that score the `masked` masked positions go into `states`. */
static dimple_status record_rows(dimple_session *s, int32_t first, int32_t masked, view states) {
  text_images images = prompt_images(s);
  for (int32_t i = 0; i < masked; i++) s->wanted[i] = scoring_row(s, s->masked[i]) - first;
  return text_forward(s->model, s->context, &s->text, s->prompt.tokens + first, first, s->prompt.length + s->response_length - first,
                      &images, s->wanted, view_rows(states, 0, masked));
}

static void reset_canvas(dimple_session *s) {
  memcpy(s->prompt.tokens + s->prompt.length, s->initial, (size_t)s->response_length * sizeof *s->initial);
}

static dimple_status prefill(dimple_session *s) {
  DIMPLE_TRY(require_response(s));
  if (s->prefilled) return DIMPLE_OK;
  const dimple_model *m = s->model;
  reset_canvas(s);
  int32_t masked = list_masked(s);
  DIMPLE_TRY(ensure_features(s));
  int64_t start = platform_now();
  if (masked > 0) {
    view *matrices[] = {&s->first_states, &s->states, &s->head_rows};
    if (!s->text.capacity) DIMPLE_TRY(open_text_state(s, &s->text));
    for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++)
      if (!matrices[i]->memory) DIMPLE_TRY(new_matrix(s, masked, m->text.width, matrices[i]));
    DIMPLE_TRY(text_state_reserve(m, s->context, &s->text, s->text.capacity));
    DIMPLE_TRY(m->ops->pass_begin(s->context, &s->cancelled));
    DIMPLE_TRY(m->ops->pass_end(s->context, record_rows(s, 0, masked, s->first_states)));
    s->forward_passes++;
  }
  s->prefill_time = platform_now() - start;
  s->total = masked;
  s->prefilled = true;
  s->fresh_states = &s->first_states;
  return DIMPLE_OK;
}

dimple_status dimple_session_prefill(dimple_session *s) {
  DIMPLE_TRY(enter(s, "dimple_session_prefill"));
  return leave(s, prefill(s));
}

/* -------------------------------------------------------------------------------------------------------------- decoding */

static dimple_status begin(dimple_session *s, const dimple_decoding *decoding) {
  DIMPLE_TRY(require_response(s));
  if (!decoding) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_session_begin: decoding is null");
  DIMPLE_TRY(decoding_validate(decoding));
  float *levels = realloc(s->levels, ((size_t)decoding->steps + 1) * sizeof *levels);
  if (!levels) return dimple_fail_memory(((uint64_t)decoding->steps + 1) * sizeof *levels, "noise levels");
  s->levels = levels;
  schedule_levels(decoding->steps, decoding->epsilon, levels);
  s->decoding = *decoding;
  s->iteration = 0;
  s->step_time = 0;
  s->done = false;
  s->begun = true;
  reset_canvas(s);
  s->fresh_states = s->prefilled ? &s->first_states : NULL;
  s->forward_passes = s->prefilled && s->total > 0;
  if (s->recorded) replay_seek(s->recorded, 0);
  return DIMPLE_OK;
}

dimple_status dimple_session_begin(dimple_session *s, const dimple_decoding *decoding) {
  DIMPLE_TRY(enter(s, "dimple_session_begin"));
  return leave(s, begin(s, decoding));
}

static sampler_step current_step(const dimple_session *s, int32_t masked) {
  return (sampler_step){.decoding = &s->decoding, .levels = s->levels, .iteration = s->iteration, .total = s->total, .masked = masked,
                        .positions = s->masked, .recorded = s->recorded};
}

/* What one iteration scores: final states of the masked rows, or of the chosen ones among them. */
typedef struct scored {
  const sampler_step *step;
  const int32_t *chosen;    /* null: all masked rows */
  const int32_t *positions; /* [count] response positions */
  int32_t count;
} scored;

static head_call head_of(const dimple_session *s, view states) {
  return (head_call){.x = states, .w = s->model->output, .seed = s->decoding.seed, .iteration = s->iteration, .results = s->summaries};
}

/* Records the states of the canvas as it is, if they are not there yet, and the choice among them; *states names them. */
static dimple_status record_states(dimple_session *s, const scored *what, view *states) {
  int32_t masked = what->step->masked;
  *states = s->fresh_states ? *s->fresh_states : view_rows(s->states, 0, masked);
  if (!s->fresh_states) DIMPLE_TRY(record_rows(s, first_row(s), masked, *states));
  *states = view_rows(*states, 0, masked);
  if (!what->chosen) return DIMPLE_OK;
  view rows = view_rows(s->head_rows, 0, what->count);
  DIMPLE_TRY(s->model->ops->gather_rows(s->context, rows, *states, what->chosen));
  *states = rows;
  return DIMPLE_OK;
}

/* Records states and, unless the sampler wants whole rows of logits, the head. */
static dimple_status record_scores(dimple_session *s, const scored *what, view *states) {
  DIMPLE_TRY(record_states(s, what, states));
  if (sampler_needs_logits(what->step)) return DIMPLE_OK;
  head_call call = head_of(s, *states);
  call.temperature = s->decoding.temperature;
  call.positions = what->positions;
  return s->model->ops->head(s->context, &call);
}

/* Candidates from whole rows of logits, a block of rows at a time. */
static dimple_status score_logits(dimple_session *s, const scored *what, view states) {
  const dimple_model *m = s->model;
  int32_t block = what->count < LOGIT_ROWS ? what->count : LOGIT_ROWS;
  float *logits;
  ALLOCATE(logits, (int64_t)block * m->text.vocab, "logits");
  dimple_status status = DIMPLE_OK;
  for (int32_t at = 0; at < what->count && status == DIMPLE_OK; at += block) {
    int32_t rows = what->count - at < block ? what->count - at : block;
    head_call call = head_of(s, view_rows(states, at, rows));
    call.logits = logits;
    status = m->ops->pass_begin(s->context, &s->cancelled);
    if (status == DIMPLE_OK) status = m->ops->pass_end(s->context, m->ops->head(s->context, &call));
    if (status == DIMPLE_OK)
      status = sampler_candidates_from_logits(what->step, s->summaries, logits, rows, m->text.vocab, what->positions + at, at, what->count, s->candidates + at);
  }
  free(logits);
  return status;
}

/* Candidates of the rows that are asked for: one pass over what changed and the head. */
static dimple_status score(dimple_session *s, const scored *what) {
  view states;
  DIMPLE_TRY(s->model->ops->pass_begin(s->context, &s->cancelled));
  DIMPLE_TRY(s->model->ops->pass_end(s->context, record_scores(s, what, &states)));
  if (!s->fresh_states) {
    s->fresh_states = &s->states;
    s->forward_passes++;
  }
  if (sampler_needs_logits(what->step)) return score_logits(s, what, states);
  sampler_candidates(what->step, s->summaries, what->count, s->candidates);
  return DIMPLE_OK;
}

/* Pipeline dream with origin or autoregressive: positions first, then tokens for these only. Without a chosen position no pass is
 * needed at all. */
static dimple_status choose_then_score(dimple_session *s, const sampler_step *step, int32_t *chosen, int32_t *count) {
  DIMPLE_TRY(sampler_choose(step, NULL, chosen, count));
  if (*count == 0) return DIMPLE_OK;
  int32_t *positions;
  ALLOCATE(positions, *count, "chosen positions");
  for (int32_t i = 0; i < *count; i++) positions[i] = s->masked[chosen[i]];
  dimple_status status = score(s, &(scored){step, chosen, positions, *count});
  free(positions);
  return status;
}

static dimple_status score_then_choose(dimple_session *s, const sampler_step *step, int32_t *chosen, int32_t *count) {
  DIMPLE_TRY(score(s, &(scored){step, NULL, s->masked, step->masked}));
  return sampler_choose(step, s->candidates, chosen, count);
}

/* Decides and reveals; nothing of the session changes before everything that can fail has succeeded. */
static dimple_status iterate(dimple_session *s, int32_t masked, int32_t *revealed) {
  *revealed = 0;
  if (masked == 0) return DIMPLE_OK;
  sampler_step step = current_step(s, masked);
  bool positions_first = sampler_chooses_positions_first(&s->decoding);
  int32_t *chosen = s->revealed, count = 0;
  DIMPLE_TRY(positions_first ? choose_then_score(s, &step, chosen, &count) : score_then_choose(s, &step, chosen, &count));
  int32_t *canvas = s->prompt.tokens + s->prompt.length;
  for (int32_t i = 0; i < count; i++) {
    const candidate *found = &s->candidates[positions_first ? i : chosen[i]];
    s->confidence[i] = found->confidence;
    s->revealed[i] = s->masked[chosen[i]];
    canvas[s->revealed[i]] = found->token;
  }
  if (count > 0) s->fresh_states = NULL;
  *revealed = count;
  return DIMPLE_OK;
}

static dimple_status step(dimple_session *s, dimple_step *result) {
  if (!result) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_session_step: step is null");
  if (!s->begun) return dimple_fail(DIMPLE_ERROR_STATE, "decoding has not begun: call dimple_session_begin first");
  if (s->done) return dimple_fail(DIMPLE_ERROR_STATE, "decoding is done after %d iterations: call dimple_session_begin to start again", s->iteration);
  int64_t start = platform_now(), earlier = s->vision_time + s->prefill_time;
  if (!s->prefilled) {
    earlier = s->vision_time;
    DIMPLE_TRY(prefill(s));
  }
  int32_t masked = list_masked(s), revealed = 0, draws_before = s->recorded ? replay_position(s->recorded) : 0;
  DIMPLE_TRY(check_cancelled(&s->cancelled));
  dimple_status status = iterate(s, masked, &revealed);
  if (status != DIMPLE_OK) {
    if (s->recorded) replay_seek(s->recorded, draws_before);
    return status;
  }
  int32_t remaining = list_masked(s);
  s->done = s->iteration + 1 == s->decoding.steps || pipeline_of(&s->decoding)->done(remaining);
  int64_t elapsed = platform_now() - start;
  s->step_time += elapsed - (s->vision_time + s->prefill_time - earlier);
  *result = (dimple_step){.iteration = s->iteration++, .done = s->done, .remaining = remaining, .revealed_count = revealed,
                          .revealed = s->revealed, .confidence = s->confidence, .canvas = s->prompt.tokens + s->prompt.length,
                          .canvas_length = s->response_length, .forward_passes = (int32_t)s->forward_passes, .nanoseconds = elapsed};
  return DIMPLE_OK;
}

dimple_status dimple_session_step(dimple_session *s, dimple_step *result) {
  DIMPLE_TRY(enter(s, "dimple_session_step"));
  return leave(s, step(s, result));
}

/* ------------------------------------------------------------------------------------------------------ looking inside */

dimple_status dimple_session_get_timings(dimple_session *s, dimple_timings *timings) {
  DIMPLE_TRY(enter(s, "dimple_session_get_timings"));
  if (!timings) return leave(s, dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_session_get_timings: timings is null"));
  int64_t states = 3 * (int64_t)s->total * s->model->text.width * (int64_t)sizeof(float);
  *timings = (dimple_timings){.vision = s->vision_time, .prefill = s->prefill_time, .steps = s->step_time, .forward_passes = s->forward_passes,
                              .kv_bytes = s->text.kv_bytes, .scratch_bytes = s->text.scratch_bytes + (s->prefilled ? states : 0) + s->model->ops->context_bytes(s->context)};
  return leave(s, DIMPLE_OK);
}

/* Records all rows of tokens [rows] and the head over them. */
static dimple_status record_logits(dimple_session *s, text_state *state, const int32_t *tokens, view states, float *logits) {
  const dimple_model *m = s->model;
  text_images images = prompt_images(s);
  DIMPLE_TRY(text_forward(m, s->context, state, tokens, 0, states.rows, &images, state->row_numbers, states));
  return m->ops->head(s->context, &(head_call){.x = states, .w = m->output, .logits = logits});
}

/* Through a cache of its own, so that a decoding under way is not disturbed. */
static dimple_status run_logits(dimple_session *s, text_state *state, int32_t rows, view *states, float *logits) {
  const dimple_model *m = s->model;
  DIMPLE_TRY(ensure_features(s));
  DIMPLE_TRY(open_text_state(s, state));
  DIMPLE_TRY(text_state_reserve(m, s->context, state, rows));
  DIMPLE_TRY(new_matrix(s, rows, m->text.width, states));
  int32_t *tokens;
  ALLOCATE(tokens, rows, "prompt and response");
  memcpy(tokens, s->prompt.tokens, (size_t)s->prompt.length * sizeof *tokens);
  if (s->response_length) memcpy(tokens + s->prompt.length, s->initial, (size_t)s->response_length * sizeof *tokens);
  dimple_status status = m->ops->pass_begin(s->context, &s->cancelled);
  if (status == DIMPLE_OK) status = m->ops->pass_end(s->context, record_logits(s, state, tokens, *states, logits));
  free(tokens);
  return status;
}

static dimple_status get_logits(dimple_session *s, float *logits, int64_t count) {
  const dimple_model *m = s->model;
  DIMPLE_TRY(require_prompt(s));
  int32_t rows = s->prompt.length + s->response_length;
  int64_t expected = (int64_t)rows * m->text.vocab;
  if (!logits) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_session_get_logits: logits is null");
  if (count != expected)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_session_get_logits: count is %" PRId64 ", expected %" PRId64 " (%d positions x %d tokens)", count, expected, rows, m->text.vocab);
  text_state state = {0};
  view states = {0};
  dimple_status status = run_logits(s, &state, rows, &states, logits);
  m->ops->buffer_free(s->context, states.memory);
  if (state.capacity) text_state_close(m, s->context, &state);
  return status;
}

dimple_status dimple_session_get_logits(dimple_session *s, float *logits, int64_t count) {
  DIMPLE_TRY(enter(s, "dimple_session_get_logits"));
  return leave(s, get_logits(s, logits, count));
}

static dimple_status get_image_features(dimple_session *s, float *features, int64_t count) {
  const dimple_model *m = s->model;
  DIMPLE_TRY(require_prompt(s));
  int64_t expected = s->prompt.feature_count * m->text.width;
  if ((!features && expected > 0) || count != expected)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_session_get_image_features: count is %" PRId64 ", expected %" PRId64 " (%" PRId64 " image tokens x %d)", count, expected, s->prompt.feature_count, m->text.width);
  DIMPLE_TRY(ensure_features(s));
  if (expected == 0) return DIMPLE_OK;
  DIMPLE_TRY(m->ops->pass_begin(s->context, &s->cancelled));
  return m->ops->pass_end(s->context, m->ops->copy_out(s->context, features, s->features));
}

dimple_status dimple_session_get_image_features(dimple_session *s, float *features, int64_t count) {
  DIMPLE_TRY(enter(s, "dimple_session_get_image_features"));
  return leave(s, get_image_features(s, features, count));
}

dimple_status dimple_session_replay_draws(dimple_session *s, const int32_t *kinds, const int32_t *lengths, int32_t record_count,
                                          const double *values, int64_t value_count) {
  DIMPLE_TRY(enter(s, "dimple_session_replay_draws"));
  replay *recorded = NULL;
  dimple_status status = record_count == 0 ? DIMPLE_OK : replay_create(kinds, lengths, record_count, values, value_count, &recorded);
  if (status == DIMPLE_OK) {
    replay_free(s->recorded);
    s->recorded = recorded;
    s->begun = false;
  }
  return leave(s, status);
}
