/*
 * Want of memory: loading, prompting, decoding and looking inside with the first allocation refused, then the second, and so on. Each
 * call that fails says so, leaves nothing behind (the sanitizers look), and works when it is repeated.
 *
 * The linker sends the core's calls of the allocating functions here (--wrap, see CMakeLists.txt).
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "model/model.h"
#include "test/constraint_fixture.h"
#include "test/session_fixture.h"

/* ------------------------------------------------------------------------------------------------------------ refusals */

static atomic_int allowed; /* allocations until the one that is refused; negative: none will be */

/* Whether this allocation is the one. */
static bool refused(void) { return atomic_load(&allowed) >= 0 && atomic_fetch_sub(&allowed, 1) == 0; }

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_platform_allocate(size_t bytes, size_t alignment);
void __wrap_platform_free(void *memory);

void *__wrap_malloc(size_t size) { return refused() ? NULL : __real_malloc(size); }
void *__wrap_calloc(size_t count, size_t size) { return refused() ? NULL : __real_calloc(count, size); }
void *__wrap_realloc(void *memory, size_t size) { return refused() ? NULL : __real_realloc(memory, size); }

/* The C library's, which counts what is allocated. */
void *__wrap_platform_allocate(size_t bytes, size_t alignment) { return refused() ? NULL : aligned_alloc(alignment, bytes ? bytes : alignment); }
void __wrap_platform_free(void *memory) { free(memory); }

/* Calls with the first allocation refused, then with the second, and so on, until the call needs no more of them: all but the last must
 * fail and the last must succeed. */
