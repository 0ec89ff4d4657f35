/* How many positions an iteration reveals, and when a decoding is done: the table of pipelines. */
#ifndef DIMPLE_PIPELINE_H
#define DIMPLE_PIPELINE_H

#include "diffusion/algorithm.h"
#include "diffusion/blocks.h"

/* What positions see of a model that lets them see all. */
typedef enum block_sight {
  SIGHT_ALL,         /* all */
  SIGHT_FROM_START,  /* their block and those before it; blocks are counted from the first position of the prompt */
  SIGHT_FROM_PROMPT, /* the same, counted from the prompt's end, in the prompt backwards */
  SIGHT_PROMPT_APART, /* all, but the prompt sees the prompt alone */
  SIGHT_CANVAS       /* of a canvas that is denoised itself and what is before it; what is settled is causal */
} block_sight;

struct iteration;

/* A pipeline's own way through its iterations, which is more than choosing among masked positions. */
typedef struct own_loop {
  /* Its state for a decoding of a response of `length` positions. Errors: MEMORY. */
  dimple_status (*open)(const dimple_decoding *d, int32_t length, void **state);
  void (*close)(void *state); /* null is allowed */
  int64_t (*bytes)(const void *state); /* of memory it takes */
  /* As iteration_run. */
  dimple_status (*run)(struct iteration *it, pass *p, canvas *c);
} own_loop;

/* What a pipeline has whose response changes its length: its state, which is the iteration's `loop`, and what an iteration makes of the canvas. */
typedef struct reshaper {
  /* How many positions the response that was set may come to have. Errors: ARGUMENT. */
  dimple_status (*most)(const dimple_decoding *d, const canvas *c, int64_t *most);
  /* Its state for a decoding of a canvas that has room for as many. Errors: UNSUPPORTED (the model), MEMORY. */
  dimple_status (*open)(const dimple_decoding *d, const canvas *c, const text_parameters *model, void **state);
  void (*close)(void *state); /* null is allowed */
  int64_t (*bytes)(const void *state); /* of memory it takes */
  /* A token that no position takes in the coming iteration; -1: none. */
  int32_t (*barred)(const void *state, const canvas *c);
  /* Behind an iteration whose tokens stand in the canvas: moves positions, keeps of what was revealed what stays, and says where all was (`origins`). */
  void (*reshape)(void *state, struct iteration *it, canvas *c);
} reshaper;

/* What a pipeline has whose iterations rewrite the block that is being filled, at its length: its state, which is the iteration's `loop` and what its choice finds as
 * notes. */
typedef struct editor {
  /* Errors: UNSUPPORTED (the model, given tokens), MEMORY. */
  dimple_status (*open)(const dimple_decoding *d, const canvas *c, const text_parameters *model, void **state);
  void (*close)(void *state); /* null is allowed */
  int64_t (*bytes)(const void *state); /* of memory it takes */
  /* Behind the choice: gives candidates other tokens and leaves out of the room's chosen[*count] what is not to be written. Errors: as alternatives_replace. */
  dimple_status (*revise)(struct iteration *it, pass *p, const sampler_step *step, int32_t *count);
  /* Behind an iteration whose tokens stand in the canvas: as of a reshaper, at the same length; and whether the block is closed. */
  void (*edit)(void *state, struct iteration *it, canvas *c);
} editor;

typedef struct pipeline {
  const char *name;     /* for messages */
  bool judges_original; /* dimple_decoding.original_confidence counts */
  bool judges_threshold; /* heeds the threshold, but of algorithms that decide */
  bool top_k_first;     /* filters by rank before mass, which is then that of the tokens that are left */
  bool has_levels;      /* its schedule is of noise levels, the last of which is epsilon */
  bool reveals_mask;    /* a position may be revealed as the mask token, and stays masked, but not behind the schedule; otherwise that is no candidate */
  /* Chooses the positions of one iteration with >= 1 masked ones. `a` is one that the pipeline offers. Errors: STATE (replay),
   * MEMORY. */
  dimple_status (*choose)(choice *c, const algorithm *a);
  /* Whether the decoding is over before all its steps are used, with `remaining` positions still masked. */
  bool (*done)(int32_t remaining);
  const block_rules *blocks; /* in the place of `done`; null: the response is decoded as a whole */
  block_sight sight;         /* what positions see */
  bool fills_with_ends;      /* behind the first end of text of the block that is the last, what was revealed becomes ends */
  bool hides_padding;        /* its authors hide padding tokens that are given, which is not done */
  bool needs_shift;          /* it is for models whose rows score the next position */
  const char *decides;       /* why a caller cannot decide in its place; null: one can */
  bool whole;                /* the response is one block, whatever block length model or caller name */
  const reshaper *reshaper;  /* null: the response keeps its length */
  const editor *editor;      /* null: what is revealed of a block stays where it is */
  const own_loop *loop;      /* in the place of choose, done and blocks; null: it has none */
} pipeline;

extern const pipeline *const pipelines[PIPELINE_COUNT]; /* by dimple_pipeline */

/* A valid decoding, once the model's block length and cache are filled in: those of its settings that decode in blocks are of use. Errors:
 * ARGUMENT. */
dimple_status decoding_check_filled(const dimple_decoding *asked, const dimple_decoding *filled);

/* The pipeline of a valid decoding. */
const pipeline *pipeline_of(const dimple_decoding *decoding);

/* Whether the mask is a candidate of the iteration. */
static inline bool takes_mask(const dimple_decoding *d, int32_t iteration) { return pipeline_of(d)->reveals_mask && iteration < d->steps; }

/* The confidence is that of softmax(logits), whatever temperature and filters do. */
static inline bool judges_original(const dimple_decoding *d) { return pipeline_of(d)->judges_original && d->original_confidence; }

#endif
