/* What a head's files share: its rows go in pieces, and what comes back of a piece arrives in fields. */
#ifndef DIMPLE_GGML_HEAD_H
#define DIMPLE_GGML_HEAD_H

#include "room.h"

enum { CLASS_GROUPS = 6 }; /* of units of 1, 4, 16, .. 1,024 tokens */

/* What comes back of a row: a number of each, but for those from LIST_BOUNDS on. Of CLASSES there is one for each group. */
enum {
  BEST, BEST_LOGIT, SECOND_LOGIT, FLAW, SUM, MEAN, HOT_SUM, HOT_MEAN, CHUNK, BARE_BEST, BARE_SUM, DIVERGENCE, LIST_BOUNDS,
  DRAWN_CHUNK, LISTED, LISTED_TOKENS, ALL_LOGITS, CLASSES, FIELDS = CLASSES + CLASS_GROUPS
};

/* Parts of a head are numbered through its pieces: field + PARTS * piece. Behind the fields: noise, the caller's logits, of what is added to logits
 * numbers and tokens, in the order of head_bias, the same of former logits, sums of these, what bars classes that are not wanted, and for each group of
 * units shares to draw by. */
enum {
  NOISE = FIELDS, CALLERS_LOGITS, FORBIDDEN, FORBIDDEN_TOKENS, SHIFT, SHIFT_TOKENS, BIAS, BIAS_TOKENS, ROWS_OWN, ROWS_OWN_TOKENS,
  OF_FORMER, FORMER_SUMS = OF_FORMER + ROWS_OWN_TOKENS + 1 - FORBIDDEN, BARS, SHARES, PARTS = SHARES + CLASS_GROUPS
};

/* Rows [first, first + rows) of a head. */
typedef struct head_piece {
  int64_t first, rows;
  void *fields[FIELDS]; /* null: not wanted */
} head_piece;

/* A piece under construction. */
typedef struct piece_at {
  context *context;
  const recorded *operation;
  int64_t piece;
} piece_at;

static inline head_piece *piece_of(const recorded *o, int64_t part) { return &o->pieces[part / PARTS]; }

static inline const float *floats_of(const head_piece *p, int field) { return p->fields[field]; }

/* Numbers of rows on their way to a field of the piece. */
dimple_status fetch(const piece_at *at, struct ggml_tensor *node, int field);

/* z[index[r]][r] as [1, rows]. */
struct ggml_tensor *pick(struct ggml_context *n, struct ggml_tensor *z, struct ggml_tensor *index);

/* Logits of the piece's rows of x, [vocab, rows], guided by bare ones where these have memory. */
struct ggml_tensor *logits_of(const piece_at *at, view x, view bare);

/* comparison.c: how far z [vocab, rows] is from what it was. */
dimple_status fetch_divergence(const piece_at *at, struct ggml_tensor *z);

/* bias.c: what the call's bias makes of z [vocab, rows], or its comparison's of former ones. How many tokens of its own a row is given: 0, or as many as the row that has most and some
 * to spare, so that the next pass, which may have more, is of the same shape. */
int64_t own_width(const head_bias *b, int64_t rows);
dimple_status apply_bias(const piece_at *at, bool former, struct ggml_tensor **z);

/* list.c: the highest logits of z [vocab, rows], and what is made of them on the host. */
int64_t list_width(const head_call *call); /* of what comes back of a row */
int64_t list_bounds(const head_call *call);
dimple_status fetch_list(const piece_at *at, struct ggml_tensor *z);
dimple_status finish_list(const recorded *o, const head_piece *p);

/* classes.c: what classes of tokens come to of z [vocab, rows], and what is made of it on the host. */
int64_t class_width(const class_plan *p, int64_t group); /* of what comes back of a row */
int64_t class_places(const class_plan *p); /* of a row's logits, once its tokens are gathered */
int64_t class_rows(const class_plan *p);   /* that a piece has at most, at least 1 */
dimple_status fetch_classes(const piece_at *at, struct ggml_tensor *z);
/* z [vocab, rows] but for tokens of classes that are not wanted, which it forbids; where classes_of_plan is there. */
dimple_status bar_unwanted(const piece_at *at, struct ggml_tensor **z);
dimple_status finish_classes(const recorded *o, const head_piece *p);

#endif
