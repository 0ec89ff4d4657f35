/*
 * What passes cost a device of GGML's, by its own counts: one run a pass, a graph for each shape and not for each pass, and what crosses the bus.
 * On the backend that DIMPLE_TEST_BACKEND names, where its library is.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/plugin.h"
#include "model/model.h"
#include "test/constraint_fixture.h"
#include "test/session_fixture.h"

enum { VOCABULARY = 20000, ROWS = PROMPT + RESPONSE };

static plugin_counts counts_of(const dimple_model *m) { return plugin_find()->counts(m->ops); }

/* The mask is the last token but by position, so the default shape's names of tokens do not hold in a larger vocabulary. */
static dimple_session *masked_session(dimple_model *m, int32_t vocabulary) {
  int32_t response[RESPONSE];
  dimple_session *s = open_session(m, 1, 1);
  for (int32_t i = 0; i < RESPONSE; i++) response[i] = vocabulary - 1;
  EXPECT_OK(dimple_session_set_prompt(s, prompt_tokens, PROMPT, NULL, 0));
  EXPECT_OK(dimple_session_set_response(s, response, RESPONSE));
  return s;
}

/* A whole decoding under a bias of `biased` tokens; what it cost, and how many passes it had. */
static plugin_counts cost_under_bias(dimple_model *m, dimple_session *s, const dimple_decoding *d, int32_t biased, int32_t *passes) {
  static const int32_t tokens[] = {7, 4000, 19000};
  static const float values[] = {1, -INFINITY, -2};
  plugin_counts before = counts_of(m);
  dimple_step step = {.done = 0};
  dimple_status status = dimple_session_begin(s, d);
  if (status == DIMPLE_OK && biased > 0) status = dimple_session_set_bias(s, tokens, values, biased);
  for (int32_t i = 0; i < 100 && status == DIMPLE_OK && !step.done; i++) status = dimple_session_step(s, &step);
  EXPECT_OK(status);
  plugin_counts after = counts_of(m);
  *passes = step.forward_passes;
  return (plugin_counts){.computes = after.computes - before.computes, .graphs_built = after.graphs_built - before.graphs_built,
                         .graphs_kept = after.graphs_kept, .bytes_in = after.bytes_in - before.bytes_in, .bytes_out = after.bytes_out - before.bytes_out};
}

static plugin_counts cost_of(dimple_model *m, dimple_session *s, const dimple_decoding *d, int32_t *passes) {
  return cost_under_bias(m, s, d, 0, passes);
}

/* The second pass of a shape builds no graph: not in the same session, nor in another one. */
static void graphs_are_kept(void) {
  dimple_model *m = random_model((model_shape){0});
  int32_t passes;
  if (!m) return;
  int64_t before = counts_of(m).graphs_kept;
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  dimple_session *s = text_session(m, 1, 1), *other = text_session(m, 1, 1);
  dimple_decoding draws = d;
  draws.temperature = 0.5f;
  plugin_counts first = cost_of(m, s, &d, &passes);
  /* Besides: the tables of angles, and the head over the states of the prompt's pass. */
  EXPECT(passes == RESPONSE - 1 && first.computes == passes + 2, "%d runs in %d passes", (int)first.computes, passes);
  EXPECT(first.graphs_built == first.computes, "%d graphs for %d passes", (int)first.graphs_built, passes); /* fewer rows are masked in each */
  plugin_counts second = cost_of(m, other, &d, &passes), third = cost_of(m, s, &d, &passes);
  EXPECT(second.graphs_built == 0 && second.computes == passes + 2, "another session: %d graphs", (int)second.graphs_built);
  EXPECT(third.graphs_built == 0 && third.computes <= passes + 1, "once more: %d graphs", (int)third.graphs_built);
  EXPECT(cost_of(m, s, &draws, &passes).graphs_built > 0, "draws are another shape");
  if (strcmp(m->ops->name, "ggml:CPU") == 0) /* which has it right */
    EXPECT(counts_of(m).fused > 0 && counts_of(m).spelled_out == 0, "%d of %d attentions are fused", (int)counts_of(m).fused,
           (int)(counts_of(m).fused + counts_of(m).spelled_out));
  EXPECT(second.bytes_in == first.bytes_in && second.bytes_out == first.bytes_out, "other bytes go to and fro");
  EXPECT(third.graphs_kept > before, "none is kept");
  dimple_session_free(s);
  dimple_session_free(other);
  dimple_model_free(m);
  EXPECT(counts_of(text_model).graphs_kept <= before, "graphs outlive their model");
}

