/* The text body's forward pass over a key/value cache. */
#ifndef DIMPLE_TEXT_H
#define DIMPLE_TEXT_H

#include <stdint.h>

#include "model/kv_cache.h"
#include "model/layer.h"
#include "model/model.h"

/* Rows go through a layer so many at a time: the largest pass needs its residual stream, its keys and values, and the intermediates of
 * one piece. */
enum { TEXT_PIECE_ROWS = 768 };

/* Everything mutable a pass needs. Row r of the cache belongs to the r-th position of prompt + response. */
typedef struct text_state {
  int64_t capacity;  /* rows of the cache: P + L; 0: not open */
  kv_cache cache;
  int32_t kv_type;   /* of the cache (quant/kv_rows.h); where that is none of floats, rows that run go through these: */
  view fresh_keys, fresh_values; /* [piece_rows x widest layer] */
  view cosine[MAX_ROTARIES], sine[MAX_ROTARIES]; /* [capacity x size/2] of each of the model's rotaries */
  int32_t *row_numbers; /* 0, 1, .. capacity - 1, then four times as many for selections (host) */
  int32_t *last_key;    /* [capacity] the last row that each sees (host) */
  int32_t *first_key;   /* [capacity] the first row that each sees in a windowed layer (host) */
  int32_t *near_first_key, *near_last_key; /* [capacity] the same in layers that slide, of the rows that these have (host) */
  bool limited;         /* there are rows that do not see all */
  int64_t scratch_rows;
  int64_t piece_rows;    /* TEXT_PIECE_ROWS */
  block_scratch scratch; /* of min(scratch_rows, piece_rows) rows */
  view x;                /* [scratch_rows x width] residual stream */
} text_state;

/* A cache for `capacity` positions with coordinates positions [3 x capacity] in `kv_type`. `most`: rows that a pass of a model with
 * windows runs at most. Outside a pass. On failure the state is closed again. */
dimple_status text_state_open(const dimple_model *m, context *c, const int32_t *positions, int64_t capacity, int64_t most, int32_t kv_type,
                              text_state *state);
void text_state_close(const dimple_model *m, context *c, text_state *state); /* a zeroed state is allowed */

/* Blocks of rows, each of which sees itself and what is before it. */
typedef struct attention_grid {
  int32_t block_length; /* 0: there are none, and a row sees what the model has it see */
  int32_t offset;       /* a row with which a block begins; a shorter one may lie before it */
} attention_grid;

/* What rows see from now on; the last block ends with the last of `rows` rows, behind which a state may have room for others (shadows). */
void text_state_limit(const dimple_model *m, text_state *state, attention_grid grid, int64_t rows);

/* Rows first .. end - 1, which are a picture's, see each other, whatever else they see. Behind text_state_limit, of models with canvases. */
void text_state_join(text_state *state, int64_t first, int64_t end);

/* Makes room for a pass over rows first .. first + count - 1 where layers slide, before each; outside a pass. A pass over more than
 * text_state_most is to be cut (text_state_cut). Errors: as kv_cache_slide. */
dimple_status text_state_slide(const dimple_model *m, context *c, text_state *state, int64_t first, int64_t count);

/* The first `rows` rows of an empty cache come from elsewhere (kv_cache_begin). */
void text_state_begin(text_state *state, int64_t rows);

/* How many rows a pass may run: all, where no layer slides. */
int64_t text_state_most(const text_state *state);

/* The end of the rows from `first` on, up to `end`, that a pass may run: it is not within a picture. */
int64_t text_state_cut(const text_state *state, int64_t first, int64_t end);

/* Of memory it takes, beside keys and values; a zeroed state is allowed. */
int64_t text_state_bytes(const dimple_model *m, const text_state *state);

/* Makes room for passes of up to `rows` rows; outside a pass. Errors: MEMORY. */
dimple_status text_state_reserve(const dimple_model *m, context *c, text_state *state, int64_t rows);

/* What stands at image placeholders instead of their embedding. */
typedef struct text_images {
  view features;     /* [count x width] */
  const int32_t *at; /* [count] ascending positions in the prompt (host) */
  int64_t count;
} text_images;

/* Tokens of consecutive positions. */
typedef struct text_piece {
  const int32_t *tokens; /* [count] */
  int64_t count;         /* 0 is allowed */
} text_piece;

/* Where rows of a pass stand and what they see, where that is not: each in its own place, and everything (host memory, [rows of the pass]). */
typedef struct text_sight {
  const int32_t *place;    /* the cache row whose position each has */
  const int32_t *last_key; /* the last cache row that each sees */
  const int32_t *skip_key; /* a cache row that it does not see; -1: none */
} text_sight;

enum { TEXT_PIECES = 3 };

/* What a pass runs of one sequence: the positions from `first` on, holding the pieces' tokens one piece after the other, run against
 * themselves and what the cache holds before and behind them; their keys and values go into the cache. states [wanted_count x width]
 * receives the normalised final states of the positions first + wanted[i] (wanted ascending, host memory; none: the pass is for
 * its keys and values): in the last layer only those rows go on past keys and values. */
typedef struct text_rows {
  text_state *state;
  int64_t first;
  text_piece pieces[TEXT_PIECES];
  int32_t piece_count;
  text_images images;
  text_sight sight;      /* place null: as usual */
  bool canvas;           /* the rows are a canvas, which is denoised: all see each other, and what is before them, in windowed layers the last
                          * window - 1 rows of it; models with canvases */
  view signal;           /* of a canvas: [rows x width] what the last pass over it expects; memory null: there was none */
  const int32_t *wanted; /* [states.rows] */
  view states;
} text_rows;

/* How many rows that is. */
int64_t text_rows_count(const text_rows *rows);

/* Records rows of one sequence, at least one, into the open pass. The state has room for all. The pass may be cancelled before every layer. */
dimple_status text_forward(const dimple_model *m, context *c, const text_rows *rows);

/* Room for passes whose rows are of several sequences. */
typedef struct text_room {
  int64_t rows;               /* 0: not open */
  int32_t sequence_count;
  block_scratch scratch;
  view x;                     /* [rows x width] residual stream */
  view keys, values;          /* [rows x widest layer] before they go where each sequence keeps its own */
  view states;                /* [rows x width] */
  layer_sequence *sequences;  /* [sequence_count] */
} text_room;

/* Makes room for passes of up to `rows` rows of up to `sequences` sequences; outside a pass. On failure the room is closed. Errors: MEMORY. */
dimple_status text_room_reserve(const dimple_model *m, context *c, text_room *room, int64_t rows, int32_t sequences);
void text_room_close(const dimple_model *m, context *c, text_room *room); /* a zeroed one is allowed */
int64_t text_room_bytes(const dimple_model *m, const text_room *room);

/* The most rows that run together. */
enum { TEXT_TOGETHER_ROWS = TEXT_PIECE_ROWS };

/* A sequence of a pass of several. */
typedef struct text_member {
  text_rows rows;
  atomic_bool *cancelled; /* asks for this one to stop, before every layer; null: nobody can */
  bool stopped;           /* it was asked, and the request taken back: what the pass leaves of it is not to be used */
} text_member;

/* The same for the rows of several sequences, each with a state of its own, whatever context it was opened in: one linear call per layer and
 * weight for all of them, and of each row what text_forward makes of it, bit for bit. At most TEXT_TOGETHER_ROWS rows, for which the room
 * has been made. Errors: also CANCELLED when all have been stopped. */
dimple_status text_forward_together(const dimple_model *m, context *c, text_room *room, text_member *members, int32_t count);

#endif
