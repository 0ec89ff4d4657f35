#include "diffusion/iteration.h"

#include <math.h>
#include <string.h>

#include "allocate.h"
#include "cancel.h"
#include "diffusion/iteration_parts.h"
#include "diffusion/pipeline.h"
#include "diffusion/proposals.h"
#include "diffusion/revealed.h"
#include "diffusion/schedule.h"

/* ------------------------------------------------------------------------------------------------------------ life cycle */

static void free_room(iteration_room *room) {
  free(room->revealed);
  free(room->tokens);
  free(room->confidence);
  free(room->log_probability);
  free(room->rows);
  free(room->chosen);
  free(room->candidates);
  free(room->summaries);
  free(room->log_sums);
  free(room->former_sums);
  free(room->open);
  free(room->opened);
}

static dimple_status allocate_room(iteration_room *room, int32_t length) {
  room->positions = length;
  ALLOCATE(room->revealed, length, "the revealed positions");
  ALLOCATE(room->tokens, length, "the revealed tokens");
  ALLOCATE(room->confidence, length, "confidences");
  ALLOCATE(room->log_probability, length, "probabilities");
  ALLOCATE(room->rows, length, "the revealed positions' rows");
  ALLOCATE(room->chosen, length, "the chosen positions");
  ALLOCATE(room->candidates, length, "candidates");
  ALLOCATE(room->summaries, length, "summaries of logits");
  ALLOCATE(room->log_sums, length, "sums of logits");
  ALLOCATE(room->former_sums, length, "sums of logits");
  ALLOCATE(room->open, length, "the scored positions");
  ALLOCATE(room->opened, length, "the canvas as it may become");
  return DIMPLE_OK;
}

/* Another room in the place of what there was. On failure nothing changes. */
static dimple_status replace_room(iteration *it, int32_t length) {
  iteration_room fresh = {0};
  dimple_status status = allocate_room(&fresh, length);
  if (status != DIMPLE_OK) {
    free_room(&fresh);
    return status;
  }
  free_room(&it->room);
  it->room = fresh;
  return DIMPLE_OK;
}

dimple_status iteration_resize(iteration *it, int32_t length) {
  DIMPLE_TRY(replace_room(it, length));
  iteration_constrain(it, NULL);
  return DIMPLE_OK;
}

/* What the room holds of the iteration before is of no use in the one that comes, but for what was looked at or can be listed. */
dimple_status iteration_reserve(iteration *it, int32_t length) {
  if (length <= it->room.positions) return DIMPLE_OK;
  DIMPLE_TRY(replace_room(it, length));
  it->looked = it->listable = false;
  return DIMPLE_OK;
}

void iteration_free(iteration *it) {
  iteration_end(it);
  free_room(&it->room);
  free(it->levels);
  replay_free(it->recorded);
  constrained_free(it->constraint);
  bias_clear(&it->bias);
  bias_clear(&it->former_bias);
  *it = (iteration){0};
}

int64_t iteration_bytes(const iteration *it) {
  const iteration_room *r = &it->room;
  int64_t of_position = (int64_t)(sizeof *r->revealed + sizeof *r->tokens + sizeof *r->confidence + sizeof *r->log_probability +
                                  sizeof *r->rows + sizeof *r->chosen + sizeof *r->candidates + sizeof *r->summaries +
                                  sizeof *r->log_sums + sizeof *r->former_sums + sizeof *r->open + sizeof *r->opened);
  int64_t levels = it->levels ? (it->decoding.steps + 1) * (int64_t)sizeof *it->levels : 0;
  int64_t notes = it->notes ? algorithm_of(&it->decoding)->keeper->bytes(it->notes) : 0;
  const pipeline *how = pipeline_of(&it->decoding);
  if (it->loop) notes += how->loop ? how->loop->bytes(it->loop) : how->editor ? how->editor->bytes(it->loop) : how->reshaper->bytes(it->loop);
  return r->positions * of_position + levels + notes + bias_bytes(&it->bias) + bias_bytes(&it->former_bias) + constrained_bytes(it->constraint) + replay_bytes(it->recorded);
}

void iteration_replay(iteration *it, replay *recorded) {
  iteration_end(it);
  replay_free(it->recorded);
  it->recorded = recorded;
}

