/*
 * dInfer's credit decoding: in every iteration the best token of a masked position earns a credit, its probability ^ boost_gamma, and
 * older credits decay. Logits raised by alpha ln(1 + credit) then give token and confidence; everything that reaches the threshold goes,
 * and what comes within 1e-5 of the best (python/dinfer/decoding/parallel_strategy.py).
 *
 * The authors keep a matrix [block x vocabulary] in an object that outlives a response; what is not 0 in it are as many tokens per
 * position as were ever best there, and here they end with the response.
 */
#include <math.h>
#include <string.h>

#include "allocate.h"
#include "diffusion/algorithm.h"

typedef struct credit {
  int32_t token;
  float amount;
} credit;

typedef struct account {
  int32_t seen; /* the iteration that added to it last; -1: none */
  int32_t count, capacity;
  credit *credits; /* [capacity] by ascending tokens */
} account;

typedef struct accounts {
  int32_t length;
  account *of; /* [length] by position */
} accounts;

static void close_accounts(void *notes) {
  accounts *a = notes;
  for (int32_t i = 0; i < a->length; i++) free(a->of[i].credits);
  free(a->of);
  free(a);
}

static int64_t accounts_bytes(const void *notes) {
  const accounts *a = notes;
  int64_t bytes = (int64_t)sizeof *a + a->length * (int64_t)sizeof *a->of;
  for (int32_t i = 0; i < a->length; i++) bytes += a->of[i].capacity * (int64_t)sizeof *a->of[i].credits;
  return bytes;
}

static dimple_status open_accounts(const dimple_decoding *d, int32_t length, int32_t vocab, void **notes) {
  (void)d;
  (void)vocab;
  accounts *a = malloc(sizeof *a);
  account *of = calloc((size_t)length, sizeof *of);
  if (!a || !of) {
    free(a);
    free(of);
    return dimple_fail_memory((uint64_t)length * sizeof *of, "credits");
  }
  for (int32_t i = 0; i < length; i++) of[i].seen = -1;
  *a = (accounts){length, of};
  *notes = a;
  return DIMPLE_OK;
}

/* The first credit of a token that is not below `token`. */
static int32_t place_of(const account *a, int32_t token) {
  int32_t i = 0;
  while (i < a->count && a->credits[i].token < token) i++;
  return i;
}

static dimple_status find(account *a, int32_t token, credit **found) {
  int32_t at = place_of(a, token);
  if (at == a->count || a->credits[at].token != token) {
    if (a->count == a->capacity) {
      int32_t capacity = 2 * a->capacity + 4;
      credit *grown = realloc(a->credits, (size_t)capacity * sizeof *grown);
      if (!grown) return dimple_fail_memory((uint64_t)capacity * sizeof *grown, "credits");
      a->credits = grown;
      a->capacity = capacity;
    }
    memmove(a->credits + at + 1, a->credits + at, (size_t)(a->count++ - at) * sizeof *a->credits);
    a->credits[at] = (credit){token, 0};
  }
  *found = &a->credits[at];
  return DIMPLE_OK;
}

static dimple_status see(void *notes, const sampler_step *step, int32_t position, const head_row *row, float divergence) {
  (void)divergence;
  const dimple_decoding *d = step->decoding;
  account *a = &((accounts *)notes)->of[position];
  credit *best = NULL;
  if (a->seen == step->iteration) return DIMPLE_OK;
  DIMPLE_TRY(find(a, row->best, &best));
  for (int32_t i = 0; i < a->count; i++) a->credits[i].amount *= d->decay_beta;
  best->amount += powf(expf(row->best_logit - row->log_sum), d->boost_gamma);
  a->seen = step->iteration;
  return DIMPLE_OK;
}

static bool raise(const void *notes, const sampler_step *step, int32_t position, int32_t index, int32_t *token, float *value) {
  const account *a = &((const accounts *)notes)->of[position];
  if (index == a->count) return false;
  *token = a->credits[index].token;
  *value = step->decoding->credit_alpha * logf(1 + a->credits[index].amount);
  return true;
}

static dimple_status choose(choice *c, quota due) {
  (void)due;
  float cut = c->candidates[choice_best(c)].confidence - 1e-5f, threshold = c->step->decoding->threshold;
  if (threshold < cut) cut = threshold;
  for (int32_t i = 0; i < c->step->masked; i++)
    if (c->candidates[i].confidence >= cut) choice_add(c, i);
  return DIMPLE_OK;
}

static const note_keeper keeper = {.open = open_accounts, .close = close_accounts, .bytes = accounts_bytes, .see = see, .raise = raise};

const algorithm algorithm_credit = {
    .name = "credit",
    .confidence = &confidence_probability,
    .decides = true,
    .ends = true,
    .keeper = &keeper,
    .choose = {[DIMPLE_PIPELINE_LLADA] = choose},
    .judges_threshold = {[DIMPLE_PIPELINE_LLADA] = true}};
