/* LLaDA-V's decoding: what is revealed once a turn ends, when it is over, and tokens that the file bars. */
#include <math.h>

#include "test/session_fixture.h"

enum { LENGTH = 12 };

typedef struct trail {
  int32_t iterations, remaining;
  int32_t tokens[LENGTH];
  bool behind; /* something was revealed behind an end of turn that stood before */
} trail;

static int32_t find(const int32_t *tokens, int32_t first, int32_t token) {
  for (int32_t i = first; i < LENGTH; i++)
    if (tokens[i] == token) return i;
  return LENGTH;
}

/* Decodes a response under a bias of one token. */
static trail decode_biased(dimple_session *s, const dimple_decoding *d, const int32_t *response, int32_t token, float value) {
  trail t = {0};
  EXPECT_OK(dimple_session_set_prompt(s, prompt_tokens, PROMPT, NULL, 0));
  EXPECT_OK(dimple_session_set_response(s, response, LENGTH));
  EXPECT_OK(dimple_session_begin(s, d));
  if (value != 0) EXPECT_OK(dimple_session_set_bias(s, &token, &value, 1));
  memcpy(t.tokens, response, sizeof t.tokens);
  for (dimple_step step = {0}; !step.done && t.iterations < 100; t.iterations++) {
    EXPECT_OK(dimple_session_step(s, &step));
    int32_t turn = find(t.tokens, 0, EOT);
    for (int32_t i = 0; i < step.revealed_count; i++) t.behind |= turn < LENGTH && step.revealed[i] > turn;
    memcpy(t.tokens, step.canvas, sizeof t.tokens);
    t.remaining = step.remaining;
  }
  return t;
}

static void masked(int32_t *response) {
  for (int32_t i = 0; i < LENGTH; i++) response[i] = MASK;
}

/* Every way to share steps out: nothing is revealed behind the end of a turn, and the decoding is over when all before it is revealed. */
static void a_turn_ends_the_decoding(dimple_session *s) {
  int32_t response[LENGTH], early = 0, full = 0;
  masked(response);
  for (int32_t block = 0; block <= LENGTH; block++)
    for (int32_t steps = 1; steps <= LENGTH; steps += 2)
      for (int32_t favour = 0; favour < 4; favour++) {
        dimple_decoding d = decoding_of(DIMPLE_PIPELINE_LLADA_V, DIMPLE_ALGORITHM_MASKGIT_PLUS);
        d.block_length = block;
        d.steps = steps;
        d.complete = favour % 2;
        trail t = decode_biased(s, &d, response, EOT, (float)favour);
        int32_t turn = find(t.tokens, 0, EOT), open = find(t.tokens, 0, MASK);
        EXPECT(!t.behind, "blocks of %d, %d steps: revealed behind the end of the turn", block, steps);
        EXPECT(turn < LENGTH ? open > turn : open == LENGTH, "blocks of %d, %d steps: the turn ends at %d, %d is masked", block, steps, turn, open);
        EXPECT(t.iterations <= LENGTH + steps, "blocks of %d, %d steps: %d iterations", block, steps, t.iterations);
        early += turn < LENGTH && t.remaining > 0;
        full += turn == LENGTH;
      }
  EXPECT(early > 20 && full > 20, "%d ended early, %d did not end", early, full);
}

