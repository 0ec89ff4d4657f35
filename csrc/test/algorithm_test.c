/* The tables of algorithms and pipelines: complete, in the order of dimple.h, and consistent. */
#include "diffusion/pipeline.h"
#include "test/expect.h"

/* Those that other programs name; later ones are not listed. */
static const char *const names[] = {
    [DIMPLE_ALGORITHM_ORIGIN] = "origin",
    [DIMPLE_ALGORITHM_ORIGIN_RATIO] = "origin-ratio",
    [DIMPLE_ALGORITHM_AUTOREGRESSIVE] = "autoregressive",
    [DIMPLE_ALGORITHM_MASKGIT_PLUS] = "maskgit_plus",
    [DIMPLE_ALGORITHM_TOPK_MARGIN] = "topk_margin",
    [DIMPLE_ALGORITHM_ENTROPY] = "entropy"};

static const algorithm *numbered(int32_t number) { return algorithm_of(&(dimple_decoding){.algorithm = number}); }

static void numbers_are_those_of_the_header(void) {
  for (int32_t i = 0; i < (int32_t)(sizeof names / sizeof names[0]); i++)
    EXPECT(strcmp(numbered(i)->name, names[i]) == 0, "%d is %s", i, numbered(i)->name);
  EXPECT(strcmp(pipelines[DIMPLE_PIPELINE_DIM]->name, "dim") == 0, "%s", pipelines[DIMPLE_PIPELINE_DIM]->name);
  EXPECT(strcmp(pipelines[DIMPLE_PIPELINE_DREAM]->name, "dream") == 0, "%s", pipelines[DIMPLE_PIPELINE_DREAM]->name);
}

static void every_algorithm_is_offered(void) {
  for (int32_t i = 0; i < ALGORITHM_COUNT; i++) {
    const algorithm *a = numbered(i);
    int32_t offers = 0, others = 0;
    for (int32_t p = 0; p < PIPELINE_COUNT; p++) {
      offers += a->choose[p] != NULL;
      EXPECT(a->choose[p] || !a->positions_first[p], "%s comes first in a pipeline that does not offer it", a->name);
    }
    for (int32_t j = 0; j < ALGORITHM_COUNT; j++) others += j != i && strcmp(numbered(j)->name, a->name) == 0;
    EXPECT(others == 0, "two are called %s", a->name);
    EXPECT(offers > 0, "no pipeline offers %s", a->name);
    EXPECT(a->confidence->low < a->confidence->high, "%s: range of confidence", a->name);
  }
}

/* What is refused, and only that, is what no table offers. */
static void validation_follows_the_table(void) {
  for (int32_t p = 0; p < PIPELINE_COUNT; p++) {
    for (int32_t i = 0; i < ALGORITHM_COUNT; i++) {
      dimple_decoding d;
      dimple_decoding_defaults(&d);
      d.pipeline = p;
      d.algorithm = i;
      bool offered = numbered(i)->choose[p] != NULL;
      EXPECT((dimple_decoding_validate(&d) == DIMPLE_OK) == offered, "%s in %s", numbered(i)->name, pipelines[p]->name);
    }
  }
}

static void numbers_end_with_the_table(void) {
  dimple_decoding d;
  char text[80];
  dimple_decoding_defaults(&d);
  d.algorithm = ALGORITHM_COUNT;
  snprintf(text, sizeof text, "algorithm is %d, expected 0 .. %d", ALGORITHM_COUNT, ALGORITHM_COUNT - 1);
  EXPECT_FAILS(dimple_decoding_validate(&d), DIMPLE_ERROR_ARGUMENT, text);
}

/* A pipeline that judges positions by threshold needs candidates from the algorithm. */
static void dim_never_comes_first(void) {
  for (int32_t i = 0; i < ALGORITHM_COUNT; i++) EXPECT(!numbered(i)->positions_first[DIMPLE_PIPELINE_DIM], "%s", numbered(i)->name);
}

static void only_dim_stops_early(void) {
  EXPECT(pipelines[DIMPLE_PIPELINE_DIM]->done(0) && !pipelines[DIMPLE_PIPELINE_DIM]->done(1), "dim");
  EXPECT(!pipelines[DIMPLE_PIPELINE_DREAM]->done(0), "dream");
}

int main(void) {
  numbers_are_those_of_the_header();
  every_algorithm_is_offered();
  validation_follows_the_table();
  numbers_end_with_the_table();
  dim_never_comes_first();
  only_dim_stops_early();
  return expect_summary("algorithm");
}
