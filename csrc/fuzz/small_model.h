/* Models as small as they can be, so that an input is many passes of one. */
#ifndef DIMPLE_FUZZ_SMALL_MODEL_H
#define DIMPLE_FUZZ_SMALL_MODEL_H

#include "fuzz/fuzz.h"
#include "test/random_model.h"

/* The last tokens of the vocabulary are the model's own, as random_model.h has them. */
enum {
  SMALL_WIDTH = 16, SMALL_CONTEXT = 40, TOKENS = 24,
  MASK_ID = TOKENS - VOCAB + MASK, IMAGE_ID = TOKENS - VOCAB + IMAGE, EOS_ID = TOKENS - VOCAB + EOS, PAD_ID = TOKENS - VOCAB + PAD
};

static inline dimple_model *small_model(model_shape shape) {
  if (!shape.layers) shape.layers = 1;
  shape.width = SMALL_WIDTH;
  shape.heads = 2;
  shape.kv_heads = 1;
  shape.feed_forward = SMALL_WIDTH;
  shape.vocab = TOKENS;
  shape.context = SMALL_CONTEXT;
  dimple_model *model = random_model(shape);
  REQUIRE(model);
  return model;
}

/* What a token is under a constraint. */
static inline uint8_t token_kind(int32_t token) {
  if (token < PAD_ID) return DIMPLE_TOKEN_TEXT;
  return token == EOS_ID ? DIMPLE_TOKEN_END : token == PAD_ID ? DIMPLE_TOKEN_FILLER : DIMPLE_TOKEN_EXCLUDED;
}

#endif