/* Of more shapes than are kept. */
static void they_are_bounded(void) {
  dimple_session *s = open_session(text_model, 1, 1);
  float *logits = malloc((size_t)VOCAB * CONTEXT * sizeof *logits);
  int32_t tokens[CONTEXT] = {3};
  int64_t built = counts_of(text_model).graphs_built;
  for (int32_t response = 1; response <= 10; response++)
    for (int32_t prompt = 1; prompt <= 10; prompt++) {
      EXPECT_OK(dimple_session_set_prompt(s, tokens, prompt, NULL, 0));
      set_masks(s, response + 30);
      EXPECT_OK(dimple_session_get_logits(s, logits, (int64_t)(prompt + response + 30) * VOCAB));
    }
  for (int32_t length = 1; length < CONTEXT; length++) {
    EXPECT_OK(dimple_session_set_prompt(s, tokens, 1, NULL, 0));
    set_masks(s, length);
    EXPECT_OK(dimple_session_get_logits(s, logits, (int64_t)(1 + length) * VOCAB));
  }
  plugin_counts now = counts_of(text_model);
  EXPECT(now.graphs_built - built > 70, "%d shapes", (int)(now.graphs_built - built));
  EXPECT(now.graphs_kept > 10 && now.graphs_kept <= 64, "%d are kept", (int)now.graphs_kept);
  free(logits);
  dimple_session_free(s);
}

/* --------------------------------------------------------------------------------------------------------- across the bus */

typedef enum bus {
  SUMMARIES, /* a few numbers per row */
  CHUNKS,    /* and of a draw the chunk of the vocabulary that it fell into */
  HIGHEST,   /* and the highest logits, some more than top-k keeps, */
  LISTS      /* or than top-p usually does */
} bus;

typedef struct settings {
  const char *name;
  dimple_decoding decoding;
  bus out;
} settings;

/* Of all rows that a head was asked for, at most: every row of every pass. */
static void expect_bus(const settings *test, const plugin_counts *cost, int32_t passes) {
  static const int64_t row_bytes[] = {[SUMMARIES] = 40, [CHUNKS] = 40 + 4 * HEAD_CHUNK, [HIGHEST] = 40 + 8 * 300,
                                      [LISTS] = 40 + 8 * 3500 + 4 * HEAD_CHUNK};
  int64_t most = passes * (RESPONSE + 1) * row_bytes[test->out], chunks = (VOCABULARY + HEAD_CHUNK - 1) / HEAD_CHUNK;
  printf("%s: %d passes, %d bytes in, %d out\n", test->name, passes, (int)cost->bytes_in, (int)cost->bytes_out);
  EXPECT(cost->bytes_out <= most, "%s: %lld bytes come back, expected at most %lld", test->name, (long long)cost->bytes_out, (long long)most);
  /* Token ids, row numbers of angles and keys, which are 64 bits wide, noise; the tables of angles once. */
  int64_t in = passes * ROWS * (4 + 4 + 8 + 8 + 4 + 4 * chunks) + 2 * 4 * CONTEXT * WIDTH;
  EXPECT(cost->bytes_in <= in, "%s: %lld bytes go in, expected at most %lld", test->name, (long long)cost->bytes_in, (long long)in);
}

