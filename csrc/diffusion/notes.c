#include "diffusion/notes.h"

#include "diffusion/algorithm.h"

const note_keeper *notes_keeper(const iteration *it) { return algorithm_of(&it->decoding)->keeper; }

bool notes_raise(const iteration *it) { return notes_keeper(it) && notes_keeper(it)->raise; }

bool notes_stray(const iteration *it) { return it->bias.count > 0 || notes_raise(it); }

bool notes_compare(const iteration *it) { return notes_keeper(it) && notes_keeper(it)->compares; }

/* By how much the notes raise a token's logit. */
static float raised(const iteration *it, const sampler_step *step, int32_t position, int32_t token) {
  int32_t other;
  float value;
  for (int32_t i = 0; notes_raise(it) && notes_keeper(it)->raise(it->notes, step, position, i, &other, &value); i++)
    if (other == token) return value;
  return 0;
}

float notes_own_probability(const iteration *it, const sampler_step *step, float log_probability, int32_t token, int32_t position) {
  if (notes_stray(it)) log_probability -= bias_of(&it->bias, token, it->constraint != NULL) + it->room.log_sums[position];
  log_probability -= raised(it, step, position, token);
  return log_probability > 0 ? 0 : log_probability; /* by rounding */
}
