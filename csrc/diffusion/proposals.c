#include "diffusion/proposals.h"

#include <math.h>

#include "allocate.h"
#include "diffusion/candidates.h"
#include "diffusion/changes.h"
#include "diffusion/pipeline.h"

/* Rows that are scored at a time, and bytes of their logits where a sampler needs whole ones: 27 rows of Dimple's vocabulary. */
enum { LOGIT_ROWS = CHANGED_ROWS, LOGIT_BYTES = 16 << 20 };

static int32_t logit_rows(int32_t vocab, int32_t count) {
  int32_t rows = LOGIT_BYTES / (int32_t)sizeof(float) / vocab;
  rows = rows < 1 ? 1 : rows < LOGIT_ROWS ? rows : LOGIT_ROWS;
  return rows < count ? rows : count;
}

static const note_keeper *keeper_of(const iteration *it) { return algorithm_of(&it->decoding)->keeper; }

/* Whether the algorithm's notes raise logits. */
static bool raises(const iteration *it) { return keeper_of(it) && keeper_of(it)->raise; }

/* Whether logits are other ones than the model's own, of which log-probabilities are. */
static bool strays(const iteration *it) { return it->bias.count > 0 || raises(it); }

/* Whether the algorithm notes how far distributions are from those of the iteration before. */
static bool compares(const iteration *it) { return keeper_of(it) && keeper_of(it)->compares; }

/* Room for a block of whole rows of logits: those that are scored, without the prompt where there is guidance, and the same of what they are compared
 * with; null: they are not wanted. */
typedef struct whole_rows {
  float *logits, *bare, *former, *former_bare;
} whole_rows;

/* `compared`: with former ones, where the algorithm does; otherwise it has seen them. */
static dimple_status open_whole_rows(const iteration *it, int32_t rows, int32_t vocab, bool compared, whole_rows *out) {
  bool guided = it->decoding.guidance_scale > 0;
  int64_t size = (int64_t)rows * vocab;
  compared &= compares(it);
  *out = (whole_rows){0};
  ALLOCATE(out->logits, size * (1 + guided) * (1 + compared), "logits");
  float *next = out->logits + size;
  if (compared) {
    out->former = next;
    next += size;
  }
  if (guided) out->bare = next;
  if (guided && compared) out->former_bare = next + size;
  return DIMPLE_OK;
}

/* Makes of a row of logits what the decoding does, but for biases. */
static void change_row(const iteration *it, float *z, const float *bare, int32_t vocab) {
  const dimple_decoding *d = &it->decoding;
  if (bare) logits_guide(z, bare, vocab, d->guidance_scale);
  if (d->no_eos_logits) logits_forbid(z, vocab, it->tokens.eos);
  if (d->no_mask_logits) logits_forbid(z, vocab, it->tokens.mask);
  logits_shift(z, vocab, it->shift);
}

/* What the algorithm notes of row i of a block, the row of `position`, and what that makes of its logits. */
static dimple_status note_row(iteration *it, const sampler_step *step, const pass *p, int32_t position, int32_t i, const whole_rows *whole) {
  const note_keeper *keeper = keeper_of(it);
  int32_t vocab = p->model->text.vocab, token;
  float *z = whole->logits + (int64_t)i * vocab, *former = whole->former ? whole->former + (int64_t)i * vocab : NULL, divergence = 0, former_sum, value;
  if (!keeper || !keeper->see || (keeper->compares && !former)) return DIMPLE_OK;
  head_row row = logits_summary(z, vocab, 0);
  if (former) {
    former_sums(&p->former, &position, 1, &former_sum);
    change_row(it, former, whole->former_bare ? whole->former_bare + (int64_t)i * vocab : NULL, vocab);
    bias_apply(&it->former_bias, former, it->constraint != NULL);
    divergence = logits_divergence(z, row.log_sum, former_sum == HEAD_NO_FORMER ? NULL : former, former_sum, vocab);
    it->room.former_sums[position] = row.log_sum;
  }
  DIMPLE_TRY(keeper->see(it->notes, step, position, &row, divergence));
  for (int32_t k = 0; keeper->raise && keeper->raise(it->notes, step, position, k, &token, &value); k++) z[token] += value;
  return DIMPLE_OK;
}