void iteration_constrain(iteration *it, constrained *constraint) {
  iteration_end(it);
  constrained_free(it->constraint);
  it->constraint = constraint;
}

/* Fast-dLLM v2's own. */
enum { SUB_BLOCK_LENGTH = 8 };

/* What the settings leave to the model: the whole response is one block where neither says another length. */
static void fill_in(dimple_decoding *d, const text_parameters *model, int32_t length) {
  if (pipelines[d->pipeline]->whole && pipelines[d->pipeline]->blocks) {
    d->block_length = length;
    if (d->steps > length) d->steps = length;
  }
  if (pipelines[d->pipeline]->whole) return;
  if (d->algorithm == DIMPLE_ALGORITHM_KLASS) {
    bool as_whole = d->pipeline == DIMPLE_PIPELINE_DREAM || d->block_length == 0;
    d->cache = DIMPLE_CACHE_NONE;
    if (as_whole) d->block_length = length;
  }
  bool causal = pipelines[d->pipeline]->sight != SIGHT_ALL;
  bool knows_caches = d->pipeline == DIMPLE_PIPELINE_DREAM || d->pipeline == DIMPLE_PIPELINE_LLADA;
  if (!knows_caches) d->cache = DIMPLE_CACHE_NONE;
  if (d->cache == DIMPLE_CACHE_MODEL && d->guidance_scale == 0) d->cache = model->cache;
  if (d->block_length == 0) d->block_length = model->block_length;
  if (d->block_length == 0 || (d->block_length > length && !causal)) d->block_length = length;
  if (d->sub_block_length == 0) d->sub_block_length = d->block_length % SUB_BLOCK_LENGTH == 0 ? SUB_BLOCK_LENGTH : d->block_length;
  bool by_schedule = d->pipeline == DIMPLE_PIPELINE_DREAM && decoding_is_cached(d) && d->algorithm != DIMPLE_ALGORITHM_CONFIDENCE_THRESHOLD;
  if (by_schedule) d->algorithm = DIMPLE_ALGORITHM_ENTROPY; /* as the authors' code does, whatever it is asked for */
}

static void close_notes(iteration *it) {
  const pipeline *how = it->begun ? pipeline_of(&it->decoding) : NULL;
  if (how && how->loop) how->loop->close(it->loop);
  if (how && how->reshaper) how->reshaper->close(it->loop);
  if (how && how->editor) how->editor->close(it->loop);
  it->loop = NULL;
  it->origins = NULL; /* they were the loop's */
  const note_keeper *keeper = it->begun ? algorithm_of(&it->decoding)->keeper : NULL;
  if (keeper) keeper->close(it->notes);
  it->notes = NULL;
}

/* Room for levels and notes of a decoding, in the place of those of the one before; on failure these stay. */
static dimple_status make_room(iteration *it, const dimple_decoding *d, const canvas *c, const text_parameters *model) {
  const note_keeper *keeper = algorithm_of(d)->keeper;
  const own_loop *loop = pipeline_of(d)->loop;
  const reshaper *reshaper = pipeline_of(d)->reshaper;
  const editor *editor = pipeline_of(d)->editor;
  void *notes = NULL, *state = NULL;
  if (keeper) DIMPLE_TRY(keeper->open(d, c->given_length, model->vocab, &notes));
  if (loop) DIMPLE_TRY(loop->open(d, c->given_length, &state)); /* its algorithm keeps no notes, */
  if (reshaper) DIMPLE_TRY(reshaper->open(d, c, model, &state)); /* nor do these two's */
  if (editor) DIMPLE_TRY(editor->open(d, c, model, &state));
  size_t size = ((size_t)d->steps + 1) * sizeof *it->levels;
  float *levels = realloc(it->levels, size);
  if (!levels) {
    if (keeper) keeper->close(notes);
    if (loop) loop->close(state);
    if (reshaper) reshaper->close(state);
    if (editor) editor->close(state);
    return dimple_fail_memory(size, "noise levels");
  }
  close_notes(it);
  it->notes = notes;
  it->loop = state;
  it->levels = levels;
  return DIMPLE_OK;
}

