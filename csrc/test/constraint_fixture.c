#include "test/constraint_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "draws.h"
#include "test/expect.h"

int32_t random_below(random_numbers *r, int32_t limit) {
  return (int32_t)(((uint64_t)draw_word(r->seed, r->next++, 0, 99, 0) * (uint32_t)limit) >> 32);
}

float random_logit(random_numbers *r) { return (float)(random_below(r, 1024) - 512) / 128; }

words random_words(random_numbers *r, int32_t count) {
  words w = {.count = count};
  for (int32_t t = 0; t < count - 4; t++) {
    int32_t size = t < LETTERS - 1 ? 1 : 1 + random_below(r, 3); /* the last letter may be in no token */
    for (int32_t i = 0; i < size; i++) w.text[t][i] = (char)('a' + (t < LETTERS - 1 ? t : random_below(r, LETTERS)));
  }
  w.kinds[count - 4] = w.kinds[count - 3] = DIMPLE_TOKEN_END;
  w.kinds[count - 2] = DIMPLE_TOKEN_FILLER;
  w.kinds[count - 1] = DIMPLE_TOKEN_EXCLUDED;
  return w;
}

void words_bytes(const words *w, uint8_t bytes[MAX_TOKENS * MAX_TOKEN_SIZE], int64_t offsets[MAX_TOKENS + 1]) {
  offsets[0] = 0;
  for (int32_t t = 0; t < w->count; t++) {
    size_t size = strlen(w->text[t]);
    memcpy(bytes + offsets[t], w->text[t], size);
    offsets[t + 1] = offsets[t] + (int64_t)size;
  }
}

dimple_vocabulary *vocabulary_of(const words *w) {
  uint8_t bytes[MAX_TOKENS * MAX_TOKEN_SIZE];
  int64_t offsets[MAX_TOKENS + 1];
  words_bytes(w, bytes, offsets);
  dimple_vocabulary *v = NULL;
  EXPECT_OK(dimple_vocabulary_create(bytes, offsets, w->kinds, w->count, &v));
  return v;
}

machine random_machine(random_numbers *r, int32_t states, int32_t slots) {
  machine m = {.states = states, .slots = slots};
  for (int32_t b = 0; b < 256; b++) m.byte_class[b] = (uint8_t)(b >= 'a' && b < 'a' + LETTERS ? b - 'a' : LETTERS);
  for (int32_t q = 0; q < states; q++) {
    for (int32_t c = 0; c <= LETTERS; c++)
      m.next[q * (LETTERS + 1) + c] = c == LETTERS || random_below(r, 100) < 45 ? -1 : random_below(r, states);
    m.accepting[q] = random_below(r, 4) == 0;
    m.state_slot[q] = slots > 0 ? random_below(r, slots + 1) - 1 : -1;
  }
  for (int32_t k = 0; k < slots; k++) m.slot_tokens[k] = 1 + random_below(r, 2);
  return m;
}

dimple_automaton automaton_of(const machine *m) {
  return (dimple_automaton){.state_count = m->states, .class_count = LETTERS + 1, .byte_class = m->byte_class, .next = m->next,
                            .accepting = m->accepting, .slot_count = m->slots, .state_slot = m->state_slot, .slot_tokens = m->slot_tokens};
}

stand stand_after(const machine *m, const words *w, stand before, int32_t token) {
  const stand nowhere = {.state = -1};
  int32_t kind = w->kinds[token];
  if (before.state < 0 || kind == DIMPLE_TOKEN_EXCLUDED) return nowhere;
  if (kind == DIMPLE_TOKEN_FILLER) return before.ended ? before : nowhere;
  if (kind == DIMPLE_TOKEN_END) {
    if (!stand_fits(m, before)) return nowhere;
    before.ended = true;
    return before;
  }
  if (before.ended) return nowhere;
  bool counted = false; /* in the visit that goes on */
  for (const char *c = w->text[token]; *c; c++) {
    int32_t to = m->next[before.state * (LETTERS + 1) + m->byte_class[(uint8_t)*c]];
    if (to < 0) return nowhere;
    int32_t slot = m->state_slot[before.state];
    if (m->state_slot[to] != slot) {
      before.used = 0;
      counted = false;
    } else if (slot >= 0 && !counted) {
      counted = true;
      if (++before.used > m->slot_tokens[slot]) return nowhere;
    }
    before.state = to;
  }
  return before;
}

bool stand_fits(const machine *m, stand s) { return s.state >= 0 && (s.ended || m->accepting[s.state]); }

enum { MAX_USED = 4 };

/* Sets of stands. */
typedef struct stands {
  bool in[MAX_AUTOMATON_STATES][MAX_USED][2];
} stands;

/* Where any token leads to from each stand, of the machine and the words that were last asked about: most positions are masks, and canvases of one
 * rule are judged by the thousand. */
static struct {
  machine machine;
  words words;
  bool known[MAX_AUTOMATON_STATES][MAX_USED][2];
  stands after[MAX_AUTOMATON_STATES][MAX_USED][2];
} asked;

