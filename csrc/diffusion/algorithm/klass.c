/*
 * KLASS (arXiv 2511.05664; src/model/llada_klass.py and dream_klass.py): a position is ready when its probability is above the threshold
 * and its distribution has settled, the Kullback-Leibler divergence KL(now || one iteration before) being below kl_threshold kl_history times
 * in a row. All ready ones go, or the best of them. Without a ready one as many of the most confident as the quota wants; in pipeline dream
 * just one.
 *
 * The authors' quota may exceed the candidates, and then overwrites other tokens; here it does not. Before the first iteration stands the
 * zero vector, as in their code, which makes the first divergence about 27.
 *
 * Notes: the distribution of every position that may still be needed, 4 bytes x vocabulary x min(2 blocks, response): 32 MB for LLaDA's
 * 126464 tokens and blocks of 32, 129 MB for 256 positions without blocks.
 */
#include <math.h>

#include "allocate.h"
#include "diffusion/algorithm.h"

/* Of one position at a time. */
typedef struct history {
  int32_t position; /* whose; -1: nobody's */
  int32_t seen;     /* the iteration that looked at it last */
} history;

typedef struct distributions {
  int32_t slots; /* positions `slots` apart share one */
  int32_t window, vocab;
  history *of;         /* [slots] */
  float *before;       /* [slots x vocab] */
  float *divergences;  /* [slots x window] the latest in the place iteration % window */
} distributions;

static void close_distributions(void *notes) {
  distributions *all = notes;
  free(all->of);
  free(all->before);
  free(all->divergences);
  free(all);
}

static int64_t distributions_bytes(const void *notes) {
  const distributions *all = notes;
  int64_t of_one = (int64_t)sizeof *all->of + ((int64_t)all->vocab + all->window) * (int64_t)sizeof(float);
  return (int64_t)sizeof *all + all->slots * of_one;
}

static dimple_status allocate(distributions *all, int32_t vocab) {
  ALLOCATE(all->of, all->slots, "KLASS's histories");
  ALLOCATE(all->before, (int64_t)all->slots * vocab, "KLASS's distributions");
  ALLOCATE(all->divergences, (int64_t)all->slots * all->window, "KLASS's divergences");
  for (int32_t i = 0; i < all->slots; i++) all->of[i].position = -1;
  return DIMPLE_OK;
}

static dimple_status open_distributions(const dimple_decoding *d, int32_t length, int32_t vocab, void **notes) {
  distributions *all = calloc(1, sizeof *all);
  if (!all) return dimple_fail_memory(sizeof *all, "KLASS's notes");
  int64_t two_blocks = 2 * (int64_t)d->block_length;
  all->slots = d->block_length > 0 && two_blocks < length ? (int32_t)two_blocks : length;
  all->window = d->kl_history;
  all->vocab = vocab;
  dimple_status status = allocate(all, vocab);
  if (status == DIMPLE_OK)
    *notes = all;
  else
    close_distributions(all);
  return status;
}

/* The divergence of the row's softmax from `before` [vocab], whose place it takes. */
static float replace(float *before, const float *logits, int32_t vocab) {
  double log_sum = logits_summary(logits, vocab, 0).log_sum, sum = 0;
  for (int32_t i = 0; i < vocab; i++) {
    float now = (float)exp(logits[i] - log_sum);
    if (now > 0) sum += now * (log(now + 1e-12) - log(before[i] + 1e-12)); /* the authors' 1e-12 */
    before[i] = now;
  }
  return (float)sum;
}

static dimple_status compare(void *notes, const sampler_step *step, int32_t position, const float *logits, int32_t vocab) {
  distributions *all = notes;
  int32_t slot = position % all->slots;
  history *own = &all->of[slot];
  float *before = all->before + (int64_t)slot * vocab, *divergences = all->divergences + (int64_t)slot * all->window;
  if (own->position == position && own->seen == step->iteration) return DIMPLE_OK;
  if (own->position != position) {
    for (int32_t i = 0; i < vocab; i++) before[i] = 0;
    for (int32_t i = 0; i < all->window; i++) divergences[i] = 0;
  }
  divergences[step->iteration % all->window] = replace(before, logits, vocab);
  *own = (history){position, step->iteration};
  return DIMPLE_OK;
}

static float *divergences_of(const choice *c, int32_t index) {
  distributions *all = c->step->notes;
  return all->divergences + (int64_t)(c->step->positions[index] % all->slots) * all->window;
}

static bool has_settled(const choice *c, int32_t index) {
  const dimple_decoding *d = c->step->decoding;
  const float *divergences = divergences_of(c, index);
  for (int32_t i = 0; i < d->kl_history; i++)
    if (!(divergences[i] < d->kl_threshold)) return false;
  return true;
}

static float latest_divergence(const choice *c, int32_t index) {
  return divergences_of(c, index)[c->step->iteration % c->step->decoding->kl_history];
}

static bool is_better(const choice *c, int32_t index, int32_t than) {
  if (c->step->decoding->unmask == DIMPLE_UNMASK_MIN_KL) return latest_divergence(c, index) < latest_divergence(c, than);
  return c->candidates[index].confidence > c->candidates[than].confidence;
}

/* Leaves the best of the chosen, the first among equals. */
static void keep_best(choice *c) {
  int32_t best = c->chosen[0];
  for (int32_t i = 1; i < c->count; i++)
    if (is_better(c, c->chosen[i], best)) best = c->chosen[i];
  c->chosen[0] = best;
  c->count = 1;
}

/* What is ready. `strict`: the threshold itself is not enough. */
static void choose_ready(choice *c, bool strict) {
  const dimple_decoding *d = c->step->decoding;
  for (int32_t i = 0; i < c->step->masked; i++) {
    float confidence = c->candidates[i].confidence;
    if ((strict ? confidence > d->threshold : confidence >= d->threshold) && has_settled(c, i)) choice_add(c, i);
  }
  if (c->count > 0 && d->unmask != DIMPLE_UNMASK_ALL) keep_best(c);
}

static dimple_status choose_in_block(choice *c, quota due) {
  /* A block's first iterations have nothing ready: the divergences before them are those of another block. */
  if (c->step->block_iteration >= c->step->decoding->kl_history - 1) choose_ready(c, true);
  return c->count > 0 || due.count == 0 ? DIMPLE_OK : choice_highest(c, due.count, choice_confidence);
}

static dimple_status choose_in_dream(choice *c, quota due) {
  (void)due;
  choose_ready(c, false);
  if (c->count == 0) choice_add(c, choice_best(c));
  return DIMPLE_OK;
}

static const note_keeper keeper = {.open = open_distributions, .close = close_distributions, .bytes = distributions_bytes, .compare = compare};

const algorithm algorithm_klass = {
    .name = "klass",
    .confidence = &confidence_probability,
    .decides = true,
    .bounded = true,
    .whole = true,
    .keeper = &keeper,
    .choose = {[DIMPLE_PIPELINE_DREAM] = choose_in_dream, [DIMPLE_PIPELINE_LLADA] = choose_in_block},
    .judges_threshold = {[DIMPLE_PIPELINE_DREAM] = true, [DIMPLE_PIPELINE_LLADA] = true}};