bool iteration_leaves_one(const iteration *it, const dimple_decoding *d, const text_parameters *model, const bias *banned) {
  int32_t barred[] = {model->mask_token, d->no_eos_logits ? model->eos_token : -1, pipeline_of(d)->reshaper ? model->expand_token : -1,
                      pipeline_of(d)->editor ? model->delete_token : -1, pipeline_of(d)->editor ? model->split_token : -1};
  return it->constraint || bias_leaves_one(banned, model->vocab, barred, sizeof barred / sizeof *barred);
}

/* What the file bans, which a decoding may ban the rest beside. */
static dimple_status ban_suppressed(const iteration *it, const dimple_decoding *d, const text_parameters *model, bias *banned) {
  if (pipeline_of(d)->loop) return DIMPLE_OK;
  DIMPLE_TRY(bias_ban(banned, model->suppressed, model->suppressed_count));
  if (iteration_leaves_one(it, d, model, banned)) return DIMPLE_OK;
  bias_clear(banned);
  return dimple_fail(DIMPLE_ERROR_ARGUMENT, "decoding: every token but the mask is banned, by no_eos_logits or by the file (key diffusion.suppress_tokens), expected one "
                                            "that can stand");
}

/* What goes with models whose tokens edit, and whose rows are routed by blocks. */
static dimple_status check_edits(const iteration *it, const dimple_decoding *filled, const text_parameters *model) {
  const pipeline *how = pipeline_of(filled);
  if (model->delete_token >= 0 && !how->editor)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "pipeline %s needs a model whose tokens are all of the text: two of this one delete and split, which pipeline llada22 "
                                                 "decodes", how->name);
  if (it->constraint && how->editor)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "pipeline %s cannot be held to a constraint: it moves positions, and a path through one has them stay", how->name);
  for (int32_t i = 0; i < model->layers; i++)
    if (model->layer[i].route.block > 0 && filled->block_length % model->layer[i].route.block != 0)
      return dimple_fail(DIMPLE_ERROR_ARGUMENT, "decoding: block_length is %d, expected a multiple of %d, the rows that this model routes together",
                         filled->block_length, model->layer[i].route.block);
  return DIMPLE_OK;
}

dimple_status iteration_begin(iteration *it, const dimple_decoding *decoding, const text_parameters *model, const canvas *c) {
  dimple_decoding filled = *decoding;
  fill_in(&filled, model, c->given_length);
  DIMPLE_TRY(decoding_check_filled(decoding, &filled));
  if (!it->constraint && !decoding->allowed_confidence)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "decoding: allowed_confidence does not go with a response that no constraint holds");
  bool draws = decoding->temperature > 0 || pipeline_of(&filled)->loop != NULL;
  if (it->constraint && it->recorded && draws)
    return dimple_fail(DIMPLE_ERROR_STATE, "recorded draws of tokens cannot be held to a constraint: decode at temperature 0, in a pipeline of masks");
  if (algorithm_of(&filled)->reviser && (model->shift_logits || model->causal))
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "algorithm %s needs a model whose positions see all others and score themselves",
                       algorithm_of(&filled)->name);
  if (model->canvases != (pipeline_of(&filled)->sight == SIGHT_CANVAS))
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "pipeline %s needs a model %s", pipeline_of(&filled)->name,
                       model->canvases ? "whose response is masked: this one denoises canvases, which pipeline diffusion-gemma decodes"
                                       : "that denoises canvases");
  bool sees_all = pipeline_of(&filled)->sight == SIGHT_ALL || pipeline_of(&filled)->sight == SIGHT_PROMPT_APART;
  if (model->block_causal && sees_all)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED,
                       "pipeline %s needs a model whose positions see all others: this one sees its own block and those before, which pipeline sdar decodes",
                       pipeline_of(&filled)->name);
  if (filled.eos_penalty != 0 && (decoding_is_cached(&filled) || model->pad_token < 0))
    return decoding_is_cached(&filled) ? dimple_fail(DIMPLE_ERROR_ARGUMENT, "decoding: eos_penalty does not go with a cache")
                                       : dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "eos_penalty needs a model with a padding token (key tokenizer.ggml.padding_token_id)");
  if (filled.tail_repeats > 0 && filled.complete && model->eos_token < 0)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "tail_repeats in a complete decoding needs a model with an end of text (key tokenizer.ggml.eos_token_id)");
  if (!model->shift_logits && pipeline_of(&filled)->needs_shift)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "pipeline %s needs a model whose rows score the next position: those of this one score their own",
                       pipeline_of(&filled)->name);
  if (it->constraint && pipeline_of(&filled)->reshaper)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "pipeline %s cannot be held to a constraint: it changes the length of the response, and a path through one has a fixed length",
                       pipeline_of(&filled)->name);
  DIMPLE_TRY(check_edits(it, &filled, model));
  bias banned = {0};
  DIMPLE_TRY(ban_suppressed(it, &filled, model, &banned));
  dimple_status status = make_room(it, &filled, c, model);
  if (status != DIMPLE_OK) {
    bias_clear(&banned);
    return status;
  }
  schedule_levels(filled.steps, filled.epsilon, it->levels);
  it->decoding = it->cooled = filled;
  it->cooled.temperature = 0;
  it->tokens = (special_tokens){.mask = c->mask_token, .eos = model->eos_token, .eot = model->eot_token};
  it->total = c->initial_masked;
  it->number = 0;
  it->begun = true;
  it->block = -1;
  it->shift.token = -1;
  it->pad = model->pad_token;
  it->done = it->spent = it->looked = it->listable = false;
  bias_clear(&it->bias);
  bias_clear(&it->former_bias);
  it->bias = banned;
  it->former_number = -1;
  if (it->recorded) replay_seek(it->recorded, 0);
  if (it->constraint) constrained_restart(it->constraint);
  return DIMPLE_OK;
}

