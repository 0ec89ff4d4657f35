#include "diffusion/bias.h"

#include <math.h>
#include <string.h>

#include "allocate.h"

/* Logits are of the order of 10 to 100; a float this large still tells hundredths apart, and no sum overflows. */
static const float LARGEST = 65536;

static bool is_ban(float value) { return isinf(value) && value < 0; }

static dimple_status check(const int32_t *tokens, const float *values, int32_t count, int32_t vocab) {
  if (count < 0) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "bias: count is %d, expected at least 0", count);
  if (count > 0 && (!tokens || !values)) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "bias: %s is null", tokens ? "values" : "tokens");
  for (int32_t i = 0; i < count; i++) {
    if (tokens[i] < 0 || tokens[i] >= vocab)
      return dimple_fail(DIMPLE_ERROR_ARGUMENT, "bias: token %d is %d, expected 0 to %d", i, tokens[i], vocab - 1);
    if (i > 0 && tokens[i] <= tokens[i - 1])
      return dimple_fail(DIMPLE_ERROR_ARGUMENT, "bias: token %d stands behind token %d, expected ascending ones", tokens[i], tokens[i - 1]);
    if (!(fabsf(values[i]) <= LARGEST) && !is_ban(values[i]))
      return dimple_fail(DIMPLE_ERROR_ARGUMENT, "bias: %g for token %d, expected -65536 .. 65536, or -inf to ban it", (double)values[i],
                         tokens[i]);
  }
  return count < vocab ? DIMPLE_OK : dimple_fail(DIMPLE_ERROR_ARGUMENT, "bias: all %d tokens, expected fewer", vocab);
}

dimple_status bias_set(bias *b, const int32_t *tokens, const float *values, int32_t count, int32_t vocab) {
  DIMPLE_TRY(check(tokens, values, count, vocab));
  bias fresh = {.count = count};
  if (count > 0) {
    ALLOCATE(fresh.tokens, count, "a bias");
    fresh.values = malloc((size_t)count * sizeof *values);
    if (!fresh.values) {
      free(fresh.tokens);
      return dimple_fail_memory((size_t)count * sizeof *values, "a bias");
    }
    memcpy(fresh.tokens, tokens, (size_t)count * sizeof *tokens);
    memcpy(fresh.values, values, (size_t)count * sizeof *values);
  }
  bias_clear(b);
  *b = fresh;
  return DIMPLE_OK;
}

dimple_status bias_ban(bias *b, const int32_t *tokens, int32_t count) {
  if (count == 0) return DIMPLE_OK;
  bias all = {0};
  size_t most = (size_t)b->count + (size_t)count;
  ALLOCATE(all.tokens, (int64_t)most, "a bias");
  all.values = malloc(most * sizeof *all.values);
  if (!all.values) {
    free(all.tokens);
    return dimple_fail_memory(most * sizeof *all.values, "a bias");
  }
  for (int32_t i = 0, k = 0; i < b->count || k < count; all.count++) {
    bool given = k == count || (i < b->count && b->tokens[i] <= tokens[k]);
    if (given && k < count && b->tokens[i] == tokens[k]) k++;
    all.values[all.count] = given ? b->values[i] : -INFINITY;
    all.tokens[all.count] = given ? b->tokens[i++] : tokens[k++];
  }
  bias_clear(b);
  *b = all;
  return DIMPLE_OK;
}

void bias_clear(bias *b) {
  free(b->tokens);
  free(b->values);
  *b = (bias){0};
}

dimple_status bias_copy(bias *b, const bias *from) {
  size_t count = (size_t)from->count;
  bool same = b->count == from->count && (count == 0 || (memcmp(b->tokens, from->tokens, count * sizeof *b->tokens) == 0 &&
                                                         memcmp(b->values, from->values, count * sizeof *b->values) == 0));
  return same ? DIMPLE_OK : bias_set(b, from->tokens, from->values, from->count, INT32_MAX);
}

static float added(float value, bool yields) { return yields && is_ban(value) ? -LARGEST : value; }

void bias_apply(const bias *b, float *logits, bool yields) {
  for (int32_t i = 0; i < b->count; i++) logits[b->tokens[i]] += added(b->values[i], yields);
}

float bias_of(const bias *b, int32_t token, bool yields) {
  int32_t low = 0, high = b->count;
  while (low < high) {
    int32_t middle = low + (high - low) / 2;
    if (b->tokens[middle] < token) low = middle + 1;
    else high = middle;
  }
  return low < b->count && b->tokens[low] == token ? added(b->values[low], yields) : 0;
}

bool bias_leaves_one(const bias *b, int32_t vocab, const int32_t *barred, int32_t count) {
  int32_t left = vocab;
  for (int32_t i = 0; i < b->count; i++) left -= is_ban(b->values[i]);
  for (int32_t i = 0; i < count; i++) {
    bool counted = barred[i] < 0 || barred[i] >= vocab || is_ban(bias_of(b, barred[i], false));
    for (int32_t k = 0; k < i && !counted; k++) counted = barred[k] == barred[i];
    left -= !counted;
  }
  return left > 0;
}