static void token_ids_go_in_and_summaries_come_out(void) {
  dimple_model *m = random_model((model_shape){.vocab = VOCABULARY});
  if (!m) return;
  dimple_decoding maskgit = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS), entropy = decoding_of(0, DIMPLE_ALGORITHM_ENTROPY);
  dimple_decoding margin = decoding_of(0, DIMPLE_ALGORITHM_TOPK_MARGIN), klass = decoding_of(DIMPLE_PIPELINE_DREAM, DIMPLE_ALGORITHM_KLASS);
  dimple_decoding llada = decoding_of(DIMPLE_PIPELINE_LLADA, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  settings tests[] = {{"the most likely token", maskgit, SUMMARIES},
                      {"a threshold", maskgit, SUMMARIES},
                      {"entropy", entropy, SUMMARIES},
                      {"margin", margin, SUMMARIES},
                      {"a temperature", maskgit, CHUNKS},
                      {"entropy at a temperature", entropy, CHUNKS},
                      {"top-k", maskgit, HIGHEST},
                      {"top-p", maskgit, LISTS},
                      {"a bias", maskgit, SUMMARIES},
                      {"top-k under a bias", maskgit, HIGHEST},
                      {"guidance", llada, SUMMARIES},
                      {"top-k under guidance", llada, HIGHEST},
                      {"confidences without ends", llada, SUMMARIES},
                      {"klass", klass, SUMMARIES},
                      {"a bias at a temperature", maskgit, CHUNKS},
                      {"guidance at a temperature", llada, CHUNKS},
                      {"top-k, confidences without ends", llada, HIGHEST},
                      {"a penalty on ends", decoding_of(DIMPLE_PIPELINE_DREAM, DIMPLE_ALGORITHM_ENTROPY), SUMMARIES},
                      {"credit", decoding_of(DIMPLE_PIPELINE_LLADA, DIMPLE_ALGORITHM_CREDIT), SUMMARIES},
                      {"credit under a bias, top-k", decoding_of(DIMPLE_PIPELINE_LLADA, DIMPLE_ALGORITHM_CREDIT), HIGHEST},
                      {"a penalty on ends beside a bias", decoding_of(DIMPLE_PIPELINE_DREAM, DIMPLE_ALGORITHM_ENTROPY), SUMMARIES},
                      {"klass under guidance and a bias, top-k", decoding_of(DIMPLE_PIPELINE_LLADA, DIMPLE_ALGORITHM_KLASS), HIGHEST}};
  tests[1].decoding.threshold = 0.9f;
  for (int32_t i = 4; i < 8; i++) tests[i].decoding.temperature = 0.7f;
  tests[9].decoding.temperature = 0.7f;
  tests[6].decoding.top_k = tests[9].decoding.top_k = 5;
  tests[7].decoding.top_p = 0.02f; /* the model's logits are about equal: some hundreds of tokens */
  tests[10].decoding.guidance_scale = tests[11].decoding.guidance_scale = 1.5f;
  tests[11].decoding.temperature = 0.7f;
  tests[11].decoding.top_k = 5;
  tests[12].decoding.no_eos_confidence = 1;
  tests[14].decoding.temperature = tests[15].decoding.temperature = 0.7f;
  tests[15].decoding.guidance_scale = 1.5f;
  tests[16].decoding = tests[11].decoding;
  tests[16].decoding.guidance_scale = 0;
  tests[16].decoding.no_eos_confidence = 1;
  tests[17].decoding.eos_penalty = tests[20].decoding.eos_penalty = 3;
  tests[18].decoding.threshold = tests[19].decoding.threshold = 0.9f;
  tests[19].decoding.temperature = tests[21].decoding.temperature = 0.7f;
  tests[19].decoding.top_k = tests[21].decoding.top_k = 5;
  tests[21].decoding.guidance_scale = 1.5f;
  for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
    dimple_session *s = masked_session(m, VOCABULARY);
    int32_t passes;
    plugin_counts cost = cost_under_bias(m, s, &tests[i].decoding, strstr(tests[i].name, "a bias") ? 3 : 0, &passes);
    int32_t runs = tests[i].out >= HIGHEST || i >= 8 ? 2 + (i == 12 || i == 13 || i == 16 || i == 18 || i == 19 || i == 21) : 1; /* of a pass, heads, and copies of states */
    EXPECT(cost.computes <= runs * passes + 2, "%s: %d runs in %d passes", tests[i].name, (int)cost.computes, passes);
    expect_bus(&tests[i], &cost, passes);
    dimple_session_free(s);
  }
  dimple_model_free(m);
}

