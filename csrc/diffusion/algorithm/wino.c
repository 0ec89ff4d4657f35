/*
 * WINO, "wide in, narrow out" (arXiv 2507.18578; LLaDA/decoding.py): reveals everything above a low threshold, at most 0.7 of what is masked
 * (5 to 20 positions), and masks again what the model does not believe in any more. The belief in a revealed token is its probability in
 * a second row of the same position, which holds the mask and sees everything but the token (a shadow, pass.h).
 *
 * Only an iteration that reveals more than one position takes back, and less than the iteration before has revealed, so that every
 * decoding ends. The tokens of a block's last iteration are not judged. What was given is never masked.
 */
#include "allocate.h"
#include "diffusion/algorithm.h"

typedef struct watch_list {
  int32_t count;
  int32_t *positions; /* [count] of the block, ascending: revealed in it by earlier iterations */
  float *beliefs;     /* [count] */
  int32_t drop_count;
  int32_t *dropped;   /* [drop_count] ascending */
  int32_t *next;      /* room for the list to come */
  int32_t revealed;   /* by the latest iteration */
  int32_t length;     /* room of each */
} watch_list;

static void close_list(void *notes) {
  watch_list *w = notes;
  free(w->positions);
  free(w->beliefs);
  free(w->dropped);
  free(w->next);
  free(w);
}

static int64_t list_bytes(const void *notes) {
  const watch_list *w = notes;
  return (int64_t)sizeof *w + w->length * (int64_t)(sizeof *w->positions + sizeof *w->beliefs + sizeof *w->dropped + sizeof *w->next);
}

static dimple_status allocate(watch_list *w) {
  ALLOCATE(w->positions, w->length, "WINO's watched positions");
  ALLOCATE(w->beliefs, w->length, "WINO's watched positions");
  ALLOCATE(w->dropped, w->length, "WINO's watched positions");
  ALLOCATE(w->next, w->length, "WINO's watched positions");
  return DIMPLE_OK;
}

static dimple_status open_list(const dimple_decoding *d, int32_t length, int32_t vocab, void **notes) {
  (void)d;
  (void)vocab;
  watch_list *w = calloc(1, sizeof *w);
  if (!w) return dimple_fail_memory(sizeof *w, "WINO's notes");
  w->length = length;
  dimple_status status = allocate(w);
  if (status == DIMPLE_OK)
    *notes = w;
  else
    close_list(w);
  return status;
}

static int32_t watch(void *notes, const sampler_step *step, const int32_t **positions) {
  watch_list *w = notes;
  if (step->block_iteration == 0) w->count = 0;
  w->drop_count = 0;
  *positions = w->positions;
  return w->count;
}

static void judge(void *notes, int32_t index, float belief) { ((watch_list *)notes)->beliefs[index] = belief; }

/* ------------------------------------------------------------------------------------------------------------- revealing */

/* The authors' bounds on what one iteration reveals; the product is float32 as theirs. */
static int32_t most_revealed(int32_t masked) {
  int32_t most = (int32_t)((float)masked * 0.7f);
  return most < 5 ? 5 : most > 20 ? 20 : most;
}

static dimple_status choose(choice *c, quota due) {
  (void)due;
  int32_t *order, most = most_revealed(c->step->masked);
  DIMPLE_TRY(choice_order(c, choice_confidence, &order));
  for (int32_t i = 0; i < c->step->masked && i < most; i++)
    if (i == 0 || c->candidates[order[i]].confidence > c->step->decoding->threshold) choice_add(c, order[i]);
  free(order);
  return DIMPLE_OK;
}

/* ---------------------------------------------------------------------------------------------------------- taking back */

/* How many are believed in less than the index-th, the lower position among equals. */
static int32_t rank_of(const watch_list *w, int32_t index) {
  int32_t rank = 0;
  for (int32_t i = 0; i < w->count; i++)
    rank += w->beliefs[i] < w->beliefs[index] || (w->beliefs[i] == w->beliefs[index] && i < index);
  return rank;
}

static int32_t drop(void *notes, const sampler_step *step, int32_t count, const int32_t **positions) {
  watch_list *w = notes;
  float least = step->decoding->threshold_back;
  w->drop_count = 0;
  *positions = w->dropped;
  if (count <= 1) return 0;
  for (int32_t i = 0; i < w->count; i++)
    if (w->beliefs[i] < least && rank_of(w, i) < w->revealed - 1) w->dropped[w->drop_count++] = w->positions[i];
  return w->drop_count;
}

/* The new list: the old one without what was dropped, and what was revealed, in order. */
static void happened(void *notes, const int32_t *revealed, int32_t count) {
  watch_list *w = notes;
  int32_t filled = 0, dropped = 0;
  for (int32_t i = 0, j = 0; i < w->count || j < count;) {
    if (i == w->count || (j < count && revealed[j] < w->positions[i])) {
      w->next[filled++] = revealed[j++];
    } else if (dropped < w->drop_count && w->dropped[dropped] == w->positions[i]) {
      i++;
      dropped++;
    } else {
      w->next[filled++] = w->positions[i++];
    }
  }
  int32_t *old = w->positions;
  w->positions = w->next;
  w->next = old;
  w->count = filled;
  w->revealed = count;
}

static const note_keeper keeper = {.open = open_list, .close = close_list, .bytes = list_bytes};
static const reviser takes_back = {.watch = watch, .judge = judge, .drop = drop, .happened = happened};

const algorithm algorithm_wino = {
    .name = "wino",
    .confidence = &confidence_probability,
    .decides = true,
    .whole = true,
    .keeper = &keeper,
    .reviser = &takes_back,
    .choose = {[DIMPLE_PIPELINE_LLADA] = choose},
    .judges_threshold = {[DIMPLE_PIPELINE_LLADA] = true}};
