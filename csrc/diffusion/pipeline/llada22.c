/*
 * LLaDA2.2's decoding (technical report of July 2026, section 3.1; JointThresholdInDel, which one of its authors wrote for SGLang). Blocks and their passes are
 * LLaDA2.1's (llada2.c), and so are what a pass reveals and which tokens it changes, but that two tokens are none of the text's: DELETE takes its position out of
 * the block, SPLIT has a mask come in before what stood there. The block keeps its length: masks follow where positions went out, and what is behind its end is
 * cut off.
 *
 * Masks of the block's beginning are original ones, wherever they move; a pass reveals at least num_to_transfer and as many as there are others, and all when no
 * original one is left. The last pass over a block, which takes neither of the two tokens, is the max_post_steps-th without original masks, or with
 * max_post_steps 0 the one that reveals the last of them, or the one behind as many as the block has positions and max_post_steps. The block is over with it, or
 * when a pass finds nothing to write.
 *
 * A block that was seen before the writes of an earlier pass would go round in circles: of what changes, the least sure position takes the best token that it
 * has not had yet. The authors' network code draws that position at random.
 *
 * The mask is no candidate; in the authors' code a token may be changed to it. DELETE and SPLIT that were given are tokens like others.
 */
#include <string.h>

#include "allocate.h"
#include "diffusion/alternatives.h"
#include "diffusion/iteration.h"
#include "diffusion/pipeline.h"
#include "diffusion/revealed.h"

/* A token that a position of the block has taken. */
typedef struct taken_token {
  int32_t position, token;
} taken_token;

typedef struct edits {
  int32_t delete, split, mask;
  int32_t length;      /* of the response */
  bool *original;      /* [length] a mask of the block's beginning, or what has come of it */
  bool *moved;         /* [length] the same behind the edits */
  int32_t *before;     /* [length] tokens of the block before the iteration */
  int32_t *tokens;     /* [length] the canvas behind it */
  int32_t *origins;    /* [length] */
  /* Of the block, before the coming iteration. */
  int32_t post;        /* passes without an original mask */
  int64_t passes;
  int32_t *seen;       /* [seen_count x count] what it was before passes that wrote */
  int64_t seen_count, seen_room;
  taken_token *taken;  /* [taken_count] */
  int64_t taken_count, taken_room;
  /* Of the iteration that is being decided. */
  int32_t first, count; /* the block's positions that were not given */
  int32_t originals;    /* masks among them */
  int32_t writes;
  bool last;
} edits;

static void close_edits(void *state) {
  edits *e = state;
  if (!e) return;
  free(e->original);
  free(e->moved);
  free(e->before);
  free(e->tokens);
  free(e->origins);
  free(e->seen);
  free(e->taken);
  free(e);
}

static dimple_status allocate_arrays(edits *e) {
  ALLOCATE(e->original, e->length, "which masks are original");
  ALLOCATE(e->moved, e->length, "which masks are original");
  ALLOCATE(e->before, e->length, "the block before an iteration");
  ALLOCATE(e->tokens, e->length, "the canvas");
  ALLOCATE(e->origins, e->length, "where positions were");
  return DIMPLE_OK;
}

/* Tokens that are given behind a mask would move. */
static dimple_status check_given(const canvas *c) {
  for (int32_t i = canvas_given_ahead(c); i < c->given_length; i++)
    if (c->initial[i] != c->mask_token)
      return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "pipeline llada22 moves what stands behind a mask: position %d of the response is given, expected given tokens "
                                                   "at its beginning alone", i);
  return DIMPLE_OK;
}

static dimple_status open_edits(const dimple_decoding *d, const canvas *c, const text_parameters *model, void **state) {
  (void)d;
  edits *e;
  if (model->delete_token < 0)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "pipeline llada22 needs a model with tokens that delete and split (keys tokenizer.ggml.delete_token_id, split_token_id)");
  DIMPLE_TRY(check_given(c));
  ALLOCATE(e, 1, "the state of a decoding");
  memset(e, 0, sizeof *e);
  e->delete = model->delete_token;
  e->split = model->split_token;
  e->mask = c->mask_token;
  e->length = c->given_length;
  dimple_status status = allocate_arrays(e);
  if (status == DIMPLE_OK)
    *state = e;
  else
    close_edits(e);
  return status;
}

static int64_t edits_bytes(const void *state) {
  const edits *e = state;
  int64_t of_position = (int64_t)(sizeof *e->original + sizeof *e->moved + sizeof *e->before + sizeof *e->tokens + sizeof *e->origins);
  return (int64_t)sizeof *e + e->length * of_position + e->seen_room * (int64_t)sizeof *e->seen + e->taken_room * (int64_t)sizeof *e->taken;
}

