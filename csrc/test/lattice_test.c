/* Paths through constraints, beside every response there is: what may stand where, the best path, and how often each is drawn. */
#include "constraint/lattice.h"

#include <stdlib.h>

#include "diffusion/logits.h"
#include "test/chi_square.h"
#include "test/constraint_fixture.h"
#include "test/expect.h"

enum { MAX_LENGTH = 4, MAX_WORDS = 14, MAX_RESPONSES = 14 * 14 * 14 * 14 };

/* A constraint, and scores at some positions of a canvas. */
typedef struct scene {
  words words;
  machine machine;
  dimple_constraint *constraint; /* null: it accepts nothing */
  int32_t length;
  int32_t canvas[MAX_LENGTH]; /* -1: masked */
  bool scored[MAX_LENGTH];
  float logits[MAX_LENGTH][MAX_WORDS];
  float kept[MAX_LENGTH][MAX_WORDS]; /* 0 or 1 */
  bool filters;
  lattice lattice;
} scene;

static void close_scene(scene *s) {
  lattice_close(&s->lattice);
  dimple_constraint_free(s->constraint);
}

static const char *const NOTHING[] = {"accepts nothing", "no tokens"};

/* Whether there is anything that fits. */
static bool open_constraint(scene *s) {
  dimple_vocabulary *v = vocabulary_of(&s->words);
  dimple_automaton a = automaton_of(&s->machine);
  dimple_status status = dimple_constraint_create(v, &a, &s->constraint);
  int32_t shortest = shortest_that_fits(&s->machine, &s->words, MAX_AUTOMATON_STATES * 4);
  dimple_vocabulary_free(v);
  if (shortest < 0) {
    EXPECT(status == DIMPLE_ERROR_ARGUMENT && (strstr(dimple_last_error(), NOTHING[0]) || strstr(dimple_last_error(), NOTHING[1])),
           "%d: %s", (int)status, dimple_last_error());
    return false;
  }
  EXPECT(status == DIMPLE_OK, "%s", dimple_last_error());
  if (status != DIMPLE_OK) return false;
  dimple_constraint_info info;
  EXPECT_OK(dimple_constraint_get_info(s->constraint, &info));
  EXPECT(info.shortest == shortest, "the shortest has %d tokens, not %d", info.shortest, shortest);
  return true;
}

/* A random scene that has a path; false if this seed has none. `fixed`: percent of positions. */
static bool open_scene(scene *s, uint64_t seed, int32_t count, int32_t length, int32_t fixed, bool all_scored, bool filters) {
  random_numbers r = {.seed = seed};
  memset(s, 0, sizeof *s);
  s->words = random_words(&r, count);
  int32_t slots = random_below(&r, 3) ? 0 : 1 + random_below(&r, 2), states = 2 + random_below(&r, 6);
  s->machine = random_machine(&r, states, slots);
  s->length = length;
  s->filters = filters;
  if (!open_constraint(s)) return false;
  for (int32_t i = 0; i < length; i++) {
    s->canvas[i] = random_below(&r, 100) < fixed ? random_below(&r, count - 1) : -1;
    s->scored[i] = all_scored || random_below(&r, 3) > 0;
    for (int32_t t = 0; t < count; t++) {
      s->logits[i][t] = random_logit(&r);
      s->kept[i][t] = random_below(&r, 3) == 0;
    }
  }
  EXPECT_OK(lattice_open(s->constraint, length, NULL, &s->lattice));
  dimple_status status = lattice_update(&s->lattice, s->canvas, -1);
  bool can = canvas_can_fit(&s->machine, &s->words, s->canvas, length);
  EXPECT((status == DIMPLE_OK) == can, "seed %d: status %d, but can fit is %d", (int)seed, (int)status, can);
  if (can && status == DIMPLE_OK) return true;
  int32_t shortest = shortest_that_fits(&s->machine, &s->words, MAX_AUTOMATON_STATES * 4);
  EXPECT(status == (shortest > length ? DIMPLE_ERROR_LIMIT : DIMPLE_ERROR_ARGUMENT), "%d: %s", (int)status, dimple_last_error());
  close_scene(s);
  return false;
}