int32_t iteration_shadow_rows(const iteration *it) { return algorithm_of(&it->decoding)->reviser ? it->decoding.block_length : 0; }

int32_t iteration_canvas_rows(const iteration *it, const canvas *c) {
  if (pipeline_of(&it->decoding)->sight != SIGHT_CANVAS) return 0;
  return it->decoding.block_length < c->length ? it->decoding.block_length : c->length;
}

pass_need iteration_need(const iteration *it, const canvas *c, bool keep_prompt) {
  const pipeline *how = pipeline_of(&it->decoding); /* a loop of its own wants the prompt's */
  pass_need need = how->blocks ? how->blocks->need(&it->decoding) : NEED_PROMPT;
  bool prefix = how->blocks && how->sight == SIGHT_ALL && need == NEED_PROMPT;
  bool behind = c->masked_count > 0 && c->masked[0] >= it->decoding.block_length;
  return prefix && (behind || !keep_prompt) ? NEED_ALL : need; /* what lies before the first block is of the first pass */
}

attention_grid iteration_grid(const iteration *it, int32_t prompt_length) {
  attention_grid grids[] = {[SIGHT_ALL] = {0},
                            [SIGHT_FROM_START] = {.block_length = it->decoding.block_length},
                            [SIGHT_CANVAS] = {.block_length = 1}, /* all of the prompt is before the response */
                            [SIGHT_PROMPT_APART] = {.block_length = MAX_CONTEXT, .offset = prompt_length}, /* a block is the prompt, and another the response */
                            [SIGHT_FROM_PROMPT] = {.block_length = it->decoding.block_length, .offset = prompt_length}};
  return grids[pipeline_of(&it->decoding)->sight];
}

int32_t iteration_settled(const iteration *it, const canvas *c) {
  if (it->done) return c->length;
  if (pipeline_of(&it->decoding)->reshaper) return c->masked_count > 0 ? c->masked[0] : c->length; /* those behind may move */
  if (pipeline_of(&it->decoding)->loop) return c->masked_count > 0 ? c->masked[0] / it->decoding.block_length * it->decoding.block_length : c->length;
  if (algorithm_of(&it->decoding)->edits || pipeline_of(&it->decoding)->fills_with_ends) return it->blocks.first;
  return algorithm_of(&it->decoding)->reviser ? 0 : c->length;
}