/* ------------------------------------------------------------------------------------------------------------- deciding */

/* What the block is before the iteration, which may have failed before. */
static void look(edits *e, const sampler_step *step) {
  e->first = step->positions[0];
  e->count = step->masked;
  if (step->block_iteration == 0) {
    e->post = 0;
    e->passes = e->seen_count = e->taken_count = 0;
    for (int32_t i = 0; i < e->count; i++) e->original[e->first + i] = step->canvas[e->first + i] == e->mask;
  }
  memcpy(e->before, step->canvas + e->first, (size_t)e->count * sizeof *e->before);
  e->originals = 0;
  for (int32_t i = 0; i < e->count; i++) e->originals += e->before[i] == e->mask && e->original[e->first + i];
}

static int32_t masks_of(const edits *e) {
  int32_t masks = 0;
  for (int32_t i = 0; i < e->count; i++) masks += e->before[i] == e->mask;
  return masks;
}

/* Whether the iteration is the block's last, whatever it chooses. */
static bool is_last(const edits *e, const dimple_decoding *d) {
  bool enough = e->originals == 0 && e->post + 1 >= d->max_post_steps;
  return enough || e->passes + 1 > (int64_t)d->block_length + d->max_post_steps;
}

static int32_t least_of(const edits *e, const dimple_decoding *d) {
  int32_t masks = masks_of(e);
  int64_t least = (int64_t)d->num_to_transfer + masks - e->originals;
  return e->last || e->originals == 0 || least > masks ? masks : (int32_t)least;
}

static bool takes_all_originals(const edits *e, const choice *c) {
  int32_t taken = 0;
  for (int32_t i = 0; i < c->count; i++) taken += e->before[c->chosen[i]] == e->mask && e->original[e->first + c->chosen[i]];
  return taken == e->originals;
}

static dimple_status choose(choice *c, const algorithm *a) {
  edits *e = c->step->notes;
  const dimple_decoding *d = c->step->decoding;
  look(e, c->step);
  e->last = is_last(e, d);
  DIMPLE_TRY(a->choose[DIMPLE_PIPELINE_LLADA22](c, (quota){least_of(e, d), 1.0f}));
  if (e->last || d->max_post_steps > 0 || !takes_all_originals(e, c)) return DIMPLE_OK;
  e->last = true;
  c->count = 0;
  return a->choose[DIMPLE_PIPELINE_LLADA22](c, (quota){least_of(e, d), 1.0f});
}

static bool was_seen(const edits *e) {
  for (int64_t i = 0; i < e->seen_count; i++)
    if (memcmp(e->seen + i * e->count, e->before, (size_t)e->count * sizeof *e->before) == 0) return true;
  return false;
}

/* Room for one more block that was seen, and the tokens of one more pass. */
static dimple_status reserve_history(edits *e) {
  int64_t seen = (e->seen_count + 1) * e->count, taken = e->taken_count + e->count;
  if (seen > e->seen_room) {
    int32_t *larger = realloc(e->seen, (size_t)(2 * seen) * sizeof *larger);
    if (!larger) return dimple_fail_memory((uint64_t)(2 * seen) * sizeof *larger, "blocks that were seen");
    e->seen = larger;
    e->seen_room = 2 * seen;
  }
  if (taken > e->taken_room) {
    taken_token *larger = realloc(e->taken, (size_t)(2 * taken) * sizeof *larger);
    if (!larger) return dimple_fail_memory((uint64_t)(2 * taken) * sizeof *larger, "tokens that were taken");
    e->taken = larger;
    e->taken_room = 2 * taken;
  }
  return DIMPLE_OK;
}

/* In the last iteration neither of the two tokens is taken. */
static dimple_status leave_out_edits(edits *e, iteration *it, pass *p, const sampler_step *step) {
  int32_t barred[] = {e->delete, e->split};
  for (int32_t i = 0; i < e->writes; i++) {
    int32_t index = it->room.chosen[i], token = it->room.candidates[index].token;
    if (token == e->delete || token == e->split) DIMPLE_TRY(alternatives_replace(it, step, p, index, barred, 2));
  }
  return DIMPLE_OK;
}

/* The least sure of the chosen positions that change; -1: none does. */
static int32_t least_sure(const edits *e, const iteration *it) {
  int32_t found = -1;
  for (int32_t i = 0; i < e->writes; i++) {
    int32_t index = it->room.chosen[i];
    if (it->room.candidates[index].token == e->before[index]) continue;
    if (found < 0 || it->room.candidates[index].confidence < it->room.candidates[found].confidence) found = index;
  }
  return found;
}

