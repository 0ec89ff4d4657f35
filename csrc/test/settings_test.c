/* The settings of a decoding: defaults and ranges. */
#include <float.h>

#include "test/sampler_fixture.h"

static void defaults_are_confident_decoding(void) {
  dimple_decoding d;
  memset(&d, 0xff, sizeof d);
  dimple_decoding_defaults(&d);
  EXPECT_OK(dimple_decoding_validate(&d));
  EXPECT(d.pipeline == DIMPLE_PIPELINE_DIM && d.algorithm == DIMPLE_ALGORITHM_MASKGIT_PLUS, "%d %d", d.pipeline, d.algorithm);
  EXPECT(d.steps == 64 && d.top_k == 0 && d.original_confidence == 1, "%d %d", d.steps, d.top_k);
  EXPECT(d.threshold == 0.95f && d.temperature == 0 && d.top_p == 1, "%g", (double)d.threshold);
  EXPECT(d.allowed_confidence == 1, "%d", d.allowed_confidence);
  EXPECT(d.algorithm_temperature == 0 && d.epsilon == 1e-3f && d.seed == 0, "%g", (double)d.epsilon);
  dimple_decoding_defaults(NULL);
}

static void every_field_is_checked(void) {
  const float nan = NAN, inf = INFINITY;
#define REFUSED(field, value, text)                                                   \
  do {                                                                                \
    dimple_decoding d = plain_decoding(DIMPLE_ALGORITHM_MASKGIT_PLUS);                \
    d.field = (value);                                                                \
    EXPECT_FAILS(dimple_decoding_validate(&d), DIMPLE_ERROR_ARGUMENT, #field " is " text); \
  } while (0)
#define TAKEN(field, value)                                            \
  do {                                                                 \
    dimple_decoding d = plain_decoding(DIMPLE_ALGORITHM_MASKGIT_PLUS); \
    d.field = (value);                                                 \
    EXPECT_OK(dimple_decoding_validate(&d));                                  \
  } while (0)
  EXPECT_FAILS(dimple_decoding_validate(NULL), DIMPLE_ERROR_ARGUMENT, "null");
  REFUSED(pipeline, -1, "-1, expected 0 .. ");
  REFUSED(pipeline, INT32_MAX, "2147483647, expected 0 .. ");
  REFUSED(algorithm, -1, "-1, expected 0 .. "); /* the last one: algorithm_test */
  REFUSED(algorithm, INT32_MAX, "2147483647, expected 0 .. ");
  REFUSED(steps, 0, "0, expected 1 .. 1048576");
  REFUSED(steps, 1048577, "1048577, expected 1 .. 1048576");
  REFUSED(top_k, -1, "-1, expected 0 .. 2147483647");
  REFUSED(original_confidence, 2, "2, expected 0 .. 1");
  REFUSED(allowed_confidence, 2, "2, expected 0 .. 1");
  REFUSED(sub_block_length, -1, "-1, expected 0 .. 2147483647");
  REFUSED(block_cache, 2, "2, expected 0 .. 1");
  REFUSED(fill_last_block, -1, "-1, expected 0 .. 1");
  REFUSED(editing_threshold, 1.5f, "1.5, expected 0 .. 1");
  REFUSED(max_post_steps, -1, "-1, expected 0 .. 2147483647");
  REFUSED(num_to_transfer, 0, "0, expected 1 .. 2147483647");
  REFUSED(eos_early_stop, 2, "2, expected 0 .. 1");
  REFUSED(threshold, -0.5f, "-0.5, expected");
  REFUSED(threshold, nan, "nan, expected");
  REFUSED(threshold, inf, "inf, expected");
  REFUSED(temperature, -1, "-1, expected");
  REFUSED(temperature, nan, "nan, expected");
  REFUSED(temperature, inf, "inf, expected");
  REFUSED(temperature, 1e-7f, "1e-07, expected 0");
  REFUSED(top_p, -0.25f, "-0.25, expected 0 .. 1");
  REFUSED(top_p, 1.5f, "1.5, expected 0 .. 1");
  REFUSED(top_p, nan, "nan, expected 0 .. 1");
  REFUSED(algorithm_temperature, -2, "-2, expected");
  REFUSED(algorithm_temperature, nan, "nan, expected");
  REFUSED(algorithm_temperature, inf, "inf, expected");
  REFUSED(epsilon, 0, "0, expected more than 0");
  REFUSED(epsilon, 1, "1, expected more than 0");
  REFUSED(epsilon, nan, "nan, expected more than 0");
  REFUSED(block_length, -1, "-1, expected 0 .. 2147483647");
  REFUSED(cache, 4, "4, expected 0 .. 3");
  REFUSED(complete, 2, "2, expected 0 .. 1");
  REFUSED(no_eos_logits, 2, "2, expected 0 .. 1");
  REFUSED(no_eos_confidence, -1, "-1, expected 0 .. 1");
  REFUSED(no_mask_logits, 2, "2, expected 0 .. 1");
  REFUSED(factor, -1, "-1, expected");
  REFUSED(guidance_scale, nan, "nan, expected");
  REFUSED(order, 3, "3, expected 0 .. 2");
  REFUSED(gamma, inf, "inf, expected");
  REFUSED(kl_threshold, -1, "-1, expected");
  REFUSED(kl_history, 0, "0, expected 1 .. 64");
  REFUSED(unmask, 3, "3, expected 0 .. 2");
  REFUSED(credit_alpha, -1, "-1, expected");
  REFUSED(boost_gamma, nan, "nan, expected");
  REFUSED(decay_beta, 1.5f, "1.5, expected 0 .. 1");
  REFUSED(low_threshold, -0.5f, "-0.5, expected 0 .. 1");
  REFUSED(expected_tpf, 0, "0, expected 1 .. 2147483647");
  REFUSED(maximum_unroll, 0, "0, expected 1 .. 2147483647");
  REFUSED(threshold_back, 2, "2, expected 0 .. 1");
  REFUSED(schedule_shift, -1, "-1, expected 0");
  REFUSED(schedule_shift, 1e-4f, "0.0001, expected 0");
  REFUSED(schedule_shift, 1001, "1001, expected 0");
  REFUSED(schedule_shift, nan, "nan, expected 0");
  TAKEN(steps, 1);
  TAKEN(steps, 1048576);
  TAKEN(top_k, INT32_MAX);
  TAKEN(threshold, 2);
  TAKEN(temperature, 1e-6f);
  TAKEN(temperature, FLT_MAX);
  TAKEN(top_p, 0);
  TAKEN(top_p, 1);
  TAKEN(algorithm_temperature, FLT_MIN);
  TAKEN(epsilon, FLT_MIN);
  TAKEN(epsilon, 0.99999f);
  dimple_decoding d = plain_decoding(DIMPLE_ALGORITHM_ORIGIN_RATIO);
  EXPECT_OK(dimple_decoding_validate(&d));
  d.pipeline = DIMPLE_PIPELINE_DREAM;
  EXPECT_FAILS(dimple_decoding_validate(&d), DIMPLE_ERROR_ARGUMENT, "origin-ratio");
}

/* What a pipeline or an algorithm does not heed is refused. */
static void settings_go_together(void) {
#define TOGETHER(pipeline_number, algorithm_number, field, value, text)                          \
  do {                                                                                           \
    dimple_decoding d = plain_decoding(DIMPLE_ALGORITHM_##algorithm_number);                     \
    d.pipeline = DIMPLE_PIPELINE_##pipeline_number;                                              \
    d.field = (value);                                                                           \
    const char *expected = (text);                                                               \
    if (expected)                                                                                \
      EXPECT_FAILS(dimple_decoding_validate(&d), DIMPLE_ERROR_ARGUMENT, expected);               \
    else                                                                                         \
      EXPECT_OK(dimple_decoding_validate(&d));                                                   \
  } while (0)
  TOGETHER(DIM, MASKGIT_PLUS, factor, 1, "factor does not go with pipeline dim");
  TOGETHER(DIM, MASKGIT_PLUS, block_length, 8, "block_length does not go with pipeline dim");
  TOGETHER(DIM, MASKGIT_PLUS, t_min, 0.5f, "t_min does not go with pipeline dim");
  TOGETHER(DREAM, MASKGIT_PLUS, stability_threshold, 2, "stability_threshold does not go with pipeline dream");
  TOGETHER(DIFFUSION_GEMMA, ENTROPY_BOUND, temperature, 1, "temperature does not go with pipeline diffusion-gemma");
  TOGETHER(DIFFUSION_GEMMA, ENTROPY_BOUND, top_p, 0.5f, "top_p does not go with pipeline diffusion-gemma");
  TOGETHER(DIFFUSION_GEMMA, ENTROPY_BOUND, t_max, 0, "t_max 0, expected both 0 or none of them");
  TOGETHER(DIFFUSION_GEMMA, MASKGIT_PLUS, seed, 1, /* offered by all others */
           "algorithm is maskgit_plus (3) with pipeline diffusion-gemma, expected pipeline dim or dream or llada or mdlm or bd3lm or sdar or "
           "fast-dllm-v2 or llada2 or rnd1 or stable-diffcoder or dreamon or llada-v or "
           "lavida or lavida-dream");
  TOGETHER(LLADA, MASKGIT_PLUS, schedule_shift, 3, "schedule_shift does not go with pipeline llada");
  TOGETHER(LAVIDA, MASKGIT_PLUS, schedule_shift, 0.001f, NULL);
  TOGETHER(LLADA22, TOKEN_EDITING, temperature, 1, "temperature does not go with pipeline llada22");
  TOGETHER(LLADA22, TOKEN_EDITING, editing_threshold, 0.25f, NULL);
  TOGETHER(LLADA22, MASKGIT_PLUS, seed, 1, "with pipeline llada22, expected pipeline dim");
  TOGETHER(LAVIDA_DREAM, MASKGIT_PLUS, schedule_shift, 1000, NULL);
  TOGETHER(LAVIDA_DREAM, ORIGIN, schedule_shift, 3, "schedule_shift does not go with algorithm origin in pipeline lavida-dream");
  TOGETHER(LAVIDA_DREAM, ORIGIN, epsilon, 0.5f, NULL);
  TOGETHER(LAVIDA_DREAM, MASKGIT_PLUS, block_length, 8, "block_length does not go with pipeline lavida-dream");
  TOGETHER(LAVIDA_DREAM, AUTOREGRESSIVE, seed, 1, "with pipeline lavida-dream, expected pipeline dim");
  TOGETHER(LAVIDA, MASKGIT_PLUS, cache, DIMPLE_CACHE_PREFIX, "cache does not go with pipeline lavida");
  TOGETHER(LAVIDA, MASKGIT_PLUS, guidance_scale, 1, "guidance_scale does not go with pipeline lavida");
  TOGETHER(DIM, MASKGIT_PLUS, cache, DIMPLE_CACHE_DUAL, "cache does not go with pipeline dim");
  TOGETHER(DIM, MASKGIT_PLUS, cache, DIMPLE_CACHE_NONE, NULL);
  TOGETHER(DREAM, MASKGIT_PLUS, guidance_scale, 1, "guidance_scale does not go with pipeline dream");
  TOGETHER(DREAM, MASKGIT_PLUS, no_eos_logits, 1, "no_eos_logits does not go with pipeline dream");
  TOGETHER(DREAM, CONFIDENCE_THRESHOLD, cache, DIMPLE_CACHE_NONE, "takes cache prefix or dual");
  TOGETHER(DREAM, CONFIDENCE_THRESHOLD, cache, DIMPLE_CACHE_DUAL, NULL);
  TOGETHER(DREAM, KLASS, cache, DIMPLE_CACHE_DUAL, "a cache does not go with algorithm klass");
  TOGETHER(DREAM, KLASS, block_length, 8, "block_length does not go with algorithm klass");
  TOGETHER(LLADA, KLASS, block_length, 8, NULL);
  TOGETHER(LLADA, WINO, cache, DIMPLE_CACHE_PREFIX, "a cache does not go with algorithm wino");
  TOGETHER(LLADA, ENTROPY_BOUND, factor, 1, "factor does not go with algorithm entropy_bound");
  TOGETHER(DREAM, MASKGIT_PLUS, threshold, 0.5f, "threshold does not go with algorithm maskgit_plus in pipeline dream");
  TOGETHER(DREAM, MASKGIT_PLUS, threshold, 0.95f, NULL); /* the default */
  TOGETHER(MDLM, LOW_CONFIDENCE_STATIC, threshold, 0.5f, "threshold does not go with algorithm low_confidence_static in pipeline mdlm");
  TOGETHER(BD3LM, ENTROPY, threshold, 0.5f, "threshold does not go with algorithm entropy in pipeline bd3lm");
  TOGETHER(SDAR, LOW_CONFIDENCE_STATIC, threshold, 0.5f, NULL); /* which SDAR's function takes with every strategy */
  TOGETHER(SDAR, SEQUENTIAL, algorithm_temperature, 1, "algorithm_temperature does not go with algorithm sequential in pipeline sdar");
  TOGETHER(DIM, AUTOREGRESSIVE, algorithm_temperature, 1, "algorithm_temperature does not go with algorithm autoregressive in pipeline dim");
  TOGETHER(LLADA, CREDIT, epsilon, 0.5f, "epsilon does not go with algorithm credit in pipeline llada");
  TOGETHER(DIM, MASKGIT_PLUS, gamma, 1, "gamma does not go with algorithm maskgit_plus in pipeline dim");
  TOGETHER(LLADA, CREDIT, expected_tpf, 4, "expected_tpf does not go with complete");
  TOGETHER(DIM, ENTROPY_BOUND, seed, 1, "algorithm is entropy_bound (7) with pipeline dim, expected pipeline llada");
  TOGETHER(DIM, KLASS, seed, 1, "expected pipeline dream or llada");
  dimple_decoding d = plain_decoding(DIMPLE_ALGORITHM_MASKGIT_PLUS);
  d.pipeline = DIMPLE_PIPELINE_LLADA;
  d.guidance_scale = 1;
  d.cache = DIMPLE_CACHE_PREFIX;
  EXPECT_FAILS(dimple_decoding_validate(&d), DIMPLE_ERROR_ARGUMENT, "guidance_scale does not go with a cache");
}

int main(void) {
  settings_go_together();
  defaults_are_confident_decoding();
  every_field_is_checked();
  return expect_summary("settings");
}
