/* Whole decodings under constraints: after every iteration of every algorithm some response still fits, and the finished one does. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diffusion/constrained.h"
#include "diffusion/pipeline.h"
#include "draws.h"
#include "test/rule_fixture.h"
#include "test/session_fixture.h"

/* Decodes, completes, and checks every canvas on the way. */
static outcome decode_rule(dimple_session *s, const rule *r, const dimple_decoding *d) {
  outcome o = fresh_outcome();
  dimple_step step = {0};
  EXPECT_OK(dimple_session_begin(s, d));
  while (!step.done) {
    dimple_status status = dimple_session_step(s, &step);
    EXPECT(status == DIMPLE_OK, "%s", dimple_last_error());
    if (status != DIMPLE_OK) return o;
    note_step(&step, &o);
    EXPECT(can_fit(r, step.canvas, step.canvas_length), "pipeline %d, algorithm %d, threshold %g, temperature %g: nothing fits after %d",
           d->pipeline, d->algorithm, (double)d->threshold, (double)d->temperature, step.iteration);
    EXPECT(step.forced_count >= 0 && step.forced_count <= step.revealed_count, "%d forced", step.forced_count);
  }
  int32_t passes = step.forward_passes, left = step.remaining;
  EXPECT_OK(dimple_session_complete(s, &step));
  EXPECT(step.remaining == 0 && step.done && step.revealed_count == left && step.forward_passes == passes, "%d left", step.remaining);
  EXPECT(can_fit(r, step.canvas, step.canvas_length), "the completed response does not fit");
  for (int32_t i = 0; i < step.canvas_length; i++) o.tokens[i] = step.canvas[i];
  return o;
}

/* How many decodings there were. */
typedef struct tally {
  int32_t completed, in_blocks, tried[ALGORITHM_COUNT];
} tally;

static void decode_all(dimple_model *m, uint64_t seeds, tally *t) {
  dimple_session *s = text_session(m, 1, 1);
  for (uint64_t seed = 0; seed < seeds; seed++) {
    rule r = open_rule(seed, 0, 6);
    EXPECT_OK(dimple_session_set_constraint(s, r.constraint));
    for (int32_t pipeline = 0; pipeline < PIPELINE_COUNT; pipeline++)
      for (int32_t algorithm = 0; algorithm < ALGORITHM_COUNT; algorithm++)
        for (int32_t variant = 0; variant < 24; variant++) {
          dimple_decoding d = varied_decoding(pipeline, algorithm, variant, seed);
          if (dimple_session_begin(s, &d) != DIMPLE_OK) continue; /* not every pipeline and model offers everything */
          outcome o = decode_rule(s, &r, &d);
          t->completed += o.remaining > 0;
          t->in_blocks += d.block_length > 0;
          t->tried[algorithm]++;
        }
    dimple_constraint_free(r.constraint); /* the session holds it */
  }
  dimple_session_free(s);
}

/* rules: how many each model is tried with. */
static void every_decoding_fits(uint64_t rules) {
  dimple_model *unshifted = random_model((model_shape){.family = FAMILY_LLADA});
  tally t = {0};
  decode_all(text_model, rules, &t);
  if (unshifted) decode_all(unshifted, (rules + 1) / 2, &t);
  for (int32_t i = 0; i < ALGORITHM_COUNT; i++) EXPECT(t.tried[i] > 5 * (int32_t)rules, "algorithm %d was tried %d times", i, t.tried[i]);
  EXPECT(t.completed > 5 * (int32_t)rules && t.in_blocks > 25 * (int32_t)rules, "%d were left with masks to complete, %d were in blocks", t.completed, t.in_blocks);
  dimple_model_free(unshifted);
}

/* LLaDA's switch: no end has a share in confidences, and ends come last. */
static void ends_come_last_if_they_are_not_to_count(void) {
  dimple_session *s = text_session(text_model, 1, 1);
  rule r = open_rule(3, 2, 6);
  EXPECT_OK(dimple_session_set_constraint(s, r.constraint));
  int32_t ends = 0;
  for (int32_t variant = 0; variant < 8; variant++) {
    dimple_decoding d = decoding_of(DIMPLE_PIPELINE_LLADA, DIMPLE_ALGORITHM_MASKGIT_PLUS);
    d.no_eos_confidence = 1;
    d.allowed_confidence = variant % 2;
    d.top_k = variant / 2 % 2 ? 5 : 0;
    d.temperature = variant / 4 ? 1 : 0;
    outcome o = decode_rule(s, &r, &d);
    int32_t last = -1, first_end = INT32_MAX;
    for (int32_t i = 0; i < RESPONSE; i++) {
      if (o.tokens[i] != EOS && o.when[i] > last) last = o.when[i];
      if (o.tokens[i] == EOS && o.when[i] < first_end) first_end = o.when[i];
      EXPECT(o.tokens[i] != EOS || o.confidence[i] == 0, "an end of confidence %g", (double)o.confidence[i]);
    }
    ends += first_end < INT32_MAX;
    EXPECT(first_end > last, "variant %d: an end in iteration %d, text in %d", variant, first_end, last);
  }
  EXPECT(ends > 0, "no answer has an end");
  dimple_constraint_free(r.constraint);
  dimple_session_free(s);
}