static void score_scene(scene *s, const path_settings *settings) {
  for (int32_t i = 0; i < s->length; i++)
    if (s->canvas[i] < 0 && s->scored[i]) lattice_score(&s->lattice, i, s->logits[i], s->filters ? s->kept[i] : NULL, settings, NULL);
}

/* ----------------------------------------------------------------------------------------------------------- every response */

typedef struct response {
  int32_t tokens[MAX_LENGTH];
  int32_t cost; /* positions whose token is not kept */
  double sum;   /* of the scores */
} response;

static response responses[MAX_RESPONSES];

/* Lists every response that fits and agrees with the canvas; returns how many. */
static int32_t list_responses(const scene *s) {
  int32_t count = 0, tokens[MAX_LENGTH] = {0};
  for (;;) {
    response found = {0};
    stand at = stand_at_start();
    for (int32_t i = 0; i < s->length && at.state >= 0; i++) {
      int32_t t = s->canvas[i] >= 0 ? s->canvas[i] : tokens[i];
      at = stand_after(&s->machine, &s->words, at, t);
      found.tokens[i] = t;
      if (s->canvas[i] >= 0 || !s->scored[i]) continue;
      found.cost += s->filters && s->kept[i][t] == 0;
      found.sum += s->logits[i][t];
    }
    if (stand_fits(&s->machine, at)) responses[count++] = found;
    int32_t i = s->length - 1;
    for (; i >= 0; i--) {
      if (s->canvas[i] >= 0) continue;
      if (++tokens[i] < s->words.count) break;
      tokens[i] = 0;
    }
    if (i < 0) return count;
  }
}

static bool same_tokens(const scene *s, const response *r) {
  for (int32_t i = 0; i < s->length; i++)
    if (s->lattice.path[i].token != r->tokens[i]) return false;
  return true;
}

/* The fewest costs of all. */
static int32_t least_cost(int32_t count) {
  int32_t least = INT32_MAX;
  for (int32_t i = 0; i < count; i++)
    if (responses[i].cost < least) least = responses[i].cost;
  return least;
}

/* ----------------------------------------------------------------------------------------------------------------- tests */

static void expect_allowed(scene *s, int32_t count) {
  for (int32_t i = 0; i < s->length; i++) {
    if (s->canvas[i] >= 0) continue;
    bool can[MAX_WORDS] = {false};
    int32_t several = 0, only = -1;
    for (int32_t r = 0; r < count; r++) can[responses[r].tokens[i]] = true;
    const uint8_t *allowed = lattice_allowed(&s->lattice, i);
    for (int32_t t = 0; t < s->words.count; t++) {
      int32_t class = s->constraint->classes.of[t];
      bool found = class >= 0 && allowed[class];
      EXPECT(found == can[t], "position %d, token %d: allowed %d, not %d", i, t, found, can[t]);
      several += can[t];
      if (can[t]) only = t;
    }
    int32_t forced = lattice_forced(&s->lattice, i);
    EXPECT(forced == (several == 1 ? only : -1), "position %d: forced %d, but %d tokens can stand there", i, forced, several);
  }
}

static void expect_best(scene *s, int32_t count) {
  path_settings settings = {0};
  int32_t least = least_cost(count);
  double best = -INFINITY, found = NAN;
  score_scene(s, &settings);
  lattice_find_path(&s->lattice, &settings);
  for (int32_t r = 0; r < count; r++) {
    if (responses[r].cost == least && responses[r].sum > best) best = responses[r].sum;
    if (same_tokens(s, &responses[r]) && responses[r].cost == least) found = responses[r].sum;
  }
  EXPECT(found == best, "the path's sum is %g, the best one's %g, of %d responses", found, best, count);
  for (int32_t i = 0; i < s->length; i++)
    if (s->canvas[i] < 0 && s->scored[i])
      EXPECT(s->lattice.path[i].logit == s->logits[i][s->lattice.path[i].token], "logit %g", (double)s->lattice.path[i].logit);
}

