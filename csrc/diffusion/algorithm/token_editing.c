/* LLaDA2.1's "mask to token" and "token to token" of one pass (modeling_llada2_moe.py): what is sure enough is revealed, the best in any case; and a
 * revealed token of the block goes if the model would put another one there and is sure enough of that. */
#include "allocate.h"
#include "diffusion/algorithm.h"

static bool is_masked(const sampler_step *step, int32_t index) { return step->canvas[step->positions[index]] == step->tokens.mask; }

/* A key: masks by confidence, all others behind them. */
static double rank(const choice *c, int32_t index) {
  return is_masked(c->step, index) ? (double)c->candidates[index].confidence : -1;
}

/* The best `least` masks, where fewer are above the threshold. */
static dimple_status reveal(choice *c, int32_t least) {
  const sampler_step *step = c->step;
  int32_t open = 0;
  for (int32_t i = 0; i < step->masked; i++) {
    open += is_masked(step, i);
    if (is_masked(step, i) && c->candidates[i].confidence > step->decoding->threshold) choice_add(c, i);
  }
  if (c->count >= least || open == 0) return DIMPLE_OK;
  c->count = 0;
  return choice_highest(c, open < least ? open : least, rank);
}

/* With at least as many masks as are due. */
static dimple_status choose_due(choice *c, quota due) {
  const sampler_step *step = c->step;
  DIMPLE_TRY(reveal(c, due.count));
  for (int32_t i = 0; i < step->masked; i++) {
    bool another = !is_masked(step, i) && c->candidates[i].token != step->canvas[step->positions[i]];
    if (another && c->candidates[i].confidence > step->decoding->editing_threshold) choice_add(c, i);
  }
  return DIMPLE_OK;
}

static dimple_status choose(choice *c, quota due) {
  return choose_due(c, (quota){c->step->decoding->num_to_transfer, due.share});
}

const algorithm algorithm_token_editing = {
    .name = "token_editing",
    .confidence = &confidence_probability,
    .own_pace = true,
    .edits = true,
    .choose = {[DIMPLE_PIPELINE_LLADA2] = choose, [DIMPLE_PIPELINE_LLADA22] = choose_due},
    .judges_threshold = {[DIMPLE_PIPELINE_LLADA2] = true, [DIMPLE_PIPELINE_LLADA22] = true}};