/* A slot behind a given token is filled, wherever one before it ends; the last one ends the decoding. */
static void only_the_last_slot_ends_it(dimple_session *s) {
  int32_t response[LENGTH];
  masked(response);
  response[5] = 9;
  dimple_decoding d = decoding_of(DIMPLE_PIPELINE_LLADA_V, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  d.steps = LENGTH;
  trail t = decode_biased(s, &d, response, EOT, 60);
  int32_t turn = find(t.tokens, 6, EOT);
  EXPECT(find(t.tokens, 0, EOT) < 5 && turn < LENGTH && find(t.tokens, 0, MASK) > turn && t.tokens[5] == 9,
         "the slot behind the given token was left");
  response[LENGTH - 1] = EOT; /* one that is given ends nothing */
  response[5] = MASK;
  t = decode_biased(s, &d, response, EOT, -INFINITY);
  EXPECT(t.remaining == 0 && find(t.tokens, 0, EOT) == LENGTH - 1, "%d left before a given end", t.remaining);
}

/* The same model, but that a file bars other tokens. */
static dimple_model *barring(const int32_t *tokens, int32_t count) {
  char path[64];
  gguf_writer w = {0};
  dimple_model *m = NULL;
  gguf_writer_ints(&w, "diffusion.suppress_tokens", tokens, count);
  random_model_write(&w, &(model_shape){.family = FAMILY_LLADA_V});
  temporary_file(&w, path);
  EXPECT_OK(load_model(path, NULL, &m));
  remove(path);
  return m;
}

/* What the file bars is not taken, whatever pipeline decodes: neither what would be taken without, nor what a bias is kind to beside it; a caller may
 * allow it. */
static void barred_tokens_are_not_taken(dimple_session *s) {
  static const int32_t pipelines[] = {DIMPLE_PIPELINE_LLADA_V, DIMPLE_PIPELINE_LLADA, DIMPLE_PIPELINE_DREAM, DIMPLE_PIPELINE_DIM};
  int32_t response[LENGTH];
  masked(response);
  for (size_t i = 0; i < sizeof pipelines / sizeof *pipelines; i++)
    for (uint64_t seed = 0; seed < 12; seed++) {
      dimple_decoding d = decoding_of(pipelines[i], DIMPLE_ALGORITHM_MASKGIT_PLUS);
      d.temperature = seed % 2 ? 3 : 0;
      d.top_k = seed % 4 == 3 ? 90 : 0;
      d.seed = seed;
      float kindness = seed % 3 == 2 ? 1 : 0;
      trail before = decode_biased(s, &d, response, 7, kindness);
      int32_t taken[LENGTH], count = 0;
      for (int32_t token = 0; token < MASK; token++)
        if (token != 7 && find(before.tokens, 0, token) < LENGTH) taken[count++] = token;
      EXPECT(count > 0 && find(before.tokens, 0, FIRST_BARRED) == LENGTH && find(before.tokens, 0, FIRST_BARRED + 1) == LENGTH, "%d tokens", count);
      dimple_model *m = barring(taken, count);
      dimple_session *t = m ? open_session(m, 1, 1) : NULL;
      trail after = t ? decode_biased(t, &d, response, 7, kindness) : before;
      for (int32_t k = 0; k < count; k++)
        EXPECT(find(after.tokens, 0, taken[k]) == LENGTH, "pipeline %d, seed %d: token %d is barred", pipelines[i], (int)seed, taken[k]);
      if (t) after = decode_biased(t, &d, response, taken[0], 100);
      EXPECT(find(after.tokens, 0, taken[0]) < LENGTH, "pipeline %d, seed %d: token %d, allowed, is not taken", pipelines[i], (int)seed, taken[0]);
      dimple_session_free(t);
      dimple_model_free(m);
    }
}

/* A file that bars all but the end and the mask cannot be decoded without ends, and says so before the first pass. */
static void something_can_stand(void) {
  int32_t all[VOCAB], response[LENGTH], count = 0;
  masked(response);
  for (int32_t token = 0; token < VOCAB; token++)
    if (token != EOS && token != MASK) all[count++] = token;
  dimple_model *m = barring(all, count);
  dimple_session *s = m ? open_session(m, 1, 1) : NULL;
  dimple_decoding d = decoding_of(DIMPLE_PIPELINE_LLADA, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  if (s) decode_biased(s, &d, response, EOS, 0);
  d.no_eos_logits = 1;
  if (s) EXPECT_FAILS(dimple_session_begin(s, &d), DIMPLE_ERROR_ARGUMENT, "every token but the mask is banned, by no_eos_logits or by the file");
  dimple_session_free(s);
  dimple_model_free(m);
}

int main(void) {
  dimple_model *m = random_model((model_shape){.family = FAMILY_LLADA_V});
  if (m) {
    dimple_session *s = open_session(m, 1, 1);
    a_turn_ends_the_decoding(s);
    only_the_last_slot_ends_it(s);
    barred_tokens_are_not_taken(s);
    something_can_stand();
    dimple_session_free(s);
  }
  dimple_model_free(m);
  return expect_summary("llada_v");
}