static void best_paths_equal_brute_force(void) {
  int32_t scenes = 0, forced = 0, yielded = 0;
  for (uint64_t seed = 0; seed < 1500; seed++) {
    static scene s;
    int32_t words = 8 + (int32_t)(seed % 7), length = 1 + (int32_t)(seed % 4), fixed = (int32_t)(seed % 3) * 20;
    if (!open_scene(&s, seed, words, length, fixed, seed % 2, seed % 5 == 0)) continue;
    int32_t count = list_responses(&s);
    scenes++;
    expect_allowed(&s, count);
    expect_best(&s, count);
    for (int32_t i = 0; i < s.length; i++) forced += s.canvas[i] < 0 && lattice_forced(&s.lattice, i) >= 0;
    yielded += least_cost(count) > 0;
    close_scene(&s);
  }
  EXPECT(scenes > 300 && forced > 20 && yielded > 10, "%d scenes, %d forced positions, filters gave way in %d", scenes, forced, yielded);
}

/* Merges responses of the same scored tokens: those of positions without scores are not drawn. */
static int32_t merge_unscored(const scene *s, int32_t count) {
  int32_t cells = 0;
  for (int32_t r = 0; r < count; r++) {
    response one = responses[r];
    for (int32_t i = 0; i < s->length; i++)
      if (!s->scored[i]) one.tokens[i] = -1;
    int32_t k = 0;
    while (k < cells && memcmp(responses[k].tokens, one.tokens, sizeof one.tokens) != 0) k++;
    if (k == cells) responses[cells++] = one;
  }
  return cells;
}

static int32_t cell_of(const scene *s, int32_t cells) {
  for (int32_t k = 0; k < cells; k++) {
    bool same = true;
    for (int32_t i = 0; i < s->length && same; i++) same = !s->scored[i] || responses[k].tokens[i] == s->lattice.path[i].token;
    if (same) return k;
  }
  return -1;
}

/* The probability of a response that is drawn from position to position, each token among those of responses that begin alike and have
 * the fewest costs. */
static double drawn_probability(const scene *s, const response *one, int32_t cells, int32_t least, double temperature) {
  double probability = 1;
  for (int32_t i = 0; i < s->length; i++) {
    if (s->canvas[i] >= 0 || !s->scored[i]) continue;
    bool can[MAX_WORDS] = {false};
    double sum = 0;
    for (int32_t k = 0; k < cells; k++)
      if (responses[k].cost == least && memcmp(responses[k].tokens, one->tokens, (size_t)i * sizeof(int32_t)) == 0)
        can[responses[k].tokens[i]] = true;
    for (int32_t t = 0; t < s->words.count; t++)
      if (can[t]) sum += exp(s->logits[i][t] / temperature);
    probability *= exp(s->logits[i][one->tokens[i]] / temperature) / sum;
  }
  return probability;
}

/* Draws often, and compares with the probabilities of all responses; the last `unscored` positions have no scores. */
static bool expect_drawn(uint64_t seed, int32_t unscored, bool filters, double temperature) {
  enum { DRAWS = 4000, MAX_CELLS = 60 };
  static scene s;
  if (!open_scene(&s, seed, 10, 3, 15, true, filters)) return false;
  for (int32_t i = s.length - unscored; i < s.length; i++) s.scored[i] = false;
  int32_t cells = merge_unscored(&s, list_responses(&s)), least = least_cost(cells), counts[MAX_CELLS] = {0}, used = 0;
  bool usable = cells >= 3 && cells <= MAX_CELLS;
  if (usable) {
    double probabilities[MAX_CELLS];
    int32_t place[MAX_CELLS];
    for (int32_t k = 0; k < cells; k++) {
      place[k] = responses[k].cost == least ? used++ : -1;
      if (place[k] >= 0) probabilities[place[k]] = drawn_probability(&s, &responses[k], cells, least, temperature);
    }
    usable = used >= 3;
    for (int32_t n = 0; usable && n < DRAWS; n++) {
      path_settings settings = {temperature, 77 + seed, n};
      EXPECT_OK(lattice_update(&s.lattice, s.canvas, -1));
      score_scene(&s, &settings);
      lattice_find_path(&s.lattice, &settings);
      int32_t cell = cell_of(&s, cells);
      EXPECT(cell >= 0 && place[cell] >= 0, "seed %d: a path that no response with the fewest costs has", (int)seed);
      if (cell >= 0 && place[cell] >= 0) counts[place[cell]]++;
    }
    /* Cells that are too rare for the test are counted as one with the next. */
    int32_t kept = 0;
    for (int32_t k = 0; usable && k < used; k++) {
      if (kept > 0 && (probabilities[k] * DRAWS < 10 || probabilities[kept - 1] * DRAWS < 10)) {
        counts[kept - 1] += counts[k];
        probabilities[kept - 1] += probabilities[k];
      } else {
        counts[kept] = counts[k];
        probabilities[kept++] = probabilities[k];
      }
    }
    if (usable && kept >= 2) expect_distribution("drawn paths", counts, probabilities, kept, DRAWS);
    usable = usable && kept >= 2;
  }
  close_scene(&s);
  return usable;
}