/* Rows of logits at..at + rows - 1 of those scored, as the decoding wants them, and their summaries. */
static dimple_status read_logits(iteration *it, const sampler_step *step, pass *p, const int32_t *positions, int32_t at, int32_t rows,
                                 const whole_rows *whole, head_call *head) {
  const note_keeper *keeper = keeper_of(it);
  bool noted = keeper && keeper->see;
  int32_t vocab = p->model->text.vocab;
  head->logits = whole->logits;
  DIMPLE_TRY(pass_head(p, VIEW_SCORED, at, rows, head));
  if (!logits_are_changed(&it->decoding) && !logits_are_shifted(it->shift) && !noted && it->bias.count == 0) return DIMPLE_OK;
  if (whole->bare) DIMPLE_TRY(pass_head(p, VIEW_BARE, at, rows, &(head_call){.logits = whole->bare}));
  if (whole->former) DIMPLE_TRY(pass_head(p, VIEW_FORMER, at, rows, &(head_call){.logits = whole->former, .positions = positions + at}));
  if (whole->former_bare) DIMPLE_TRY(pass_head(p, VIEW_FORMER_BARE, at, rows, &(head_call){.logits = whole->former_bare, .positions = positions + at}));
  for (int32_t i = 0; i < rows; i++) {
    float *z = whole->logits + (int64_t)i * vocab;
    change_row(it, z, whole->bare ? whole->bare + (int64_t)i * vocab : NULL, vocab);
    float own = strays(it) ? logits_summary(z, vocab, 0).log_sum : 0;
    bias_apply(&it->bias, z, it->constraint != NULL);
    DIMPLE_TRY(note_row(it, step, p, positions[at + i], i, whole));
    head->results[i] = logits_summary(z, vocab, head->temperature);
    it->room.log_sums[positions[at + i]] = own - head->results[i].log_sum;
  }
  return DIMPLE_OK;
}

/* Candidates of rows at..at + rows - 1 of `total` scored ones; under a constraint not yet: they are of one path over all rows. */
static dimple_status score_rows(iteration *it, const sampler_step *step, pass *p, const int32_t *positions, int32_t at, int32_t rows,
                                int32_t total, const whole_rows *whole, head_call *head) {
  DIMPLE_TRY(read_logits(it, step, p, positions, at, rows, whole, head));
  if (it->constraint) return constrained_rows(it->constraint, step, head->results, head->logits, rows, positions + at);
  return candidates_from_logits(step, head->results, head->logits, rows, p->model->text.vocab, positions + at, at, total,
                                it->room.candidates + at);
}

/* Candidates from whole rows of logits, a block of rows at a time. */
static dimple_status score_logits(iteration *it, const sampler_step *step, pass *p, const int32_t *positions, int32_t count,
                                  head_call head) {
  int32_t block = logit_rows(p->model->text.vocab, count);
  whole_rows whole;
  DIMPLE_TRY(open_whole_rows(it, block, p->model->text.vocab, true, &whole));
  dimple_status status = DIMPLE_OK;
  for (int32_t at = 0; at < count && status == DIMPLE_OK; at += block)
    status = score_rows(it, step, p, positions, at, count - at < block ? count - at : block, count, &whole, &head);
  free(whole.logits);
  return status;
}

/* Another candidate for the rows whose token is the mask: of whole logits, for these alone. */
static dimple_status replace_masks(iteration *it, const sampler_step *step, pass *p, const int32_t *positions, int32_t count) {
  if (takes_mask(&it->decoding, it->number)) return DIMPLE_OK;
  whole_rows whole = {0};
  dimple_status status = DIMPLE_OK;
  for (int32_t i = 0; i < count && status == DIMPLE_OK; i++) {
    if (it->room.candidates[i].token != it->tokens.mask) continue;
    if (!whole.logits) DIMPLE_TRY(open_whole_rows(it, 1, p->model->text.vocab, false, &whole));
    head_row summary;
    status = score_rows(it, step, p, positions, i, 1, count, &whole, &(head_call){.results = &summary});
  }
  free(whole.logits);
  return status;
}