#define EVERY_REFUSAL(call)                                                                                        \
  for (int32_t n = 0, happened = 1; happened; n++) {                                                               \
    atomic_store(&allowed, n);                                                                                     \
    dimple_status status = (call);                                                                                 \
    happened = atomic_exchange(&allowed, -1) < 0;                                                                  \
    dimple_status expected = happened ? DIMPLE_ERROR_MEMORY : DIMPLE_OK;                                           \
    EXPECT(status == expected, "%s, allocation %d: %d: %s", #call, n, (int)status, dimple_last_error());           \
    if (status != expected) break;                                                                                 \
  }

/* --------------------------------------------------------------------------------------------------------------- calls */

static void loading(const model_shape *shape) {
  char path[64];
  dimple_model *m = NULL;
  random_model_save(shape, path);
  EVERY_REFUSAL(load_model(path, NULL, &m));
  remove(path);
  dimple_model_free(m);
}

static void preprocessing(void) {
  float patches[32 * 3 * 2 * PATCH * PATCH];
  dimple_image image = picture();
  EVERY_REFUSAL(dimple_model_preprocess(vision_model, &image, patches, (int64_t)(sizeof patches / sizeof *patches), NULL));
}

static void replaying(dimple_session *s) {
  static const int32_t kinds[] = {DIMPLE_DRAW_CATEGORICAL, DIMPLE_DRAW_PERMUTATION}, lengths[] = {2, 2};
  static const double values[] = {7, 8, 1, 0};
  EVERY_REFUSAL(dimple_session_replay_draws(s, kinds, lengths, 2, values, 4));
  EXPECT_OK(dimple_session_replay_draws(s, NULL, NULL, 0, NULL, 0));
}

/* An iteration whose decision is the caller's, under a bias. */
static void deciding(dimple_session *s, const dimple_decoding *d) {
  dimple_candidates found;
  dimple_step step;
  EXPECT_OK(dimple_session_begin(s, d));
  EVERY_REFUSAL(dimple_session_set_bias(s, (const int32_t[]){3}, (const float[]){1}, 1));
  EVERY_REFUSAL(dimple_session_look(s, &found));
  EVERY_REFUSAL(dimple_session_reveal(s, found.positions, found.tokens, 1, &step));
}

/* What was refused left nothing changed: the tokens are those of a decoding that was never in want. */
static void decoding(dimple_session *s, const dimple_decoding *d) {
  outcome undisturbed = decode(s, d), o = fresh_outcome();
  dimple_step step = {0};
  EVERY_REFUSAL(dimple_session_begin(s, d));
  while (!step.done && o.iterations < d->steps) {
    int32_t before = o.iterations;
    EVERY_REFUSAL(dimple_session_step(s, &step));
    note_step(&step, &o);
    if (o.iterations == before || step.iteration != before) break;
  }
  EXPECT(same_outcome(&o, &undisturbed), "pipeline %d, algorithm %d: another result", d->pipeline, d->algorithm);
}

static void living(int32_t prefill) {
  dimple_session *s = NULL;
  int32_t tokens[CONTEXT], count = picture_prompt(tokens), masks[RESPONSE];
  dimple_image image = picture();
  for (int i = 0; i < RESPONSE; i++) masks[i] = MASK;
  EVERY_REFUSAL(dimple_session_create(vision_model, &(dimple_session_options){.threads = 2, .prefill = prefill}, &s));
  if (!s) return;
  EVERY_REFUSAL(dimple_session_set_prompt(s, tokens, count, &image, 1));
  EVERY_REFUSAL(dimple_session_set_response(s, masks, RESPONSE));
  float features[PICTURE_TOKENS * WIDTH], *z = malloc(sizeof *z * (PICTURE_PROMPT + RESPONSE) * VOCAB);
  EVERY_REFUSAL(dimple_session_get_image_features(s, features, PICTURE_TOKENS * WIDTH));
  EVERY_REFUSAL(dimple_session_set_image_features(s, features, PICTURE_TOKENS * WIDTH));
  EVERY_REFUSAL(dimple_session_get_logits(s, z, (PICTURE_PROMPT + RESPONSE) * VOCAB));
  free(z);
  float scores[2];
  EVERY_REFUSAL(dimple_session_score(s, (const int32_t[]){MASK, 3}, (const int32_t[]){3, -1}, 2, 0.5f, scores));
  uint8_t drawn[6];
  EVERY_REFUSAL(dimple_score_masks(3, 2, 0, 0, drawn));
  EVERY_REFUSAL(dimple_session_prefill(s));
  replaying(s);
  for (int32_t pipeline = 0; pipeline < 2; pipeline++) {
    dimple_decoding d = decoding_of(pipeline, DIMPLE_ALGORITHM_ORIGIN);
    d.steps = 4;
    decoding(s, &d);
    deciding(s, &d);
    d.algorithm = DIMPLE_ALGORITHM_ENTROPY;
    d.temperature = 0.7f;
    d.top_p = 0.9f;
    d.algorithm_temperature = 0.5f;
    decoding(s, &d);
  }
  dimple_session_free(s);
}

static void routing_to_experts(void) {
  dimple_model *m = random_model((model_shape){.family = FAMILY_LLADA_MOE});
  if (!m) return;
  dimple_session *s = text_session(m, 2, 1);
  EVERY_REFUSAL(dimple_session_prefill(s));
  dimple_session_free(s);
  dimple_model_free(m);
}

/* Blocks, their caches, what algorithms note, second rows and second passes. */
static void decoding_in_blocks(void) {
  static const int32_t algorithms[] = {DIMPLE_ALGORITHM_ENTROPY_BOUND, DIMPLE_ALGORITHM_KLASS, DIMPLE_ALGORITHM_CREDIT,
                                       DIMPLE_ALGORITHM_HIERARCHY, DIMPLE_ALGORITHM_WINO};
  dimple_model *m = random_model((model_shape){.family = FAMILY_LLADA});
  if (!m) return;
  dimple_session *s = text_session(m, 2, 1);
  dimple_decoding d = decoding_of(DIMPLE_PIPELINE_LLADA, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  d.block_length = 4;
  d.steps = 32; /* enough for WINO, too */
  d.guidance_scale = 0.5f;
  decoding(s, &d);
  d.guidance_scale = 0;
  d.cache = DIMPLE_CACHE_DUAL;
  d.factor = 1;
  decoding(s, &d);
  d.cache = DIMPLE_CACHE_MODEL;
  d.factor = 0;
  for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++) {
    d.algorithm = algorithms[i];
    d.threshold = algorithms[i] == DIMPLE_ALGORITHM_ENTROPY_BOUND ? 0 : 0.01f;
    decoding(s, &d);
  }
  dimple_session_free(s);
  dimple_model_free(m);
}

static void constraining(void) {
  dimple_vocabulary *v = NULL;
  dimple_constraint *c = NULL;
  random_numbers r = {.seed = 1};
  words w = random_words(&r, VOCAB);
  machine m = random_machine(&r, 8, 2);
  for (int32_t q = 0; q < m.states; q++) m.next[q * (LETTERS + 1)] = (q + 1) % m.states; /* a leads everywhere */
  m.accepting[3] = 1;
  dimple_automaton a = automaton_of(&m);
  uint8_t bytes[MAX_TOKENS * MAX_TOKEN_SIZE];
  int64_t offsets[MAX_TOKENS + 1];
  words_bytes(&w, bytes, offsets);
  EVERY_REFUSAL(dimple_vocabulary_create(bytes, offsets, w.kinds, w.count, &v));
  if (!v) return;
  EVERY_REFUSAL(dimple_constraint_create(v, &a, &c));
  if (c) {
    dimple_session *s = text_session(text_model, 2, 1);
    EVERY_REFUSAL(dimple_session_set_constraint(s, c));
    EVERY_REFUSAL(dimple_session_set_constraint_part(s, c, (int32_t[]){MASK, MASK}, 2));
    EVERY_REFUSAL(dimple_session_set_constraint(s, c));
    dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
    d.steps = 4;
    decoding(s, &d);
    d.temperature = 0.7f;
    d.top_p = 0.9f;
    decoding(s, &d);
    dimple_session_free(s);
  }
  dimple_constraint_free(c);
  dimple_vocabulary_free(v);
}

/* A prompt or response that cannot be had leaves the old one. */
static void what_was_there_stays(void) {
  dimple_session *s = text_session(text_model, 1, 1);
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  outcome expected = decode(s, &d);
  atomic_store(&allowed, 0);
  EXPECT(dimple_session_set_prompt(s, prompt_tokens, 3, NULL, 0) == DIMPLE_ERROR_MEMORY, "%s", dimple_last_error());
  atomic_store(&allowed, 0);
  EXPECT(dimple_session_set_response(s, prompt_tokens, 3) == DIMPLE_ERROR_MEMORY, "%s", dimple_last_error());
  atomic_store(&allowed, -1);
  outcome o = decode(s, &d);
  EXPECT(same_outcome(&o, &expected), "another result");
  dimple_session_free(s);
}

/* ------------------------------------------------------------------------------------------------------------- figures */

/* Bytes that are allocated; 0 where that cannot be asked: on another C library than glibc, under the sanitizers. */
static int64_t allocated(void) {
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
  struct mallinfo2 heap = mallinfo2();
  return (int64_t)(heap.uordblks + heap.hblkhd);
#else
  return 0;
#endif
}

/* What a session says it holds is what was allocated for it since `before`, but for what allocating itself takes, and keeps of what was
 * freed. */
static void expect_truth(dimple_session *s, int64_t before, const char *when) {
  dimple_timings timings;
  EXPECT_OK(dimple_session_get_timings(s, &timings));
  int64_t said = timings.kv_bytes + timings.scratch_bytes, held = allocated() - before;
  EXPECT(llabs(held - said) < 16384 + held / 50, "%s: the session says %lld bytes and holds %lld", when, (long long)said, (long long)held);
}

static void figures_are_true(model_shape shape, int32_t algorithm) {
  dimple_model *m = random_model(shape);
  if (!m) return;
  if (allocated() == 0) printf("memory_test: left out what a session says it holds: nobody tells what is allocated\n");
  if (allocated() == 0 || strcmp(m->ops->name, "deferred") == 0) { /* which keeps books of its own */
    dimple_model_free(m);
    return;
  }
  int32_t tokens[CONTEXT], masks[RESPONSE], count = shape.vision ? picture_prompt(tokens) : PROMPT;
  dimple_image image = picture();
  if (!shape.vision) memcpy(tokens, prompt_tokens, sizeof prompt_tokens);
  for (int i = 0; i < RESPONSE; i++) masks[i] = MASK;
  int64_t before = allocated();
  dimple_session *s = open_session(m, 1, 1);
  expect_truth(s, before, "before a prompt");
  EXPECT_OK(dimple_session_set_prompt(s, tokens, count, &image, shape.vision));
  EXPECT_OK(dimple_session_set_response(s, masks, RESPONSE));
  EXPECT_OK(dimple_session_prefill(s));
  expect_truth(s, before, "after the prefill");
  dimple_decoding d = decoding_of(shape.family == FAMILY_LLADA ? DIMPLE_PIPELINE_LLADA : DIMPLE_PIPELINE_DIM, algorithm);
  d.steps = 64;
  dimple_step step;
  EXPECT_OK(dimple_session_begin(s, &d));
  EXPECT_OK(dimple_session_step(s, &step));
  expect_truth(s, before, "after an iteration");
  dimple_session_free(s);
  dimple_model_free(m);
}

int main(void) {
  atomic_store(&allowed, -1);
  figures_are_true((model_shape){.vision = true}, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  figures_are_true((model_shape){.family = FAMILY_LLADA, .width = 64}, DIMPLE_ALGORITHM_KLASS);
  figures_are_true((model_shape){.family = FAMILY_LLADA}, DIMPLE_ALGORITHM_WINO);
  figures_are_true((model_shape){.family = FAMILY_LLADA}, DIMPLE_ALGORITHM_CREDIT);
  if (fixture_open()) {
    for (int family = FAMILY_DIMPLE; family < FAMILY_COUNT; family++)
      loading(&(model_shape){.family = (model_family)family, .vision = family == FAMILY_DIMPLE,
                             .layers = family == FAMILY_LLADA22 ? 2 : 1}); /* one of them with experts */
    loading(&(model_shape){.layers = 1, .type = DIMPLE_TENSOR_Q8_0});
    preprocessing();
    living(1);
    living(0);
    routing_to_experts();
    constraining();
    decoding_in_blocks();
    what_was_there_stays();
  }
  fixture_close();
  return expect_summary("memory");
}
