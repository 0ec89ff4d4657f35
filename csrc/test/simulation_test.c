/* Whole decodings without a model, on synthetic logits, against the numpy reference. */
#include <stddef.h>

#include "test/sampler_fixture.h"
#include "test/data/sampler_tables.h"

/* The same numbers as synthetic_logits in data/sampler_tables.py. */
static float synthetic_logit(uint32_t iteration, uint32_t position, uint32_t token) {
  uint32_t h = iteration * 73856093u ^ position * 19349663u ^ token * 83492791u;
  h *= 2654435761u;
  h = (h ^ h >> 15) * 2246822519u;
  return (float)((h >> 18) % 1024) / 64 - 8;
}

/* A canvas being decoded without a model. */
typedef struct simulation {
  dimple_decoding decoding;
  int32_t length, vocab;
  int32_t block;      /* rows of logits handed over at a time */
  bool from_summary;  /* where possible */
  replay *recorded;
  int32_t revealed[MAX_LENGTH]; /* iteration, -1 masked, -2 fixed */
  int32_t token[MAX_LENGTH];
  int32_t iterations;
} simulation;

static void score(const simulation *s, const sampler_step *step, const int32_t *positions, int32_t count, candidate *out) {
  static float z[MAX_LENGTH * MAX_VOCAB];
  head_row rows[MAX_LENGTH];
  for (int32_t i = 0; i < count; i++) {
    for (int32_t v = 0; v < s->vocab; v++)
      z[i * s->vocab + v] = synthetic_logit((uint32_t)step->iteration, (uint32_t)positions[i], (uint32_t)v);
    rows[i] = summarise(z + i * s->vocab, s->vocab, 0, 0);
  }
  if (s->from_summary && !candidates_need_logits(step)) {
    candidates_from_summary(step, rows, count, out);
    return;
  }
  for (int32_t at = 0; at < count; at += s->block) {
    int32_t size = count - at < s->block ? count - at : s->block;
    EXPECT_OK(candidates_from_logits(step, rows + at, z + at * s->vocab, size, s->vocab, positions + at, at, count, out + at));
  }
}

/* One iteration; false at the end. */
static bool advance(simulation *s) {
  int32_t positions[MAX_LENGTH], chosen[MAX_LENGTH], count = 0, total = 0;
  sampler_step step = {.decoding = &s->decoding, .levels = levels, .iteration = s->iterations, .positions = positions,
                       .recorded = s->recorded};
  for (int32_t i = 0; i < s->length; i++) {
    total += s->revealed[i] != -2;
    if (s->revealed[i] == -1) positions[step.masked++] = i;
  }
  step.total = total;
  candidate found[MAX_LENGTH];
  if (step.masked > 0) {
    bool first = sampler_chooses_positions_first(&s->decoding);
    if (!first) score(s, &step, positions, step.masked, found);
    EXPECT_OK(sampler_choose(&step, first ? NULL : found, chosen, &count));
    EXPECT(count >= 0 && count <= step.masked, "%d of %d", count, step.masked);
    for (int32_t i = 0; i < count; i++)
      EXPECT(chosen[i] > (i ? chosen[i - 1] : -1) && chosen[i] < step.masked, "index %d is %d", i, chosen[i]);
    if (first) {
      int32_t at[MAX_LENGTH];
      for (int32_t i = 0; i < count; i++) at[i] = positions[chosen[i]];
      score(s, &step, at, count, found);
    }
    for (int32_t i = 0; i < count; i++) {
      s->revealed[positions[chosen[i]]] = s->iterations;
      s->token[positions[chosen[i]]] = found[first ? i : chosen[i]].token;
    }
  }
  s->iterations++;
  bool finished = s->decoding.pipeline == DIMPLE_PIPELINE_DIM && count == step.masked;
  return !finished && s->iterations < s->decoding.steps;
}

static void decode(simulation *s, const int8_t *initial) {
  for (int32_t i = 0; i < s->length; i++) {
    s->revealed[i] = initial && initial[i] == -2 ? -2 : -1;
    s->token[i] = -1;
  }
  s->iterations = 0;
  schedule_levels(s->decoding.steps, s->decoding.epsilon, levels);
  if (s->recorded) replay_seek(s->recorded, 0);
  while (advance(s)) {
  }
}

/* The settings of a run; the tables end with the seed, and what follows it is of no concern to them. */
static dimple_decoding settings_of(int32_t run) {
  dimple_decoding d;
  dimple_decoding_defaults(&d);
  memcpy(&d, &runs[run].decoding, offsetof(dimple_decoding, block_length));
  return d;
}