/* By how much the notes raise a token's logit. */
static float raised(const iteration *it, const sampler_step *step, int32_t position, int32_t token) {
  int32_t other;
  float value;
  for (int32_t i = 0; raises(it) && keeper_of(it)->raise(it->notes, step, position, i, &other, &value); i++)
    if (other == token) return value;
  return 0;
}

/* The model's own log-probability of a token at a position: what bias and notes added is taken back. */
static float own_probability(const iteration *it, const sampler_step *step, float log_probability, int32_t token, int32_t position) {
  if (strays(it)) log_probability -= bias_of(&it->bias, token, it->constraint != NULL) + it->room.log_sums[position];
  log_probability -= raised(it, step, position, token);
  return log_probability > 0 ? 0 : log_probability; /* by rounding */
}

/* Log-probabilities of the first `count` candidates become the model's. */
static void own_probabilities(iteration *it, const sampler_step *step, const int32_t *positions, int32_t count) {
  for (int32_t i = 0; i < count; i++) {
    candidate *found = &it->room.candidates[i];
    found->log_probability = own_probability(it, step, found->log_probability, found->token, positions[i]);
  }
  if (it->constraint) constrained_amend(it->constraint, positions, count, it->room.candidates);
}

/* ------------------------------------------------------------------------------------------------ without whole logits */

/* Whether candidates are made of lists. Confidences without ends are taken before filters, so that without draws these show nowhere. */
static bool lists_rows(const dimple_decoding *d) { return candidates_are_filtered(d) && !(d->no_eos_confidence && d->temperature == 0); }

/* Whether the head itself does to logits what the decoding wants, and lists what its filters select from. */
static bool head_suffices(const iteration *it, const sampler_step *step, const pass *p) {
  const dimple_decoding *d = &it->decoding;
  if (d->temperature > 0 && step->recorded) return false;
  bool lists = it->constraint ? constrained_filters(d) : lists_rows(d);
  uint32_t wanted = (lists ? HEAD_LISTS : 0) | (d->guidance_scale > 0 ? HEAD_GUIDANCE : 0);
  if (changes_logits(it) || strays(it) || d->no_eos_confidence) wanted |= HEAD_BIASES;
  if (compares(it)) wanted |= HEAD_COMPARISONS;
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
  head_row seen[LOGIT_ROWS];
  changed->bias.log_sums = it->bias.count > 0 ? changed->log_sums : NULL;
  if (!raises(it)) return DIMPLE_OK;
  changed->bias.row_first = NULL;
  head_call head = plain_head(it, positions + at, seen, &changed->bias);
  DIMPLE_TRY(pass_head(p, VIEW_SCORED, at, rows, &head));
  for (int32_t i = 0; i < rows; i++) {
    if (it->bias.count == 0) changed->log_sums[i] = seen[i].log_sum;
    DIMPLE_TRY(keeper_of(it)->see(it->notes, step, positions[at + i], &seen[i], 0));
  }
  changed->bias.log_sums = NULL; /* they are there */
  return changes_raise(changed, it, step, positions + at, rows);
}

/* What of the sums of `rows` rows from `at` on is the bias's and the notes'. */
static void note_sums(iteration *it, const changes *c, const int32_t *positions, int32_t at, int32_t rows, const head_row *results) {
  for (int32_t i = 0; i < rows && strays(it); i++) it->room.log_sums[positions[at + i]] = c->log_sums[i] - results[i].log_sum;
}

