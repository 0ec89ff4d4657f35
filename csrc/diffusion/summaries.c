#include "diffusion/summaries.h"

#include "allocate.h"
#include "diffusion/candidates.h"
#include "diffusion/notes.h"
#include "diffusion/pipeline.h"
#include "diffusion/whole_rows.h"

/* Whether candidates are made of lists. Confidences without ends are taken before filters, so that without draws these show nowhere. */
static bool lists_rows(const dimple_decoding *d) { return candidates_are_filtered(d) && !(d->no_eos_confidence && d->temperature == 0); }

bool summaries_suffice(const iteration *it, const sampler_step *step, const pass *p) {
  const dimple_decoding *d = step->decoding;
  if (d->temperature > 0 && step->recorded) return false;
  bool lists = it->constraint ? constrained_filters(d) : lists_rows(d);
  uint32_t wanted = (lists ? HEAD_LISTS : 0) | (d->guidance_scale > 0 ? HEAD_GUIDANCE : 0);
  if (changes_logits(it) || notes_stray(it) || d->no_eos_confidence) wanted |= HEAD_BIASES;
  if (notes_compare(it)) wanted |= HEAD_COMPARISONS;
  if ((p->model->ops->head_parts & wanted) != wanted) return false;
  return !lists || candidates_list_length(d, p->model->text.vocab) > 0;
}

/* A head over a block of rows, without the draw. */
static head_call plain_head(const iteration *it, const int32_t *positions, head_row *results, const head_bias *bias) {
  const dimple_decoding *d = &it->decoding;
  return (head_call){.results = results, .bias = bias, .guidance = d->guidance_scale, .positions = positions, .seed = d->seed, .iteration = it->number};
}

/* What the algorithm notes of a block of rows from `at` on, by a head of its own, and raises then. */
static dimple_status see_rows(iteration *it, const sampler_step *step, pass *p, const int32_t *positions, int32_t at, int32_t rows, changes *changed) {
  head_row seen[SCORED_ROWS];
  changed->bias.log_sums = it->bias.count > 0 ? changed->log_sums : NULL;
  if (!notes_raise(it)) return DIMPLE_OK;
  changed->bias.row_first = NULL;
  head_call head = plain_head(it, positions + at, seen, &changed->bias);
  DIMPLE_TRY(pass_head(p, VIEW_SCORED, at, rows, &head));
  for (int32_t i = 0; i < rows; i++) {
    if (it->bias.count == 0) changed->log_sums[i] = seen[i].log_sum;
    DIMPLE_TRY(notes_keeper(it)->see(it->notes, step, positions[at + i], &seen[i], 0));
  }
  changed->bias.log_sums = NULL; /* they are there */
  return changes_raise(changed, it, step, positions + at, rows);
}

/* What of the sums of `rows` rows from `at` on is the bias's and the notes'. */
static void note_sums(iteration *it, const changes *c, const int32_t *positions, int32_t at, int32_t rows, const head_row *results) {
  for (int32_t i = 0; i < rows && notes_stray(it); i++) it->room.log_sums[positions[at + i]] = c->log_sums[i] - results[i].log_sum;
}

/* A head over blocks of rows, what it is told and what it keeps of them. */
typedef struct block_head {
  head_call call;
  changes changed, former_changed; /* of logits, and of those that they are compared with */
  head_classes classes;
  head_list list; /* count 0: none is wanted */
  head_comparison comparison;
  float former_sums[SCORED_ROWS], divergences[SCORED_ROWS];
} block_head;

static void close_block_head(block_head *h) {
  changes_close(&h->changed);
  changes_close(&h->former_changed);
  free(h->list.tokens);
  free(h->list.logits);
}

