#include "diffusion/constrained.h"

#include <math.h>
#include <string.h>

#include "allocate.h"
#include "diffusion/pipeline.h"

struct constrained {
  lattice lattice;
  int32_t mask_token;
  int32_t *tokens;    /* [length] the canvas, its masked positions as masks */
  head_row *rows;     /* [length] what confidences at each scored position are taken from */
  float *log_sums;    /* [length] of the logits of each scored position */
  candidate *judged;  /* [length] the path's tokens, and what the pass behind it said of them */
  uint8_t *wanted;      /* [asked x classes] of the head */
  head_row *of_classes; /* [asked x classes] */
  head_row *of_rest;    /* [asked x classes] where confidences are without ends, or null */
  int32_t asked;        /* most positions at a time so far */
};

/* ------------------------------------------------------------------------------------------------------------ life cycle */

static dimple_status check_vocabulary(const dimple_vocabulary *v, int32_t mask_token, int32_t vocab) {
  if (v->count != vocab)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "the constraint's vocabulary has %d tokens, expected the model's %d", v->count, vocab);
  if (v->kinds[mask_token] != DIMPLE_TOKEN_EXCLUDED)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "the mask token %d is of kind %d in the constraint's vocabulary, expected %d (excluded)",
                       mask_token, v->kinds[mask_token], DIMPLE_TOKEN_EXCLUDED);
  return DIMPLE_OK;
}

static dimple_status fill(constrained *g, dimple_constraint *constraint, const int32_t *response, int32_t length, const lattice_part *part,
                          int32_t *initial) {
  DIMPLE_TRY(lattice_open(constraint, length, part, &g->lattice));
  ALLOCATE(g->tokens, length, "the canvas of a constraint");
  ALLOCATE(g->rows, length, "the scores of a constraint");
  ALLOCATE(g->log_sums, length, "the sums of a constraint");
  ALLOCATE(g->judged, length, "the scores of a constraint");
  DIMPLE_TRY(lattice_update(&g->lattice, response, g->mask_token));
  for (int32_t i = 0; i < length; i++) {
    int32_t forced = response[i] == g->mask_token ? lattice_forced(&g->lattice, i) : -1;
    initial[i] = forced >= 0 ? forced : response[i];
  }
  return DIMPLE_OK;
}

dimple_status constrained_create(dimple_constraint *constraint, const int32_t *response, int32_t length, const lattice_part *part,
                                 int32_t mask_token, int32_t vocab, int32_t *initial, constrained **out) {
  DIMPLE_TRY(check_vocabulary(constraint->vocabulary, mask_token, vocab));
  constrained *g = calloc(1, sizeof *g);
  if (!g) return dimple_fail_memory(sizeof *g, "a constrained response");
  g->mask_token = mask_token;
  dimple_status status = fill(g, constraint, response, length, part, initial);
  if (status != DIMPLE_OK) {
    constrained_free(g);
    return status;
  }
  *out = g;
  return DIMPLE_OK;
}

void constrained_free(constrained *g) {
  if (!g) return;
  lattice_close(&g->lattice);
  free(g->tokens);
  free(g->rows);
  free(g->judged);
  free(g->log_sums);
  free(g->wanted);
  free(g->of_classes);
  free(g->of_rest);
  free(g);
}

int64_t constrained_bytes(const constrained *g) {
  if (!g) return 0;
  int64_t of_position = (int64_t)(sizeof *g->tokens + sizeof *g->rows + sizeof *g->log_sums + sizeof *g->judged);
  int64_t of_asked = g->lattice.partition.classes * (int64_t)(sizeof *g->wanted + sizeof *g->of_classes + (g->of_rest ? sizeof *g->of_rest : 0));
  return (int64_t)sizeof *g + lattice_bytes(&g->lattice) + g->lattice.length * of_position + g->asked * of_asked;
}

void constrained_restart(constrained *g) { g->lattice.has_path = false; }

dimple_status constrained_look(constrained *g, const canvas *c) {
  memcpy(g->tokens, c->tokens, (size_t)c->length * sizeof *g->tokens);
  for (int32_t i = 0; i < c->masked_count; i++) g->tokens[c->masked[i]] = g->mask_token;
  return lattice_update(&g->lattice, g->tokens, g->mask_token);
}

dimple_status constrained_try(constrained *g, const canvas *c) {
  bool has_path = g->lattice.has_path;
  dimple_status status = constrained_look(g, c);
  if (status != DIMPLE_OK) g->lattice.has_path = has_path;
  return status;
}

bool constrained_fits(constrained *g, const canvas *c) {
  bool has_path = g->lattice.has_path;
  dimple_status status = constrained_look(g, c);
  g->lattice.has_path = has_path;
  return status == DIMPLE_OK;
}

