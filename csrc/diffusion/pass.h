/*
 * Passes of the model over prompt and canvas: which rows run, and which states come back.
 *
 * A pass runs the rows of its scope; of the others it sees the keys and values that an earlier pass left in the cache. Row j scores
 * position j + 1 when the model's logits are shifted, otherwise its own.
 *
 * Where rows see blocks (block-causal attention), the first pass runs the whole blocks of the prompt alone; the others are run by passes of
 * SCOPE_PART, which may begin with the last rows of the prompt. Where the prompt is whole blocks and logits are shifted, its last row scores the
 * response's first position, and its state is kept: a pass for that position alone needs no run.
 *
 * Prefilling (paper section 4.2). The first pass runs over prompt + initial response. With keep_prompt, later passes of SCOPE_CANVAS run
 * only the rows that score the response: of a model with shifted logits the last prompt token belongs to them. Without it they recompute
 * everything, and the prompt sees the partly decoded response. Decoding in blocks has scopes of its own (blocks.h).
 *
 * The first pass depends on prompt and initial response alone, so its final states are kept: any number of decodings can start from
 * them. Its keys and values stay until a pass of another scope replaces them; a decoding that needs them then starts with another first
 * pass.
 */
#ifndef DIMPLE_PASS_H
#define DIMPLE_PASS_H

#include "diffusion/canvas.h"
#include "diffusion/features.h"
#include "diffusion/former.h"
#include "diffusion/prompt.h"
#include "model/text.h"

typedef enum pass_scope_kind {
  SCOPE_CANVAS, /* what is not kept: everything, or what scores the response */
  SCOPE_ALL,    /* prompt and response */
  SCOPE_PART    /* the response from `first` up to `end`; the first pass, or one of SCOPE_ALL, came before */
} pass_scope_kind;

typedef struct pass_scope {
  pass_scope_kind kind;
  int32_t first, end; /* SCOPE_PART: response positions whose rows run, `end` exclusive; below 0: the prompt's last rows */
  int32_t seen;       /* the same, where rows see blocks: they see positions up to this one, those behind `end` as an earlier pass left them */
} pass_scope;

/* What a decoding wants of the first pass's keys and values. */
typedef enum pass_need {
  NEED_NOTHING, /* it begins with a pass over everything */
  NEED_PROMPT,  /* those of the prompt, if it is kept */
  NEED_ALL      /* those of the response, too */
} pass_need;

/* What is to be scored: masked positions of the canvas that lie in the scope. */
typedef struct pass_rows {
  pass_scope scope;
  int32_t from, count;   /* canvas.masked[from .. from + count) */
  const int32_t *positions; /* [count] ascending ones in their place, at most as many as were masked to begin with; null: none */
  const int32_t *chosen; /* [chosen_count] indices into these, ascending; null: all of them */
  int32_t chosen_count;
  bool bare;             /* also with masks in the place of everything that was given (SCOPE_ALL) */
  /* Shadows (SCOPE_ALL, logits not shifted): a second row for each of the response positions shadow_first .. shadow_end - 1 that holds the
   * mask, sees everything but the token at its own position, and is seen by the other shadows alone: what the model would put there. */
  int32_t shadow_first, shadow_end;
  const int32_t *watched; /* [watched_count] positions whose shadows are scored as well; none: there are no shadows */
  int32_t watched_count;
} pass_rows;

/* What a coming pass_score or pass_keep (of rows.scope) is to be called with. */
typedef enum pass_wish_kind { WISH_NOTHING, WISH_SCORE, WISH_KEEP } pass_wish_kind;

typedef struct pass_wish {
  pass_wish_kind kind;
  pass_rows rows;
} pass_wish;