/* A bias of nothing changes nothing, in confidences at the temperature neither. */
static void a_bias_of_nothing_changes_nothing(void) {
  static const int32_t token = 5;
  static const float value = 0;
  rule r = open_rule(3, 2, 6);
  dimple_session *s = text_session(text_model, 1, 1);
  EXPECT_OK(dimple_session_set_constraint(s, r.constraint));
  for (int32_t variant = 0; variant < 6; variant++) {
    dimple_decoding d = decoding_of(DIMPLE_PIPELINE_LLADA, DIMPLE_ALGORITHM_MASKGIT_PLUS + variant % 3);
    float confidence[2][RESPONSE] = {{0}};
    int32_t tokens[2][RESPONSE];
    d.temperature = 0.6f;
    d.original_confidence = 0;
    d.allowed_confidence = variant / 3;
    d.top_k = VOCAB; /* which keeps all: so that both runs draw from whole rows */
    for (int32_t biased = 0; biased < 2; biased++) {
      dimple_step step = {0};
      EXPECT_OK(dimple_session_begin(s, &d));
      if (biased) EXPECT_OK(dimple_session_set_bias(s, &token, &value, 1));
      while (!step.done) {
        if (dimple_session_step(s, &step) != DIMPLE_OK) break;
        for (int32_t i = 0; i < step.revealed_count; i++) confidence[biased][step.revealed[i]] = step.confidence[i];
      }
      EXPECT(step.done, "%s", dimple_last_error());
      memcpy(tokens[biased], step.canvas, sizeof tokens[biased]);
    }
    EXPECT(memcmp(tokens[0], tokens[1], sizeof *tokens) == 0, "variant %d: other tokens", variant);
    for (int32_t i = 0; i < RESPONSE; i++)
      EXPECT(fabsf(confidence[0][i] - confidence[1][i]) < 1e-4f, "variant %d: %g and %g", variant, (double)confidence[0][i],
             (double)confidence[1][i]);
  }
  dimple_constraint_free(r.constraint);
  dimple_session_free(s);
}

/* Fixed tokens anywhere, also those that no pass has seen yet. */
static void fixed_tokens_take_part(void) {
  dimple_session *s = text_session(text_model, 1, 1);
  int32_t tried = 0, refused = 0;
  for (uint64_t seed = 100; tried < 12 || refused < 12; seed++) {
    rule r = open_rule(seed, 0, 8);
    random_numbers numbers = {.seed = seed};
    int32_t response[RESPONSE];
    for (int32_t i = 0; i < RESPONSE; i++) response[i] = random_below(&numbers, 8) ? MASK : random_below(&numbers, MASK);
    EXPECT_OK(dimple_session_set_response(s, response, RESPONSE));
    dimple_status status = dimple_session_set_constraint(s, r.constraint);
    bool can = can_fit(&r, response, RESPONSE);
    EXPECT(status == (can ? DIMPLE_OK : DIMPLE_ERROR_ARGUMENT), "%d: %s", (int)status, dimple_last_error());
    if (status == DIMPLE_OK) {
      dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
      outcome o = decode_rule(s, &r, &d);
      for (int32_t i = 0; i < RESPONSE; i++) EXPECT(response[i] == MASK || o.tokens[i] == response[i], "token %d changed", i);
    }
    tried += can;
    refused += !can;
    dimple_constraint_free(r.constraint);
  }
  dimple_session_free(s);
}

