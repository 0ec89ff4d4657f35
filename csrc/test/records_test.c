/* Records of draws: impossible ones, and those that do not fit the step. */
#include "test/sampler_fixture.h"

static void replay_refuses_impossible_records(void) {
  static const struct {
    int32_t kind, length;
    double values[3];
    const char *text;
  } bad[] = {{4, 1, {0}, "kind 4"},
             {-1, 1, {0}, "kind -1"},
             {DIMPLE_DRAW_PERMUTATION, -1, {0}, "length -1"},
             {DIMPLE_DRAW_PERMUTATION, 4, {0}, "length 4"},
             {DIMPLE_DRAW_PERMUTATION, 2, {0, 1, 0}, "value_count is 3"},
             {DIMPLE_DRAW_PERMUTATION, 3, {0, 1, 3}, "holds 3 at 2"},
             {DIMPLE_DRAW_PERMUTATION, 3, {0, 2, 0}, "index 0 twice"},
             {DIMPLE_DRAW_PERMUTATION, 3, {0, 2, 0.5}, "holds 0.5 at 2"},
             {DIMPLE_DRAW_UNIFORM, 3, {0, 0.5, 1}, "holds 1 at 2"},
             {DIMPLE_DRAW_UNIFORM, 3, {-0.5, 0, 0}, "holds -0.5 at 0"},
             {DIMPLE_DRAW_UNIFORM, 3, {0, NAN, 0}, "nan"},
             {DIMPLE_DRAW_CATEGORICAL, 3, {0, 1.5, 0}, "holds 1.5 at 1"},
             {DIMPLE_DRAW_CATEGORICAL, 3, {0, 1e300, 0}, "1e+300"},
             {DIMPLE_DRAW_SUBSET, 3, {7, 1, 7}, "index 7 twice"}};
  for (int32_t i = 0; i < COUNT(bad); i++) {
    replay *r = NULL;
    EXPECT_FAILS(replay_create(&bad[i].kind, &bad[i].length, 1, bad[i].values, 3, &r), DIMPLE_ERROR_ARGUMENT, bad[i].text);
    EXPECT(r == NULL, "case %d", i);
  }
  replay *r = NULL;
  int32_t kind = 0, length = 0;
  EXPECT_FAILS(replay_create(NULL, &length, 1, NULL, 0, &r), DIMPLE_ERROR_ARGUMENT, "null");
  EXPECT_FAILS(replay_create(&kind, NULL, 1, NULL, 0, &r), DIMPLE_ERROR_ARGUMENT, "null");
  EXPECT_FAILS(replay_create(&kind, &length, 1, NULL, 1, &r), DIMPLE_ERROR_ARGUMENT, "null");
  EXPECT_FAILS(replay_create(&kind, &length, -1, NULL, 0, &r), DIMPLE_ERROR_ARGUMENT, "record_count -1");
  EXPECT_FAILS(replay_create(&kind, &length, 1, NULL, -1, &r), DIMPLE_ERROR_ARGUMENT, "value_count -1");
  EXPECT_OK(replay_create(&kind, &length, 1, NULL, 0, &r));
  replay_free(r);
  replay_free(NULL);
}

static void replay_refuses_unfitting_records(void) {
  static const int32_t kinds[] = {DIMPLE_DRAW_UNIFORM, DIMPLE_DRAW_PERMUTATION, DIMPLE_DRAW_SUBSET, DIMPLE_DRAW_CATEGORICAL};
  static const int32_t lengths[] = {2, 3, 1, 2};
  static const double values[] = {0.5, 0.25, 2, 0, 1, 9, 3, 12};
  static const float confidence[3] = {0}, z[24] = {0};
  replay *r = NULL;
  EXPECT_OK(replay_create(kinds, lengths, 4, values, 8, &r));
  const double *found;
  EXPECT_FAILS(replay_next(r, DIMPLE_DRAW_PERMUTATION, 2, &found), DIMPLE_ERROR_STATE, "record 0 is a uniform of 2");
  EXPECT_FAILS(replay_next(r, DIMPLE_DRAW_UNIFORM, 3, &found), DIMPLE_ERROR_STATE, "needs a uniform of 3");
  EXPECT_OK(replay_next(r, DIMPLE_DRAW_UNIFORM, 2, &found));
  EXPECT(found[0] == 0.5 && found[1] == 0.25 && replay_last(r) == found, "%g %g", found[0], found[1]);

  dimple_decoding d = plain_decoding(DIMPLE_ALGORITHM_ORIGIN);
  d.steps = 3;
  sampler_step step = plain_step(&d, 3);
  step.recorded = r;
  candidate candidates[3] = {{.token = 0}};
  int32_t chosen[MAX_LENGTH], count = choose(&step, confidence, chosen);
  EXPECT(count == 1 && chosen[0] == 2, "%d chosen, first %d", count, chosen[0]);
  d.algorithm = DIMPLE_ALGORITHM_MASKGIT_PLUS;
  d.algorithm_temperature = 1;
  EXPECT_FAILS(sampler_choose(&step, candidates, chosen, &count), DIMPLE_ERROR_STATE, "index 9, but only 3");
  d.temperature = 1;
  EXPECT_FAILS(candidates_of(&step, z, 2, 12, candidates), DIMPLE_ERROR_STATE,
               "token 12 at 1, expected 0 .. 11");
  EXPECT_FAILS(replay_next(r, DIMPLE_DRAW_UNIFORM, 2, &found), DIMPLE_ERROR_STATE, "all 4 records are used");
  replay_seek(r, 1);
  EXPECT_OK(replay_next(r, DIMPLE_DRAW_PERMUTATION, 3, &found));
  EXPECT(found[0] == 2 && replay_position(r) == 2, "%g", found[0]);
  replay_free(r);
}

int main(void) {
  replay_refuses_impossible_records();
  replay_refuses_unfitting_records();
  return expect_summary("records");
}
