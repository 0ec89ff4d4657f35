/* Vocabularies, automata and what they are compiled to: what is refused, and token classes beside the effects of each token. */
#include <stdlib.h>

#include "constraint/constraint.h"
#include "constraint/shapes.h"
#include "test/constraint_fixture.h"
#include "test/expect.h"

/* ---------------------------------------------------------------------------------------------------------- vocabularies */

static void bad_vocabularies_are_refused(void) {
  const uint8_t bytes[] = "abc", kinds[] = {0, 1, 3};
  const int64_t offsets[] = {0, 2, 2, 3};
  dimple_vocabulary *v = NULL;
#define REFUSED(bytes, offsets, kinds, count, text) \
  EXPECT_FAILS(dimple_vocabulary_create(bytes, offsets, kinds, count, &v), DIMPLE_ERROR_ARGUMENT, text)
  EXPECT_NULL_REFUSED(dimple_vocabulary_create(bytes, offsets, kinds, 3, NULL));
  REFUSED(NULL, offsets, kinds, 3, "bytes is null");
  REFUSED(bytes, NULL, kinds, 3, "offsets is null");
  REFUSED(bytes, offsets, NULL, 3, "kinds is null");
  REFUSED(bytes, offsets, kinds, 0, "count is 0");
  REFUSED(bytes, offsets, kinds, -1, "count is -1");
  REFUSED(bytes, offsets + 1, kinds, 2, "offsets[0] is 2");
  REFUSED(bytes, ((const int64_t[]){0, 2, 1, 3}), kinds, 3, "token 1 lies from 2 to 1");
  REFUSED(bytes, ((const int64_t[]){0, -1, 1, 3}), kinds, 3, "token 0 lies from 0 to -1");
  REFUSED(bytes, ((const int64_t[]){0, INT64_MAX, INT64_MIN, 3}), kinds, 3, "token 0 lies from 0");
  REFUSED(bytes, ((const int64_t[]){0, 1, 65537, 65537}), kinds, 3, "token 1 lies from 1 to 65537");
  REFUSED(bytes, offsets, ((const uint8_t[]){0, 4, 1}), 3, "kinds[1] is 4");
#undef REFUSED
  EXPECT_OK(dimple_vocabulary_create(NULL, ((const int64_t[]){0, 0}), kinds + 1, 1, &v)); /* an end and no text */
  dimple_vocabulary_free(v);
  dimple_vocabulary_free(NULL);
}

/* Every text token is found at the node of its bytes, and tokens of equal bytes at one. */
static void tries_hold_all_text(void) {
  for (uint64_t seed = 0; seed < 40; seed++) {
    random_numbers r = {.seed = seed};
    words w = random_words(&r, 6 + random_below(&r, MAX_TOKENS - 6));
    dimple_vocabulary *v = vocabulary_of(&w);
    int32_t found = 0;
    char open[MAX_TOKEN_SIZE + 1] = "";
    for (int32_t n = 0; n < v->trie.count; n++) {
      const trie_node *node = &v->trie.nodes[n];
      open[node->depth - 1] = (char)node->byte;
      open[node->depth] = 0;
      EXPECT(node->end > n && node->end <= v->trie.count, "node %d ends at %d", n, node->end);
      if (node->group < 0) continue;
      for (int32_t i = v->group_first[node->group]; i < v->group_first[node->group + 1]; i++, found++)
        EXPECT(strcmp(w.text[v->group_tokens[i]], open) == 0, "%s, not %s", w.text[v->group_tokens[i]], open);
    }
    EXPECT(found == w.count - 4, "%d tokens of %d", found, w.count - 4);
    dimple_vocabulary_free(v);
  }
}

/* -------------------------------------------------------------------------------------------------------------- automata */

