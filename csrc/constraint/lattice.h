/*
 * A canvas under a constraint, laid out as a lattice: boundaries between positions x nodes. Which tokens may still stand where, and the
 * best path through it, or a drawn one.
 *
 *     lattice_update          the canvas as it is: what may stand where
 *     lattice_score           the scores of a position, for each of those that a pass scored, from its logits,
 *     lattice_take            or from what a head keeps of its classes, and what filters keep
 *     lattice_find_path       one assignment of all masked positions that agrees with every fixed one and fits
 *
 * Sums are taken in double precision and in a fixed order, so a result depends neither on threads nor on the order of lattice_score.
 */
#ifndef DIMPLE_LATTICE_H
#define DIMPLE_LATTICE_H

#include "backend/backend.h"
#include "constraint/constraint.h"
#include "constraint/partition.h"

/* How paths are weighed. */
typedef struct path_settings {
  double temperature; /* 0: the best path; otherwise one is drawn by softmax(logits / temperature) */
  uint64_t seed;      /* of the generator, with iteration and position: draws.h */
  int32_t iteration;
} path_settings;

/* The tokens of a class at a position, of which one may stand on the path. */
typedef struct class_score {
  double weight; /* the highest logit, or the log of the sum of exp(logit / temperature) */
  float logit;   /* of the token */
  int32_t token; /* the one with the highest logit, the lowest among equals; or a draw */
} class_score;

/* What a head would say of a position's logits if it had only the tokens that can stand there and that filters keep. */
typedef struct allowed_row {
  double temperature;  /* > 0: asked for */
  int32_t best;        /* the token with the highest logit, the lowest among equals; -1 if filters keep none */
  float best_logit;
  float second_logit;  /* the highest besides; -inf for none */
  double sum;          /* of w = exp((logit - best_logit) / temperature) */
  double moment;       /* of w * logit */
} allowed_row;

typedef struct path_token {
  int32_t token;
  float logit;    /* where the position has scores */
} path_token;

/* Where a canvas stands in a response that is longer: tokens [before_count] before it and [later_count] behind it, these with mask tokens where anything
 * may come. */
typedef struct lattice_part {
  const int32_t *before, *later;
  int32_t before_count, later_count;
  int32_t mask_token;
} lattice_part;

/* What filters keep at a position. */
typedef struct kept_tokens {
  const int32_t *tokens; /* [count] ascending */
  float *logits;         /* [count] */
  int32_t count;
} kept_tokens;

typedef struct lattice {
  dimple_constraint *constraint;
  head_partition partition; /* its classes, as heads have them */
  int32_t *segments;        /* [partition.segments] their numbers, class by class */
  int32_t *first_segment;   /* [classes + 1] into segments */
  int32_t length;   /* positions */
  int32_t start;    /* the node that what stands before the canvas leads to */
  uint8_t *ends;    /* [nodes] from which what stands behind the canvas leads to an end */
  int32_t before_count, whole; /* positions before the canvas, and of the whole response: for messages */
  int32_t *tokens;  /* [length] the canvas; -1: masked */
  uint8_t *open;    /* [(length + 1) x nodes] the node lies, at this boundary, on a path that agrees with the canvas and fits */
  class_score *scores; /* [length x classes] */
  uint8_t *yielded; /* [length x classes] the class has no token that filters keep: its scores are of the others */
  uint8_t *scored;  /* [length] */
  double *values;   /* [(length + 1) x nodes] the weight of the best way from here to the end */
  int32_t *costs;   /* [(length + 1) x nodes] positions on it where filters gave way: the fewest there can be */
  path_token *path; /* [length]; of fixed positions their tokens */
  bool has_path;    /* that agrees with the canvas */
  /* Scratch. */
  uint8_t *label_open;  /* [labels] */
  uint8_t *allowed;     /* [classes] */
  double *label_values; /* [labels] */
  int32_t *label_costs; /* [labels]; -1: not computed */
  int32_t *members, *next_kept, *first_kept; /* [vocabulary], [vocabulary], [classes] */
  float *member_logits, *member_weights;     /* [vocabulary] */
} lattice;

/* For canvases of `length` >= 1 tokens, a part of a response, or with null all of one; holds the constraint. On failure *out is not touched. Errors:
 * MEMORY, ARGUMENT (nothing that fits begins with what stands before it). */
dimple_status lattice_open(dimple_constraint *constraint, int32_t length, const lattice_part *part, lattice *out);
void lattice_close(lattice *l); /* a zeroed one is allowed */

int64_t lattice_bytes(const lattice *l); /* of memory it takes, without the constraint; a zeroed one is allowed */

/* Takes the canvas [length], whose fixed tokens are below the vocabulary's size. Afterwards no position has scores, and there is no path
 * unless the old one agrees with the canvas. Errors: LIMIT (the shortest response that fits is longer), ARGUMENT (nothing that fits
 * agrees with the fixed tokens); another canvas is to be taken then. */
dimple_status lattice_update(lattice *l, const int32_t *canvas, int32_t mask_token);

/* The only token that can stand at a masked position; -1 if there are several. */
int32_t lattice_forced(lattice *l, int32_t position);

/* Which classes have tokens that can stand at a masked position: flags [classes], valid until the next call. */
const uint8_t *lattice_allowed(lattice *l, int32_t position);

/* Takes the scores of a masked position: logits [vocabulary], of which NaN counts as the lowest. `kept`, null or [vocabulary], is positive
 * for tokens that filters keep: on a path the others stand where no kept ones can. A token of a class is drawn as a head draws it, and of those that
 * filters keep by one number. `row`, with its temperature, receives what there is to choose from; null: not wanted. */
void lattice_score(lattice *l, int32_t position, const float *logits, const float *kept, const path_settings *s, allowed_row *row);

/* The same from what a head keeps of the classes [classes] at the position, and what filters keep of those, null: all: those that lattice_allowed names
 * were wanted, and at a temperature above 0 of `s`, or of `row` beside 1, it was the head's. */
void lattice_take(lattice *l, int32_t position, const head_row *of_classes, const kept_tokens *kept, const path_settings *s, allowed_row *row);

/* Finds l->path. The best one has the fewest positions where filters give way, and among those paths the highest sum of logits. A drawn
 * one is drawn from position to position, each token by its probability among those that can stand there and behind which filters give way
 * least. (Paths drawn by the products of their probabilities would nearly all have the length of which there are most: a text one
 * letter longer has as many times more ways as there are letters.) Positions without scores take any tokens, where there is a choice
 * those towards the nearest end. */
void lattice_find_path(lattice *l, const path_settings *s);

#endif
