/* Which masked positions an iteration reveals: the table of algorithms. A new one is a file in algorithm/, a line in the table, and
 * its number in dimple.h. */
#ifndef DIMPLE_ALGORITHM_H
#define DIMPLE_ALGORITHM_H

#include "diffusion/choice.h"
#include "diffusion/confidence.h"

/* The table. One line an algorithm: its number in dimple.h, and what it does, a constant `algorithm_...` in a file of algorithm/. */
#define ALGORITHMS(LINE)                                          \
  LINE(DIMPLE_ALGORITHM_ORIGIN, algorithm_origin)                 \
  LINE(DIMPLE_ALGORITHM_ORIGIN_RATIO, algorithm_origin_ratio)     \
  LINE(DIMPLE_ALGORITHM_AUTOREGRESSIVE, algorithm_autoregressive) \
  LINE(DIMPLE_ALGORITHM_MASKGIT_PLUS, algorithm_maskgit_plus)     \
  LINE(DIMPLE_ALGORITHM_TOPK_MARGIN, algorithm_topk_margin)       \
  LINE(DIMPLE_ALGORITHM_ENTROPY, algorithm_entropy)               \
  LINE(DIMPLE_ALGORITHM_CONFIDENCE_THRESHOLD, algorithm_confidence_threshold) \
  LINE(DIMPLE_ALGORITHM_ENTROPY_BOUND, algorithm_entropy_bound)   \
  LINE(DIMPLE_ALGORITHM_KLASS, algorithm_klass)                   \
  LINE(DIMPLE_ALGORITHM_CREDIT, algorithm_credit)                 \
  LINE(DIMPLE_ALGORITHM_HIERARCHY, algorithm_hierarchy)           \
  LINE(DIMPLE_ALGORITHM_WINO, algorithm_wino)                     \
  LINE(DIMPLE_ALGORITHM_SEQUENTIAL, algorithm_sequential)         \
  LINE(DIMPLE_ALGORITHM_LOW_CONFIDENCE_STATIC, algorithm_low_confidence_static) \
  LINE(DIMPLE_ALGORITHM_LOW_CONFIDENCE_DYNAMIC, algorithm_low_confidence_dynamic) \
  LINE(DIMPLE_ALGORITHM_TOKEN_EDITING, algorithm_token_editing)

#define ALGORITHM_ONE_MORE(number, name) +1
enum { ALGORITHM_COUNT = ALGORITHMS(ALGORITHM_ONE_MORE), PIPELINE_COUNT = DIMPLE_PIPELINE_LLADA22 + 1 };
#undef ALGORITHM_ONE_MORE

/* What the schedule wants revealed of an iteration's masked positions. */
typedef struct quota {
  int32_t count; /* 0 .. masked */
  float share;   /* the probability of each; 1 when everything goes */
} quota;

/* What an algorithm remembers from one iteration to the next: its notes. */
typedef struct note_keeper {
  /* Empty notes on a response of `length` positions. Errors: MEMORY. */
  dimple_status (*open)(const dimple_decoding *d, int32_t length, int32_t vocab, void **notes);
  void (*close)(void *notes); /* null is allowed */
  int64_t (*bytes)(const void *notes); /* of memory they take */
  /* Sees what a head says of a position's logits before its candidate is taken, and where it `compares`, how far its distribution is from the one of the
   * iteration before: as of a head_comparison. An iteration that failed comes again: of a position that was seen in it, nothing more is noted. Null: it
   * does not need to. Errors: MEMORY. */
  dimple_status (*see)(void *notes, const sampler_step *step, int32_t position, const head_row *row, float divergence);
  bool compares;
  /* By how much it raises logits of a position: the `index`-th token, by their numbers, and the value; false behind the last. Null: it changes none. */
  bool (*raise)(const void *notes, const sampler_step *step, int32_t position, int32_t index, int32_t *token, float *value);
} note_keeper;

/* How an algorithm takes back what it has revealed. */
typedef struct reviser {
  /* The response positions, ascending, whose tokens are to be judged unseen in the coming iteration; they stay until then. */
  int32_t (*watch)(void *notes, const sampler_step *step, const int32_t **positions);
  /* The probability of the token at the `index`-th of them, where it is not seen. */
  void (*judge)(void *notes, int32_t index, float belief);
  /* Those of them, ascending, that are masked again in an iteration that reveals `count` positions. */
  int32_t (*drop)(void *notes, const sampler_step *step, int32_t count, const int32_t **positions);
  /* The iteration has happened, and revealed these positions. */
  void (*happened)(void *notes, const int32_t *revealed, int32_t count);
} reviser;

typedef struct algorithm {
  const char *name; /* for messages */
  const confidence *confidence;
  bool decides;     /* pipeline llada: how many positions, too, whatever quotas, threshold and factor want; of the block alone */
  bool bounded;     /* the same: a block has no more iterations than steps */
  bool ends;        /* the same: the decoding is over behind a block that holds the end of the text */
  bool edits;       /* what is revealed of the block that is being filled may be given another token */
  bool whole;       /* every pass runs over everything: there is no cache */
  bool draws;       /* heeds algorithm_temperature */
  bool own_pace;    /* how many positions it reveals does not follow from a schedule; so of all that decide */
  const note_keeper *keeper; /* null: it remembers nothing */
  const reviser *reviser;    /* null: what is revealed stays; otherwise it keeps notes */
  /* By pipeline (dimple_pipeline). */
  dimple_status (*choose[PIPELINE_COUNT])(choice *c, quota due); /* null: the pipeline does not offer the algorithm */
  bool positions_first[PIPELINE_COUNT]; /* chooses without candidates, before anything goes through the head */
  bool judges_threshold[PIPELINE_COUNT]; /* heeds the threshold itself, whether the pipeline does or not */
} algorithm;

/* The algorithm of a valid decoding. */
const algorithm *algorithm_of(const dimple_decoding *decoding);

/* What it takes for confidence. */
const confidence *confidence_of(const dimple_decoding *decoding);

#endif