static void bad_automata_are_refused(void) {
  random_numbers r = {.seed = 5};
  words w = random_words(&r, 20);
  dimple_vocabulary *v = vocabulary_of(&w);
  dimple_constraint *c = NULL;
  machine m = random_machine(&r, 4, 2);
  for (int32_t i = 0; i < 4 * (LETTERS + 1); i++) m.next[i] = i % (LETTERS + 1) == 0 ? 1 : -1; /* a leads to state 1, from anywhere */
  for (int32_t q = 0; q < 4; q++) m.accepting[q] = q == 1;
  const dimple_automaton good = automaton_of(&m);
  EXPECT_OK(dimple_constraint_create(v, &good, &c));
  EXPECT_NULL_REFUSED(dimple_constraint_get_info(c, NULL));
  EXPECT_NULL_REFUSED(dimple_constraint_get_info(NULL, &(dimple_constraint_info){0}));
  dimple_constraint_free(c);
  EXPECT_NULL_REFUSED(dimple_constraint_create(NULL, &good, &c));
  EXPECT_NULL_REFUSED(dimple_constraint_create(v, NULL, &c));
  EXPECT_NULL_REFUSED(dimple_constraint_create(v, &good, NULL));
#define REFUSED(field, value, status, text)                             \
  do {                                                                  \
    dimple_automaton a = good;                                          \
    a.field = (value);                                                  \
    EXPECT_FAILS(dimple_constraint_create(v, &a, &c), status, text);    \
  } while (0)
  REFUSED(byte_class, NULL, DIMPLE_ERROR_ARGUMENT, "byte_class is null");
  REFUSED(next, NULL, DIMPLE_ERROR_ARGUMENT, "next is null");
  REFUSED(accepting, NULL, DIMPLE_ERROR_ARGUMENT, "accepting is null");
  REFUSED(state_count, 0, DIMPLE_ERROR_ARGUMENT, "state_count is 0");
  REFUSED(state_count, 65537, DIMPLE_ERROR_LIMIT, "65537 states, expected at most 65536");
  REFUSED(state_count, INT32_MAX, DIMPLE_ERROR_LIMIT, "2147483647 states");
  REFUSED(class_count, 0, DIMPLE_ERROR_ARGUMENT, "class_count is 0");
  REFUSED(class_count, 257, DIMPLE_ERROR_ARGUMENT, "class_count is 257");
  REFUSED(class_count, 2, DIMPLE_ERROR_ARGUMENT, "byte_class[0] is 5, expected 0 .. 1");
  REFUSED(start, 4, DIMPLE_ERROR_ARGUMENT, "start is 4");
  REFUSED(start, -1, DIMPLE_ERROR_ARGUMENT, "start is -1");
  REFUSED(slot_count, -1, DIMPLE_ERROR_ARGUMENT, "slot_count is -1");
  REFUSED(state_slot, NULL, DIMPLE_ERROR_ARGUMENT, "slot_count is 2");
  REFUSED(slot_tokens, NULL, DIMPLE_ERROR_ARGUMENT, "slot_count is 2");
  REFUSED(slot_tokens, ((const int32_t[]){3, 0}), DIMPLE_ERROR_ARGUMENT, "slot_tokens[1] is 0");
  REFUSED(slot_tokens, ((const int32_t[]){INT32_MAX, INT32_MAX}), DIMPLE_ERROR_LIMIT, "expected at most 262144");
  REFUSED(state_slot, ((const int32_t[]){0, 1, 2, 0}), DIMPLE_ERROR_ARGUMENT, "state_slot[2] is 2");
  REFUSED(accepting, ((const uint8_t[]){0, 0, 7, 0}), DIMPLE_ERROR_ARGUMENT, "accepting[2] is 7");
  REFUSED(accepting, ((const uint8_t[]){0, 0, 1, 1}), DIMPLE_ERROR_ARGUMENT, "accepts nothing");
  static int32_t astray[4 * (LETTERS + 1)];
  for (int32_t wrong = -2; wrong <= 4; wrong += 6) {
    memcpy(astray, m.next, sizeof astray);
    astray[3 * (LETTERS + 1) + 2] = wrong;
    REFUSED(next, astray, DIMPLE_ERROR_ARGUMENT, "next of state 3 and class 2 is");
  }
#undef REFUSED
  for (int32_t t = 0; t < w.count - 4; t++) strcpy(w.text[t], "b"); /* nothing spells an a */
  dimple_vocabulary *poor = vocabulary_of(&w);
  EXPECT_FAILS(dimple_constraint_create(poor, &good, &c), DIMPLE_ERROR_ARGUMENT, "no tokens of this vocabulary");
  dimple_vocabulary_free(poor);
  dimple_vocabulary_free(v);
  dimple_constraint_free(NULL);
}

/* ---------------------------------------------------------------------------------------------------------------- classes */

static int32_t effect_on(const automaton *a, const words *w, int32_t state, int32_t token) {
  return automaton_effect(a, state, (const uint8_t *)w->text[token], (int32_t)strlen(w->text[token]));
}

static bool same_effects(const automaton *a, const words *w, int32_t s, int32_t t) {
  for (int32_t q = 0; q < a->state_count; q++)
    if (a->live[q] && effect_on(a, w, q, s) != effect_on(a, w, q, t)) return false;
  return true;
}