static void drawn_paths_have_their_probabilities(void) {
  int32_t tried = 0;
  for (uint64_t seed = 10000; tried < 24; seed++) tried += expect_drawn(seed, (int32_t)(seed % 3), seed % 2, seed % 5 ? 2.5 : 0.5);
}

/* What is left to choose from at a position, beside sums over the tokens that some response has there. */
static void expect_row(scene *s, int32_t count, int32_t position, double temperature) {
  bool can[MAX_WORDS] = {false};
  for (int32_t r = 0; r < count; r++) can[responses[r].tokens[position]] = true;
  const float *z = s->logits[position], *kept = s->kept[position];
  int32_t best = -1;
  double sum = 0, moment = 0, second = -INFINITY;
  for (int32_t t = 0; t < s->words.count; t++)
    if (can[t] && (!s->filters || kept[t] > 0) && (best < 0 || z[t] > z[best])) best = t;
  for (int32_t t = 0; t < s->words.count; t++) {
    if (!can[t] || (s->filters && kept[t] == 0)) continue;
    sum += exp((z[t] - z[best]) / temperature);
    moment += exp((z[t] - z[best]) / temperature) * z[t];
    if (t != best && z[t] > second) second = z[t];
  }
  path_settings settings = {0};
  allowed_row row = {.temperature = temperature};
  lattice_score(&s->lattice, position, z, s->filters ? kept : NULL, &settings, &row);
  EXPECT(row.best == best, "best %d, not %d", row.best, best);
  if (best < 0) return;
  EXPECT(row.best_logit == z[best] && (double)row.second_logit == second, "second %g, not %g", (double)row.second_logit, second);
  EXPECT(fabs(row.sum - sum) < 1e-6 * sum, "sum %.9g, not %.9g", row.sum, sum);
  EXPECT(fabs(row.moment - moment) < 1e-5 * sum, "moment %.9g, not %.9g", row.moment, moment);
}

/* What a head keeps of the classes is as good as its logits. */
static void expect_taken(scene *s, int32_t position, double temperature) {
  const dimple_constraint *c = s->constraint;
  int32_t count = c->classes.count;
  const float *z = s->logits[position];
  head_row of_classes[MAX_WORDS + 2];
  uint8_t allowed[MAX_WORDS + 2];
  memcpy(allowed, lattice_allowed(&s->lattice, position), (size_t)count);
  for (int32_t k = 0; k < count; k++) {
    float members[MAX_WORDS];
    const int32_t *tokens = c->classes.members + c->classes.first[k];
    int32_t size = c->classes.first[k + 1] - c->classes.first[k];
    if (!allowed[k]) continue;
    for (int32_t i = 0; i < size; i++) members[i] = z[tokens[i]];
    of_classes[k] = logits_summary(members, size, 0);
    of_classes[k].best = of_classes[k].drawn = tokens[of_classes[k].best];
    for (int32_t i = 0; i < size; i++) members[i] = (float)(z[tokens[i]] / temperature);
    head_row hot = logits_summary(members, size, 0);
    of_classes[k].hot_log_sum = hot.log_sum;
    of_classes[k].hot_mean = hot.mean_logit;
  }
  path_settings settings = {0};
  allowed_row scored = {.temperature = temperature}, taken = {.temperature = temperature};
  class_score scores[MAX_WORDS + 2];
  lattice_score(&s->lattice, position, z, NULL, &settings, &scored);
  memcpy(scores, s->lattice.scores + (int64_t)position * count, (size_t)count * sizeof *scores);
  lattice_take(&s->lattice, position, of_classes, NULL, &settings, &taken);
  const class_score *found = s->lattice.scores + (int64_t)position * count;
  for (int32_t k = 0; k < count; k++)
    EXPECT(!allowed[k] || (found[k].token == scores[k].token && found[k].weight == scores[k].weight && found[k].logit == scores[k].logit),
           "class %d: token %d, not %d", k, found[k].token, scores[k].token);
  EXPECT(taken.best == scored.best && taken.best_logit == scored.best_logit && taken.second_logit == scored.second_logit, "best %d, not %d",
         taken.best, scored.best);
  EXPECT(fabs(taken.sum - scored.sum) < 1e-5 * scored.sum, "sum %.9g, not %.9g", taken.sum, scored.sum);
  EXPECT(fabs(taken.moment - scored.moment) < 1e-4 * scored.sum, "moment %.9g, not %.9g", taken.moment, scored.moment);
}