static void ask_about(const machine *m, const words *w) {
  if (memcmp(&asked.machine, m, sizeof *m) == 0 && memcmp(&asked.words, w, sizeof *w) == 0) return;
  memset(asked.known, 0, sizeof asked.known);
  memcpy(&asked.machine, m, sizeof *m);
  memcpy(&asked.words, w, sizeof *w);
}

static const stands *after_any(const machine *m, const words *w, stand before) {
  stands *after = &asked.after[before.state][before.used][before.ended];
  bool *known = &asked.known[before.state][before.used][before.ended];
  if (*known) return after;
  memset(after, 0, sizeof *after);
  for (int32_t t = 0; t < w->count; t++) {
    stand s = stand_after(m, w, before, t);
    if (s.state >= 0) after->in[s.state][s.used][s.ended] = true;
  }
  *known = true;
  return after;
}

/* only: the token, -1 for any of them. */
static void step_all(const machine *m, const words *w, const stands *from, int32_t only, stands *to) {
  memset(to, 0, sizeof *to);
  for (int32_t q = 0; q < m->states; q++)
    for (int32_t used = 0; used < MAX_USED; used++)
      for (int32_t ended = 0; ended < 2; ended++) {
        if (!from->in[q][used][ended]) continue;
        stand before = {q, used, ended};
        if (only >= 0) {
          stand s = stand_after(m, w, before, only);
          if (s.state >= 0) to->in[s.state][s.used][s.ended] = true;
          continue;
        }
        const stands *after = after_any(m, w, before);
        for (int32_t i = 0; i < m->states; i++) {
          uint64_t all, more; /* a state's stands at once */
          _Static_assert(sizeof all == sizeof to->in[0], "eight stands of a byte");
          memcpy(&all, to->in[i], sizeof all);
          memcpy(&more, after->in[i], sizeof more);
          all |= more;
          memcpy(to->in[i], &all, sizeof all);
        }
      }
}

static bool any_fits(const machine *m, const stands *s) {
  for (int32_t q = 0; q < m->states; q++)
    for (int32_t used = 0; used < MAX_USED; used++)
      for (int32_t ended = 0; ended < 2; ended++)
        if (s->in[q][used][ended] && stand_fits(m, (stand){q, used, ended})) return true;
  return false;
}

bool canvas_can_fit(const machine *m, const words *w, const int32_t *tokens, int32_t length) {
  stands now = {0}, next;
  ask_about(m, w);
  now.in[0][0][0] = true;
  for (int32_t i = 0; i < length; i++) {
    step_all(m, w, &now, tokens[i], &next);
    now = next;
  }
  return any_fits(m, &now);
}

int32_t shortest_that_fits(const machine *m, const words *w, int32_t limit) {
  stands now = {0}, next;
  ask_about(m, w);
  now.in[0][0][0] = true;
  for (int32_t i = 0; i <= limit; i++) {
    if (any_fits(m, &now)) return i;
    step_all(m, w, &now, -1, &next);
    now = next;
  }
  return -1;
}

dimple_vocabulary *numbers_written_out(int32_t count) {
  uint8_t *bytes = malloc(12 * (size_t)count);
  int64_t *offsets = calloc((size_t)count + 1, sizeof *offsets);
  uint8_t *kinds = calloc((size_t)count, 1);
  for (int32_t t = 0; t < count; t++) {
    kinds[t] = t < count - 4 ? DIMPLE_TOKEN_TEXT : DIMPLE_TOKEN_END;
    offsets[t + 1] = offsets[t] + (t < count - 4 ? sprintf((char *)bytes + offsets[t], "%d", t) : 0);
  }
  kinds[count - 2] = DIMPLE_TOKEN_FILLER;
  kinds[count - 1] = DIMPLE_TOKEN_EXCLUDED;
  dimple_vocabulary *v = NULL;
  EXPECT_OK(dimple_vocabulary_create(bytes, offsets, kinds, count, &v));
  free(bytes);
  free(offsets);
  free(kinds);
  return v;
}

dimple_constraint *sevenths(dimple_vocabulary *v) {
  enum { STATES = 7, CLASSES = 11 };
  uint8_t byte_class[256], accepting[STATES] = {1};
  int32_t next[STATES * CLASSES];
  for (int32_t b = 0; b < 256; b++) byte_class[b] = (uint8_t)(b >= '0' && b <= '9' ? b - '0' : CLASSES - 1);
  for (int32_t i = 0; i < STATES * CLASSES; i++) next[i] = i % CLASSES < 10 ? (10 * (i / CLASSES) + i % CLASSES) % STATES : -1;
  dimple_automaton a = {.state_count = STATES, .class_count = CLASSES, .byte_class = byte_class, .next = next, .accepting = accepting};
  dimple_constraint *c = NULL;
  EXPECT_OK(dimple_constraint_create(v, &a, &c));
  return c;
}