/* ----------------------------------------------------------------------------------------------------------------- rows */

static bool judges_hot(const dimple_decoding *d) { return d->temperature > 0 && !judges_original(d); }

float constrained_head_temperature(const dimple_decoding *d) { return judges_hot(d) && !d->allowed_confidence ? d->temperature : 0; }

/* What the head says of a row, but for the tokens that cannot stand there. */
static head_row summary_of(const allowed_row *a, const head_row *all, bool hot) {
  head_row row = *all;
  float log_sum = (float)(a->best_logit / a->temperature + log(a->sum)), mean = (float)(a->moment / a->sum / a->temperature);
  row.best = a->best;
  row.best_logit = a->best_logit;
  row.second_logit = a->second_logit;
  if (hot) {
    row.hot_log_sum = log_sum;
    row.hot_mean = mean;
  } else {
    row.log_sum = log_sum;
    row.mean_logit = mean;
  }
  return row;
}

/* -------------------------------------------------------------------------------------------------------------- classes */

bool constrained_filters(const dimple_decoding *d) { return d->top_p < 1 || d->top_k > 0; }

static dimple_status make_room(constrained *g, int32_t count, bool rest) {
  if (count <= g->asked && (g->of_rest || !rest)) return DIMPLE_OK;
  int64_t room = (int64_t)count * g->lattice.partition.classes;
  free(g->wanted);
  free(g->of_classes);
  free(g->of_rest);
  g->wanted = NULL;
  g->of_classes = g->of_rest = NULL;
  g->asked = 0;
  if (rest) ALLOCATE(g->of_rest, room, "the classes of a constraint");
  ALLOCATE(g->wanted, room, "the classes of a constraint");
  ALLOCATE(g->of_classes, room, "the classes of a constraint");
  g->asked = count;
  return DIMPLE_OK;
}

static bool is_fixed(const constrained *g, int32_t position) { return g->lattice.tokens[position] >= 0; }

dimple_status constrained_ask(constrained *g, const int32_t *positions, int32_t count, head_classes *out, head_classes *rest) {
  size_t classes = (size_t)g->lattice.partition.classes;
  DIMPLE_TRY(make_room(g, count, rest != NULL));
  for (int32_t i = 0; i < count; i++) {
    uint8_t *wanted = g->wanted + (size_t)i * classes;
    if (is_fixed(g, positions[i])) memset(wanted, 0, classes);
    else memcpy(wanted, lattice_allowed(&g->lattice, positions[i]), classes);
  }
  *out = (head_classes){.partition = &g->lattice.partition, .wanted = g->wanted, .results = g->of_classes};
  if (rest) *rest = (head_classes){.partition = out->partition, .wanted = g->wanted, .results = g->of_rest};
  return DIMPLE_OK;
}

static bool unended(const dimple_decoding *d) { return d->no_eos_confidence; }

/* What can stand at a position as confidences see it: before filters, or without ends. */
static void judge_classes(constrained *g, const sampler_step *step, int32_t at, int32_t position, const kept_tokens *kept, allowed_row *row) {
  const dimple_decoding *d = step->decoding;
  path_settings s = {d->temperature, d->seed, step->iteration};
  const head_row *of_classes = (unended(d) ? g->of_rest : g->of_classes) + (int64_t)at * g->lattice.partition.classes;
  int32_t ends[2], count = 0;
  float as_listed[2];
  if (kept && judges_original(d)) kept = NULL;
  for (int32_t i = 0; kept && i < kept->count; i++) {
    if (kept->tokens[i] != step->tokens.eos && kept->tokens[i] != step->tokens.eot) continue;
    ends[count] = i;
    as_listed[count++] = kept->logits[i];
    kept->logits[i] = HEAD_FORBIDDEN;
  }
  lattice_take(&g->lattice, position, of_classes, kept, &s, row);
  for (int32_t i = 0; i < count; i++) kept->logits[ends[i]] = as_listed[i];
}

/* Takes what the head has kept of the classes in row `at` of those asked for; scores twice where confidences are taken before filters, or without ends. */
static void take_classes(constrained *g, const sampler_step *step, const head_row *summary, const head_row *judged, int32_t at, int32_t position,
                         const kept_tokens *kept) {
  const dimple_decoding *d = step->decoding;
  const head_row *of_classes = g->of_classes + (int64_t)at * g->lattice.partition.classes;
  path_settings s = {d->temperature, d->seed, step->iteration};
  bool hot = judges_hot(d), apart = d->allowed_confidence && (unended(d) || (kept && judges_original(d)));
  allowed_row row = {.temperature = hot ? d->temperature : 1};
  if (apart) judge_classes(g, step, at, position, kept, &row);
  lattice_take(&g->lattice, position, of_classes, kept, &s, apart || !d->allowed_confidence ? NULL : &row);
  g->log_sums[position] = summary->log_sum;
  g->rows[position] = d->allowed_confidence && row.best >= 0 ? summary_of(&row, judged, hot) : *judged;
}