static void rows_are_of_what_can_stand_there(void) {
  int32_t rows = 0;
  for (uint64_t seed = 3000; seed < 3400; seed++) {
    static scene s;
    if (!open_scene(&s, seed, 8 + (int32_t)(seed % 7), 1 + (int32_t)(seed % 4), (int32_t)(seed % 3) * 20, true, seed % 2)) continue;
    int32_t count = list_responses(&s);
    for (int32_t i = 0; i < s.length; i++) {
      if (s.canvas[i] >= 0) continue;
      expect_row(&s, count, i, seed % 5 ? 1 : 0.6);
      expect_taken(&s, i, seed % 5 ? 1 : 0.6);
      rows++;
    }
    close_scene(&s);
  }
  EXPECT(rows > 200, "%d rows", rows);
}

/* A class whose only token is forbidden weighs nothing beside others, though the logarithm that a head keeps of it is rounded by far more than a logit. */
static void forbidden_classes_weigh_nothing(void) {
  static const double temperatures[] = {0.1f, 0.2f, 0.4f, 0.5f, 0.7f, 0.8f, 1, 1.5f};
  int32_t tried = 0;
  for (uint64_t seed = 7000; seed < 7060; seed++) {
    static scene s;
    if (!open_scene(&s, seed, 10, 2, 0, true, false)) continue;
    const token_classes *classes = &s.constraint->classes;
    for (int32_t i = 0; i < s.length; i++) {
      const uint8_t *allowed = lattice_allowed(&s.lattice, i);
      int32_t others = 0;
      for (int32_t k = 0; k < classes->count; k++) others += allowed[k];
      for (int32_t k = 0; k < classes->count && others > 1; k++) {
        if (!allowed[k] || classes->first[k + 1] - classes->first[k] != 1) continue;
        float *z = &s.logits[i][classes->members[classes->first[k]]], before = *z;
        *z = -1e30f;
        for (int32_t t = 0; t < (int32_t)(sizeof temperatures / sizeof *temperatures); t++) expect_taken(&s, i, temperatures[t]);
        *z = before;
        tried++;
      }
    }
    close_scene(&s);
  }
  EXPECT(tried > 20, "%d classes", tried);
}

/* Logits that are no numbers, and some that are all of them too small, leave paths that fit. */
static void strange_logits_are_survived(void) {
  static scene s;
  int32_t tried = 0;
  for (uint64_t seed = 0; tried < 20; seed++) {
    if (!open_scene(&s, seed, 12, 3, 0, true, false)) continue;
    tried++;
    for (int32_t kind = 0; kind < 4; kind++) {
      float strange[] = {NAN, -INFINITY, INFINITY, -1e38f};
      for (int32_t i = 0; i < s.length; i++)
        for (int32_t t = 0; t < s.words.count; t++)
          if (kind != 2 || t % 3 == 0) s.logits[i][t] = strange[kind];
      for (int32_t hot = 0; hot < 2; hot++) {
        path_settings settings = {hot ? 1e-6 : 0, seed, 0};
        int32_t path[MAX_LENGTH];
        EXPECT_OK(lattice_update(&s.lattice, s.canvas, -1));
        score_scene(&s, &settings);
        lattice_find_path(&s.lattice, &settings);
        for (int32_t i = 0; i < s.length; i++) path[i] = s.lattice.path[i].token;
        EXPECT(canvas_can_fit(&s.machine, &s.words, path, s.length), "logits of %g", (double)strange[kind]);
      }
    }
    close_scene(&s);
  }
}