/* A decoding under a constraint: what a row may bring back, a bias included. */
typedef struct held_settings {
  const char *name;
  dimple_decoding decoding;
  int32_t biased;
  int64_t row;
} held_settings;

/* Of a constraint's classes come back a few numbers each, and of filters among them lists; which tokens they have goes in once. */
static void classes_stay_there(void) {
  enum { SEGMENTS = 20 * 37, BEST = 40 + 20 * (37 + VOCABULARY / HEAD_CHUNK + 1), DRAWS = 40 + 36 * SEGMENTS + 4 * HEAD_CHUNK, HIGHEST_ROW = 8 * 300, LIST_ROW = 8 * 3500 };
  dimple_model *m = random_model((model_shape){.vocab = VOCABULARY});
  dimple_vocabulary *v = numbers_written_out(VOCABULARY);
  dimple_constraint *constraint = v ? sevenths(v) : NULL;
  dimple_decoding best = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS), drawn = best, guided = decoding_of(DIMPLE_PIPELINE_LLADA, DIMPLE_ALGORITHM_MASKGIT_PLUS), unended = guided;
  drawn.temperature = 0.7f;
  guided.guidance_scale = 1.5f;
  guided.no_eos_logits = 1;
  unended.no_eos_confidence = 1;
  held_settings tests[] = {{"the best path", best, 0, BEST},         {"draws", drawn, 0, DRAWS},
                           {"the best path, a bias", best, 3, BEST}, {"draws, a bias", drawn, 3, DRAWS},
                           {"the best path, guidance and no ends", guided, 0, BEST},
                           {"the best path, top-p", best, 0, BEST + LIST_ROW},
                           {"draws, top-k", drawn, 0, DRAWS + HIGHEST_ROW},
                           {"draws, top-p and a bias", drawn, 3, DRAWS + LIST_ROW},
                           {"the best path, confidences without ends", unended, 0, 2 * BEST},
                           {"the best path, confidences without ends among all", unended, 0, BEST + 40}};
  tests[5].decoding.top_p = tests[7].decoding.top_p = 0.02f; /* the model's logits are about equal: some hundreds of tokens */
  tests[6].decoding.top_k = 5;
  tests[9].decoding.allowed_confidence = 0;
  for (size_t i = 0; i < sizeof tests / sizeof *tests && m && constraint; i++) {
    const held_settings *test = &tests[i];
    dimple_session *s = masked_session(m, VOCABULARY);
    int32_t passes, draws = test->decoding.temperature > 0 ? SEGMENTS + VOCABULARY / HEAD_CHUNK + 1 : 0;
    EXPECT_OK(dimple_session_set_constraint(s, constraint));
    plugin_counts cost = cost_under_bias(m, s, &test->decoding, test->biased, &passes);
    printf("%s, under a constraint: %d passes, %d bytes in, %d out\n", test->name, passes, (int)cost.bytes_in, (int)cost.bytes_out);
    EXPECT(test->row < 4 * VOCABULARY && cost.bytes_out <= passes * (RESPONSE + 1) * test->row, "%s: %lld bytes come back, expected at most %lld", test->name,
           (long long)cost.bytes_out, (long long)(passes * (RESPONSE + 1) * test->row));
    EXPECT(cost.bytes_out > passes * 37 * 4, "%lld bytes come back", (long long)cost.bytes_out);
    /* Of a list also the class of each token, once, and which classes are wanted. */
    int64_t laid_out = 4 * 4 * VOCABULARY + 6 * 256 + 4 * VOCABULARY, in = laid_out + passes * ROWS * (4 + 4 + 8 + 8 + 4 + 4 * draws + 4 * 38) + 2 * 4 * CONTEXT * WIDTH;
    EXPECT(cost.bytes_in <= in, "%s: %lld bytes go in, expected at most %lld", test->name, (long long)cost.bytes_in, (long long)in);
    EXPECT(cost.computes <= (2 + test->decoding.no_eos_confidence) * passes + 2, "%s: %d runs in %d passes", test->name, (int)cost.computes, passes);
    plugin_counts again = cost_under_bias(m, s, &test->decoding, test->biased, &passes);
    EXPECT(again.graphs_built == 0, "%s, once more: %d graphs", test->name, (int)again.graphs_built);
    dimple_session_free(s);
  }
  dimple_constraint_free(constraint);
  dimple_vocabulary_free(v);
  dimple_model_free(m);
}

