/* The canvas: the response as it stands, and which of its positions are masked. */
#ifndef DIMPLE_CANVAS_H
#define DIMPLE_CANVAS_H

#include <stdint.h>

#include "dimple.h"

typedef struct canvas {
  int32_t length; /* L, as it is now; 0: no response */
  int32_t given_length; /* as it was set, and as decodings begin with it */
  int32_t room;         /* that it may come to have, at least given_length */
  int32_t used;   /* positions 0 .. used - 1 are worked on; those behind keep what they hold, until the next decoding */
  int32_t mask_token;
  int32_t *given;   /* [given_length] the response as it was set */
  int32_t *initial; /* [given_length] as decodings begin with it: where a constraint leaves one token, that is filled in */
  int32_t initial_masked; /* masks in it */
  int32_t *tokens; /* [L] as it is now; there is room for more */
  int32_t *masked; /* [masked_count] positions worked on that hold the mask token now, ascending */
  int32_t masked_count;
} canvas;

/* Copies `count` >= 1 tokens. On failure *out is not touched. Errors: MEMORY. */
dimple_status canvas_create(const int32_t *tokens, int32_t count, int32_t mask_token, canvas *out);
void canvas_free(canvas *c); /* leaves no response; none is allowed */

int64_t canvas_bytes(const canvas *c); /* of memory it takes */

/* Room for `room` positions, if there is less. On failure nothing changes. Errors: MEMORY. */
dimple_status canvas_reserve(canvas *c, int32_t room);

/* Masks that it may come to hold. */
static inline int32_t canvas_most_masked(const canvas *c) { return c->initial_masked + c->room - c->given_length; }

/* How many positions ahead of the first mask are given, in what decodings begin with. */
static inline int32_t canvas_given_ahead(const canvas *c) {
  int32_t first = 0;
  while (first < c->given_length && c->initial[first] != c->mask_token) first++;
  return first;
}

/* What decodings begin with instead: tokens [given_length], which differ from those given only where these are masks. Null: those given. */
void canvas_set_initial(canvas *c, const int32_t *tokens);

/* Back to what decodings begin with. */
void canvas_reset(canvas *c);

/* Other tokens [length] in the place of all, at most as many as there is room for, until it is reset. */
void canvas_replace(canvas *c, const int32_t *tokens, int32_t length);

/* Leaves the positions from `used` on, at least 1, out of the work. */
void canvas_shorten(canvas *c, int32_t used);

/* Masks positions[count] again. */
void canvas_mask(canvas *c, const int32_t *positions, int32_t count);

/* Puts tokens[count] at positions[count], all different. A position may be revealed as the mask token: it stays masked. */
void canvas_reveal(canvas *c, const int32_t *positions, const int32_t *tokens, int32_t count);

/* Shows tokens[count] at the positions from `first` on, which are as masked as before. */
void canvas_show(canvas *c, int32_t first, const int32_t *tokens, int32_t count);

/* The same, and no position before first + count is masked any more, whatever it holds. */
void canvas_settle(canvas *c, int32_t first, const int32_t *tokens, int32_t count);

#endif
