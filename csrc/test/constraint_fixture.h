/* What tests of constraints share: small vocabularies and automata at random, and a judge of responses that knows nothing of tries,
 * classes and lattices. */
#ifndef DIMPLE_TEST_CONSTRAINT_FIXTURE_H
#define DIMPLE_TEST_CONSTRAINT_FIXTURE_H

#include <stdbool.h>

#include "dimple.h"

enum { MAX_TOKENS = 96, MAX_TOKEN_SIZE = 4, MAX_AUTOMATON_STATES = 64, LETTERS = 5 };

/* Numbers of a seed, one after the other. */
typedef struct random_numbers {
  uint64_t seed;
  uint32_t next;
} random_numbers;

int32_t random_below(random_numbers *r, int32_t limit); /* 0 .. limit - 1 */
float random_logit(random_numbers *r);                  /* -4 .. 4, in steps that make sums exact */

/* A vocabulary: of each token its kind and, as text, its letters, terminated. */
typedef struct words {
  int32_t count;
  uint8_t kinds[MAX_TOKENS];
  char text[MAX_TOKENS][MAX_TOKEN_SIZE + 1];
} words;

/* `count` tokens: most are text of 1 to 3 of the letters a, b, ..; the last four are an end, another end, a filler and the mask. */
words random_words(random_numbers *r, int32_t count);

/* Their bytes, one behind the other, and where each begins: offsets[count + 1]. */
void words_bytes(const words *w, uint8_t bytes[MAX_TOKENS * MAX_TOKEN_SIZE], int64_t offsets[MAX_TOKENS + 1]);

dimple_vocabulary *vocabulary_of(const words *w);

/* An automaton over the letters and one class of all other bytes; start is 0. */
typedef struct machine {
  int32_t states;
  int32_t next[MAX_AUTOMATON_STATES * (LETTERS + 1)];
  uint8_t byte_class[256];
  uint8_t accepting[MAX_AUTOMATON_STATES];
  int32_t slots;
  int32_t state_slot[MAX_AUTOMATON_STATES], slot_tokens[4];
} machine;

/* May accept nothing. */
machine random_machine(random_numbers *r, int32_t states, int32_t slots);

dimple_automaton automaton_of(const machine *m);

/* Where a response stands after some of its tokens. */
typedef struct stand {
  int32_t state; /* -1: it can fit no more */
  int32_t used;  /* tokens of the slot's visit */
  bool ended;
} stand;

stand stand_after(const machine *m, const words *w, stand before, int32_t token);

static inline stand stand_at_start(void) { return (stand){0, 0, false}; }

/* Whether the canvas may end there. */
bool stand_fits(const machine *m, stand s);

/* Whether some assignment of the masked positions (-1) fits, by a search over all stands. */
bool canvas_can_fit(const machine *m, const words *w, const int32_t *tokens, int32_t length);

/* Tokens of the shortest response that fits, -1 if there is none of at most `limit`. */
int32_t shortest_that_fits(const machine *m, const words *w, int32_t limit);

/* Large ones: `count` tokens are the numbers from 0 on, written out, but for the last four: two that end, one that fills, and the mask. */
dimple_vocabulary *numbers_written_out(int32_t count);

/* Numbers that seven divides: tokens have as many classes as they have remainders and lengths. */
dimple_constraint *sevenths(dimple_vocabulary *v);

#endif
