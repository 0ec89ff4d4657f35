/*
 * DiffusionGemma's decoding: canvas after canvas, none of whose positions is ever masked. A canvas begins as random tokens. An iteration draws a
 * token for each position from softmax(logits / t), t falling from t_max to t_min, and accepts the surest ones as long as the entropies of those
 * before it add up to at most gamma; at the others random tokens stand next. Nothing is final: the next iteration, conditioned on what this one
 * expects, accepts anew. A canvas is settled after all its steps, or when its most likely tokens have not changed and its mean entropy is low; what
 * it is settled as is these most likely tokens. An end of text in them ends the decoding, and the padding token stands behind it.
 *
 * Under a constraint the most likely tokens are those of the best path through it, the tokens drawn those of a drawn path, and entropies are taken among the
 * tokens that can stand at a position; so every canvas is settled as a part of a response that fits, and behind it there is one. Where one token is
 * left, it is given; a canvas without anything else needs no pass. What an iteration expects, on which the next one is conditioned, is the model's own.
 *
 * A settled canvas runs once more as tokens, for the keys and values that the next one sees, before that begins. Positions that are given stay as
 * they are in every pass, and have no part in entropies.
 */
#include <math.h>
#include <string.h>

#include "allocate.h"
#include "cancel.h"
#include "diffusion/iteration.h"
#include "diffusion/pipeline.h"
#include "draws.h"

typedef struct denoising {
  int32_t most;       /* positions of a canvas */
  int32_t history;    /* iterations whose most likely tokens are compared */
  int32_t kept;       /* response positions before it have their keys and values kept */
  int32_t first, end; /* of the canvas under way; end 0: none has begun */
  int32_t step;       /* of the coming iteration, from 0 */
  int32_t remembered; /* iterations of this canvas in `past` */
  int32_t *tokens;    /* [most] what the coming pass runs, */
  int32_t *next;      /* [most] and what the one after it does */
  int32_t *best;      /* [most] most likely tokens */
  int32_t *past;      /* [history x most] of iterations before */
  int32_t *drawn;     /* [most] */
  int32_t *order;     /* [most] free positions by entropy */
  path_guess *guesses; /* [most] under a constraint */
  int32_t *again;     /* [most] response positions that are not accepted any more */
  float *entropy;     /* [most] */
  float *log_probability; /* [most] of the tokens drawn, without t */
  uint8_t *free;      /* [most] neither given nor forced */
  uint8_t *forced;    /* [most] a constraint left one token when the canvas began */
  uint8_t *accepted;  /* [most] by the latest iteration; of the coming one: */
  uint8_t *accepts;   /* [most] */
} denoising;

