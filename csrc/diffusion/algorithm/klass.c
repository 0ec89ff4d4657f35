/*
 * KLASS (arXiv 2511.05664; src/model/llada_klass.py and dream_klass.py): a position is ready when its probability is above the threshold
 * and its distribution has settled, the Kullback-Leibler divergence KL(now || one iteration before) being below kl_threshold kl_history times
 * in a row. All ready ones go, or the best of them. Without a ready one as many of the most confident as the quota wants; in pipeline dream
 * just one.
 *
 * The authors' quota may exceed the candidates, and then overwrites other tokens; here it does not. Before the first iteration stands the
 * zero vector, as in their code, which makes the first divergence about 27.
 *
 * Notes: the latest divergences of each position. What is compared are distributions of the head's, which the pass has the states of.
 */
#include "allocate.h"
#include "diffusion/algorithm.h"

typedef struct settling {
  int32_t length, window;
  int32_t *seen;      /* [length] the iteration that looked at a position last; -1: none */
  float *divergences; /* [length x window] the latest in the place iteration % window */
} settling;

static void close_settling(void *notes) {
  settling *all = notes;
  free(all->seen);
  free(all->divergences);
  free(all);
}

static int64_t settling_bytes(const void *notes) {
  const settling *all = notes;
  return (int64_t)sizeof *all + all->length * (int64_t)(sizeof *all->seen + (size_t)all->window * sizeof *all->divergences);
}

static dimple_status allocate(settling *all) {
  ALLOCATE(all->seen, all->length, "KLASS's histories");
  ALLOCATE(all->divergences, (int64_t)all->length * all->window, "KLASS's divergences");
  for (int32_t i = 0; i < all->length; i++) all->seen[i] = -1;
  for (int32_t i = 0; i < all->length * all->window; i++) all->divergences[i] = 0;
  return DIMPLE_OK;
}

static dimple_status open_settling(const dimple_decoding *d, int32_t length, int32_t vocab, void **notes) {
  (void)vocab;
  settling *all = calloc(1, sizeof *all);
  if (!all) return dimple_fail_memory(sizeof *all, "KLASS's notes");
  all->length = length;
  all->window = d->kl_history;
  dimple_status status = allocate(all);
  if (status == DIMPLE_OK)
    *notes = all;
  else
    close_settling(all);
  return status;
}

static float *divergences_at(const settling *all, int32_t position) { return all->divergences + (int64_t)position * all->window; }

static dimple_status see(void *notes, const sampler_step *step, int32_t position, const head_row *row, float divergence) {
  settling *all = notes;
  (void)row;
  if (all->seen[position] == step->iteration) return DIMPLE_OK;
  divergences_at(all, position)[step->iteration % all->window] = divergence;
  all->seen[position] = step->iteration;
  return DIMPLE_OK;
}

static float *divergences_of(const choice *c, int32_t index) { return divergences_at(c->step->notes, c->step->positions[index]); }

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

static const note_keeper keeper = {.open = open_settling, .close = close_settling, .bytes = settling_bytes, .see = see, .compares = true};

const algorithm algorithm_klass = {
    .name = "klass",
    .confidence = &confidence_probability,
    .decides = true,
    .bounded = true,
    .whole = true,
    .keeper = &keeper,
    .choose = {[DIMPLE_PIPELINE_DREAM] = choose_in_dream, [DIMPLE_PIPELINE_LLADA] = choose_in_block},
    .judges_threshold = {[DIMPLE_PIPELINE_DREAM] = true, [DIMPLE_PIPELINE_LLADA] = true}};