static dimple_status fill_block_head(const iteration *it, int32_t vocab, int32_t rows, block_head *h) {
  DIMPLE_TRY(changes_open(it, &it->bias, vocab, &h->changed));
  if (notes_compare(it)) DIMPLE_TRY(changes_open(it, &it->former_bias, vocab, &h->former_changed));
  h->comparison = (head_comparison){.bias = changes_bias(&h->former_changed), .log_sums = h->former_sums, .divergences = h->divergences};
  if (notes_compare(it)) h->call.comparison = &h->comparison;
  if (h->list.count == 0) return DIMPLE_OK;
  ALLOCATE(h->list.tokens, (int64_t)rows * h->list.count, "the highest logits");
  ALLOCATE(h->list.logits, (int64_t)rows * h->list.count, "the highest logits");
  h->call.list = &h->list;
  return DIMPLE_OK;
}

/* With lists of that length, 0: none. On failure nothing is held. Errors: MEMORY. */
static dimple_status open_block_head(const iteration *it, int32_t vocab, int32_t count, int32_t length, head_call call, block_head *h) {
  *h = (block_head){.call = call, .list = {.count = length, .among_classes = it->constraint != NULL}};
  h->call.guidance = it->decoding.guidance_scale;
  dimple_status status = fill_block_head(it, vocab, count < SCORED_ROWS ? count : SCORED_ROWS, h);
  if (status != DIMPLE_OK) close_block_head(h);
  return status;
}

/* One block of rows, at most SCORED_ROWS, and what the algorithm notes of it. */
static dimple_status run_block_head(iteration *it, const sampler_step *step, pass *p, const int32_t *positions, int32_t at, int32_t rows, block_head *h) {
  DIMPLE_TRY(see_rows(it, step, p, positions, at, rows, &h->changed));
  h->call.bias = changes_bias(&h->changed);
  h->call.positions = positions + at;
  former_sums(&p->former, positions + at, rows, h->former_sums);
  DIMPLE_TRY(pass_head(p, VIEW_SCORED, at, rows, &h->call));
  note_sums(it, &h->changed, positions, at, rows, h->call.results);
  for (int32_t i = 0; i < rows && notes_compare(it); i++) {
    it->room.former_sums[positions[at + i]] = h->call.results[i].log_sum;
    DIMPLE_TRY(notes_keeper(it)->see(it->notes, step, positions[at + i], &h->call.results[i], h->divergences[i]));
  }
  return DIMPLE_OK;
}

/* Summaries once more, of a head without end of text and end of turn, and what it keeps of `classes`, if not null. */
static dimple_status summarize_without_ends(const iteration *it, const sampler_step *step, pass *p, const int32_t *positions, int32_t at, int32_t rows,
                                            const changes *changed, const head_classes *classes, head_row *rest) {
  const dimple_decoding *d = step->decoding;
  changes without = *changed;
  without.bias.forbidden = without.forbidden;
  without.bias.log_sums = NULL;
  changes_forbid(&without, p->model->text.vocab, step->tokens.eos);
  changes_forbid(&without, p->model->text.vocab, step->tokens.eot);
  head_call head = plain_head(it, positions + at, rest, &without.bias);
  head.classes = classes;
  head.temperature = judges_original(d) ? 0 : d->temperature;
  return pass_head(p, VIEW_SCORED, at, rows, &head);
}

/* Confidences by these, but for rows that are left undecided; null: there are none. */
static dimple_status judge_without_ends(const iteration *it, const sampler_step *step, pass *p, const int32_t *positions, int32_t at, int32_t rows,
                                        const changes *changed, const head_row *summaries, const bool *undecided, candidate *out) {
  head_row rest[SCORED_ROWS];
  if (!it->decoding.no_eos_confidence) return DIMPLE_OK;
  DIMPLE_TRY(summarize_without_ends(it, step, p, positions, at, rows, changed, NULL, rest));
  for (int32_t i = 0; i < rows; i++)
    if (!undecided || !undecided[i]) candidates_judge(step, &summaries[i], &rest[i], 1, &out[i]);
  return DIMPLE_OK;
}