dimple_status iteration_check_shortening(const iteration *it) {
  const pipeline *how = pipeline_of(&it->decoding);
  if (how->sight != SIGHT_ALL)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "pipeline %s cannot leave positions out: it works on a part of the response at a time, and ends with it",
                       how->name);
  if (how->reshaper)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "pipeline %s cannot leave positions out: it says itself how many the response has", how->name);
  if (algorithm_of(&it->decoding)->reviser)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "algorithm %s cannot leave positions out: it may mask the end of the text again",
                       algorithm_of(&it->decoding)->name);
  if (it->decoding.guidance_scale > 0)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED,
                       "guidance cannot leave positions out: its second pass takes the place of their keys and values, which the others go on to see");
  return DIMPLE_OK;
}

void iteration_shortened(iteration *it, const canvas *c) {
  it->looked = false; /* what is left out was offered, too */
  if (!pipeline_of(&it->decoding)->blocks || it->number == 0) return; /* they have not begun */
  it->blocks.response = c->used;
  if (it->blocks.end > c->used) it->blocks.end = c->used;
}

void iteration_end(iteration *it) {
  close_notes(it);
  it->begun = it->done = it->listable = false;
}

/* ------------------------------------------------------------------------------------------------------------- deciding */

void iteration_begin_blocks(iteration *it, const pass *p, const canvas *c) {
  if (!pipeline_of(&it->decoding)->blocks || it->number > 0) return;
  const pipeline *how = pipeline_of(&it->decoding);
  int32_t tail = how->sight == SIGHT_FROM_START ? p->prompt->length % it->decoding.block_length : 0;
  blocks_begin(&it->blocks, &it->decoding, c, &p->model->text, how->blocks, tail);
  if (!it->constraint) return;
  it->blocks.eos = -1; /* that says where the text ends */
  it->blocks.held = true;
}

block_plan iteration_plan(const iteration *it, const canvas *c, const block_rules *rules) {
  block_plan plan = {.scope = {.kind = SCOPE_CANVAS}, .count = c->masked_count};
  return rules ? blocks_plan(&it->blocks, c, rules) : plan;
}

/* Notes what is to be revealed: the chosen positions, in order, and the candidate of each. */
static void note(iteration *it, const sampler_step *step, int32_t count, bool positions_first) {
  for (int32_t i = 0; i < count; i++) {
    const candidate *found = &it->room.candidates[positions_first ? i : it->room.chosen[i]];
    it->room.revealed[i] = step->positions[it->room.chosen[i]];
    it->room.tokens[i] = found->token;
    it->room.confidence[i] = found->confidence;
    it->room.log_probability[i] = found->log_probability;
    it->room.rows[i] = positions_first ? i : it->room.chosen[i];
  }
}

/* Positions first, then tokens for these only. Without a chosen position no pass is needed at all. */
static dimple_status choose_then_score(iteration *it, const sampler_step *step, pass *p, pass_rows rows, int32_t *count) {
  DIMPLE_TRY(sampler_choose(step, NULL, it->room.chosen, count));
  if (*count == 0) return DIMPLE_OK;
  if (it->constraint) { /* a path is found from the scores of all positions */
    DIMPLE_TRY(proposals_make(it, step, p, rows, step->positions));
    note(it, step, *count, false);
    return DIMPLE_OK;
  }
  for (int32_t i = 0; i < *count; i++) it->room.revealed[i] = step->positions[it->room.chosen[i]];
  rows.chosen = it->room.chosen;
  rows.chosen_count = *count;
  DIMPLE_TRY(proposals_make(it, step, p, rows, it->room.revealed));
  note(it, step, *count, true);
  return DIMPLE_OK;
}

/* Adds the shadows that a reviser wants to see. */
static void watch(iteration *it, const sampler_step *step, pass_rows *rows) {
  const reviser *reviser = algorithm_of(&it->decoding)->reviser;
  if (!reviser) return;
  rows->watched_count = reviser->watch(it->notes, step, &rows->watched);
  rows->shadow_first = it->blocks.first;
  rows->shadow_end = it->blocks.end;
}

static dimple_status score_then_choose(iteration *it, const sampler_step *step, pass *p, const canvas *c, pass_rows rows, int32_t *count) {
  const reviser *reviser = algorithm_of(&it->decoding)->reviser;
  watch(it, step, &rows);
  DIMPLE_TRY(proposals_make(it, step, p, rows, step->positions));
  DIMPLE_TRY(proposals_judge(it, p, c, rows));
  DIMPLE_TRY(sampler_choose(step, it->room.candidates, it->room.chosen, count));
  if (pipeline_of(&it->decoding)->editor) DIMPLE_TRY(pipeline_of(&it->decoding)->editor->revise(it, p, step, count));
  note(it, step, *count, false);
  if (reviser) it->remasked_count = reviser->drop(it->notes, step, *count, &it->remasked);
  return DIMPLE_OK;
}