typedef struct pass {
  /* Set once; these outlive the pass. */
  const dimple_model *model;
  context *context;
  atomic_bool *cancelled;
  const prompt *prompt;
  const canvas *canvas;
  const features *features; /* of the prompt's pictures, there before the first pass */
  bool keep_prompt;
  int32_t kv_type;    /* what keys and values are kept in (quant/kv_rows.h) */
  int32_t canvas_room; /* rows of a canvas that windowed layers have room for, if it is more than the model's (pass_reserve_canvas) */
  int32_t shadow_room; /* rows behind the response that hold a second row of as many of its positions (pass_reserve_shadow) */

  attention_grid grid; /* what rows see; with blocks, nothing before the response's first block changes, and it is kept in any case */

  bool prefilled;      /* the first pass ran */
  int32_t shared;      /* before it: rows of the prompt whose keys and values are there (pass_take_prefix) */
  pass_need intact;    /* what is left of its keys and values */
  bool stale;          /* those of the response are another decoding's: of this one nothing has run */
  bool recalls;        /* they are to be the first pass's before anything runs (pass_shortened) */
  int32_t kept;        /* models with canvases: the prompt's rows and, as they were kept, those of canvases that stay as they are (pass_keep) */
  int32_t total;       /* masks of the canvas it saw */
  text_state text;     /* capacity 0: not open */
  view first_states;   /* [canvas_most_masked x width] of the first pass */
  view later_states;   /* [the same] of the latest later pass */
  view gathered;       /* [the same] those of them that are scored */
  view bare_states;    /* [total x width] of a pass without the prompt; only where guidance asked for it */
  int32_t *wanted;     /* [canvas.room] rows asked of a pass */
  int32_t *bare;       /* [P + L] tokens of a pass without the prompt */
  int32_t *shadow;     /* [3 x (P + L + shadow_room)] where rows stand and what they see, and [shadow_room] masks */
  const view *fresh;   /* states of the canvas as it is: first_states, later_states; null: it changed */
  pass_scope fresh_scope; /* of the pass that gave them; of later_states only */
  int32_t fresh_from, fresh_count; /* which of the masked positions have them */
  view scored, bare_scored, shadow_scored; /* states of the rows that pass_score scored last */
  former_states former; /* of rows that were scored before: pass_keep_states */
  const pass_wish *ahead; /* what has run before it is asked for: pass_set_ahead; null: nothing */
  view canvas_states;  /* [most rows of a canvas x width] of the latest pass over a canvas (pass_denoise) */
  view signals[2];     /* [the same] what it expects, and what it was conditioned on: */
  int32_t signal;      /* the former */
  int64_t count;       /* passes run since pass_restart */
} pass;

/* Runs the first pass, unless it ran already. The canvas is as it was set. After a failure it can be tried again. Errors: MEMORY,
 * CANCELLED. */
dimple_status pass_prefill(pass *p);

/* Before the first pass: takes over keys and values of rows that see blocks, of the first `same` tokens, which are those of the other's
 * prompt, too: whole blocks that its first pass computed, of models with canvases also what its response kept behind them (pass_settled), and
 * fewer than the coming first pass has. rows: how many. What rows see is then as of the other; `limited`: they see what they do, and where that is
 * otherwise nothing is taken over. Errors: MEMORY. */
dimple_status pass_take_prefix(pass *p, const pass *from, int32_t same, bool limited, int32_t *rows);

/* How many tokens of prompt and response have keys and values that stay. */
int32_t pass_settled(const pass *p);

/* Back to before the first pass: cache and states are given back. */
void pass_discard(pass *p);

/* The canvas is as it was set again: whatever the first pass gave holds. If less of it is left than the coming decoding needs, it is to
 * be run again: pass_prefill. */
void pass_restart(pass *p, pass_need need);

/* What rows see of a model where no decoding asks for anything else: what its file says. */
attention_grid pass_model_grid(const dimple_model *model);

/* What rows see from now on, until the pass is discarded; if that is not as it was, the first pass is to be run again: pass_prefill. */
void pass_limit(pass *p, attention_grid grid);

/* Makes room for shadows of up to `rows` positions, if need be at the cost of the first pass, which is to be run again then. */
void pass_reserve_shadow(pass *p, int32_t rows);

/* Makes room for canvases of up to `rows` rows, if need be at the cost of the first pass, which is to be run again then. */
void pass_reserve_canvas(pass *p, int32_t rows);

/* Before a decoding whose canvas has got more room: makes room as well, if need be at the cost of the first pass. */
void pass_reserve_growth(pass *p);

/* The canvas has changed, maybe its length, too: its states are to be computed anew. */
void pass_canvas_changed(pass *p);

