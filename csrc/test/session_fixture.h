/* What tests of sessions share: two models, prompts, a picture, and whole decodings whose every step is checked. */
#ifndef DIMPLE_TEST_SESSION_FIXTURE_H
#define DIMPLE_TEST_SESSION_FIXTURE_H

#include <stdbool.h>

#include "test/expect.h"
#include "test/random_model.h"

/* Loads the two shared models on the backend under test; false if that failed. */
bool fixture_open(void);
void fixture_close(void);

extern dimple_model *text_model, *vision_model; /* the default shape, without and with a vision tower */

/* ------------------------------------------------------------------------------------------------------------ sessions */

enum { PROMPT = 7, RESPONSE = 16 };

extern const int32_t prompt_tokens[PROMPT];

/* A picture of 16 x 8 pixels: 8 x 4 patches, 4 x 2 merged tokens. */
enum { PICTURE_WIDTH = 16, PICTURE_HEIGHT = 8, PICTURE_TOKENS = 8, PICTURE_PROMPT = 2 + PICTURE_TOKENS + 3 };

extern uint8_t picture_bytes[PICTURE_WIDTH * PICTURE_HEIGHT * 3];

/* The picture, its bytes drawn anew. */
dimple_image picture(void);

/* Two words, the picture, three words: PICTURE_PROMPT tokens, which it returns. */
int32_t picture_prompt(int32_t *tokens);

/* Without prompt. */
dimple_session *open_session(dimple_model *m, int32_t threads, int32_t prefill);

/* A response of `count` masks. */
void set_masks(dimple_session *s, int32_t count);

/* With the prompt, or the picture's, and a response of RESPONSE masks. */
dimple_session *text_session(dimple_model *m, int32_t threads, int32_t prefill);
dimple_session *picture_session(dimple_model *m, int32_t threads, int32_t prefill);

/* Greedy, without threshold, as many steps as the response is long. */
dimple_decoding decoding_of(int32_t pipeline, int32_t algorithm);

/* ----------------------------------------------------------------------------------------------------------- decodings */

/* A whole decoding. */
typedef struct outcome {
  int32_t iterations, remaining, forward_passes;
  bool denoises;       /* canvases, which hold any tokens until they are settled: what remains is no count of masks */
  int32_t drawn_masks; /* positions revealed as what they were, the mask token */
  int32_t tokens[CONTEXT];
  int32_t when[CONTEXT]; /* iteration that revealed a position last; -1: none */
  float confidence[CONTEXT];
} outcome;

/* Before the first step. */
outcome fresh_outcome(void);

/* Notes one step in `o` and checks what every step promises. */
void note_step(const dimple_step *step, outcome *o);

/* Begins and steps to the end; the call after the last step must fail. */
outcome decode(dimple_session *s, const dimple_decoding *d);

/* Whether tokens, their iterations and their confidences are equal. */
bool same_outcome(const outcome *a, const outcome *b);

/* -------------------------------------------------------------------------------------------------------------- logits */

/* Logits [rows x VOCAB] of prompt + response as set; the caller frees them. */
float *logits_of(dimple_session *s, int32_t rows);

/* The best token of a row of logits [VOCAB], and the probability of a token. */
int32_t best_of(const float *z);
double probability_of(const float *z, int32_t token);

#endif