static void decodings_equal_reference(void) {
  for (int32_t r = 0; r < COUNT(runs); r++) {
    replay *recorded = NULL;
    dimple_decoding settings = settings_of(r);
    /* The reference also takes a threshold that entropies, turned round, cannot be above. */
    bool beyond = settings.algorithm == DIMPLE_ALGORITHM_ENTROPY && settings.threshold > 0;
    EXPECT(beyond || dimple_decoding_validate(&settings) == DIMPLE_OK, "run %d: %s", r, dimple_last_error());
    EXPECT_OK(replay_create(run_draw_kinds + runs[r].first_record, run_draw_lengths + runs[r].first_record,
                            runs[r].record_count, run_draw_values + runs[r].first_value, runs[r].value_count, &recorded));
    for (int32_t way = 0; way < 3; way++) {
      simulation s = {.decoding = settings, .length = runs[r].length, .vocab = runs[r].vocab,
                      .block = way == 0 ? MAX_LENGTH : way, .from_summary = way == 0, .recorded = recorded};
      decode(&s, run_revealed + runs[r].first);
      EXPECT(s.iterations == runs[r].iterations, "run %d: %d iterations, not %d", r, s.iterations, runs[r].iterations);
      EXPECT(replay_position(recorded) == runs[r].record_count, "run %d: %d of %d draws used", r, replay_position(recorded),
             runs[r].record_count);
      for (int32_t i = 0; i < s.length; i++) {
        EXPECT(s.revealed[i] == run_revealed[runs[r].first + i] && s.token[i] == run_token[runs[r].first + i],
               "run %d way %d position %d: token %d in iteration %d, not %d in %d", r, way, i, s.token[i], s.revealed[i],
               run_token[runs[r].first + i], run_revealed[runs[r].first + i]);
      }
    }
    replay_free(recorded);
  }
}

/* Every pipeline and algorithm on the generator: whatever the blocks, a seed gives one result; another seed gives another. */
static void generator_decodings(void) {
  for (int32_t pipeline = 0; pipeline < 2; pipeline++) {
    for (int32_t algorithm = 0; algorithm <= DIMPLE_ALGORITHM_ENTROPY; algorithm++) {
      if (pipeline == DIMPLE_PIPELINE_DREAM && algorithm == DIMPLE_ALGORITHM_ORIGIN_RATIO) continue;
      bool judged = pipeline == DIMPLE_PIPELINE_DIM && algorithm != DIMPLE_ALGORITHM_ENTROPY;
      for (int32_t threshold = 0; threshold <= judged; threshold++) {
        simulation s[3];
        for (int32_t i = 0; i < 3; i++) {
          s[i] = (simulation){.decoding = plain_decoding(algorithm), .length = 40, .vocab = 30, .block = i == 0 ? 40 : 3};
          s[i].decoding.pipeline = pipeline;
          s[i].decoding.steps = 24;
          s[i].decoding.temperature = 0.8f;
          s[i].decoding.algorithm_temperature = 0.5f;
          s[i].decoding.threshold = threshold ? 0.8f : 0;
          s[i].decoding.seed = i == 2 ? 1234567890123u : 5;
          decode(&s[i], NULL);
        }
        EXPECT(s[0].iterations == s[1].iterations && memcmp(s[0].token, s[1].token, sizeof s[0].token) == 0 &&
                   memcmp(s[0].revealed, s[1].revealed, sizeof s[0].revealed) == 0,
               "pipeline %d algorithm %d: blocks change the result", pipeline, algorithm);
        EXPECT(memcmp(s[0].token, s[2].token, sizeof s[0].token) != 0, "pipeline %d algorithm %d: the seed changes nothing",
               pipeline, algorithm);
        int32_t left = 0;
        for (int32_t i = 0; i < 40; i++) left += s[0].revealed[i] == -1;
        /* Leftmost first takes one per step, unless the threshold's last step takes all. */
        int32_t expected = algorithm == DIMPLE_ALGORITHM_AUTOREGRESSIVE && !threshold ? 40 - 24 : 0;
        EXPECT(left == expected, "pipeline %d algorithm %d: %d masks left, not %d", pipeline, algorithm, left, expected);
      }
    }
  }
}

static void autoregressive_goes_left_to_right(void) {
  for (int32_t pipeline = 0; pipeline < 2; pipeline++) {
    simulation s = {.decoding = plain_decoding(DIMPLE_ALGORITHM_AUTOREGRESSIVE), .length = 12, .vocab = 20, .block = 12};
    s.decoding.pipeline = pipeline;
    s.decoding.steps = 12;
    decode(&s, NULL);
    for (int32_t i = 0; i < 12; i++) EXPECT(s.revealed[i] == i, "position %d in iteration %d", i, s.revealed[i]);
  }
}

int main(void) {
  decodings_equal_reference();
  generator_decodings();
  autoregressive_goes_left_to_right();
  return expect_summary("simulation");
}