/* Threads, and whether the prompt is kept, change nothing; a seed does. */
static void results_are_reproducible(void) {
  rule r = open_rule(7, 1, 4);
  outcome o[4];
  for (int32_t i = 0; i < 4; i++) {
    dimple_session *s = text_session(text_model, i == 1 ? 3 : 1, 1);
    dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
    d.temperature = 1;
    d.seed = i == 3 ? 6 : 5;
    EXPECT_OK(dimple_session_set_constraint(s, r.constraint));
    o[i] = decode_rule(s, &r, &d);
    dimple_session_free(s);
  }
  EXPECT(same_outcome(&o[0], &o[1]) && same_outcome(&o[0], &o[2]), "another result");
  EXPECT(memcmp(o[0].tokens, o[3].tokens, sizeof o[0].tokens) != 0, "the seed changes nothing");
  dimple_constraint_free(r.constraint);
}

/* a and b in turn, a letter a token, as many as the response has; then letters 5 and 6 may be "ab" too. */
static rule open_chain(bool either) {
  random_numbers numbers = {.seed = 3};
  rule r = {.words = random_words(&numbers, VOCAB)};
  r.machine = random_machine(&numbers, 1, 0);
  machine *m = &r.machine;
  enum { ROW = LETTERS + 1, DETOUR = RESPONSE + 1 };
  for (int32_t t = 0; t < VOCAB - 4; t++) strcpy(r.words.text[t], t == 0 ? "a" : t == 1 ? "b" : "e"); /* "e" can stand nowhere */
  m->states = DETOUR + 1;
  for (int32_t i = 0; i < m->states * ROW; i++) m->next[i] = -1;
  for (int32_t q = 0; q < m->states; q++) m->accepting[q] = q == RESPONSE;
  for (int32_t q = 0; q < m->states; q++) m->state_slot[q] = -1;
  for (int32_t q = 0; q < RESPONSE; q++) m->next[q * ROW + q % 2] = q + 1;
  m->next[5 * ROW] = either ? 6 : DETOUR; /* the sixth letter is "b", or it is "a": then what follows is "b", or as it was */
  m->next[DETOUR * ROW + 1] = 7;
  dimple_vocabulary *v = vocabulary_of(&r.words);
  dimple_automaton a = automaton_of(m);
  EXPECT_OK(dimple_constraint_create(v, &a, &r.constraint));
  dimple_vocabulary_free(v);
  return r;
}

static void what_is_certain_needs_no_pass(void) {
  dimple_session *s = text_session(text_model, 1, 1);
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_ENTROPY);
  dimple_step step = {0};
  rule either = open_chain(true), both = open_chain(false);
  EXPECT_OK(dimple_session_set_constraint(s, either.constraint));
  EXPECT_OK(dimple_session_begin(s, &d));
  EXPECT_OK(dimple_session_step(s, &step));
  EXPECT(step.done && step.revealed_count == 1 && step.revealed[0] == 5 && step.forced_count == 0, "%d revealed", step.revealed_count);
  for (int32_t i = 0; i < RESPONSE; i++) EXPECT(i == 5 || step.canvas[i] == i % 2, "position %d is %d", i, step.canvas[i]);

  EXPECT_OK(dimple_session_set_constraint(s, both.constraint)); /* one position decides for the other */
  EXPECT_OK(dimple_session_begin(s, &d));
  EXPECT_OK(dimple_session_step(s, &step));
  EXPECT(step.done && step.revealed_count == 2 && step.forced_count == 1, "%d revealed, %d forced", step.revealed_count, step.forced_count);
  EXPECT(step.revealed[0] == 5 && step.revealed[1] == 6, "positions %d and %d", step.revealed[0], step.revealed[1]);
  EXPECT(step.canvas[5] + step.canvas[6] == 1, "tokens %d and %d", step.canvas[5], step.canvas[6]);
  EXPECT(step.forward_passes == 1 && (step.confidence[0] == 0 || step.confidence[1] == 0), "%d passes", step.forward_passes);

  EXPECT_OK(dimple_session_set_constraint(s, NULL)); /* all masks are back */
  EXPECT_OK(dimple_session_begin(s, &d));
  EXPECT_OK(dimple_session_step(s, &step));
  EXPECT(step.remaining == RESPONSE - 1, "%d masked", step.remaining);
  dimple_session_free(s);
  dimple_constraint_free(either.constraint);
  dimple_constraint_free(both.constraint);
}