sampler_step iteration_step(const iteration *it, const canvas *c, const block_plan *plan) {
  return (sampler_step){.decoding = plan->likeliest ? &it->cooled : &it->decoding, .levels = it->levels, .iteration = it->number, .total = it->total,
                        .masked = plan->count, .positions = plan->positions ? plan->positions : c->masked + plan->from, .canvas = c->tokens, .recorded = it->recorded, .due = plan->due,
                        .share = plan->share, .likeliest = plan->likeliest, .block_iteration = it->blocks.iteration,
                        .notes = pipeline_of(&it->decoding)->editor ? it->loop : it->notes, .tokens = it->tokens, .shift = it->shift};
}

pass_rows iteration_rows(const iteration *it, const block_plan *plan) {
  return (pass_rows){.scope = plan->scope, .from = plan->from, .count = plan->count + plan->watched, .positions = plan->positions,
                     .bare = it->decoding.guidance_scale > 0};
}

/* Of algorithms that edit: what the block's positions were not given to hold. */
static void list_open(iteration *it, const canvas *c, block_plan *plan) {
  plan->count = 0;
  plan->positions = it->room.open;
  for (int32_t i = it->blocks.first; i < it->blocks.end; i++)
    if (c->initial[i] == c->mask_token) it->room.open[plan->count++] = i;
}

/* The canvas with all that is scored masked: what stands at the positions of a path is free. */
static dimple_status look_opened(iteration *it, const canvas *c, const block_plan *plan) {
  canvas opened = *c;
  if (!plan->positions) return constrained_look(it->constraint, c);
  opened.tokens = it->room.opened;
  memcpy(opened.tokens, c->tokens, (size_t)c->length * sizeof *opened.tokens);
  for (int32_t i = 0; i < plan->count; i++) opened.tokens[plan->positions[i]] = c->mask_token;
  return constrained_look(it->constraint, &opened);
}

/* Whether the canvas with the chosen tokens in it agrees with some response that fits. */
static bool fits(iteration *it, const canvas *c, int32_t count) {
  canvas coming = *c;
  coming.masked_count = 0; /* what it holds says it */
  coming.tokens = it->room.opened;
  memcpy(coming.tokens, c->tokens, (size_t)c->length * sizeof *coming.tokens);
  for (int32_t i = 0; i < count; i++) coming.tokens[it->room.revealed[i]] = it->room.tokens[i];
  return constrained_fits(it->constraint, &coming);
}

/* Some tokens of a path beside others that it does not have may fit nothing: then all that is revealed of the block takes the path's. */
static void follow_path(iteration *it, const sampler_step *step, const canvas *c, int32_t *count) {
  if (fits(it, c, *count)) return;
  int32_t chosen = 0, next = 0;
  int32_t *kept = it->room.opened;
  for (int32_t i = 0; i < step->masked; i++) {
    bool taken = chosen < *count && it->room.chosen[chosen] == i, another = it->room.candidates[i].token != c->tokens[step->positions[i]];
    chosen += taken;
    if (taken || (another && c->tokens[step->positions[i]] != c->mask_token)) kept[next++] = i;
  }
  memcpy(it->room.chosen, kept, (size_t)next * sizeof *kept);
  *count = next;
  note(it, step, next, false);
}

static dimple_status decide(iteration *it, pass *p, const canvas *c, int32_t *count) {
  *count = 0;
  it->looked = it->listable = false;
  it->remasked_count = 0;
  DIMPLE_TRY(check_cancelled(p->cancelled));
  block_plan plan = iteration_plan(it, c, pipeline_of(&it->decoding)->blocks);
  if (c->initial_masked == 0) return DIMPLE_OK; /* all is given, and the prefill has made no room for passes */
  if (plan.keeps) return pass_keep(p, plan.scope);
  if (plan.edits) list_open(it, c, &plan);
  if (plan.count == 0) return DIMPLE_OK;
  if (it->constraint) DIMPLE_TRY(look_opened(it, c, &plan));
  sampler_step step = iteration_step(it, c, &plan);
  pass_rows rows = iteration_rows(it, &plan);
  DIMPLE_TRY(sampler_chooses_positions_first(&it->decoding) ? choose_then_score(it, &step, p, rows, count) : score_then_choose(it, &step, p, c, rows, count));
  if (it->constraint && plan.edits) follow_path(it, &step, c, count);
  return DIMPLE_OK;
}