void constrained_take(constrained *g, const sampler_step *step, const head_row *summaries, const head_row *judged, const int32_t *positions, int32_t count) {
  for (int32_t i = 0; i < count; i++) take_classes(g, step, &summaries[i], &judged[i], i, positions[i], NULL);
}

/* How many tokens can stand at a position, `but` not counted. */
static int32_t count_allowed(constrained *g, int32_t position, int32_t but) {
  const token_classes *classes = &g->lattice.constraint->classes;
  const uint8_t *allowed = lattice_allowed(&g->lattice, position);
  int32_t count = 0;
  for (int32_t k = 0; k < classes->count; k++) count += allowed[k] ? classes->first[k + 1] - classes->first[k] : 0;
  return but >= 0 && classes->of[but] >= 0 && allowed[classes->of[but]] ? count - 1 : count;
}

/* What filters leave of the tokens that can stand at a position, from a list of the highest of these; false if it does not show that. `left` has room
 * for the list, which it weighs, and of which what it keeps moves to the front. */
static bool filter_list(constrained *g, const sampler_step *step, int32_t at, int32_t position, head_list *list, distribution *left, kept_tokens *kept) {
  const dimple_decoding *d = step->decoding;
  int32_t *tokens = list->tokens + (int64_t)at * list->count, best = 0;
  float *logits = list->logits + (int64_t)at * list->count;
  path_settings s = {d->temperature, d->seed, step->iteration};
  allowed_row all = {.temperature = left->temperature};
  left->vocab = list->count;
  while (left->vocab > 0 && tokens[left->vocab - 1] < 0) left->vocab--;
  if (left->vocab == 0) return false;
  for (int32_t i = 1; i < left->vocab; i++) best = logits[i] > logits[best] ? i : best;
  distribution_weigh(left, logits, best);
  lattice_take(&g->lattice, position, g->of_classes + (int64_t)at * g->lattice.partition.classes, NULL, &s, &all);
  double log_sum = all.best_logit / all.temperature + log(all.sum);
  bool whole = left->vocab >= count_allowed(g, position, d->no_eos_logits ? step->tokens.eos : -1);
  row_part part = distribution_part(left, log_sum, whole);
  if (d->top_p < 1 && !distribution_part_top_p(left, &part, d->top_p)) return false;
  if (d->top_k > 0 && !distribution_part_top_k(left, &part, d->top_k)) return false;
  if (!part.whole) return false;
  *kept = (kept_tokens){.tokens = tokens, .logits = logits};
  for (int32_t i = 0; i < left->vocab; i++) {
    if (!(left->weights[i] > 0)) continue;
    tokens[kept->count] = tokens[i];
    logits[kept->count++] = logits[i];
  }
  return true;
}

dimple_status constrained_take_lists(constrained *g, const sampler_step *step, const head_row *summaries, const head_row *judged, head_list *list,
                                     const int32_t *positions, int32_t count, bool *undecided) {
  float temperature = step->decoding->temperature;
  distribution left;
  DIMPLE_TRY(distribution_open(list->count, temperature > 0 ? temperature : 1, &left));
  for (int32_t i = 0; i < count; i++) {
    kept_tokens kept;
    undecided[i] = !filter_list(g, step, i, positions[i], list, &left, &kept);
    if (!undecided[i]) take_classes(g, step, &summaries[i], &judged[i], i, positions[i], &kept);
  }
  distribution_close(&left);
  return DIMPLE_OK;
}

/* How sure the model is of the path's token; with `unsure` tokens, of these not at all. */
static float confidence_at(const constrained *g, const dimple_decoding *d, int32_t position, const special_tokens *unsure) {
  const confidence *measure = confidence_of(d);
  const path_token *at = &g->lattice.path[position];
  if (!g->lattice.scored[position] || (unsure && (at->token == unsure->eos || at->token == unsure->eot))) return measure->low;
  return confidence_bounded(measure, measure->of_summary(&g->rows[position], at->logit, judges_hot(d), d->temperature));
}