/* One block of rows, at most SCORED_ROWS. */
static dimple_status score_in_head(iteration *it, const sampler_step *step, pass *p, const int32_t *positions, int32_t at, int32_t rows,
                                   int32_t total, block_head *head) {
  bool undecided[SCORED_ROWS];
  head_row *results = head->call.results = it->room.summaries + at;
  candidate *out = it->room.candidates + at;
  DIMPLE_TRY(run_block_head(it, step, p, positions, at, rows, head));
  if (!head->call.list) {
    candidates_from_summary(step, results, rows, out);
    return judge_without_ends(it, step, p, positions, at, rows, &head->changed, results, NULL, out);
  }
  DIMPLE_TRY(candidates_from_lists(step, results, &head->list, rows, p->model->text.vocab, positions + at, out, undecided));
  DIMPLE_TRY(judge_without_ends(it, step, p, positions, at, rows, &head->changed, results, undecided, out));
  return whole_rows_settle(it, step, p, positions, at, rows, total, 0, undecided);
}

dimple_status summaries_propose(iteration *it, const sampler_step *step, pass *p, pass_rows rows, const int32_t *positions,
                                          head_call call) {
  int32_t count = pass_rows_count(&rows), vocab = p->model->text.vocab;
  const dimple_decoding *d = step->decoding;
  int32_t length = lists_rows(d) ? candidates_list_length(d, vocab) : 0;
  block_head head;
  call.temperature = length > 0 ? candidates_list_temperature(d) : d->temperature;
  DIMPLE_TRY(pass_score(p, rows, NULL));
  DIMPLE_TRY(open_block_head(it, vocab, count, length, call, &head));
  dimple_status status = DIMPLE_OK;
  for (int32_t at = 0; at < count && status == DIMPLE_OK; at += SCORED_ROWS)
    status = score_in_head(it, step, p, positions, at, count - at < SCORED_ROWS ? count - at : SCORED_ROWS, count, &head);
  close_block_head(&head);
  return status == DIMPLE_OK && length == 0 ? whole_rows_replace_masks(it, step, p, positions, count) : status;
}

/* Scores of one block of rows under the constraint, at most SCORED_ROWS, from what the head keeps of its classes. */
static dimple_status score_block_of_classes(iteration *it, const sampler_step *step, pass *p, const int32_t *positions, int32_t at, int32_t rows,
                                            int32_t total, block_head *head) {
  bool undecided[SCORED_ROWS];
  head_row *results = head->call.results, rest[SCORED_ROWS], *judged = results;
  bool unended = it->decoding.no_eos_confidence;
  head_classes room, *of_rest = unended && it->decoding.allowed_confidence ? &room : NULL;
  DIMPLE_TRY(constrained_ask(it->constraint, positions + at, rows, &head->classes, of_rest));
  DIMPLE_TRY(run_block_head(it, step, p, positions, at, rows, head));
  if (unended) {
    judged = rest;
    DIMPLE_TRY(summarize_without_ends(it, step, p, positions, at, rows, &head->changed, of_rest, rest));
  }
  if (!head->call.list) {
    constrained_take(it->constraint, step, results, judged, positions + at, rows);
    return DIMPLE_OK;
  }
  DIMPLE_TRY(constrained_take_lists(it->constraint, step, results, judged, &head->list, positions + at, rows, undecided));
  return whole_rows_settle(it, step, p, positions, at, rows, total, constrained_head_temperature(step->decoding), undecided);
}

dimple_status summaries_propose_of_classes(iteration *it, const sampler_step *step, pass *p, const int32_t *positions, int32_t count, head_call call) {
  const dimple_decoding *d = step->decoding;
  int32_t vocab = p->model->text.vocab;
  block_head head;
  call.temperature = d->temperature;
  DIMPLE_TRY(open_block_head(it, vocab, count, constrained_filters(d) ? candidates_list_length(d, vocab) : 0, call, &head));
  head.call.classes = &head.classes;
  dimple_status status = DIMPLE_OK;
  for (int32_t at = 0; at < count && status == DIMPLE_OK; at += SCORED_ROWS)
    status = score_block_of_classes(it, step, p, positions, at, count - at < SCORED_ROWS ? count - at : SCORED_ROWS, count, &head);
  close_block_head(&head);
  return status;
}