static inline int32_t pass_rows_count(const pass_rows *rows) { return rows->chosen ? rows->chosen_count : rows->count; }

/* The canvas was shortened, after pass_prefill: what was left out keeps the keys and values of the latest pass of this decoding or, where none has run,
 * of the first one. */
void pass_shortened(pass *p);

/* One pass over what has changed, and over the final states of the rows that score the given positions the head, with everything set
 * but x and w; head null: it is not wanted yet. After pass_prefill. Errors: MEMORY, CANCELLED. */
dimple_status pass_score(pass *p, pass_rows rows, const head_call *head);

/* A pass for the keys and values of the rows in a part of the canvas, which is as it will stay. After pass_prefill. Errors: CANCELLED. */
dimple_status pass_keep(pass *p, pass_scope scope);

/* What follows lets rows of several sessions run together (batch.c): what a coming call of the above would run is asked for, run by
 * text_forward_together, and the call itself then finds it done. */

/* The first half of pass_prefill, which has not been: makes ready and says which rows it would run; maybe none. Errors: MEMORY. */
dimple_status pass_open_first(pass *p, text_rows *rows);

/* Its second half, when they have run. */
void pass_close_first(pass *p);

/* Runs rows of the session, maybe none, alone; where layers slide, piece by piece. Errors: MEMORY, CANCELLED. */
dimple_status pass_run(pass *p, const text_rows *rows);

/* Rows of one wish that cannot run together, since the later ones take the place of the earlier in the cache: in this order. */
typedef enum pass_round { ROUND_CANVAS, ROUND_BARE, PASS_ROUNDS } pass_round;

/* Makes ready for the wish and says which rows it would run; maybe none. The rows of the round before have run or are recorded. Errors:
 * MEMORY. */
dimple_status pass_open_ahead(pass *p, const pass_wish *wish, pass_round round, text_rows *rows);

/* The rows of the wish, which stays where it is, have run: a call that asks for just these finds them. Null: not so any more. */
void pass_set_ahead(pass *p, const pass_wish *wish);

/* A pass over a canvas of a model with canvases: tokens [end - first] at the response positions from `first` on, whose keys and values are not
 * kept, against those that are kept before it. `conditioned`: on what the latest pass over this canvas expects; `expects`: another one will be on
 * what this one does, a mean over the vocabulary that is left out otherwise. The head is given with everything set but x, w and what it expects.
 * After pass_prefill, with the positions before `first` kept. After a failure it can be tried again. Errors: MEMORY, CANCELLED, MODEL. */
dimple_status pass_denoise(pass *p, int32_t first, int32_t end, const int32_t *tokens, bool conditioned, bool expects, const head_call *head);

/* Logits [count x vocab] of rows of the latest pass over a canvas, from row `row` on. Errors: MEMORY, CANCELLED. */
dimple_status pass_canvas_logits(pass *p, int32_t row, int32_t count, float *logits);

/* Keeps the states of the rows that pass_score scored last, of these positions and with these sums of their logits, by position, to be compared with those that are
 * scored next, in the place of what was kept, until pass_restart; `bare`: those of the pass without the prompt, too. Errors: MEMORY; then nothing is kept. */
dimple_status pass_keep_states(pass *p, const int32_t *positions, int32_t count, const float *log_sums, bool bare);

/* Which rows of a pass. */
typedef enum pass_view { VIEW_SCORED, VIEW_BARE, VIEW_SHADOW, VIEW_FORMER, VIEW_FORMER_BARE } pass_view;

/* The head over `count` of the rows that pass_score scored, from the `first` one on. Former ones are those that are kept of the head's positions, which it
 * is given, also where it compares; count <= FORMER_ROWS then. Errors: MEMORY, CANCELLED. */
dimple_status pass_head(pass *p, pass_view of, int32_t first, int32_t count, const head_call *head);

/* Logits [P + L x vocab] of prompt and canvas as it was set, in a cache of its own: a decoding under way is not disturbed. Errors:
 * MEMORY, CANCELLED. */
dimple_status pass_logits(const pass *p, float *logits);

/* Memory held, beside keys and values (text.cache.bytes). */
int64_t pass_scratch_bytes(const pass *p);

#endif