void iteration_tell_blocks(iteration *it, const canvas *c, int32_t count) {
  it->blocks.edited = 0;
  it->blocks.revealed_end = false;
  for (int32_t i = 0; i < count; i++) {
    it->blocks.edited += c->tokens[it->room.revealed[i]] != c->mask_token;
    it->blocks.revealed_end |= it->room.tokens[i] == it->blocks.eos;
  }
}

/* Whether an iteration that chooses positions first chooses none, or fails to. The draws it takes are taken back. */
static bool chooses_nothing(iteration *it, const sampler_step *step) {
  if (!sampler_chooses_positions_first(&it->decoding)) return false;
  int32_t draws_before = it->recorded ? replay_position(it->recorded) : 0, count = 0;
  dimple_status status = sampler_choose(step, NULL, it->room.chosen, &count);
  if (it->recorded) replay_seek(it->recorded, draws_before);
  return status != DIMPLE_OK || count == 0;
}

pass_wish iteration_foresee(iteration *it, const pass *p, const canvas *c) {
  if (pipeline_of(&it->decoding)->loop) return (pass_wish){.kind = WISH_NOTHING}; /* it runs its passes itself */
  iteration_begin_blocks(it, p, c);
  block_plan plan = iteration_plan(it, c, pipeline_of(&it->decoding)->blocks);
  if (c->initial_masked == 0) return (pass_wish){.kind = WISH_NOTHING};
  if (plan.keeps) return (pass_wish){.kind = WISH_KEEP, .rows = {.scope = plan.scope}};
  if (plan.edits) list_open(it, c, &plan);
  sampler_step step = iteration_step(it, c, &plan);
  if (plan.count == 0 || chooses_nothing(it, &step)) return (pass_wish){.kind = WISH_NOTHING};
  pass_wish wish = {.kind = WISH_SCORE, .rows = iteration_rows(it, &plan)};
  watch(it, &step, &wish.rows);
  return wish;
}

/* Whether a decoding goes on behind its schedule while anything is masked: what that left. Where a constraint has a path, that fills it. */
static bool goes_on(const iteration *it) { return it->decoding.complete && !it->constraint && !it->recorded; }

/* Whether that was the last iteration. `leaves`: what is masked behind the schedule stays so. */
static bool finished(iteration *it, const canvas *c, const block_rules *rules, bool leaves) {
  if (pipeline_of(&it->decoding)->reshaper) return c->masked_count == 0; /* steps do not count */
  if (rules) return it->spent || c->initial_masked == 0 || !blocks_advance(&it->blocks, c, rules);
  if (it->number >= it->decoding.steps) return leaves || c->masked_count == 0;
  return pipeline_of(&it->decoding)->done(c->masked_count);
}

/* Reveals the positions for which what was revealed leaves one token. */
static dimple_status reveal_forced(iteration *it, canvas *c) {
  DIMPLE_TRY(constrained_look(it->constraint, c));
  for (int32_t i = 0; i < c->masked_count; i++) {
    int32_t token = constrained_forced(it->constraint, c->masked[i]);
    if (token < 0) continue;
    revealed_insert(it, c->masked[i], token, confidence_of(&it->decoding)->high);
    it->forced_count++;
  }
  canvas_reveal(c, it->room.revealed, it->room.tokens, it->revealed_count);
  return DIMPLE_OK;
}

void iteration_fill_behind_end(iteration *it, canvas *c) {
  bool ends = algorithm_of(&it->decoding)->ends || pipeline_of(&it->decoding)->sight != SIGHT_ALL;
  if (!it->done || !it->decoding.complete || !ends || it->constraint) return;
  for (int32_t i = 0; i < c->masked_count; i++) revealed_insert(it, c->masked[i], it->tokens.eos, 1);
  canvas_reveal(c, it->room.revealed, it->room.tokens, it->revealed_count);
}