/* A head over blocks of rows, what it is told and what it keeps of them. */
typedef struct block_head {
  head_call call;
  changes changed, former_changed; /* of logits, and of those that they are compared with */
  head_classes classes;
  head_list list; /* count 0: none is wanted */
  head_comparison comparison;
  float former_sums[LOGIT_ROWS], divergences[LOGIT_ROWS];
} block_head;

static void close_block_head(block_head *h) {
  changes_close(&h->changed);
  changes_close(&h->former_changed);
  free(h->list.tokens);
  free(h->list.logits);
}

static dimple_status fill_block_head(const iteration *it, int32_t vocab, int32_t rows, block_head *h) {
  DIMPLE_TRY(changes_open(it, &it->bias, vocab, &h->changed));
  if (compares(it)) DIMPLE_TRY(changes_open(it, &it->former_bias, vocab, &h->former_changed));
  h->comparison = (head_comparison){.bias = changes_bias(&h->former_changed), .log_sums = h->former_sums, .divergences = h->divergences};
  if (compares(it)) h->call.comparison = &h->comparison;
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
  dimple_status status = fill_block_head(it, vocab, count < LOGIT_ROWS ? count : LOGIT_ROWS, h);
  if (status != DIMPLE_OK) close_block_head(h);
  return status;
}

/* One block of rows, at most LOGIT_ROWS, and what the algorithm notes of it. */
static dimple_status run_block_head(iteration *it, const sampler_step *step, pass *p, const int32_t *positions, int32_t at, int32_t rows, block_head *h) {
  DIMPLE_TRY(see_rows(it, step, p, positions, at, rows, &h->changed));
  h->call.bias = changes_bias(&h->changed);
  h->call.positions = positions + at;
  former_sums(&p->former, positions + at, rows, h->former_sums);
  DIMPLE_TRY(pass_head(p, VIEW_SCORED, at, rows, &h->call));
  note_sums(it, &h->changed, positions, at, rows, h->call.results);
  for (int32_t i = 0; i < rows && compares(it); i++) {
    it->room.former_sums[positions[at + i]] = h->call.results[i].log_sum;
    DIMPLE_TRY(keeper_of(it)->see(it->notes, step, positions[at + i], &h->call.results[i], h->divergences[i]));
  }
  return DIMPLE_OK;
}

/* Candidates of those of the rows at .. at + rows - 1 that a list leaves undecided, from whole logits; of others between them, too, the same but for what
 * a device's sums hang on how many rows share a call. Under a constraint their scores, of a head at this temperature. */
static dimple_status score_undecided(iteration *it, const sampler_step *step, pass *p, const int32_t *positions, int32_t at, int32_t rows,
                                     int32_t total, float temperature, const bool *undecided) {
  int32_t most = logit_rows(p->model->text.vocab, rows);
  head_row results[LOGIT_ROWS];
  head_call head = {.results = results, .temperature = temperature};
  whole_rows whole = {0};
  dimple_status status = DIMPLE_OK;
  for (int32_t i = 0; i < rows && status == DIMPLE_OK; i++) {
    if (!undecided[i]) continue;
    int32_t count = rows - i < most ? rows - i : most;
    while (!undecided[i + count - 1]) count--;
    head.positions = positions + at + i;
    if (!whole.logits) DIMPLE_TRY(open_whole_rows(it, most, p->model->text.vocab, false, &whole));
    status = score_rows(it, step, p, positions, at + i, count, total, &whole, &head);
    i += count - 1;
  }
  free(whole.logits);
  return status;
}

/* Summaries once more, of a head without end of text and end of turn, and what it keeps of `classes`, if not null. */
static dimple_status summarize_without_ends(const iteration *it, const sampler_step *step, pass *p, const int32_t *positions, int32_t at, int32_t rows,
                                            const changes *changed, const head_classes *classes, head_row *rest) {
  const dimple_decoding *d = &it->decoding;
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
  head_row rest[LOGIT_ROWS];
  if (!it->decoding.no_eos_confidence) return DIMPLE_OK;
  DIMPLE_TRY(summarize_without_ends(it, step, p, positions, at, rows, changed, NULL, rest));
  for (int32_t i = 0; i < rows; i++)
    if (!undecided || !undecided[i]) candidates_judge(step, &summaries[i], &rest[i], 1, &out[i]);
  return DIMPLE_OK;
}

