/* Decodings with recorded draws. */
#include "test/session_fixture.h"

static void replayed_draws(void) {
  dimple_session *s = text_session(text_model, 1, 1);
  set_masks(s, 3);
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_ORIGIN);
  d.steps = 4; /* reveals 1, 1, 1 */
  d.temperature = 0.5f;
  static const int32_t kinds[] = {DIMPLE_DRAW_CATEGORICAL, DIMPLE_DRAW_PERMUTATION, DIMPLE_DRAW_CATEGORICAL, DIMPLE_DRAW_PERMUTATION};
  static const int32_t lengths[] = {3, 3, 2, 2};
  static const double drawn[] = {7, 8, 9, 2, 0, 1, 20, 21, 1, 0};
  dimple_step step;
  outcome generated = decode(s, &d);
  for (int round = 0; round < 2; round++) { /* each decoding starts with the first record */
    if (round == 0) EXPECT_OK(dimple_session_replay_draws(s, kinds, lengths, 4, drawn, 10));
    EXPECT_OK(dimple_session_begin(s, &d));
    EXPECT_OK(dimple_session_step(s, &step));
    EXPECT(step.revealed_count == 1 && step.revealed[0] == 2 && step.canvas[2] == 9, "token %d", step.canvas[2]);
    EXPECT_OK(dimple_session_step(s, &step));
    EXPECT(step.canvas[1] == 21, "token %d", step.canvas[1]);
    for (int again = 0; again < 2; again++)
      EXPECT_FAILS(dimple_session_step(s, &step), DIMPLE_ERROR_STATE, "all 4 records are used");
  }
  EXPECT_OK(dimple_session_replay_draws(s, kinds + 1, lengths + 1, 1, drawn + 3, 3));
  EXPECT_OK(dimple_session_begin(s, &d));
  for (int again = 0; again < 2; again++) /* a failed step has not happened and used nothing */
    EXPECT_FAILS(dimple_session_step(s, &step), DIMPLE_ERROR_STATE, "record 0 is a permutation of 3");
  EXPECT_OK(dimple_session_replay_draws(s, kinds, lengths, 2, (double[]){1, 2, VOCAB, 0, 1, 2}, 6));
  EXPECT_OK(dimple_session_begin(s, &d));
  EXPECT_FAILS(dimple_session_step(s, &step), DIMPLE_ERROR_STATE, "token 96");
  EXPECT_FAILS(dimple_session_replay_draws(s, kinds, lengths, 1, drawn, 10), DIMPLE_ERROR_ARGUMENT, "value_count is 10");
  EXPECT_FAILS(dimple_session_replay_draws(s, kinds, lengths, -1, drawn, 10), DIMPLE_ERROR_ARGUMENT, "record_count");
  EXPECT_OK(dimple_session_replay_draws(s, NULL, NULL, 0, NULL, 0));
  outcome again = decode(s, &d);
  EXPECT(same_outcome(&generated, &again), "the generator is back");
  dimple_session_free(s);
}

static void replay_ends_a_decoding(void) {
  dimple_session *s = text_session(text_model, 1, 1);
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_ORIGIN);
  dimple_step step;
  EXPECT_OK(dimple_session_begin(s, &d));
  EXPECT_OK(dimple_session_step(s, &step));
  EXPECT_OK(dimple_session_replay_draws(s, &(int32_t){DIMPLE_DRAW_UNIFORM}, &(int32_t){1}, 1, &(double){0.5}, 1));
  EXPECT_FAILS(dimple_session_step(s, &step), DIMPLE_ERROR_STATE, "begin");
  dimple_session_free(s);
}

int main(void) {
  if (fixture_open()) {
    replayed_draws();
    replay_ends_a_decoding();
  }
  fixture_close();
  return expect_summary("replay");
}
