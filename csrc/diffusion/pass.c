#include "diffusion/pass.h"

#include "allocate.h"
#include "transformer/block.h"

/* ---------------------------------------------------------------------------------------------------------------- memory */

static dimple_status alloc_states(const pass *p, int64_t rows, view *out) {
  return matrix_alloc(p->model->ops, p->context, rows, p->model->text.width, out);
}

static int32_t sequence_length(const pass *p) { return p->prompt->length + p->canvas->length; }

/* Opens a cache for prompt and response, with room for a pass over all of it. */
static dimple_status open_text(const pass *p, text_state *text) {
  int64_t length = sequence_length(p);
  int32_t *positions;
  ALLOCATE(positions, 3 * length, "positions");
  prompt_positions(p->prompt, p->canvas->length, positions);
  dimple_status status = text_state_open(p->model, p->context, positions, length, text);
  free(positions);
  return status;
}

/* What an earlier call that failed has opened stays. */
static dimple_status open_pass(pass *p) {
  view *matrices[] = {&p->first_states, &p->later_states, &p->gathered};
  if (!p->text.capacity) DIMPLE_TRY(open_text(p, &p->text));
  if (!p->wanted) ALLOCATE(p->wanted, p->canvas->length, "row numbers");
  for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++)
    if (!matrices[i]->memory) DIMPLE_TRY(alloc_states(p, p->canvas->masked_count, matrices[i]));
  return text_state_reserve(p->model, p->context, &p->text, sequence_length(p));
}

void pass_discard(pass *p) {
  const backend_operations *ops = p->model->ops;
  text_state_close(p->model, p->context, &p->text);
  ops->buffer_free(p->context, p->first_states.memory);
  ops->buffer_free(p->context, p->later_states.memory);
  ops->buffer_free(p->context, p->gathered.memory);
  free(p->wanted);
  *p = (pass){.model = p->model, .context = p->context, .cancelled = p->cancelled, .prompt = p->prompt, .canvas = p->canvas,
              .features = p->features, .keep_prompt = p->keep_prompt};
}

/* --------------------------------------------------------------------------------------------------------------- passes */

/* The row of prompt + response whose logits score response position `i`. */
static int32_t scoring_row(const pass *p, int32_t i) { return p->prompt->length + i - p->model->text.shift_logits; }

/* Records rows first .. P + L - 1, first <= P, with `canvas` as the response; states receives those of the rows
 * first + wanted[states.rows]. */
static dimple_status record_rows(const pass *p, text_state *text, int32_t first, const int32_t *canvas, const int32_t *wanted,
                                 view states) {
  text_images images = {.features = p->features->rows, .at = p->prompt->feature_rows, .count = p->prompt->feature_count};
  text_piece pieces[] = {{p->prompt->tokens + first, p->prompt->length - first}, {canvas, p->canvas->length}};
  return text_forward(p->model, p->context, text, first, pieces, 2, &images, wanted, states);
}

/* Records what is not committed, the canvas as it is; states receives those of the rows that score its masked positions. */
static dimple_status record_canvas(pass *p, view states) {
  int32_t first = (int32_t)p->text.cache.committed;
  for (int64_t i = 0; i < states.rows; i++) p->wanted[i] = scoring_row(p, p->canvas->masked[i]) - first;
  return record_rows(p, &p->text, first, p->canvas->tokens, p->wanted, states);
}

static dimple_status run_first(pass *p) {
  const backend_operations *ops = p->model->ops;
  DIMPLE_TRY(open_pass(p));
  DIMPLE_TRY(ops->pass_begin(p->context, p->cancelled));
  DIMPLE_TRY(ops->pass_end(p->context, record_canvas(p, p->first_states)));
  if (p->keep_prompt) kv_cache_commit(&p->text.cache, scoring_row(p, 0));
  return DIMPLE_OK;
}

dimple_status pass_prefill(pass *p) {
  if (p->prefilled) return DIMPLE_OK;
  int32_t total = p->canvas->masked_count;
  if (total > 0) DIMPLE_TRY(run_first(p));
  p->total = total;
  p->prefilled = true;
  pass_restart(p);
  return DIMPLE_OK;
}

void pass_restart(pass *p) {
  p->fresh = p->prefilled ? &p->first_states : NULL;
  p->count = p->prefilled && p->total > 0;
}

void pass_canvas_changed(pass *p) { p->fresh = NULL; }

/* -------------------------------------------------------------------------------------------------------------- scoring */

/* Records the states of the canvas as it is, if they are not there yet, the choice among them, and the head. */
static dimple_status record_score(pass *p, pass_rows rows, const head_call *head, view *scored) {
  const backend_operations *ops = p->model->ops;
  *scored = view_rows(p->fresh ? *p->fresh : p->later_states, 0, p->canvas->masked_count);
  if (!p->fresh) DIMPLE_TRY(record_canvas(p, *scored));
  if (rows.chosen) {
    view gathered = view_rows(p->gathered, 0, rows.count);
    DIMPLE_TRY(ops->gather_rows(p->context, gathered, *scored, rows.chosen));
    *scored = gathered;
  }
  if (!head) return DIMPLE_OK;
  head_call call = *head;
  call.x = *scored;
  call.w = p->model->weights.output;
  return ops->head(p->context, &call);
}

dimple_status pass_score(pass *p, pass_rows rows, const head_call *head) {
  const backend_operations *ops = p->model->ops;
  DIMPLE_TRY(ops->pass_begin(p->context, p->cancelled));
  DIMPLE_TRY(ops->pass_end(p->context, record_score(p, rows, head, &p->scored)));
  if (p->fresh) return DIMPLE_OK;
  p->fresh = &p->later_states;
  p->count++;
  return DIMPLE_OK;
}

dimple_status pass_head(pass *p, int32_t first, int32_t count, const head_call *head) {
  const backend_operations *ops = p->model->ops;
  head_call call = *head;
  call.x = view_rows(p->scored, first, count);
  call.w = p->model->weights.output;
  DIMPLE_TRY(ops->pass_begin(p->context, p->cancelled));
  return ops->pass_end(p->context, ops->head(p->context, &call));
}

/* ------------------------------------------------------------------------------------------------------ looking inside */

static dimple_status record_logits(const pass *p, text_state *text, view states, float *logits) {
  DIMPLE_TRY(record_rows(p, text, 0, p->canvas->initial, text->row_numbers, states));
  return p->model->ops->head(p->context, &(head_call){.x = states, .w = p->model->weights.output, .logits = logits});
}

static dimple_status run_logits(const pass *p, text_state *text, view *states, float *logits) {
  const backend_operations *ops = p->model->ops;
  DIMPLE_TRY(open_text(p, text));
  DIMPLE_TRY(text_state_reserve(p->model, p->context, text, text->capacity));
  DIMPLE_TRY(alloc_states(p, text->capacity, states));
  DIMPLE_TRY(ops->pass_begin(p->context, p->cancelled));
  return ops->pass_end(p->context, record_logits(p, text, *states, logits));
}

dimple_status pass_logits(const pass *p, float *logits) {
  text_state text = {0};
  view states = {0};
  dimple_status status = run_logits(p, &text, &states, logits);
  p->model->ops->buffer_free(p->context, states.memory);
  text_state_close(p->model, p->context, &text);
  return status;
}

int64_t pass_scratch_bytes(const pass *p) {
  int64_t states = 3 * (int64_t)p->total * p->model->text.width * (int64_t)sizeof(float);
  return p->text.scratch_bytes + states;
}
