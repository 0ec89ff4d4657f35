/* The settings of a decoding: their defaults and ranges. */
#include <float.h>
#include <stddef.h>

#include "diffusion/pipeline.h"
#include "error.h"

enum { MAX_STEPS = 1 << 20 };

/* Below this, float32 logits divided by the temperature overflow or keep no digit. */
static const float MIN_TEMPERATURE = 1e-6f;

void dimple_decoding_defaults(dimple_decoding *decoding) {
  if (!decoding) return;
  *decoding = (dimple_decoding){.pipeline = DIMPLE_PIPELINE_DIM,
                                .algorithm = DIMPLE_ALGORITHM_MASKGIT_PLUS,
                                .steps = 64,
                                .original_confidence = 1,
                                .threshold = 0.95f,
                                .top_p = 1.0f,
                                .epsilon = 1e-3f};
}

static bool finite_from_zero(float x) { return x >= 0 && x <= FLT_MAX; }
static bool usable_temperature(float x) { return x == 0 || x >= MIN_TEMPERATURE; }
static bool probability(float x) { return x >= 0 && x <= 1; }
static bool between_zero_and_one(float x) { return x > 0 && x < 1; }

#define FIELD(name) #name, offsetof(dimple_decoding, name)

/* One line a setting. */
static const struct {
  const char *name;
  size_t offset;
  int32_t low, high;
} integers[] = {{FIELD(pipeline), 0, PIPELINE_COUNT - 1},
                {FIELD(algorithm), 0, ALGORITHM_COUNT - 1},
                {FIELD(steps), 1, MAX_STEPS},
                {FIELD(top_k), 0, INT32_MAX},
                {FIELD(original_confidence), 0, 1}};

static const struct {
  const char *name;
  size_t offset;
  bool (*fits)(float x); /* false for NaN */
  const char *expected;
} numbers[] = {{FIELD(threshold), finite_from_zero, "a finite number >= 0"},
               {FIELD(temperature), finite_from_zero, "a finite number >= 0"},
               {FIELD(algorithm_temperature), finite_from_zero, "a finite number >= 0"},
               {FIELD(temperature), usable_temperature, "0 (the most likely token) or at least 1e-06"},
               {FIELD(top_p), probability, "0 .. 1"},
               {FIELD(epsilon), between_zero_and_one, "more than 0 and less than 1"}};

static dimple_status check_integers(const dimple_decoding *d) {
  for (size_t i = 0; i < sizeof integers / sizeof integers[0]; i++) {
    int32_t value = *(const int32_t *)((const char *)d + integers[i].offset);
    if (value >= integers[i].low && value <= integers[i].high) continue;
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "decoding: %s is %d, expected %d .. %d", integers[i].name, value,
                       integers[i].low, integers[i].high);
  }
  return DIMPLE_OK;
}

static dimple_status check_numbers(const dimple_decoding *d) {
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    float value = *(const float *)((const char *)d + numbers[i].offset);
    if (numbers[i].fits(value)) continue;
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "decoding: %s is %g, expected %s", numbers[i].name, (double)value,
                       numbers[i].expected);
  }
  return DIMPLE_OK;
}

/* Not every pipeline offers every algorithm. */
static dimple_status check_combination(const dimple_decoding *d) {
  const algorithm *a = algorithm_of(d);
  if (a->choose[d->pipeline]) return DIMPLE_OK;
  int32_t offered = 0;
  while (!a->choose[offered]) offered++;
  return dimple_fail(DIMPLE_ERROR_ARGUMENT, "decoding: algorithm is %s (%d) with pipeline %d, expected pipeline %s (%d)", a->name,
                     d->algorithm, d->pipeline, pipelines[offered]->name, offered);
}

dimple_status dimple_decoding_validate(const dimple_decoding *decoding) {
  if (!decoding) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "decoding is null");
  DIMPLE_TRY(check_integers(decoding));
  DIMPLE_TRY(check_numbers(decoding));
  return check_combination(decoding);
}