static void close_loop(void *state) {
  denoising *s = state;
  if (!s) return;
  void *all[] = {s->tokens, s->next, s->best, s->past, s->drawn, s->order, s->again, s->guesses, s->entropy, s->log_probability, s->free, s->forced, s->accepted, s->accepts, s};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

static dimple_status allocate_arrays(denoising *s) {
  int64_t n = s->most;
  ALLOCATE(s->tokens, n, "a canvas");
  ALLOCATE(s->next, n, "a canvas");
  ALLOCATE(s->best, n, "a canvas");
  ALLOCATE(s->past, n * s->history + 1, "earlier canvases");
  ALLOCATE(s->drawn, n, "draws");
  ALLOCATE(s->order, n, "an order of positions");
  ALLOCATE(s->again, n, "positions");
  ALLOCATE(s->guesses, n, "tokens of paths");
  ALLOCATE(s->entropy, n, "entropies");
  ALLOCATE(s->log_probability, n, "probabilities");
  ALLOCATE(s->free, n, "flags of positions");
  ALLOCATE(s->forced, n, "flags of positions");
  ALLOCATE(s->accepted, n, "flags of positions");
  ALLOCATE(s->accepts, n, "flags of positions");
  return DIMPLE_OK;
}

static dimple_status open_loop(const dimple_decoding *d, int32_t length, void **state) {
  denoising *s;
  ALLOCATE(s, 1, "the state of a decoding");
  memset(s, 0, sizeof *s);
  s->most = d->block_length < length ? d->block_length : length;
  s->history = d->stability_threshold;
  dimple_status status = allocate_arrays(s);
  if (status == DIMPLE_OK)
    *state = s;
  else
    close_loop(s);
  return status;
}

static int64_t loop_bytes(const void *state) {
  const denoising *s = state;
  return (int64_t)sizeof *s + s->most * (int64_t)(7 * sizeof *s->tokens + 2 * sizeof *s->entropy + sizeof *s->guesses + 4) + s->history * (int64_t)sizeof *s->past * s->most;
}

/* ----------------------------------------------------------------------------------------------------------------- draws */

/* Any token of the vocabulary at each position. */
static dimple_status draw_noise(const iteration *it, const denoising *s, draw_purpose purpose, int32_t vocab, int32_t *tokens) {
  int32_t count = s->end - s->first;
  const double *values;
  if (it->recorded) DIMPLE_TRY(replay_next(it->recorded, DIMPLE_DRAW_CATEGORICAL, count, &values));
  for (int32_t i = 0; i < count; i++) {
    uint64_t word = it->recorded ? 0 : draw_word(it->decoding.seed, (uint32_t)it->number, (uint32_t)(s->first + i), purpose, 0);
    tokens[i] = it->recorded ? (int32_t)values[i] : (int32_t)(word * (uint64_t)vocab >> 32);
    if (tokens[i] >= vocab)
      return dimple_fail(DIMPLE_ERROR_STATE, "recorded draws: token %d, expected less than the vocabulary's %d", tokens[i], vocab);
  }
  return DIMPLE_OK;
}

/* The first token whose share in the running sum of softmax(z / t) passes u. */
static int32_t token_at(const float *z, int32_t vocab, double t, double u) {
  double highest = -INFINITY, total = 0, sum = 0;
  for (int32_t k = 0; k < vocab; k++) highest = z[k] > highest ? z[k] : highest;
  for (int32_t k = 0; k < vocab; k++) total += exp((z[k] - highest) / t);
  for (int32_t k = 0; k < vocab; k++) {
    sum += exp((z[k] - highest) / t);
    if (sum > u * total) return k;
  }
  return vocab - 1;
}

/* Recorded draws are shares, which need the logits: they are made again, a row at a time. */
static dimple_status draw_recorded(const iteration *it, denoising *s, pass *p, float t) {
  int32_t count = s->end - s->first, vocab = p->model->text.vocab;
  const double *shares;
  float *logits;
  DIMPLE_TRY(replay_next(it->recorded, DIMPLE_DRAW_UNIFORM, count, &shares));
  ALLOCATE(logits, vocab, "logits");
  dimple_status status = DIMPLE_OK;
  for (int32_t i = 0; i < count; i++) {
    status = pass_canvas_logits(p, i, 1, logits);
    if (status != DIMPLE_OK) break;
    s->drawn[i] = token_at(logits, vocab, t, shares[i]);
    s->log_probability[i] = logits[s->drawn[i]] - it->room.summaries[i].log_sum;
  }
  free(logits);
  return status;
}

/* ------------------------------------------------------------------------------------------------------------ a canvas */

/* What is free of a canvas that begins: neither given nor, under a constraint, left but one token. */
static void find_free(iteration *it, denoising *s, const canvas *c) {
  for (int32_t i = 0; i < s->end - s->first; i++) {
    int32_t at = s->first + i, given = c->initial[at];
    bool masked = given == c->mask_token;
    int32_t token = !masked ? given : it->constraint ? constrained_forced(it->constraint, at) : -1;
    s->free[i] = token < 0;
    s->forced[i] = masked && token >= 0;
    s->accepted[i] = s->accepts[i] = 0;
    if (!s->free[i]) s->tokens[i] = token;
  }
}

static bool any_free(const denoising *s) {
  for (int32_t i = 0; i < s->end - s->first; i++)
    if (s->free[i]) return true;
  return false;
}

/* Begins with the next canvas that is not given as a whole; everything before it is kept. */
static dimple_status begin_canvas(iteration *it, denoising *s, pass *p, const canvas *c) {
  int32_t length = it->decoding.block_length, first = c->masked[0] / length * length;
  if (it->constraint) DIMPLE_TRY(constrained_look(it->constraint, c));
  for (int32_t end; s->kept < first; s->kept = end) { /* what is kept stays so when the next one fails */
    end = first - s->kept > TEXT_PIECE_ROWS ? s->kept + TEXT_PIECE_ROWS : first;
    DIMPLE_TRY(pass_keep(p, (pass_scope){.kind = SCOPE_PART, .first = s->kept, .end = end}));
  }
  denoising fresh = *s;
  fresh.first = first;
  fresh.end = c->length - first < length ? c->length : first + length;
  fresh.step = fresh.remembered = 0;
  DIMPLE_TRY(draw_noise(it, &fresh, DRAW_CANVAS, p->model->text.vocab, s->tokens));
  *s = fresh;
  find_free(it, s, c);
  return DIMPLE_OK;
}

static float temperature_of(const iteration *it, const denoising *s) {
  const dimple_decoding *d = &it->decoding;
  int32_t left = d->steps - s->step;
  return (float)(d->t_min + ((double)d->t_max - d->t_min) * left / d->steps);
}

/* What follows of the pass for each position. */
static void read_rows(const iteration *it, denoising *s) {
  for (int32_t i = 0; i < s->end - s->first; i++) {
    const head_row *row = &it->room.summaries[i];
    s->best[i] = row->best;
    s->drawn[i] = row->drawn;
    s->entropy[i] = row->hot_log_sum - row->hot_mean;
    s->log_probability[i] = row->drawn_logit - row->log_sum;
  }
}

static void read_paths(const iteration *it, denoising *s, float t) {
  int32_t count = s->end - s->first;
  constrained_guess(it->constraint, &it->decoding, t, it->number, it->room.summaries, it->room.chosen, count, s->guesses);
  for (int32_t i = 0; i < count; i++) {
    s->best[i] = s->guesses[i].best;
    s->drawn[i] = s->guesses[i].drawn;
    s->entropy[i] = s->guesses[i].entropy;
    s->log_probability[i] = s->guesses[i].log_probability;
  }
}

/* The pass, and what follows of it for each position: a draw, the most likely token, the entropy. */
static dimple_status look(iteration *it, denoising *s, pass *p, const canvas *c) {
  int32_t count = s->end - s->first;
  int32_t *positions = it->room.chosen;
  float t = temperature_of(it, s);
  head_classes classes;
  head_call head = {.temperature = t, .seed = it->decoding.seed, .iteration = it->number, .positions = positions, .results = it->room.summaries};
  for (int32_t i = 0; i < count; i++) positions[i] = s->first + i;
  if (it->constraint) {
    DIMPLE_TRY(constrained_look(it->constraint, c));
    DIMPLE_TRY(constrained_ask(it->constraint, positions, count, &classes, NULL));
    head.classes = &classes;
  }
  DIMPLE_TRY(pass_denoise(p, s->first, s->end, s->tokens, s->step > 0, s->step + 1 < it->decoding.steps, &head));
  if (it->constraint) {
    read_paths(it, s, t);
    return DIMPLE_OK;
  }
  read_rows(it, s);
  return it->recorded && t > 0 ? draw_recorded(it, s, p, t) : DIMPLE_OK;
}

/* Accepts free positions by rising entropy, the lower one first among equals, while those before add up to at most gamma. */
static void accept(const iteration *it, denoising *s) {
  int32_t count = s->end - s->first, open = 0;
  double sum = 0;
  for (int32_t i = 0; i < count; i++) {
    s->accepts[i] = 0;
    if (!s->free[i]) continue;
    int32_t at = open++;
    for (; at > 0 && s->entropy[s->order[at - 1]] > s->entropy[i]; at--) s->order[at] = s->order[at - 1];
    s->order[at] = i;
  }
  for (int32_t k = 0; k < open && sum <= it->decoding.gamma; k++) {
    s->accepts[s->order[k]] = 1;
    sum += s->entropy[s->order[k]];
  }
}

/* Whether the most likely tokens are those of as many iterations before as are compared, and the mean entropy is low. */
static bool is_stable(const iteration *it, const denoising *s) {
  int32_t count = s->end - s->first, open = 0;
  double sum = 0;
  if (s->remembered < s->history) return false;
  for (int32_t i = 0; i < count; i++) {
    for (int32_t h = 0; h < s->history && s->free[i]; h++)
      if (s->past[h * s->most + i] != s->best[i]) return false;
    if (!s->free[i]) continue;
    sum += s->entropy[i];
    open++;
  }
  return sum / open < it->decoding.confidence_threshold;
}

static void remember(denoising *s) {
  if (s->history > 0) memcpy(s->past + s->step % s->history * s->most, s->best, (size_t)s->most * sizeof *s->best);
  s->remembered++;
}

/* `row` of the canvas that it comes from; -1: none. */
static void reveal(iteration *it, int32_t position, int32_t token, float sure, float likely, int32_t row) {
  int32_t k = it->revealed_count++;
  it->room.revealed[k] = position;
  it->room.tokens[k] = token;
  it->room.confidence[k] = sure;
  it->room.log_probability[k] = likely;
  it->room.rows[k] = row;
}

/* What is shown of the iteration: accepted positions and the tokens drawn for them, and those not accepted any more; of a canvas's first, what was forced. */
static void report(iteration *it, denoising *s) {
  it->revealed_count = it->remasked_count = it->forced_count = 0;
  it->remasked = s->again;
  for (int32_t i = 0; i < s->end - s->first; i++) {
    bool forced = s->forced[i] && s->step == 0;
    if (s->accepted[i] && !s->accepts[i]) s->again[it->remasked_count++] = s->first + i;
    if (s->accepts[i]) reveal(it, s->first + i, s->drawn[i], fminf(-s->entropy[i], 0), fminf(s->log_probability[i], 0), i);
    if (forced) reveal(it, s->first + i, s->tokens[i], 0, NAN, -1);
    it->forced_count += forced;
  }
}

static bool is_end(const text_parameters *model, int32_t token) {
  for (int32_t k = 0; k < model->end_count; k++)
    if (model->ends[k] == token) return true;
  return false;
}

static int32_t padding(const text_parameters *model) { return model->pad_token >= 0 ? model->pad_token : model->eos_token; }

/* Under a constraint its own ends count: padding may be one. */
static bool ends_text(const iteration *it, const text_parameters *model, int32_t token) {
  return it->constraint ? constrained_ends(it->constraint, token) : is_end(model, token);
}

/* The canvas is settled as its most likely tokens, up to an end of text; whether there is one. What stands behind that end on the path of a constraint, stays. */
static bool settle(const iteration *it, denoising *s, const text_parameters *model, canvas *c) {
  bool ended = false;
  for (int32_t i = 0; i < s->end - s->first; i++) {
    if (s->free[i]) s->next[i] = ended && !it->constraint ? padding(model) : s->best[i];
    else s->next[i] = s->tokens[i];
    ended |= ends_text(it, model, s->next[i]);
  }
  canvas_settle(c, s->first, s->next, s->end - s->first);
  return ended;
}

/* Behind the end of the text the padding token stands at all positions of a complete decoding, or what the constraint's path has there. */
static dimple_status fill_behind_end(iteration *it, const text_parameters *model, canvas *c) {
  int32_t before = it->revealed_count, added = c->masked_count;
  candidate *path = it->room.candidates;
  if (it->constraint) DIMPLE_TRY(constrained_completion(it->constraint, c, &it->decoding, path));
  for (int32_t i = 0; i < added; i++) reveal(it, c->masked[i], it->constraint ? path[i].token : padding(model), 0, NAN, -1);
  canvas_reveal(c, it->room.revealed + before, it->room.tokens + before, added);
  return DIMPLE_OK;
}

static dimple_status conclude(iteration *it, denoising *s, const text_parameters *model, canvas *c) {
  it->block = s->first / it->decoding.block_length;
  bool over = !any_free(s) || is_stable(it, s) || s->step + 1 == it->decoding.steps, ended = false;
  report(it, s);
  remember(s);
  memcpy(s->accepted, s->accepts, (size_t)(s->end - s->first));
  if (over) {
    ended = settle(it, s, model, c);
    s->end = 0;
  } else {
    memcpy(s->tokens, s->next, (size_t)(s->end - s->first) * sizeof *s->tokens);
    canvas_show(c, s->first, s->tokens, s->end - s->first);
    s->step++;
  }
  it->number++;
  it->done = over && (ended || c->masked_count == 0);
  return it->done && it->decoding.complete ? fill_behind_end(it, model, c) : DIMPLE_OK;
}

static dimple_status decide(iteration *it, denoising *s, pass *p, canvas *c) {
  DIMPLE_TRY(check_cancelled(p->cancelled));
  if (s->end == 0) DIMPLE_TRY(begin_canvas(it, s, p, c));
  if (!any_free(s)) return DIMPLE_OK;
  DIMPLE_TRY(look(it, s, p, c));
  accept(it, s);
  DIMPLE_TRY(draw_noise(it, s, DRAW_NOISE, p->model->text.vocab, s->next));
  for (int32_t i = 0; i < s->end - s->first; i++)
    if (s->accepts[i] || !s->free[i]) s->next[i] = s->free[i] ? s->drawn[i] : s->tokens[i];
  return DIMPLE_OK;
}

static dimple_status run(iteration *it, pass *p, canvas *c) {
  denoising *s = it->loop;
  it->revealed_count = it->remasked_count = it->forced_count = 0;
  it->listable = false;
  if (c->masked_count == 0) { /* all is given */
    it->number++;
    it->done = true;
    return DIMPLE_OK;
  }
  int32_t draws_before = it->recorded ? replay_position(it->recorded) : 0, begun = s->end;
  dimple_status status = decide(it, s, p, c);
  if (status != DIMPLE_OK) {
    if (begun == 0) s->end = 0;
    if (it->recorded) replay_seek(it->recorded, draws_before);
    return status;
  }
  DIMPLE_TRY(conclude(it, s, &p->model->text, c));
  it->listable = true;
  it->listed_count = it->revealed_count;
  return DIMPLE_OK;
}

static const own_loop loop = {.open = open_loop, .close = close_loop, .bytes = loop_bytes, .run = run};

const pipeline pipeline_diffusion_gemma = {.name = "diffusion-gemma", .sight = SIGHT_CANVAS, .decides = "nothing of its canvas is masked", .loop = &loop};