/* One block of rows, at most LOGIT_ROWS. */
static dimple_status score_in_head(iteration *it, const sampler_step *step, pass *p, const int32_t *positions, int32_t at, int32_t rows,
                                   int32_t total, block_head *head) {
  bool undecided[LOGIT_ROWS];
  head_row *results = head->call.results = it->room.summaries + at;
  candidate *out = it->room.candidates + at;
  DIMPLE_TRY(run_block_head(it, step, p, positions, at, rows, head));
  if (!head->call.list) {
    candidates_from_summary(step, results, rows, out);
    return judge_without_ends(it, step, p, positions, at, rows, &head->changed, results, NULL, out);
  }
  DIMPLE_TRY(candidates_from_lists(step, results, &head->list, rows, p->model->text.vocab, positions + at, out, undecided));
  DIMPLE_TRY(judge_without_ends(it, step, p, positions, at, rows, &head->changed, results, undecided, out));
  return score_undecided(it, step, p, positions, at, rows, total, 0, undecided);
}

/* Candidates of what the head keeps, a block of rows at a time: there are no logits, but of rows whose lists are too short. */
static dimple_status score_without_logits(iteration *it, const sampler_step *step, pass *p, pass_rows rows, const int32_t *positions,
                                          head_call call) {
  int32_t count = pass_rows_count(&rows), vocab = p->model->text.vocab;
  const dimple_decoding *d = &it->decoding;
  int32_t length = lists_rows(d) ? candidates_list_length(d, vocab) : 0;
  block_head head;
  call.temperature = length > 0 ? candidates_list_temperature(d) : d->temperature;
  DIMPLE_TRY(pass_score(p, rows, NULL));
  DIMPLE_TRY(open_block_head(it, vocab, count, length, call, &head));
  dimple_status status = DIMPLE_OK;
  for (int32_t at = 0; at < count && status == DIMPLE_OK; at += LOGIT_ROWS)
    status = score_in_head(it, step, p, positions, at, count - at < LOGIT_ROWS ? count - at : LOGIT_ROWS, count, &head);
  close_block_head(&head);
  return status == DIMPLE_OK && length == 0 ? replace_masks(it, step, p, positions, count) : status;
}

/* Scores of one block of rows under the constraint, at most LOGIT_ROWS, from what the head keeps of its classes. */
static dimple_status score_block_of_classes(iteration *it, const sampler_step *step, pass *p, const int32_t *positions, int32_t at, int32_t rows,
                                            int32_t total, block_head *head) {
  bool undecided[LOGIT_ROWS];
  head_row *results = head->call.results, rest[LOGIT_ROWS], *judged = results;
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
  return score_undecided(it, step, p, positions, at, rows, total, constrained_head_temperature(step->decoding), undecided);
}

/* The same of all rows: there are no logits, but of those whose lists are too short. */
static dimple_status score_classes(iteration *it, const sampler_step *step, pass *p, const int32_t *positions, int32_t count, head_call call) {
  const dimple_decoding *d = &it->decoding;
  int32_t vocab = p->model->text.vocab;
  block_head head;
  call.temperature = d->temperature;
  DIMPLE_TRY(open_block_head(it, vocab, count, constrained_filters(d) ? candidates_list_length(d, vocab) : 0, call, &head));
  head.call.classes = &head.classes;
  dimple_status status = DIMPLE_OK;
  for (int32_t at = 0; at < count && status == DIMPLE_OK; at += LOGIT_ROWS)
    status = score_block_of_classes(it, step, p, positions, at, count - at < LOGIT_ROWS ? count - at : LOGIT_ROWS, count, &head);
  close_block_head(&head);
  return status;
}