static dimple_status break_circle(edits *e, iteration *it, pass *p, const sampler_step *step) {
  int32_t index = least_sure(e, it), count = 0;
  int32_t *barred;
  if (index < 0) return DIMPLE_OK;
  ALLOCATE(barred, e->taken_count + 1, "tokens that were taken");
  for (int64_t i = 0; i < e->taken_count; i++)
    if (e->taken[i].position == e->first + index) barred[count++] = e->taken[i].token;
  dimple_status status = alternatives_replace(it, step, p, index, barred, count);
  free(barred);
  return status;
}

static dimple_status revise(iteration *it, pass *p, const sampler_step *step, int32_t *count) {
  edits *e = it->loop;
  e->writes = *count;
  DIMPLE_TRY(reserve_history(e));
  if (e->last)
    DIMPLE_TRY(leave_out_edits(e, it, p, step));
  else if (was_seen(e))
    DIMPLE_TRY(break_circle(e, it, p, step));
  *count = 0;
  for (int32_t i = 0; i < e->writes; i++) { /* those that stay as they are need no writing, but are taken */
    int32_t index = it->room.chosen[i];
    e->taken[e->taken_count + i] = (taken_token){e->first + index, it->room.candidates[index].token};
    if (it->room.candidates[index].token != e->before[index]) it->room.chosen[(*count)++] = index;
  }
  return DIMPLE_OK;
}

/* -------------------------------------------------------------------------------------------------------------- editing */

/* The block behind the edits, as far as it is made. */
typedef struct made {
  edits *e;
  int32_t at, end;
} made;

static void place(made *m, int32_t token, int32_t origin, bool original) {
  if (m->at == m->end) return;
  m->e->tokens[m->at] = token;
  m->e->origins[m->at] = origin;
  m->e->moved[m->at++] = original;
}

static void move_positions(edits *e, iteration *it, canvas *c) {
  made m = {e, e->first, e->first + e->count};
  revealed_walk walk = {0};
  memcpy(e->tokens, c->tokens, (size_t)c->length * sizeof *e->tokens);
  for (int32_t i = 0; i < c->length; i++) e->origins[i] = i;
  for (int32_t i = 0; i < e->count; i++) {
    int32_t position = e->first + i, token = c->tokens[position];
    bool original = e->original[position], stays = token != e->delete && token != e->split && m.at < m.end;
    revealed_move(it, &walk, position, stays ? m.at : -1);
    if (token == e->delete) continue;
    if (token == e->split) place(&m, e->mask, -1, false);
    place(&m, token == e->split ? e->before[i] : token, position, original);
  }
  while (m.at < m.end) place(&m, e->mask, -1, false);
  memcpy(e->original + e->first, e->moved + e->first, (size_t)e->count * sizeof *e->original);
  revealed_end(it, &walk);
  canvas_replace(c, e->tokens, c->length);
  it->origins = e->origins;
}

static void edit(void *state, iteration *it, canvas *c) {
  edits *e = state;
  bool moves = false;
  if (e->writes > 0) memcpy(e->seen + e->seen_count++ * e->count, e->before, (size_t)e->count * sizeof *e->before);
  e->taken_count += e->writes;
  e->passes++;
  e->post += e->originals == 0;
  it->blocks.closed = e->last || e->writes == 0;
  for (int32_t i = 0; i < it->revealed_count; i++) moves |= it->room.tokens[i] == e->delete || it->room.tokens[i] == e->split;
  if (moves) move_positions(e, it, c);
}

/* --------------------------------------------------------------------------------------------------------------- blocks */

static void plan(const blocks *b, const canvas *c, block_plan *out) {
  out->from = blocks_masked_before(c, b->first);
  out->count = blocks_open(b, c);
  out->edits = true;
  out->scope = (pass_scope){.kind = SCOPE_PART, .first = b->kept < b->first ? b->kept : b->first, .end = b->end};
}

static bool over(blocks *b, const canvas *c) {
  b->kept = b->index * b->decoding->block_length - b->tail;
  b->open = blocks_open(b, c);
  return b->closed;
}

static bool ends(const blocks *b, const canvas *c) { return blocks_hold_end(b, c, MAX_ENDS); }

static int32_t steps(const blocks *b, int32_t count) {
  (void)count;
  return b->decoding->steps;
}

static const block_rules rules = {.need = blocks_need_prompt, .plan = plan, .over = over, .ends = ends, .steps = steps, .leaves = true};

static const editor editor_llada22 = {.open = open_edits, .close = close_edits, .bytes = edits_bytes, .revise = revise, .edit = edit};

const pipeline pipeline_llada22 = {.name = "llada22", .judges_original = true, .choose = choose, .blocks = &rules, .sight = SIGHT_FROM_START,
                                   .editor = &editor_llada22};
