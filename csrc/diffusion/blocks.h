/*
 * Decoding in blocks (semi-autoregressive decoding): the response is filled from left to right, block after block; inside a block
 * positions are revealed in any order. What a block's iterations run, score and reveal is the business of its pipeline's block_rules.
 *
 * Block length is any number; the last block takes what is left. The authors' code wants the steps to be a multiple of the blocks; here the
 * first blocks take one more of those left over, and each has at least one. A block that holds no mask when its turn comes is passed over.
 *
 * Where the authors' code leaves masks (Fast-dLLM's dual cache, Dream's blocks of one step), a complete decoding goes on with one more
 * block: the whole response, in passes over everything, with a quota of one.
 */
#ifndef DIMPLE_BLOCKS_H
#define DIMPLE_BLOCKS_H

#include <stdbool.h>

#include "diffusion/canvas.h"
#include "diffusion/pass.h"

typedef struct blocks {
  /* Of the decoding. */
  const dimple_decoding *decoding; /* with a block length and a cache: the model's are in their places */
  int32_t response;                /* L */
  int32_t shift;                   /* 1: the row before a position scores it */
  int32_t eos;                     /* end of text; -1: the model names none */
  bool held;                       /* a constraint says where the text ends */
  const text_parameters *model;
  int32_t tail;                    /* of the prompt: its last rows, which belong to the first block */
  /* Of the latest iteration. */
  int32_t edited;   /* positions that were given another token */
  bool revealed_end; /* it revealed an end of text */
  /* Of the block that is being filled. */
  int32_t index;      /* from 0; the number of blocks: the one that takes what is left */
  int32_t first, end; /* response positions, `end` exclusive */
  int32_t masked;     /* masks in it when it began */
  int32_t steps;      /* that its quotas are spread over */
  int32_t iteration;  /* in the block, from 0 */
  bool full;          /* it held no mask before the latest iteration */
  int32_t open;       /* masks in it before the latest iteration */
  int32_t kept;       /* llada2: rows from this response position on, below 0 in the prompt, have no keys and values that stay */
  int32_t idle;       /* token_editing: how often it was full */
  bool closed;        /* llada22: the latest iteration was its last */
  int32_t group_end;  /* the iteration before which the block is not looked at (dInfer) */
} blocks;

/* What one iteration works on. */
typedef struct block_plan {
  pass_scope scope;
  int32_t from, count; /* the candidates: canvas.masked[from .. from + count) */
  int32_t due;         /* quota, 0 .. count */
  float share;         /* where that is of a schedule of noise levels: the probability of each, 1 when everything goes */
  bool likeliest;      /* the tokens are the likeliest, whatever the temperature */
  bool keeps;          /* there are no candidates: the pass is for the keys and values of its rows */
  bool edits;          /* positions of the block that are not masked, but were to begin with, are candidates, too: */
  const int32_t *positions; /* [count] then all of them; null: the canvas' masked ones */
  int32_t watched;     /* as many masked positions behind the candidates are scored as well, for the algorithm's notes */
} block_plan;

typedef struct block_rules {
  pass_need (*need)(const dimple_decoding *d);
  void (*plan)(const blocks *b, const canvas *c, block_plan *plan);
  /* Whether the block is over, its `iteration`-th being the next. */
  bool (*over)(blocks *b, const canvas *c);
  /* Whether the decoding is over with the block, which is, masks or not; null: never. */
  bool (*ends)(const blocks *b, const canvas *c);
  /* The steps of each of `count` blocks; null: those of the decoding are spread over them. */
  int32_t (*steps)(const blocks *b, int32_t count);
  bool alone;  /* passes run the block's rows alone, and need keys and values of every block before it */
  bool leaves; /* what the blocks leave masked stays masked, even of a complete decoding */
} block_rules;

/* The rules of a decoding whose decisions are the caller's, whatever its pipeline: an iteration offers all masks of the block, which is over
 * when it is full or its share of the steps is used up. */
extern const block_rules blocks_of_caller;

/* Begins with the first block that has a mask. `tail`: how many of the prompt's last rows belong to the first block. False: there is none. */
bool blocks_begin(blocks *b, const dimple_decoding *d, const canvas *c, const text_parameters *model, const block_rules *rules, int32_t tail);

/* After an iteration: the same block, or the next that has a mask. False: the decoding is done. */
bool blocks_advance(blocks *b, const canvas *c, const block_rules *rules);

/* What the coming iteration works on. */
block_plan blocks_plan(const blocks *b, const canvas *c, const block_rules *rules);

/* The decoding keeps keys and values of a pass over everything that opens each block. */
static inline bool decoding_is_cached(const dimple_decoding *d) { return d->cache >= DIMPLE_CACHE_PREFIX; }

/* What a decoding in blocks wants of the first pass: a dual cache sees what it left of the whole response. */
pass_need blocks_need(const dimple_decoding *d);

/* The steps of each of `count` blocks as dLLM divides them: rounded up. */
int32_t blocks_divided_steps(const blocks *b, int32_t count);

/* What is wanted of the first pass where nothing changes that is before the block: the prompt's keys and values. */
pass_need blocks_need_prompt(const dimple_decoding *d);

/* Of a decoding whose positions see their own block and those before it: the iteration's pass runs the block's rows. False: the block is full,
 * and the pass is for its keys and values. */
bool blocks_plan_alone(const blocks *b, const canvas *c, block_plan *plan);

/* The same: whether the block, which is full, was so before the latest iteration, which then was run for its keys and values. */
bool blocks_kept(blocks *b);

bool blocks_is_last(const blocks *b);

/* Whether the block holds one of the first `most` ends of text that the model names. */
bool blocks_hold_end(const blocks *b, const canvas *c, int32_t most);

/* How many iterations dInfer runs before it looks at the block again. */
int32_t blocks_group(const blocks *b, const canvas *c);

/* How many positions below `end` are masked: the index of the first that is not below it. */
int32_t blocks_masked_before(const canvas *c, int32_t end);

/* How many masks the block holds. */
int32_t blocks_open(const blocks *b, const canvas *c);

/* Of a pass over what the cache does not keep; the rows that it runs begin with the position `first`. */
pass_scope blocks_cached_scope(const blocks *b, int32_t first);

#endif
