/*
 * DreamOn's decoding (arXiv 2602.01326; generation_utils.py of DreamOn-v0-7B): infilling of a length that nobody knows beforehand. Every pass runs over
 * prompt and response, and the surest positions, so many an iteration, take their tokens. Two tokens are none of the text's: the end of text, where
 * a mask takes it, is a deletion, and its position goes out; the expand token becomes two masks. What was given stays, wherever it moves to.
 *
 * An iteration deletes before it expands. Expansions are at an end when the response is as long as it may become, or the budget is used up: then no position takes
 * that token, and it has no share in probabilities. The authors' code looks at both before the iteration alone, so that several expansions of one
 * iteration cut off the response's end, or overrun the budget and are then never stopped; here those that find no room, from the right on what comes
 * first, stay masked. It also takes deletions and expansions for its own that were given, in prompt or response; here those of the iteration count.
 */
#include <string.h>

#include "allocate.h"
#include "diffusion/iteration.h"
#include "diffusion/pipeline.h"
#include "diffusion/revealed.h"

typedef enum change { STAYS, GOES, DOUBLES, REMAINS_MASKED } change;

typedef struct growth {
  int64_t most;     /* positions of the response at most */
  int64_t budget;   /* expansions left */
  bool to_the_right; /* a deletion takes along what is masked behind it */
  int32_t expand, delete; /* tokens */
  int32_t *tokens;  /* [most] the canvas behind the iteration */
  int32_t *origins; /* [most] */
  uint8_t *changes; /* [most] by position before the iteration's changes */
} growth;

static dimple_status most_positions(const dimple_decoding *d, const canvas *c, int64_t *most) {
  *most = c->given_length;
  if (d->grow_to == 0) return DIMPLE_OK;
  if (d->grow_to < c->initial_masked)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "decoding: grow_to is %d, expected 0 or at least the %d positions that are masked to begin with", d->grow_to,
                       c->initial_masked);
  *most += (int64_t)d->grow_to - c->initial_masked;
  return DIMPLE_OK;
}

static void close_growth(void *state) {
  growth *g = state;
  if (!g) return;
  free(g->tokens);
  free(g->origins);
  free(g->changes);
  free(g);
}

static dimple_status allocate_arrays(growth *g) {
  ALLOCATE(g->tokens, g->most, "the canvas");
  ALLOCATE(g->origins, g->most, "where positions were");
  ALLOCATE(g->changes, g->most, "changes of positions");
  return DIMPLE_OK;
}

static dimple_status check_model(const text_parameters *model) {
  if (model->expand_token < 0)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "pipeline dreamon needs a model with an expand token (key tokenizer.ggml.expand_token_id)");
  if (model->eos_token < 0)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "pipeline dreamon needs a model with an end of text (key tokenizer.ggml.eos_token_id)");
  return DIMPLE_OK;
}

static dimple_status open_growth(const dimple_decoding *d, const canvas *c, const text_parameters *model, void **state) {
  growth *g;
  DIMPLE_TRY(check_model(model));
  ALLOCATE(g, 1, "the state of a decoding");
  memset(g, 0, sizeof *g);
  g->expand = model->expand_token;
  g->delete = model->eos_token;
  g->to_the_right = d->pad_delete_to_right != 0;
  dimple_status status = most_positions(d, c, &g->most);
  g->budget = d->expand_budget >= 0 ? d->expand_budget : 2 * (g->most - canvas_given_ahead(c));
  if (status == DIMPLE_OK) status = allocate_arrays(g);
  if (status == DIMPLE_OK)
    *state = g;
  else
    close_growth(g);
  return status;
}

static int64_t growth_bytes(const void *state) {
  const growth *g = state;
  return (int64_t)sizeof *g + g->most * (int64_t)(sizeof *g->tokens + sizeof *g->origins + sizeof *g->changes);
}

static int32_t barred(const void *state, const canvas *c) {
  const growth *g = state;
  return g->budget == 0 || c->length == g->most ? g->expand : -1;
}

/* Notes which positions go; how many. */
static int32_t find_deletions(growth *g, const iteration *it, const canvas *c) {
  int32_t first = c->length, count = 0;
  for (int32_t i = it->revealed_count - 1; i >= 0; i--) {
    if (it->room.tokens[i] != g->delete) continue;
    first = it->room.revealed[i];
    g->changes[first] = GOES;
    count++;
  }
  if (!g->to_the_right) return count;
  for (int32_t i = 0; i < it->revealed_count; i++) { /* these were masked, too */
    int32_t at = it->room.revealed[i];
    if (at < first || g->changes[at] == GOES) continue;
    g->changes[at] = GOES;
    count++;
  }
  for (int32_t i = 0; i < c->masked_count; i++) {
    if (c->masked[i] < first) continue;
    g->changes[c->masked[i]] = GOES;
    count++;
  }
  return count;
}

/* Notes which positions double, in a response of `length` positions: from the right, while there is room. */
static void find_expansions(growth *g, const iteration *it, int32_t length) {
  for (int32_t i = it->revealed_count - 1; i >= 0; i--) {
    int32_t at = it->room.revealed[i];
    if (it->room.tokens[i] != g->expand || g->changes[at] == GOES) continue;
    bool fits = g->budget > 0 && length < g->most;
    g->changes[at] = fits ? DOUBLES : REMAINS_MASKED;
    if (!fits) continue;
    g->budget--;
    length++;
  }
}

static int32_t place(growth *g, int32_t at, int32_t token, int32_t origin) {
  g->tokens[at] = token;
  g->origins[at] = origin;
  return at + 1;
}

static void reshape(void *state, iteration *it, canvas *c) {
  growth *g = state;
  memset(g->changes, STAYS, (size_t)c->length);
  int32_t gone = find_deletions(g, it, c), length = 0;
  revealed_walk walk = {0};
  find_expansions(g, it, c->length - gone);
  bool moves = false;
  for (int32_t i = 0; i < c->length; i++) {
    change what = g->changes[i];
    revealed_move(it, &walk, i, what == STAYS ? length : -1);
    moves |= what == GOES || what == DOUBLES;
    if (what != GOES) length = place(g, length, what == STAYS ? c->tokens[i] : c->mask_token, i);
    if (what == DOUBLES) length = place(g, length, c->mask_token, -1);
  }
  revealed_end(it, &walk);
  canvas_replace(c, g->tokens, length);
  it->origins = moves ? g->origins : NULL;
}

static dimple_status choose(choice *c, const algorithm *a) {
  int32_t due = c->step->decoding->number_transfer_tokens;
  return a->choose[DIMPLE_PIPELINE_DREAMON](c, (quota){due < c->step->masked ? due : c->step->masked, 1.0f});
}

static const reshaper reshaper_dreamon = {.most = most_positions, .open = open_growth, .close = close_growth, .bytes = growth_bytes, .barred = barred, .reshape = reshape};

const pipeline pipeline_dreamon = {.name = "dreamon", .whole = true, .choose = choose, .reshaper = &reshaper_dreamon,
                                   .decides = "what a position takes changes how many there are"};