/* At any time, also before the first iteration, a response can be completed. */
static void a_session_can_always_be_finished(void) {
  rule r = open_rule(11, 2, 6);
  dimple_session *s = text_session(text_model, 1, 1);
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  dimple_step step;
  EXPECT_FAILS(dimple_session_complete(s, &step), DIMPLE_ERROR_STATE, "dimple_session_begin");
  EXPECT_OK(dimple_session_begin(s, &d));
  EXPECT_FAILS(dimple_session_complete(s, &step), DIMPLE_ERROR_STATE, "no constraint");
  EXPECT_OK(dimple_session_set_constraint(s, r.constraint));
  EXPECT_FAILS(dimple_session_complete(s, &step), DIMPLE_ERROR_STATE, "dimple_session_begin");
  for (int32_t iterations = 0; iterations < 4; iterations++) {
    EXPECT_OK(dimple_session_begin(s, &d));
    EXPECT_NULL_REFUSED(dimple_session_complete(s, NULL));
    for (int32_t i = 0; i < iterations; i++) EXPECT_OK(dimple_session_step(s, &step));
    EXPECT_OK(dimple_session_complete(s, &step));
    EXPECT(step.remaining == 0 && step.done && step.iteration == iterations - 1, "iteration %d", step.iteration);
    EXPECT(can_fit(&r, step.canvas, RESPONSE), "it does not fit");
    int32_t text = 0;
    while (text < RESPONSE && r.words.kinds[step.canvas[text]] == DIMPLE_TOKEN_TEXT) text++;
    if (iterations == 0) EXPECT(text == shortest_that_fits(&r.machine, &r.words, RESPONSE), "%d tokens of text", text);
    EXPECT_FAILS(dimple_session_step(s, &step), DIMPLE_ERROR_STATE, "done");
  }
  dimple_session_free(s);
  dimple_constraint_free(r.constraint);
}

/* What a pass offered. */
typedef struct offer {
  int32_t count, positions[RESPONSE], tokens[RESPONSE];
  float confidence[RESPONSE], log_probability[RESPONSE];
} offer;

static dimple_status take_offer(dimple_session *s, offer *o) {
  dimple_candidates found = {0};
  dimple_status status = dimple_session_look(s, &found);
  *o = (offer){.count = found.count};
  for (int32_t i = 0; i < found.count; i++) {
    o->positions[i] = found.positions[i];
    o->tokens[i] = found.tokens[i];
    o->confidence[i] = found.confidence[i];
    o->log_probability[i] = found.log_probability[i];
  }
  return status;
}

static void expect_as_offered(const dimple_decoding *d, const dimple_step *step, const offer *o) {
  float low = confidence_of(d)->low;
  int32_t met = 0;
  for (int32_t i = 0; i < step->revealed_count; i++) {
    int32_t position = step->revealed[i], k = 0;
    while (k < o->count && o->positions[k] != position) k++;
    bool scored = k < o->count;
    met += scored;
    EXPECT(!scored || step->canvas[position] == o->tokens[k], "pipeline %d, algorithm %d, position %d: token %d, offered %d", d->pipeline, d->algorithm,
           position, step->canvas[position], o->tokens[k]);
    EXPECT(step->confidence[i] == (scored ? o->confidence[k] : low), "pipeline %d, algorithm %d, position %d: confidence %g, offered %g", d->pipeline,
           d->algorithm, position, (double)step->confidence[i], (double)(scored ? o->confidence[k] : low));
    EXPECT(scored ? step->log_probability[i] == o->log_probability[k] : isnan(step->log_probability[i]) != 0,
           "pipeline %d, algorithm %d, position %d: log-probability %g, offered %g", d->pipeline, d->algorithm, position, (double)step->log_probability[i],
           scored ? (double)o->log_probability[k] : NAN);
  }
  EXPECT(met == o->count, "of %d positions offered %d are completed", o->count, met);
}

static const int32_t some_tokens[] = {2, 7, 11, 30};
static const float some_values[] = {3, -2, -INFINITY, 1}, other_values[] = {-4, 50, 2, -INFINITY};

/* Completions of what a pass has scored say of each token what that pass said, whatever bias came between, and a pass that was cancelled;
 * `logits`: of the first pass, where it is one over the whole, whose rows of shifted models score the position behind them. Returns how many positions were judged. */
