/* Iterations of a decoding: candidates for masked positions, the choice of positions, and what was revealed. */
#ifndef DIMPLE_ITERATION_H
#define DIMPLE_ITERATION_H

#include "diffusion/bias.h"
#include "diffusion/blocks.h"
#include "diffusion/canvas.h"
#include "diffusion/constrained.h"
#include "diffusion/pass.h"
#include "diffusion/sampler.h"

/* Arrays for one iteration; each has room for every position that the response may come to have. */
typedef struct iteration_room {
  int32_t positions;     /* so many */
  int32_t *revealed;     /* response positions, ascending */
  int32_t *tokens;       /* what they are revealed as */
  float *confidence, *log_probability;
  int32_t *rows;         /* which of the rows that were scored they come from; -1: none */
  int32_t *chosen;       /* their indices among the masked positions */
  candidate *candidates; /* of the scored positions */
  head_row *summaries;   /* of their logits */
  int32_t *open;         /* positions that are scored, of algorithms that edit: ascending */
  int32_t *opened;       /* the same, under a constraint: the canvas' tokens as they may become */
  float *former_sums;    /* by position: log sums of logits that the next iteration's are compared with */
  float *log_sums;       /* where bias or notes change logits, by position: of the model's own, less those of what became of them */
} iteration_room;

typedef struct iteration {
  bool begun, done;
  dimple_decoding decoding;
  dimple_decoding cooled;  /* the same at temperature 0: of passes that take the likeliest tokens, whatever it is */
  float *levels;    /* [steps + 1] */
  int32_t number;   /* of the next iteration, from 0 */
  int32_t total;    /* masks at the start */
  blocks blocks;    /* pipelines that decode in blocks */
  special_tokens tokens;
  void *notes;      /* of the algorithm; null: it keeps none */
  void *loop;       /* state of a pipeline that has a loop of its own, a reshaper or an editor (pipeline.h) */
  logit_shift shift; /* in this iteration */
  int32_t pad;      /* the model's padding token; -1: it names none */
  const int32_t *origins; /* dimple_step's, of the latest iteration; null: nothing moved */
  replay *recorded; /* null: the generator draws */
  constrained *constraint; /* null: none */
  bias bias;        /* what is added to logits */
  bias former_bias; /* and was to those that the pass has the states of, which are compared with these: */
  int32_t former_number; /* by the iteration of this number; -1: there are none */
  bool spent;       /* the caller decides, and what it has left is no block */
  bool looked;      /* the candidates of this iteration are in the room: caller_look */
  bool scored;      /* and the pass still has the rows that they were scored from */
  bool listable;    /* the pass still has the rows of what the latest iteration_run revealed: */
  int32_t listed_count; /* so many positions, room.rows */
  int32_t offered_from, offered_count; /* they are of the canvas' masked[from .. from + count) */
  int32_t revealed_count; /* by the latest iteration, whose results are in the room */
  int32_t remasked_count; /* by the same: [remasked_count] positions that it masked again, ascending, in the notes */
  const int32_t *remasked;
  int32_t block;          /* that it worked on; -1: it did on none */
  int32_t forced_count;   /* of them, those for which the constraint left one token */
  iteration_room room;
} iteration;

/* Room for responses of `length` tokens in the place of what there was, no constraint, and no decoding under way. On failure nothing
 * changes. Errors: MEMORY. */
dimple_status iteration_resize(iteration *it, int32_t length);
void iteration_free(iteration *it); /* a zeroed one is allowed */

/* Room for responses that come to have `length` tokens, if there is less; a decoding under way goes on. On failure nothing changes. Errors: MEMORY. */
dimple_status iteration_reserve(iteration *it, int32_t length);

/* Of memory it takes: its room, the algorithm's notes, what a constraint keeps of the canvas. */
int64_t iteration_bytes(const iteration *it);

/* Takes the place of the recorded draws, null included, and ends a decoding under way. */
void iteration_replay(iteration *it, replay *recorded);

/* Takes a constraint of the response in the place of what there was, null for none, and ends a decoding under way. */
void iteration_constrain(iteration *it, constrained *constraint);

/* Starts a decoding, whose settings are valid, of a canvas as it was set, for a model of these parameters, which fill in what the settings
 * leave to the model. Errors: ARGUMENT, UNSUPPORTED (a model that the pipeline does not decode), STATE (recorded draws of tokens under a constraint), MEMORY. */
dimple_status iteration_begin(iteration *it, const dimple_decoding *decoding, const text_parameters *model, const canvas *c);

/* How many positions at a time the decoding that has begun looks at twice. */
int32_t iteration_shadow_rows(const iteration *it);

/* How many rows the canvases of the decoding that has begun have at most; 0: it denoises none. */
int32_t iteration_canvas_rows(const iteration *it, const canvas *c);

/* What the decoding that has begun wants of the first pass, the canvas being as it was set; keep_prompt: as of the pass. */
pass_need iteration_need(const iteration *it, const canvas *c, bool keep_prompt);

/* What rows are to see in the passes of the decoding that has begun, behind a prompt of that length. */
attention_grid iteration_grid(const iteration *it, int32_t prompt_length);

/* How many of the response's positions, from the beginning, hold what they will hold once they are revealed. */
int32_t iteration_settled(const iteration *it, const canvas *c);

/* Whether positions can be left out of the decoding under way. Errors: UNSUPPORTED. */
dimple_status iteration_check_shortening(const iteration *it);

/* Whether some token can stand everywhere beside what is banned, in a decoding of these settings; under a constraint bans yield. Those that
 * reshapers and editors bar at times do not count. */
bool iteration_leaves_one(const iteration *it, const dimple_decoding *d, const text_parameters *model, const bias *banned);

/* The canvas was shortened: blocks end with it. */
void iteration_shortened(iteration *it, const canvas *c);

/* No decoding is under way. */
void iteration_end(iteration *it);

/* One iteration: decides and reveals. Nothing changes, the recorded draws included, before everything that can fail has succeeded.
 * After iteration_begin, pass_prefill, and not when it is done. Errors: STATE (replay), MEMORY, CANCELLED. */
dimple_status iteration_run(iteration *it, pass *p, canvas *c);

/* What the coming iteration_run will ask of the pass, which has been prefilled: so that its rows can run before, with those of others. Changes
 * nothing that it does. */
pass_wish iteration_foresee(iteration *it, const pass *p, const canvas *c);

/* Reveals all that is still masked as the constraint's path has it, what was left out of a shortened canvas, too, and is done. After iteration_begin, with a constraint. Errors:
 * ARGUMENT (the canvas agrees with nothing that fits). */
dimple_status iteration_complete(iteration *it, canvas *c);

#endif