/* What is asked for beside: candidates of a row, and classes of a constraint that has about as many as the vocabulary has tokens. */
static void what_asks_for_logits(void) {
  dimple_session *s = text_session(text_model, 1, 1);
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  int32_t passes, tokens[RESPONSE * 3];
  float log_probability[RESPONSE * 3];
  plugin_counts before = counts_of(text_model);
  cost_of(text_model, s, &d, &passes);
  EXPECT_OK(dimple_session_begin(s, &d));
  dimple_step step;
  EXPECT_OK(dimple_session_step(s, &step));
  plugin_counts asked = counts_of(text_model);
  EXPECT_OK(dimple_session_alternatives(s, 3, tokens, log_probability));
  plugin_counts after = counts_of(text_model);
  EXPECT(after.bytes_out - asked.bytes_out >= VOCAB * 4, "alternatives: %d bytes", (int)(after.bytes_out - asked.bytes_out));
  EXPECT(asked.bytes_out - before.bytes_out < 2 * passes * (RESPONSE + 1) * 40, "%d bytes", (int)(asked.bytes_out - before.bytes_out));
  random_numbers r = {.seed = 4};
  words w = random_words(&r, VOCAB);
  dimple_vocabulary *vocabulary = vocabulary_of(&w);
  dimple_constraint *constraint = NULL;
  for (int32_t i = 0; i < 50 && !constraint; i++) {
    machine automaton = random_machine(&r, 6, 0);
    dimple_automaton given = automaton_of(&automaton);
    if (dimple_constraint_create(vocabulary, &given, &constraint) != DIMPLE_OK || dimple_session_set_constraint(s, constraint) != DIMPLE_OK) {
      dimple_constraint_free(constraint);
      constraint = NULL;
    }
  }
  EXPECT(constraint, "no constraint fits");
  if (constraint) {
    plugin_counts cost = cost_of(text_model, s, &d, &passes);
    EXPECT(cost.bytes_out > RESPONSE * VOCAB * 4 && cost.bytes_out < passes * (RESPONSE + 1) * (VOCAB * 8 + 40), "classes: %d bytes in %d passes", (int)cost.bytes_out, passes);
  }
  dimple_constraint_free(constraint);
  dimple_vocabulary_free(vocabulary);
  dimple_session_free(s);
}

int main(void) {
  if (!plugin_find()->counts || !backend_under_test() || !backend_is_device(backend_under_test())) {
    printf("graphs_test: there is no device that counts, nothing was tested\n");
    return 0;
  }
  if (fixture_open()) {
    graphs_are_kept();
    they_are_bounded();
    token_ids_go_in_and_summaries_come_out();
    classes_stay_there();
    what_asks_for_logits();
  }
  fixture_close();
  return expect_summary("graphs_test");
}