static int32_t complete_an_offer(dimple_session *s, const dimple_decoding *d, int32_t variant, const float *logits, bool shifted) {
  offer o;
  dimple_step step = {0};
  EXPECT_OK(dimple_session_begin(s, d));
  if (variant % 3) EXPECT_OK(dimple_session_set_bias(s, some_tokens, some_values, 4));
  if (take_offer(s, &o) != DIMPLE_OK) return 0; /* not every pipeline lets a caller decide */
  for (int32_t i = 0; i < o.count && logits; i++) {
    double expected = log_probability_in(logits, PROMPT + o.positions[i] - shifted, o.tokens[i]);
    EXPECT(fabs(o.log_probability[i] - fmin(expected, 0)) < 1e-3, "pipeline %d, algorithm %d, variant %d, position %d: log-probability %g, expected %g", d->pipeline, d->algorithm, variant, o.positions[i],
           (double)o.log_probability[i], expected);
  }
  if (variant % 4 == 1) EXPECT_OK(dimple_session_set_bias(s, some_tokens, other_values, 4));
  if (variant % 4 == 2) EXPECT_OK(dimple_session_set_bias(s, NULL, NULL, 0));
  if (variant % 5 == 1) dimple_session_cancel(s);
  if (variant % 5 == 1) EXPECT_FAILS(dimple_session_step(s, &step), DIMPLE_ERROR_CANCELLED, "cancelled");
  EXPECT_OK(dimple_session_complete(s, &step));
  expect_as_offered(d, &step, &o);
  return o.count;
}

/* Whether an iteration that leaves masks in a block has scored all of the block: Dream's blocks and Fast-dLLM v2's sub-blocks score a part, some
 * algorithms choose positions beforehand, at times none, WINO masks again
 * what it had not scored, token editing may leave tokens that the path has not, and LaViDa's first iteration on Dream is for one position. */
static bool scores_whole_blocks(const dimple_decoding *d) {
  return d->pipeline != DIMPLE_PIPELINE_DREAM && d->pipeline != DIMPLE_PIPELINE_FAST_DLLM_V2 && d->pipeline != DIMPLE_PIPELINE_LAVIDA_DREAM && d->algorithm != DIMPLE_ALGORITHM_ORIGIN &&
         d->algorithm != DIMPLE_ALGORITHM_ORIGIN_RATIO && d->algorithm != DIMPLE_ALGORITHM_WINO && d->algorithm != DIMPLE_ALGORITHM_TOKEN_EDITING;
}

/* Where the core decides alone, what is left of a scored block is judged, too. Returns how many positions were. */
static int32_t complete_after(dimple_session *s, const dimple_decoding *d, int32_t steps, int32_t variant) {
  enum { LISTED = 2 };
  int32_t judged = 0;
  dimple_step step = {0};
  EXPECT_OK(dimple_session_begin(s, d));
  if (variant % 3) EXPECT_OK(dimple_session_set_bias(s, some_tokens, some_values, 4));
  for (int32_t i = 0; i < steps && !step.done; i++) EXPECT_OK(dimple_session_step(s, &step));
  int32_t first = 0, end = RESPONSE;
  if (step.block >= 0) {
    int32_t length = d->block_length > 0 ? d->block_length : RESPONSE;
    first = step.block * length - (pipeline_of(d)->sight == SIGHT_FROM_START ? PROMPT % length : 0); /* the prompt's tail is in the first block */
    end = first + length;
  }
  if (variant % 4 == 1 && !step.done) EXPECT_OK(dimple_session_set_bias(s, some_tokens, other_values, 4));
  int32_t revealed = step.revealed_count, before[RESPONSE * LISTED] = {0}, behind[RESPONSE * LISTED] = {0};
  float likely[RESPONSE * LISTED];
  EXPECT_OK(dimple_session_alternatives(s, LISTED, before, likely));
  EXPECT_OK(dimple_session_complete(s, &step));
  EXPECT_OK(dimple_session_alternatives(s, LISTED, behind, likely));
  EXPECT(memcmp(before, behind, sizeof *before * (size_t)(revealed * LISTED)) == 0, "pipeline %d, algorithm %d: other alternatives behind a completion", d->pipeline, d->algorithm);
  for (int32_t i = 0; i < step.revealed_count; i++) {
    int32_t position = step.revealed[i];
    bool scored = !isnan(step.log_probability[i]);
    judged += scored;
    EXPECT(!(step.log_probability[i] > 0) && (scored || step.confidence[i] == confidence_of(d)->low),
           "pipeline %d, algorithm %d, position %d: log-probability %g, confidence %g", d->pipeline, d->algorithm, position, (double)step.log_probability[i],
           (double)step.confidence[i]);
    EXPECT(scored || !scores_whole_blocks(d) || position < first || position >= end, "pipeline %d, algorithm %d, variant %d, position %d of %d .. %d was scored, and nothing is said of it",
           d->pipeline, d->algorithm, variant, position, first, end - 1);
  }
  return judged;
}