/* Candidates on one path through the constraint. */
static dimple_status score_constrained(iteration *it, const sampler_step *step, pass *p, pass_rows rows, const int32_t *positions,
                                       head_call head) {
  int32_t count = pass_rows_count(&rows);
  bool whole = !head_suffices(it, step, p);
  head.temperature = constrained_head_temperature(step->decoding);
  head.positions = positions;
  DIMPLE_TRY(pass_score(p, rows, NULL));
  DIMPLE_TRY(whole ? score_logits(it, step, p, positions, count, head) : score_classes(it, step, p, positions, count, head));
  constrained_candidates(it->constraint, step, positions, count, it->room.candidates);
  return DIMPLE_OK;
}

/* Candidates where the head's summary is not enough. */
static dimple_status score_whole(iteration *it, const sampler_step *step, pass *p, pass_rows rows, const int32_t *positions,
                                 head_call head) {
  if (it->constraint) return score_constrained(it, step, p, rows, positions, head);
  if (head_suffices(it, step, p)) return score_without_logits(it, step, p, rows, positions, head);
  DIMPLE_TRY(pass_score(p, rows, NULL));
  return score_logits(it, step, p, positions, pass_rows_count(&rows), head);
}

static dimple_status make(iteration *it, const sampler_step *step, pass *p, pass_rows rows, const int32_t *positions) {
  int32_t count = pass_rows_count(&rows);
  head_call head = {.seed = it->decoding.seed, .iteration = it->number, .results = it->room.summaries};
  if (it->constraint || candidates_need_logits(step) || it->bias.count > 0) {
    DIMPLE_TRY(score_whole(it, step, p, rows, positions, head));
    if (strays(it)) own_probabilities(it, step, positions, count);
    return DIMPLE_OK;
  }
  head.temperature = it->decoding.temperature;
  head.positions = positions;
  DIMPLE_TRY(pass_score(p, rows, &head));
  candidates_from_summary(step, it->room.summaries, count, it->room.candidates);
  return replace_masks(it, step, p, positions, count);
}

/* What the next iteration is compared with: the rows as they are looked at first in this one. */
static dimple_status keep_states(iteration *it, pass *p, const int32_t *positions, int32_t count) {
  if (!compares(it) || it->former_number == it->number) return DIMPLE_OK;
  DIMPLE_TRY(bias_copy(&it->former_bias, &it->bias));
  DIMPLE_TRY(pass_keep_states(p, positions, count, it->room.former_sums, it->decoding.guidance_scale > 0));
  it->former_number = it->number;
  return DIMPLE_OK;
}

dimple_status proposals_make(iteration *it, const sampler_step *step, pass *p, pass_rows rows, const int32_t *positions) {
  DIMPLE_TRY(make(it, step, p, rows, positions));
  return keep_states(it, p, positions, pass_rows_count(&rows));
}

/* The `count` best tokens of a row of logits, in which -inf is no token, by insertion: there are few. */
static void list_row(const float *logits, int32_t vocab, int32_t count, int32_t *tokens) {
  int32_t found = 0;
  for (int32_t t = 0; t < vocab; t++) {
    if (logits[t] == -INFINITY || (found == count && logits[t] <= logits[tokens[count - 1]])) continue;
    int32_t i = found < count ? found++ : count - 1;
    for (; i > 0 && logits[tokens[i - 1]] < logits[t]; i--) tokens[i] = tokens[i - 1];
    tokens[i] = t;
  }
  for (; found < count; found++) tokens[found] = -1;
}

/* The same of a block of rows, with log-probabilities. */
static dimple_status list_rows(iteration *it, const sampler_step *step, pass *p, int32_t at, int32_t rows, const whole_rows *whole, head_call *head,
                               int32_t count, int32_t *tokens, float *log_probability) {
  int32_t vocab = p->model->text.vocab;
  DIMPLE_TRY(read_logits(it, step, p, step->positions, at, rows, whole, head));
  for (int32_t i = 0; i < rows; i++, tokens += count, log_probability += count) {
    float *z = head->logits + (int64_t)i * vocab;
    int32_t position = step->positions[at + i];
    if (!takes_mask(&it->decoding, step->iteration)) logits_forbid(z, vocab, it->tokens.mask);
    if (it->constraint) constrained_forbid(it->constraint, position, z);
    list_row(z, vocab, count, tokens);
    for (int32_t k = 0; k < count; k++)
      log_probability[k] = tokens[k] < 0 ? NAN : own_probability(it, step, z[tokens[k]] - head->results[i].log_sum, tokens[k], position);
  }
  return DIMPLE_OK;
}

