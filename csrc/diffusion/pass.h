/*
 * Passes of the model over prompt and canvas: which rows run, and which states come back.
 *
 * Prefilling (paper section 4.2). The first pass runs over prompt + fully masked response. With keep_prompt, the keys and values it
 * computed for the prompt are committed to the cache, and later passes run only the rows that score the response: row j scores
 * position j + 1 when the model's logits are shifted, so the last prompt token belongs to them. Without it, every pass recomputes
 * everything, and the prompt sees the partly decoded response.
 *
 * The first pass depends on prompt and initial response alone, so its final states are kept: any number of decodings can start from
 * them.
 */
#ifndef DIMPLE_PASS_H
#define DIMPLE_PASS_H

#include "diffusion/canvas.h"
#include "diffusion/features.h"
#include "diffusion/prompt.h"
#include "model/text.h"

typedef struct pass {
  /* Set once; these outlive the pass. */
  const dimple_model *model;
  context *context;
  atomic_bool *cancelled;
  const prompt *prompt;
  const canvas *canvas;
  const features *features; /* of the prompt's pictures, there before the first pass */
  bool keep_prompt;

  bool prefilled;      /* the first pass ran */
  int32_t total;       /* masks of the canvas it saw */
  text_state text;     /* capacity 0: not open */
  view first_states;   /* [total x width] of the first pass */
  view later_states;   /* [total x width] of the latest later pass */
  view gathered;       /* [total x width] those of them that are scored */
  int32_t *wanted;     /* [total] rows asked of a pass */
  const view *fresh;   /* states of the canvas as it is: first_states, later_states; null: it changed */
  view scored;         /* states of the rows that pass_score scored last */
  int64_t count;       /* passes run since pass_restart */
} pass;

/* Runs the first pass, unless it ran already. The canvas is as it was set. After a failure it can be tried again. Errors: MEMORY,
 * CANCELLED. */
dimple_status pass_prefill(pass *p);

/* Back to before the first pass: cache and states are given back. */
void pass_discard(pass *p);

/* The canvas is as it was set again: whatever the first pass gave holds. */
void pass_restart(pass *p);

/* The canvas has changed: its states are to be computed anew. */
void pass_canvas_changed(pass *p);

/* Masked positions of the canvas that are to be scored. */
typedef struct pass_rows {
  const int32_t *chosen; /* [count] indices into canvas.masked, ascending; null: all of them */
  int32_t count;
} pass_rows;

/* One pass over what has changed, and over the final states of the rows that score the given positions the head, with everything set
 * but x and w; head null: it is not wanted yet. After pass_prefill. Errors: MEMORY, CANCELLED. */
dimple_status pass_score(pass *p, pass_rows rows, const head_call *head);

/* The head over `count` of the rows that pass_score scored, from the `first` one on. Errors: MEMORY, CANCELLED. */
dimple_status pass_head(pass *p, int32_t first, int32_t count, const head_call *head);

/* Logits [P + L x vocab] of prompt and canvas as it was set, in a cache of its own: a decoding under way is not disturbed. Errors:
 * MEMORY, CANCELLED. */
dimple_status pass_logits(const pass *p, float *logits);

/* Memory held, beside keys and values (text.cache.bytes). */
int64_t pass_scratch_bytes(const pass *p);

#endif