static void complete_all(dimple_model *m, bool shifted, uint64_t rules) {
  dimple_session *s = text_session(m, 1, 1);
  int32_t offered = 0, stepped = 0, guided = 0;
  for (uint64_t seed = 0; seed < rules; seed++) {
    rule r = open_rule(seed, 2, 6);
    for (int32_t i = (int32_t)seed; i < PIPELINE_COUNT * ALGORITHM_COUNT * 24; i += 5) { /* with 24 variants of each, all of them in turn */
      int32_t variant = i % 24;
      dimple_decoding d = varied_decoding(i / 24 / ALGORITHM_COUNT, i / 24 % ALGORITHM_COUNT, variant, seed);
      if (variant % 7 == 3 && d.cache == DIMPLE_CACHE_NONE) d.guidance_scale = 1.5f;
      EXPECT_OK(dimple_session_set_constraint(s, NULL));
      EXPECT_OK(dimple_session_set_constraint(s, r.constraint));
      if (dimple_session_begin(s, &d) != DIMPLE_OK) continue;
      if (d.pipeline == DIMPLE_PIPELINE_DREAM && d.block_length > 0 && d.algorithm != DIMPLE_ALGORITHM_CONFIDENCE_THRESHOLD) d.algorithm = DIMPLE_ALGORITHM_ENTROPY;
      bool whole = d.pipeline == DIMPLE_PIPELINE_DIM || (d.pipeline == DIMPLE_PIPELINE_LLADA && d.cache == DIMPLE_CACHE_NONE);
      float *logits = whole && d.guidance_scale == 0 ? logits_of(s, PROMPT + RESPONSE) : NULL;
      int32_t judged = complete_an_offer(s, &d, variant, logits, shifted);
      offered += judged;
      guided += d.guidance_scale > 0 && judged > 0;
      stepped += complete_after(s, &d, 1 + variant / 2 % 4, variant);
      free(logits);
    }
    dimple_constraint_free(r.constraint);
  }
  EXPECT(offered > 500 * (int32_t)rules && stepped > 500 * (int32_t)rules && guided > 5 * (int32_t)rules, "%d offered, %d stepped, %d guided", offered, stepped, guided);
  dimple_session_free(s);
}

static void completions_say_what_the_pass_said(uint64_t rules) {
  dimple_model *unshifted = random_model((model_shape){.family = FAMILY_LLADA});
  complete_all(text_model, true, rules);
  if (unshifted) complete_all(unshifted, false, rules);
  dimple_model_free(unshifted);
}

/* To ask what a canvas would fit does not take the path of the latest scores away. */
static void asking_keeps_the_path(void) {
  int32_t fitting = 0, unlike_the_shortest = 0;
  for (uint64_t seed = 0; seed < 40; seed++) {
    rule r = open_rule(seed, 1, 6);
    random_numbers numbers = {.seed = seed};
    int32_t masks[RESPONSE], initial[RESPONSE];
    float logits[RESPONSE * VOCAB];
    head_row summaries[RESPONSE];
    candidate shortest[RESPONSE], path[RESPONSE], completion[RESPONSE];
    constrained *g = NULL;
    canvas c = {0};
    dimple_decoding d = decoding_of(DIMPLE_PIPELINE_DIM, DIMPLE_ALGORITHM_MASKGIT_PLUS);
    sampler_step step = {.decoding = &d, .tokens = {.mask = MASK, .eos = EOS, .eot = -1}};
    for (int32_t i = 0; i < RESPONSE; i++) masks[i] = MASK;
    EXPECT_OK(constrained_create(r.constraint, masks, RESPONSE, NULL, MASK, VOCAB, initial, &g));
    EXPECT_OK(canvas_create(masks, RESPONSE, MASK, &c));
    EXPECT_OK(constrained_completion(g, &c, &d, shortest));
    for (int32_t i = 0; i < RESPONSE * VOCAB; i++) logits[i] = random_logit(&numbers);
    for (int32_t i = 0; i < RESPONSE; i++) summaries[i] = logits_summary(logits + i * VOCAB, VOCAB, 0);
    EXPECT_OK(constrained_look(g, &c));
    EXPECT_OK(constrained_rows(g, &step, summaries, logits, RESPONSE, c.masked));
    constrained_candidates(g, &step, c.masked, RESPONSE, path);
    for (int32_t i = 0; i < 20; i++) {
      int32_t at = random_below(&numbers, RESPONSE), token = random_below(&numbers, MASK);
      canvas coming = {.length = RESPONSE, .used = RESPONSE, .mask_token = MASK, .tokens = initial};
      memcpy(initial, masks, sizeof initial);
      initial[at] = token;
      bool fits = constrained_fits(g, &coming);
      EXPECT(fits == can_fit(&r, initial, RESPONSE), "seed %d: token %d at %d", (int)seed, token, at);
      fitting += fits;
    }
    EXPECT_OK(constrained_completion(g, &c, &d, completion));
    for (int32_t i = 0; i < RESPONSE; i++) {
      EXPECT(completion[i].token == path[i].token && completion[i].log_probability == path[i].log_probability && completion[i].confidence == path[i].confidence,
             "seed %d, position %d: token %d of confidence %g, the path has %d of %g", (int)seed, i, completion[i].token, (double)completion[i].confidence,
             path[i].token, (double)path[i].confidence);
      unlike_the_shortest += path[i].token != shortest[i].token;
    }
    canvas_free(&c);
    constrained_free(g);
    dimple_constraint_free(r.constraint);
  }
  EXPECT(fitting > 40 && fitting < 40 * 20 - 40 && unlike_the_shortest > 40, "%d fit, %d tokens are not the shortest's", fitting, unlike_the_shortest);
}

