/* DiffusionGemma's iterations take the mean over the vocabulary that the next one is conditioned on; the last one of a canvas, behind which there is none, does not. */
#include "model/model.h"
#include "test/constraint_fixture.h"
#include "test/session_fixture.h"

enum { CANVASES = 3, STEPS = 3 };

static const backend_operations *real;
static int32_t heads, means;

static dimple_status counted_head(context *c, const head_call *call) {
  heads++;
  means += call->expected.memory != NULL;
  return real->head(c, call);
}

int main(void) {
  dimple_model *m = random_model((model_shape){.family = FAMILY_DIFFUSION_GEMMA, .context = 256});
  if (!m) return expect_summary("conditioning");
  real = m->ops;
  backend_operations counting = *real;
  counting.head = counted_head;
  m->ops = &counting;
  dimple_session *s = open_session(m, 1, 1);
  EXPECT_OK(dimple_session_set_prompt(s, prompt_tokens, PROMPT, NULL, 0));
  set_masks(s, CANVASES * CANVAS);
  dimple_decoding d = decoding_of(DIMPLE_PIPELINE_DIFFUSION_GEMMA, DIMPLE_ALGORITHM_ENTROPY_BOUND);
  d.stability_threshold = 0; /* a canvas takes all its steps unless it is sure, */
  d.confidence_threshold = 0; /* and it never is */
  for (d.steps = 1; d.steps <= STEPS; d.steps++) {
    heads = means = 0;
    decode(s, &d);
    const int32_t canvases = heads / d.steps; /* an end of text ends the decoding */
    EXPECT(canvases > 0 && heads == canvases * d.steps, "%d heads of %d steps", heads, d.steps);
    EXPECT(means == heads - canvases, "%d means of %d heads and %d steps", means, heads, d.steps);
  }
  dimple_session_free(s);
  m->ops = real;
  dimple_model_free(m);
  return expect_summary("conditioning");
}
