#include "diffusion/pipeline.h"

extern const pipeline pipeline_dim, pipeline_dream, pipeline_dream_blocks, pipeline_dream_klass, pipeline_llada, pipeline_mdlm, pipeline_bd3lm,
    pipeline_sdar, pipeline_fast_dllm_v2, pipeline_llada2, pipeline_diffusion_gemma, pipeline_rnd1,
    pipeline_stable_diffcoder, pipeline_dreamon, pipeline_llada_v, pipeline_lavida, pipeline_lavida_dream, pipeline_llada22;

const pipeline *const pipelines[PIPELINE_COUNT] = {
    [DIMPLE_PIPELINE_DIM] = &pipeline_dim,
    [DIMPLE_PIPELINE_DREAM] = &pipeline_dream,
    [DIMPLE_PIPELINE_LLADA] = &pipeline_llada,
    [DIMPLE_PIPELINE_MDLM] = &pipeline_mdlm,
    [DIMPLE_PIPELINE_BD3LM] = &pipeline_bd3lm,
    [DIMPLE_PIPELINE_SDAR] = &pipeline_sdar,
    [DIMPLE_PIPELINE_FAST_DLLM_V2] = &pipeline_fast_dllm_v2,
    [DIMPLE_PIPELINE_LLADA2] = &pipeline_llada2,
    [DIMPLE_PIPELINE_DIFFUSION_GEMMA] = &pipeline_diffusion_gemma,
    [DIMPLE_PIPELINE_RND1] = &pipeline_rnd1,
    [DIMPLE_PIPELINE_STABLE_DIFFCODER] = &pipeline_stable_diffcoder,
    [DIMPLE_PIPELINE_DREAMON] = &pipeline_dreamon,
    [DIMPLE_PIPELINE_LLADA_V] = &pipeline_llada_v,
    [DIMPLE_PIPELINE_LAVIDA] = &pipeline_lavida,
    [DIMPLE_PIPELINE_LAVIDA_DREAM] = &pipeline_lavida_dream,
    [DIMPLE_PIPELINE_LLADA22] = &pipeline_llada22,
};

const pipeline *pipeline_of(const dimple_decoding *decoding) {
  if (decoding->pipeline == DIMPLE_PIPELINE_DREAM && decoding->algorithm == DIMPLE_ALGORITHM_KLASS) return &pipeline_dream_klass;
  if (decoding->pipeline == DIMPLE_PIPELINE_DREAM && decoding_is_cached(decoding)) return &pipeline_dream_blocks;
  return pipelines[decoding->pipeline];
}
