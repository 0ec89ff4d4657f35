/* KLASS for Dream (arXiv 2511.05664; src/model/dream_klass.py): no blocks, no schedule; `steps` only bounds the iterations. */
#include "diffusion/pipeline.h"

static dimple_status choose(choice *c, const algorithm *a) { return a->choose[DIMPLE_PIPELINE_DREAM](c, (quota){1, 1.0f}); }

static void plan(const blocks *b, const canvas *c, block_plan *out) {
  (void)b;
  (void)c;
  (void)out; /* everything, as it is */
}

static bool over(blocks *b, const canvas *c) { return c->masked_count == 0 || b->iteration >= b->steps; }

static const block_rules rules = {.need = blocks_need, .plan = plan, .over = over};

const pipeline pipeline_dream_klass = {.name = "dream", .judges_original = false, .choose = choose, .blocks = &rules};