dimple_status proposals_list(iteration *it, const sampler_step *step, pass *p, int32_t count, int32_t *tokens, float *log_probability) {
  int32_t total = step->masked, block = logit_rows(p->model->text.vocab, total);
  if (total == 0) return DIMPLE_OK;
  head_row results[LOGIT_ROWS];
  head_call head = {.results = results};
  whole_rows whole;
  DIMPLE_TRY(open_whole_rows(it, block, p->model->text.vocab, false, &whole));
  dimple_status status = DIMPLE_OK;
  for (int32_t at = 0; at < total && status == DIMPLE_OK; at += block)
    status = list_rows(it, step, p, at, total - at < block ? total - at : block, &whole, &head, count, tokens + (int64_t)at * count,
                       log_probability + (int64_t)at * count);
  free(whole.logits);
  return status;
}

/* Of a row of logits, and how sure the model is of what is the best now. */
static dimple_status replace_candidate(iteration *it, const sampler_step *step, pass *p, int32_t index, const int32_t *barred, int32_t count, const whole_rows *whole) {
  int32_t vocab = p->model->text.vocab, position = step->positions[index], token;
  head_row row;
  DIMPLE_TRY(read_logits(it, step, p, step->positions, index, 1, whole, &(head_call){.results = &row}));
  logits_forbid(whole->logits, vocab, it->tokens.mask);
  for (int32_t i = 0; i < count; i++) logits_forbid(whole->logits, vocab, barred[i]);
  list_row(whole->logits, vocab, 1, &token);
  if (token < 0) return DIMPLE_OK;
  row.drawn = token;
  row.drawn_logit = whole->logits[token];
  candidates_from_summary(step, &row, 1, &it->room.candidates[index]);
  candidate *found = &it->room.candidates[index];
  found->log_probability = own_probability(it, step, found->log_probability, token, position);
  return DIMPLE_OK;
}

dimple_status proposals_replace(iteration *it, const sampler_step *step, pass *p, int32_t index, const int32_t *barred, int32_t count) {
  whole_rows whole;
  DIMPLE_TRY(open_whole_rows(it, 1, p->model->text.vocab, false, &whole));
  dimple_status status = replace_candidate(it, step, p, index, barred, count, &whole);
  free(whole.logits);
  return status;
}

/* Logits [count x vocab] of rows of the latest iteration, without bias, and bare ones beside them where guidance asks for these. */
static dimple_status own_logits(const iteration *it, pass *p, int32_t first, int32_t count, float *logits, float *bare) {
  const dimple_decoding *d = &it->decoding;
  int32_t vocab = p->model->text.vocab;
  if (pipeline_of(d)->loop) return pass_canvas_logits(p, first, count, logits);
  DIMPLE_TRY(pass_head(p, VIEW_SCORED, first, count, &(head_call){.logits = logits}));
  if (bare) DIMPLE_TRY(pass_head(p, VIEW_BARE, first, count, &(head_call){.logits = bare}));
  for (int32_t i = 0; i < count; i++) {
    float *z = logits + (int64_t)i * vocab;
    if (bare) logits_guide(z, bare + (int64_t)i * vocab, vocab, d->guidance_scale);
    if (d->no_eos_logits) logits_forbid(z, vocab, it->tokens.eos);
    if (d->no_mask_logits) logits_forbid(z, vocab, it->tokens.mask);
    logits_shift(z, vocab, it->shift);
  }
  return DIMPLE_OK;
}