/* A caller whose tokens are refused stands where it stood: the alternatives are the same, and so is the path that completes the response. */
static void what_is_refused_changes_nothing(void) {
  dimple_session *s = text_session(text_model, 1, 1);
  dimple_decoding d = decoding_of(DIMPLE_PIPELINE_DIM, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  for (uint64_t seed = 0; seed < 8; seed++) {
    enum { LISTED = 4 };
    rule r = open_rule(seed, 2, 6);
    EXPECT_OK(dimple_session_set_constraint(s, r.constraint));
    int32_t refused = 0, tokens[2][RESPONSE] = {{0}}, listed[2][RESPONSE * LISTED] = {{0}};
    float likely[RESPONSE * LISTED];
    for (int32_t i = 0; i < 2; i++) {
      dimple_candidates found;
      dimple_step step;
      EXPECT_OK(dimple_session_begin(s, &d));
      EXPECT_OK(dimple_session_look(s, &found));
      for (int32_t t = 0, first = found.positions[0]; i == 1 && t < MASK && refused == 0; t++) {
        int32_t canvas[RESPONSE];
        for (int32_t k = 0; k < RESPONSE; k++) canvas[k] = k == first ? t : MASK;
        if (can_fit(&r, canvas, RESPONSE)) continue;
        EXPECT(dimple_session_reveal(s, &first, &t, 1, &step) == DIMPLE_ERROR_ARGUMENT, "token %d is not refused", t);
        refused++;
      }
      EXPECT_OK(dimple_session_alternatives(s, LISTED, listed[i], likely));
      EXPECT_OK(dimple_session_complete(s, &step));
      memcpy(tokens[i], step.canvas, sizeof tokens[i]);
    }
    EXPECT(refused == 1 && memcmp(listed[0], listed[1], sizeof listed[0]) == 0, "seed %d: other alternatives", (int)seed);
    EXPECT(memcmp(tokens[0], tokens[1], sizeof tokens[0]) == 0, "seed %d: another completion", (int)seed);
    dimple_constraint_free(r.constraint);
  }
  dimple_session_free(s);
}

/* What is left out of a decoding comes of the path in the end. */
static void shortened_responses_fit(void) {
  dimple_session *s = text_session(text_model, 1, 1);
  int32_t shortened = 0;
  for (uint64_t seed = 0; seed < 40; seed++) {
    rule r = open_rule(seed, 0, 5);
    dimple_step step = {0};
    dimple_decoding d = varied_decoding(seed % 2 ? DIMPLE_PIPELINE_LLADA : DIMPLE_PIPELINE_DIM, DIMPLE_ALGORITHM_MASKGIT_PLUS, (int32_t)(seed % 24), seed);
    d.algorithm_temperature = 0;
    EXPECT_OK(dimple_session_set_constraint(s, r.constraint));
    if (dimple_session_begin(s, &d) != DIMPLE_OK) {
      EXPECT(false, "%s", dimple_last_error());
      continue;
    }
    for (int32_t used = RESPONSE; !step.done;) {
      int32_t end = 0;
      if (dimple_session_step(s, &step) != DIMPLE_OK) break;
      EXPECT(can_fit(&r, step.canvas, RESPONSE), "seed %d: nothing fits", (int)seed);
      while (end < RESPONSE && r.words.kinds[step.canvas[end]] != DIMPLE_TOKEN_END) end++;
      for (int32_t i = 0; i < step.revealed_count; i++) EXPECT(step.revealed[i] < used, "position %d was left out", step.revealed[i]);
      if (end + 1 >= used || step.done) continue;
      used = end + 1;
      shortened++;
      EXPECT_OK(dimple_session_shorten(s, used));
    }
    EXPECT(step.done, "%s", dimple_last_error());
    EXPECT_OK(dimple_session_complete(s, &step));
    EXPECT(step.remaining == 0 && can_fit(&r, step.canvas, RESPONSE), "seed %d: %d remain", (int)seed, step.remaining);
    dimple_constraint_free(r.constraint);
  }
  EXPECT(shortened > 5, "%d shortened", shortened);
  dimple_session_free(s);
}

static void what_cannot_be_is_refused(void) {
  rule r = open_rule(21, 4, 6);
  dimple_session *s = open_session(text_model, 1, 1);
  EXPECT_FAILS(dimple_session_set_constraint(s, r.constraint), DIMPLE_ERROR_STATE, "no prompt");
  EXPECT_NULL_REFUSED(dimple_session_set_constraint(NULL, r.constraint));
  EXPECT_OK(dimple_session_set_prompt(s, prompt_tokens, PROMPT, NULL, 0));
  EXPECT_FAILS(dimple_session_set_constraint(s, r.constraint), DIMPLE_ERROR_STATE, "no response");
  set_masks(s, 2);
  char numbers[80];
  snprintf(numbers, sizeof numbers, "has %d tokens, but the response has 2", shortest_that_fits(&r.machine, &r.words, RESPONSE));
  EXPECT_FAILS(dimple_session_set_constraint(s, r.constraint), DIMPLE_ERROR_LIMIT, numbers);
  int32_t response[RESPONSE];
  for (int32_t i = 0; i < RESPONSE; i++) response[i] = i == 3 ? IMAGE : MASK; /* a filler that stands behind no end */
  EXPECT_OK(dimple_session_set_response(s, response, RESPONSE));
  EXPECT_FAILS(dimple_session_set_constraint(s, r.constraint), DIMPLE_ERROR_ARGUMENT, "token 94 at position 3");
  set_masks(s, RESPONSE);

  rule small = r;
  small.words.count = 40;
  small.words.kinds[39] = DIMPLE_TOKEN_EXCLUDED;
  dimple_vocabulary *v = vocabulary_of(&small.words);
  dimple_automaton a = automaton_of(&r.machine);
  EXPECT_OK(dimple_constraint_create(v, &a, &small.constraint));
  EXPECT_FAILS(dimple_session_set_constraint(s, small.constraint), DIMPLE_ERROR_ARGUMENT, "40 tokens, expected the model's 96");
  dimple_vocabulary_free(v);
  dimple_constraint_free(small.constraint);
  small = r;
  small.words.kinds[MASK] = DIMPLE_TOKEN_END;
  v = vocabulary_of(&small.words);
  EXPECT_OK(dimple_constraint_create(v, &a, &small.constraint));
  EXPECT_FAILS(dimple_session_set_constraint(s, small.constraint), DIMPLE_ERROR_ARGUMENT, "mask token 95");
  dimple_vocabulary_free(v);
  dimple_constraint_free(small.constraint);

  static const int32_t kinds[] = {DIMPLE_DRAW_CATEGORICAL}, lengths[] = {1};
  static const double values[] = {1};
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  d.temperature = 1;
  EXPECT_OK(dimple_session_set_constraint(s, r.constraint));
  EXPECT_OK(dimple_session_replay_draws(s, kinds, lengths, 1, values, 1));
  EXPECT_FAILS(dimple_session_begin(s, &d), DIMPLE_ERROR_STATE, "recorded draws");
  dimple_session_free(s);
  dimple_constraint_free(r.constraint);
}

/* constrained_test [RULES] */
int main(int argc, char **argv) {
  if (fixture_open()) {
    every_decoding_fits(argc > 1 ? (uint64_t)atoi(argv[1]) : 4);
    ends_come_last_if_they_are_not_to_count();
    a_bias_of_nothing_changes_nothing();
    fixed_tokens_take_part();
    results_are_reproducible();
    what_is_certain_needs_no_pass();
    a_session_can_always_be_finished();
    completions_say_what_the_pass_said(2);
    asking_keeps_the_path();
    what_is_refused_changes_nothing();
    shortened_responses_fit();
    what_cannot_be_is_refused();
  }
  fixture_close();
  return expect_summary("constrained");
}