/* What the scores say of the path's token; of a position without scores NaN, and the lowest confidence there is. */
static candidate candidate_at(const constrained *g, const dimple_decoding *d, int32_t position, const special_tokens *unsure) {
  const path_token *at = &g->lattice.path[position];
  bool scored = g->lattice.scored[position];
  float likely = scored ? (float)fmin(at->logit - g->log_sums[position], 0) : NAN;
  return (candidate){at->token, confidence_at(g, d, position, unsure), likely, scored ? row_entropy(&g->rows[position]) : 0};
}

/* Once for each path: scores are forgotten with the next canvas, which the path may outlast. */
static void judge_path(constrained *g, const dimple_decoding *d, const special_tokens *unsure) {
  for (int32_t i = 0; i < g->lattice.length; i++) g->judged[i] = candidate_at(g, d, i, unsure);
}

/* The same for a path of one kind, drawn at a temperature above 0. */
static void take_guesses(constrained *g, const path_settings *s, float hot, bool wanted, const int32_t *positions, int32_t count, const head_row *summaries) {
  for (int32_t i = 0; i < count; i++) {
    allowed_row row = {.temperature = hot > 0 ? hot : 1};
    if (is_fixed(g, positions[i])) continue;
    lattice_take(&g->lattice, positions[i], g->of_classes + (int64_t)i * g->lattice.partition.classes, NULL, s, wanted ? &row : NULL);
    if (wanted) g->rows[positions[i]] = summary_of(&row, &summaries[i], hot > 0);
  }
}

static float entropy_at(const head_row *row, bool hot) {
  float entropy = hot ? row->hot_log_sum - row->hot_mean : row->log_sum - row->mean_logit;
  return entropy > 0 ? entropy : 0; /* it may be less by rounding */
}

void constrained_guess(constrained *g, const dimple_decoding *d, float temperature, int32_t iteration, const head_row *summaries, const int32_t *positions,
                       int32_t count, path_guess *out) {
  path_settings drawn = {temperature, d->seed, iteration}, best = {0};
  for (int32_t i = 0; i < count; i++) {
    g->rows[positions[i]] = summaries[i];
    g->log_sums[positions[i]] = summaries[i].log_sum;
  }
  take_guesses(g, &drawn, temperature, d->allowed_confidence != 0, positions, count, summaries);
  lattice_find_path(&g->lattice, &drawn);
  for (int32_t i = 0; i < count; i++) {
    const path_token *at = &g->lattice.path[positions[i]];
    float likely = is_fixed(g, positions[i]) ? 0 : fminf(at->logit - summaries[i].log_sum, 0);
    out[i] = (path_guess){.drawn = at->token, .log_probability = likely};
    if (!is_fixed(g, positions[i])) out[i].entropy = entropy_at(&g->rows[positions[i]], temperature > 0);
  }
  if (temperature > 0) take_guesses(g, &best, temperature, false, positions, count, summaries);
  if (temperature > 0) lattice_find_path(&g->lattice, &best);
  judge_path(g, d, NULL);
  for (int32_t i = 0; i < count; i++) {
    out[i].best = g->lattice.path[positions[i]].token;
    g->judged[positions[i]].confidence = fminf(-out[i].entropy, 0); /* at this pass's temperature */
  }
}

bool constrained_ends(const constrained *g, int32_t token) {
  uint8_t kind = (uint8_t)g->lattice.constraint->vocabulary->kinds[token];
  return kind == DIMPLE_TOKEN_END || kind == DIMPLE_TOKEN_FILLER;
}

/* ---------------------------------------------------------------------------------------------------------------- logits */

/* Scratch for rows that are filtered, or judged without ends. */
typedef struct row_room {
  const token_classes *classes;
  int32_t vocab;
  float *judged;     /* [vocab] */
  float *logits;     /* [vocab] those of tokens that can stand at the position, the others -inf */
  distribution left; /* what filters leave of them */
} row_room;

/* Copies what is allowed; returns the best of it. */
static int32_t mask_row(row_room *r, const float *logits, const uint8_t *allowed) {
  int32_t best = -1;
  for (int32_t t = 0; t < r->vocab; t++) {
    bool fits = r->classes->of[t] >= 0 && allowed[r->classes->of[t]];
    r->logits[t] = fits ? logits[t] : -INFINITY;
    if (fits && (best < 0 || logits[t] > logits[best])) best = t;
  }
  return best;
}

/* The weights of the tokens at a position after filters among those that can stand there. */
static const float *filter_row(constrained *g, row_room *r, const float *logits, int32_t position, const dimple_decoding *d) {
  int32_t best = mask_row(r, logits, lattice_allowed(&g->lattice, position));
  distribution_weigh(&r->left, r->logits, best);
  if (d->top_p < 1) distribution_keep_top_p(&r->left, d->top_p);
  if (d->top_k > 0) distribution_keep_top_k(&r->left, d->top_k);
  return r->left.weights;
}

