#include "diffusion/pipeline.h"

extern const pipeline pipeline_dim, pipeline_dream;

const pipeline *const pipelines[PIPELINE_COUNT] = {
    [DIMPLE_PIPELINE_DIM] = &pipeline_dim,
    [DIMPLE_PIPELINE_DREAM] = &pipeline_dream,
};
