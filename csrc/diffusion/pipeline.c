#include "diffusion/pipeline.h"

extern const pipeline pipeline_dim, pipeline_dream, pipeline_llada;

const pipeline *const pipelines[PIPELINE_COUNT] = {
    [DIMPLE_PIPELINE_DIM] = &pipeline_dim,
    [DIMPLE_PIPELINE_DREAM] = &pipeline_dream,
    [DIMPLE_PIPELINE_LLADA] = &pipeline_llada,
};

const pipeline *pipeline_of(const dimple_decoding *decoding) { return pipelines[decoding->pipeline]; }