/* The logits of a row from which confidences are taken: without end of text and end of turn where these are to have no share. */
static const float *judged_logits(const row_room *r, const sampler_step *step, const float *logits) {
  if (!unended(step->decoding)) return logits;
  memcpy(r->judged, logits, (size_t)r->vocab * sizeof *logits);
  logits_forbid(r->judged, r->vocab, step->tokens.eos);
  logits_forbid(r->judged, r->vocab, step->tokens.eot);
  return r->judged;
}

/* Scores twice where confidences are taken from other tokens than the path: without filters, or without ends. */
static void take_row(constrained *g, const sampler_step *step, row_room *r, const head_row *summary, const float *logits,
                     int32_t position) {
  const dimple_decoding *d = step->decoding;
  path_settings s = {d->temperature, d->seed, step->iteration};
  bool hot = judges_hot(d);
  allowed_row row = {.temperature = hot ? d->temperature : 1};
  const float *judged = judged_logits(r, step, logits), *kept = constrained_filters(d) ? filter_row(g, r, logits, position, d) : NULL;
  bool apart = d->allowed_confidence && (judged != logits || (kept && judges_original(d)));
  if (apart) lattice_score(&g->lattice, position, judged, judges_original(d) ? NULL : kept, &s, &row);
  lattice_score(&g->lattice, position, logits, kept, &s, apart || !d->allowed_confidence ? NULL : &row);
  g->log_sums[position] = summary->log_sum;
  head_row all = judged == logits ? *summary : logits_summary(judged, r->vocab, hot ? d->temperature : 0);
  g->rows[position] = d->allowed_confidence && row.best >= 0 ? summary_of(&row, &all, hot) : all;
}

static dimple_status open_room(const constrained *g, const dimple_decoding *d, row_room *r) {
  r->classes = &g->lattice.constraint->classes;
  r->vocab = g->lattice.constraint->vocabulary->count;
  if (unended(d)) ALLOCATE(r->judged, r->vocab, "logits without ends");
  if (!constrained_filters(d)) return DIMPLE_OK;
  ALLOCATE(r->logits, r->vocab, "the logits that a constraint allows");
  return distribution_open(r->vocab, d->temperature > 0 ? d->temperature : 1, &r->left);
}

dimple_status constrained_rows(constrained *g, const sampler_step *step, const head_row *summaries, const float *logits, int32_t count,
                               const int32_t *positions) {
  row_room r = {0};
  dimple_status status = open_room(g, step->decoding, &r);
  for (int32_t i = 0; status == DIMPLE_OK && i < count; i++)
    take_row(g, step, &r, &summaries[i], logits + (int64_t)i * r.vocab, positions[i]);
  free(r.judged);
  free(r.logits);
  distribution_close(&r.left);
  return status;
}

/* ----------------------------------------------------------------------------------------------------------------- path */

static void find_path(constrained *g, const path_settings *s, const dimple_decoding *d, const special_tokens *unsure) {
  lattice_find_path(&g->lattice, s);
  judge_path(g, d, unsure);
}

void constrained_candidates(constrained *g, const sampler_step *step, const int32_t *positions, int32_t count, candidate *out) {
  const dimple_decoding *d = step->decoding;
  find_path(g, &(path_settings){d->temperature, d->seed, step->iteration}, d, unended(d) ? &step->tokens : NULL);
  for (int32_t i = 0; i < count; i++) out[i] = g->judged[positions[i]];
}

void constrained_amend(constrained *g, const int32_t *positions, int32_t count, const candidate *path) {
  for (int32_t i = 0; i < count; i++) g->judged[positions[i]] = path[i];
}

void constrained_forbid(constrained *g, int32_t position, float *logits) {
  const int32_t *classes = g->lattice.constraint->classes.of;
  const uint8_t *allowed = lattice_allowed(&g->lattice, position);
  for (int32_t t = 0; t < g->lattice.constraint->vocabulary->count; t++)
    if (classes[t] < 0 || !allowed[classes[t]]) logits[t] = -INFINITY;
}

int32_t constrained_forced(constrained *g, int32_t position) { return lattice_forced(&g->lattice, position); }

dimple_status constrained_completion(constrained *g, const canvas *c, const dimple_decoding *d, candidate *out) {
  DIMPLE_TRY(constrained_look(g, c));
  if (!g->lattice.has_path) find_path(g, &(path_settings){0}, d, NULL);
  for (int32_t i = 0; i < c->masked_count; i++) out[i] = g->judged[c->masked[i]];
  return DIMPLE_OK;
}
