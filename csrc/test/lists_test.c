/* Filters that select from the head's lists, and heads that guide, forbid and judge without ends, reveal what whole rows of logits reveal, in the
 * same order and as sure of it; under a constraint, too. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "draws.h"
#include "model/model.h"
#include "test/constraint_fixture.h"
#include "test/filters_fixture.h"

/* The same model on a backend whose head does nothing beside what each does. */
typedef struct bare_backend {
  backend_operations operations;
  const backend_operations *before;
  uint32_t parts;
} bare_backend;

/* A device's table is part of the device, and no constant. */
static uint32_t *device_parts(const dimple_model *m) {
  return backend_is_device(m->ops->name) ? &((backend_operations *)(uintptr_t)m->ops)->head_parts : NULL;
}

static void lay_bare(dimple_model *m, bare_backend *b) {
  b->before = m->ops;
  b->operations = *m->ops;
  b->parts = m->ops->head_parts;
  if (device_parts(m)) {
    *device_parts(m) = 0;
    return;
  }
  b->operations.head_parts = 0;
  m->ops = &b->operations;
}

static void restore(dimple_model *m, const bare_backend *b) {
  m->ops = b->before;
  if (device_parts(m)) *device_parts(m) = b->parts;
}

/* By how much a row's logits are others where fewer rows share the call, as rows do that a list leaves undecided: devices may have other kernels then. */
static float alone_off(dimple_model *m) {
  int64_t vocab = m->text.vocab, width = m->text.width;
  const backend_operations *ops = m->ops;
  size_t bytes = (size_t)(RESPONSE * vocab) * sizeof(float);
  float *x = malloc((size_t)(RESPONSE * width) * sizeof *x), *all = malloc(bytes), *few = malloc(bytes), off = 0;
  context *c = NULL;
  buffer *memory = NULL;
  for (int64_t i = 0; i < RESPONSE * width; i++) x[i] = (float)draw_uniform(5, (uint32_t)i, 0, 0, 0) - 0.5f;
  EXPECT_OK(ops->context_open(ops, 1, &c));
  EXPECT_OK(ops->buffer_alloc(c, RESPONSE * width, &memory));
  view rows = {.memory = memory, .rows = RESPONSE, .columns = width, .stride = width};
  EXPECT_OK(ops->pass_begin(c, NULL));
  EXPECT_OK(ops->pass_end(c, ops->copy_in(c, rows, x)));
  for (; rows.rows > 0; rows.rows--) {
    EXPECT_OK(ops->pass_begin(c, NULL));
    EXPECT_OK(ops->pass_end(c, ops->head(c, &(head_call){.x = rows, .w = m->weights.output, .softcap = m->text.softcap, .logits = few})));
    if (rows.rows == RESPONSE) memcpy(all, few, bytes);
    for (int64_t i = 0; i < rows.rows * vocab; i++) off = fmaxf(off, fabsf(few[i] - all[i]));
  }
  ops->buffer_free(c, memory);
  ops->context_close(c);
  free(x);
  free(all);
  free(few);
  return off;
}

static void lists_change_nothing(dimple_model *m, uint32_t rounds) {
  bool guided = (m->ops->head_parts & HEAD_GUIDANCE) != 0;
  float off = alone_off(m);
  EXPECT(off == 0 || backend_is_device(m->ops->name), "logits are %g off where fewer rows share the call", (double)off);
  if (off > 0) printf("%s: logits are %g off where fewer rows share the call, and results are compared within 1e-4\n", m->ops->name, (double)off);
  bare_backend bare;
  for (uint32_t n = 0; n < rounds; n++) {
    filtered_round round = free_round(n, guided);
    const dimple_decoding *d = &round.decoding;
    trail listed = play_round(m, &round, NULL);
    lay_bare(m, &bare);
    trail whole = play_round(m, &round, NULL);
    restore(m, &bare);
    /* What is added to logits, and left out of sums, is rounded elsewhere: it shows in the last digits. */
    bool rounded = off > 0 || round.biased || d->no_mask_logits || d->no_eos_confidence || d->guidance_scale > 0 || d->eos_penalty != 0 ||
                   d->algorithm == DIMPLE_ALGORITHM_CREDIT || d->algorithm == DIMPLE_ALGORITHM_KLASS;
    EXPECT(nearly_same(&listed, &whole, rounded ? 1e-4f : 0), "round %u: pipeline %d, algorithm %d, top_p %g, top_k %d at %g: another result", n, d->pipeline,
           d->algorithm, (double)d->top_p, d->top_k, (double)d->temperature);
  }
}

/* The same under a constraint, with and without filters: what the head keeps of classes is what whole rows say of them. */
static void classes_change_nothing(dimple_model *m, uint32_t rounds) {
  bool guided = (m->ops->head_parts & HEAD_GUIDANCE) != 0;
  dimple_vocabulary *v = numbers_written_out((int32_t)m->text.vocab);
  dimple_constraint *c = v ? sevenths(v) : NULL;
  bare_backend bare;
  int32_t different = 0;
  for (uint32_t n = 0; c && n < rounds; n++) {
    filtered_round round = held_round(n, guided);
    const dimple_decoding *d = &round.decoding;
    trail kept = play_round(m, &round, c);
    lay_bare(m, &bare);
    trail whole = play_round(m, &round, c);
    restore(m, &bare);
    EXPECT(nearly_same(&kept, &whole, 1e-4f), "held, round %u: pipeline %d, algorithm %d, top_p %g, top_k %d at %g: another result", n, d->pipeline,
           d->algorithm, (double)d->top_p, d->top_k, (double)d->temperature);
    different += n > 0 && memcmp(kept.tokens, whole.tokens, sizeof kept.tokens) == 0 && kept.tokens[0] != kept.tokens[1];
  }
  EXPECT(different > (int32_t)rounds / 4, "%d decodings have different tokens", different);
  dimple_constraint_free(c);
  dimple_vocabulary_free(v);
}

/* lists_test [ROUNDS]: how many decodings each model is tried with, and as many under a constraint. */
int main(int argc, char **argv) {
  uint32_t rounds = argc > 1 ? (uint32_t)atoi(argv[1]) : 48;
  dimple_model *small = random_model((model_shape){0}), *large = random_model((model_shape){.vocab = 5000});
  if (small && large && (small->ops->head_parts & HEAD_LISTS) == 0) {
    printf("%s makes no lists: there is nothing to compare\n", small->ops->name);
  } else if (small && large) {
    lists_change_nothing(small, rounds);
    lists_change_nothing(large, rounds);
    classes_change_nothing(small, rounds);
    classes_change_nothing(large, rounds);
  }
  dimple_model_free(small);
  dimple_model_free(large);
  return expect_summary("lists");
}