static bool can_stand(const automaton *a, const words *w, int32_t t) {
  for (int32_t q = 0; q < a->state_count; q++)
    if (a->live[q] && effect_on(a, w, q, t) >= 0) return true;
  return false;
}

/* Two tokens share a class if and only if they have the same effect on every state; shapes on the way change nothing. */
static void classes_are_equal_effects(void) {
  int32_t checked = 0, shared = 0;
  for (uint64_t seed = 0; seed < 120; seed++) {
    random_numbers r = {.seed = seed};
    words w = random_words(&r, 10 + random_below(&r, MAX_TOKENS - 10));
    int32_t slots = random_below(&r, 3), states = 2 + random_below(&r, 10);
    machine m = random_machine(&r, states, slots);
    dimple_automaton source = automaton_of(&m);
    automaton a = {0};
    if (automaton_create(&source, &a) != DIMPLE_OK) continue;
    dimple_vocabulary *v = vocabulary_of(&w);
    for (int32_t way = 0; way < 2; way++) {
      token_classes c = {0};
      EXPECT_OK(classes_create(v, &a, way ? 0 : SHAPES_LIMIT, &c));
      checked++;
      for (int32_t s = 0; s < w.count - 4; s++) {
        EXPECT((c.of[s] >= 0) == can_stand(&a, &w, s), "token %d: class %d", s, c.of[s]);
        for (int32_t t = 0; t < s; t++) {
          bool same = c.of[s] == c.of[t];
          EXPECT(same == same_effects(&a, &w, s, t), "seed %d: tokens %s and %s: classes %d and %d", (int)seed, w.text[s], w.text[t],
                 c.of[s], c.of[t]);
          shared += same && c.of[s] >= 0;
        }
      }
      EXPECT(c.of[w.count - 1] == -1 && c.of[w.count - 2] == classes_filler(&c), "the mask and the filler");
      EXPECT(c.of[w.count - 3] == classes_end(&c) && c.of[w.count - 4] == classes_end(&c), "the ends");
      for (int32_t k = 0; k < c.count; k++)
        for (int32_t i = c.first[k]; i < c.first[k + 1]; i++)
          EXPECT(c.of[c.members[i]] == k && (i == c.first[k] || c.members[i] > c.members[i - 1]), "member %d of class %d", i, k);
      classes_free(&c);
    }
    dimple_vocabulary_free(v);
    automaton_free(&a);
  }
  EXPECT(checked > 60 && shared > 1000, "%d vocabularies, %d pairs in a class", checked, shared);
}

/* A string of any length has few classes and labels, however many fields of it there are. */
static void equal_sets_are_one_label(void) {
  random_numbers r = {.seed = 9};
  words w = random_words(&r, 40);
  dimple_vocabulary *v = vocabulary_of(&w);
  dimple_constraint_info info[2];
  for (int32_t more = 0; more < 2; more++) {
    machine m = random_machine(&r, 4 + 4 * more, 0); /* a b* c b* c .. */
    for (int32_t i = 0; i < m.states * (LETTERS + 1); i++) m.next[i] = -1;
    for (int32_t q = 0; q < m.states; q++) {
      m.accepting[q] = q == m.states - 1;
      m.next[q * (LETTERS + 1) + 1] = q;
      if (q + 1 < m.states) m.next[q * (LETTERS + 1) + 2] = q + 1;
    }
    dimple_automaton a = automaton_of(&m);
    dimple_constraint *c;
    EXPECT_OK(dimple_constraint_create(v, &a, &c));
    EXPECT_OK(dimple_constraint_get_info(c, &info[more]));
    dimple_constraint_free(c);
  }
  EXPECT(info[0].states == 4 && info[1].states == 8, "%d and %d states", info[0].states, info[1].states);
  EXPECT(info[0].labels == info[1].labels && info[0].classes == info[1].classes, "%d and %d labels", info[0].labels, info[1].labels);
  EXPECT(info[1].edges > info[0].edges && info[1].bytes > info[0].bytes, "%d and %d edges", (int)info[0].edges, (int)info[1].edges);
  dimple_vocabulary_free(v);
}

int main(void) {
  bad_vocabularies_are_refused();
  tries_hold_all_text();
  bad_automata_are_refused();
  classes_are_equal_effects();
  equal_sets_are_one_label();
  return expect_summary("constraint");
}