/* A path stays one while what is revealed lies on it, and only then. */
static void a_path_outlives_what_it_reveals(void) {
  static scene s;
  int32_t tried = 0;
  for (uint64_t seed = 0; tried < 20; seed++) {
    if (!open_scene(&s, seed, 12, 4, 0, true, false)) continue;
    tried++;
    path_settings settings = {0};
    EXPECT(!s.lattice.has_path, "none was sought");
    score_scene(&s, &settings);
    lattice_find_path(&s.lattice, &settings);
    s.canvas[2] = s.lattice.path[2].token;
    EXPECT_OK(lattice_update(&s.lattice, s.canvas, -1));
    EXPECT(s.lattice.has_path, "it agrees");
    for (int32_t t = 0; t < s.words.count - 1; t++) {
      s.canvas[2] = t;
      if (lattice_update(&s.lattice, s.canvas, -1) != DIMPLE_OK || t == s.lattice.path[2].token) continue;
      EXPECT(!s.lattice.has_path, "it does not agree");
      break;
    }
    close_scene(&s);
  }
}

/* A canvas between tokens that are there and positions that come later allows what it would as a part of the whole. */
static void parts_are_as_in_the_whole(void) {
  static scene s;
  int32_t tried = 0, refused = 0, dead = 0;
  for (uint64_t seed = 0; tried < 200 || refused < 20; seed++) {
    random_numbers r = {.seed = seed + 900000};
    if (!open_scene(&s, seed, 10 + (int32_t)(seed % 4), MAX_LENGTH, 25, true, false)) continue;
    int32_t first = random_below(&r, 3), end = first + 1 + random_below(&r, MAX_LENGTH - first);
    for (int32_t i = 0; i < first; i++) s.canvas[i] = random_below(&r, 4) ? lattice_forced(&s.lattice, i) : s.canvas[i];
    for (int32_t i = 0; i < first; i++) s.canvas[i] = s.canvas[i] < 0 ? random_below(&r, s.words.count - 1) : s.canvas[i];
    lattice_part part = {s.canvas, s.canvas + end, first, MAX_LENGTH - end, -1};
    lattice l;
    dimple_status whole = lattice_update(&s.lattice, s.canvas, -1), status = lattice_open(s.constraint, end - first, &part, &l);
    bool opened = status == DIMPLE_OK;
    dead += !opened;
    if (opened) status = lattice_update(&l, s.canvas + first, -1);
    EXPECT(status == whole, "seed %d: status %d of the part, %d of the whole: %s", (int)seed, (int)status, (int)whole, dimple_last_error());
    tried += status == DIMPLE_OK;
    refused += status != DIMPLE_OK;
    for (int32_t i = first; i < end && status == DIMPLE_OK; i++) {
      uint8_t allowed[MAX_WORDS];
      int32_t classes = s.constraint->classes.count;
      memcpy(allowed, lattice_allowed(&s.lattice, i), (size_t)classes);
      bool same = s.canvas[i] >= 0 || (memcmp(allowed, lattice_allowed(&l, i - first), (size_t)classes) == 0 &&
                                       lattice_forced(&l, i - first) == lattice_forced(&s.lattice, i));
      EXPECT(same, "seed %d: position %d of %d to %d allows something else", (int)seed, i, first, end);
    }
    if (opened) lattice_close(&l);
    close_scene(&s);
  }
  EXPECT(dead > 5, "%d have a beginning that nothing goes on from", dead);
}

int main(void) {
  best_paths_equal_brute_force();
  drawn_paths_have_their_probabilities();
  rows_are_of_what_can_stand_there();
  forbidden_classes_weigh_nothing();
  strange_logits_are_survived();
  a_path_outlives_what_it_reveals();
  parts_are_as_in_the_whole();
  return expect_summary("lattice");
}