/* Of one revealed position. */
static void list_own(const iteration *it, float *logits, int32_t vocab, int32_t count, int32_t *tokens, float *log_probability) {
  float log_sum = logits_summary(logits, vocab, 0).log_sum;
  if (!pipeline_of(&it->decoding)->reveals_mask) logits_forbid(logits, vocab, it->tokens.mask);
  list_row(logits, vocab, count, tokens);
  for (int32_t k = 0; k < count; k++) log_probability[k] = tokens[k] < 0 ? NAN : fminf(logits[tokens[k]] - log_sum, 0);
}

/* Revealed positions from `at` on whose rows lie within LOGIT_ROWS of the first: how many, those without a row included. */
static int32_t rows_together(const iteration *it, int32_t at, int32_t *first, int32_t *rows) {
  int32_t end = at;
  *first = -1;
  *rows = 0;
  for (; end < it->listed_count; end++) {
    int32_t row = it->room.rows[end];
    if (row < 0) continue;
    if (*first < 0) *first = row;
    if (row < *first || row - *first >= LOGIT_ROWS) break;
    if (row - *first >= *rows) *rows = row - *first + 1;
  }
  return end - at;
}

static dimple_status list_revealed(iteration *it, pass *p, int32_t count, float *logits, float *bare, int32_t *tokens, float *log_probability) {
  int32_t vocab = p->model->text.vocab;
  for (int32_t at = 0, first, rows, taken; at < it->listed_count; at += taken) {
    taken = rows_together(it, at, &first, &rows);
    if (rows > 0) DIMPLE_TRY(own_logits(it, p, first, rows, logits, bare));
    for (int32_t i = at; i < at + taken; i++) {
      int32_t *ids = tokens + (int64_t)i * count;
      float *likely = log_probability + (int64_t)i * count;
      for (int32_t k = 0; k < count; k++) {
        ids[k] = -1;
        likely[k] = NAN;
      }
      if (it->room.rows[i] >= 0) list_own(it, logits + (int64_t)(it->room.rows[i] - first) * vocab, vocab, count, ids, likely);
    }
  }
  return DIMPLE_OK;
}

dimple_status proposals_list_revealed(iteration *it, pass *p, int32_t count, int32_t *tokens, float *log_probability) {
  bool guided = it->decoding.guidance_scale > 0;
  int64_t room = (int64_t)LOGIT_ROWS * p->model->text.vocab;
  float *logits;
  ALLOCATE(logits, guided ? 2 * room : room, "logits");
  dimple_status status = list_revealed(it, p, count, logits, guided ? logits + room : NULL, tokens, log_probability);
  free(logits);
  return status;
}

/* The beliefs in the tokens of watched positions, from their shadows. */
static dimple_status judge_rows(iteration *it, pass *p, const canvas *c, pass_rows rows, int32_t at, int32_t count, head_call *head) {
  int64_t vocab = p->model->text.vocab;
  DIMPLE_TRY(pass_head(p, VIEW_SHADOW, at, count, head));
  for (int32_t i = 0; i < count; i++) {
    float logit = head->logits[i * vocab + c->tokens[rows.watched[at + i]]];
    algorithm_of(&it->decoding)->reviser->judge(it->notes, at + i, expf(logit - head->results[i].log_sum));
  }
  return DIMPLE_OK;
}

dimple_status proposals_judge(iteration *it, pass *p, const canvas *c, pass_rows rows) {
  int32_t total = rows.watched_count, block = logit_rows(p->model->text.vocab, total);
  if (total == 0) return DIMPLE_OK;
  head_row results[LOGIT_ROWS];
  head_call head = {.results = results};
  ALLOCATE(head.logits, (int64_t)block * p->model->text.vocab, "logits");
  dimple_status status = DIMPLE_OK;
  for (int32_t at = 0; at < total && status == DIMPLE_OK; at += block)
    status = judge_rows(it, p, c, rows, at, total - at < block ? total - at : block, &head);
  free(head.logits);
  return status;
}