void iteration_fill_block(iteration *it, canvas *c) {
  if (!it->done || !pipeline_of(&it->decoding)->fills_with_ends || it->constraint) return;
  int32_t end = it->tokens.eos, i = it->blocks.first;
  while (i < it->blocks.end && c->tokens[i] != end) i++;
  for (; i < it->blocks.end; i++)
    if (c->tokens[i] != end && c->initial[i] == c->mask_token) revealed_put(it, i, end);
  canvas_reveal(c, it->room.revealed, it->room.tokens, it->revealed_count);
}

dimple_status iteration_conclude(iteration *it, pass *p, canvas *c, int32_t count, const block_rules *rules, bool leaves) {
  it->looked = it->listable = false;
  if (count > 0 && it->constraint) DIMPLE_TRY(reveal_forced(it, c));
  if (count > 0) pass_canvas_changed(p);
  it->number++;
  it->done = finished(it, c, rules, leaves);
  return DIMPLE_OK;
}

logit_shift iteration_shift(const iteration *it, const canvas *c) {
  const dimple_decoding *d = &it->decoding;
  const reshaper *reshaper = pipeline_of(d)->reshaper;
  if (reshaper) return (logit_shift){reshaper->barred(it->loop, c), -INFINITY};
  if (d->eos_penalty == 0) return (logit_shift){.token = -1};
  float level = it->levels[it->number < d->steps ? it->number : d->steps - 1];
  return (logit_shift){it->pad, d->eos_penalty * logf(1 - level + d->epsilon)};
}

dimple_status iteration_run(iteration *it, pass *p, canvas *c) {
  if (pipeline_of(&it->decoding)->loop) return pipeline_of(&it->decoding)->loop->run(it, p, c);
  int32_t draws_before = it->recorded ? replay_position(it->recorded) : 0, count;
  const reshaper *reshaper = pipeline_of(&it->decoding)->reshaper;
  const editor *editor = pipeline_of(&it->decoding)->editor;
  iteration_begin_blocks(it, p, c);
  it->origins = NULL;
  it->shift = iteration_shift(it, c);
  dimple_status status = decide(it, p, c, &count);
  if (status != DIMPLE_OK) {
    if (it->recorded) replay_seek(it->recorded, draws_before);
    return status;
  }
  it->revealed_count = count;
  it->forced_count = 0;
  it->block = pipeline_of(&it->decoding)->blocks ? it->blocks.index : -1;
  iteration_tell_blocks(it, c, count);
  canvas_reveal(c, it->room.revealed, it->room.tokens, count);
  canvas_mask(c, it->remasked, it->remasked_count);
  if (reshaper) reshaper->reshape(it->loop, it, c);
  if (editor && c->initial_masked > 0) editor->edit(it->loop, it, c);
  const reviser *reviser = algorithm_of(&it->decoding)->reviser;
  if (reviser) reviser->happened(it->notes, it->room.revealed, count);
  DIMPLE_TRY(iteration_conclude(it, p, c, count, pipeline_of(&it->decoding)->blocks, !goes_on(it)));
  iteration_fill_block(it, c);
  iteration_fill_behind_end(it, c);
  it->listable = true;
  it->listed_count = it->revealed_count;
  return DIMPLE_OK;
}

dimple_status iteration_complete(iteration *it, canvas *c) {
  if (c->used < c->length) canvas_shorten(c, c->length);
  DIMPLE_TRY(constrained_completion(it->constraint, c, &it->decoding, it->room.candidates));
  it->revealed_count = c->masked_count;
  it->forced_count = it->remasked_count = 0;
  for (int32_t i = 0; i < it->revealed_count; i++) {
    it->room.revealed[i] = c->masked[i];
    it->room.tokens[i] = it->room.candidates[i].token;
    it->room.confidence[i] = it->room.candidates[i].confidence;
    it->room.log_probability[i] = it->room.candidates[i].log_probability;
  }
  canvas_reveal(c, it->room.revealed, it->room.tokens, it->revealed_count);
  it->looked = false;
  it->done = true;
  return DIMPLE_OK;
}
