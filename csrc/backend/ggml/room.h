/*
 * The room of libdimple-ggml: one backend of Dimple's over every device that a GGML on this machine knows. A library of its own, so that
 * libdimple depends on nothing more; backend/plugin.c loads it and asks dimple_plugin_open() for its tables, one per device.
 *
 * A pass is recorded (record.c) and becomes one graph at its end (graph.c): nodes in the order of the operations, which GGML's backends
 * keep. Buffers of the seam are device memory that the nodes read and write through views; intermediates belong to the context's allocator.
 * What a graph was built from, but for contents of host memory and which buffers those are, is its shape (shape.c). Graphs are kept by their shapes,
 * and the next pass of a shape, of any context of the device, takes the graph, puts it to its buffers and runs it (shelf.c).
 */
#ifndef DIMPLE_GGML_ROOM_H
#define DIMPLE_GGML_ROOM_H

#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <ggml.h>

#include <stdatomic.h>

#include "backend/backend.h"
#include "error.h"
#include "guard.h"

/* ------------------------------------------------------------------------------------------------------------- devices */

typedef struct graph graph;

/* What passes have cost a device; of any thread. */
typedef struct device_counts {
  atomic_int_fast64_t computes, graphs_built, bytes_in, bytes_out, fused, spelled_out;
} device_counts;

/* The graphs that a device keeps while no pass runs them, the last used first. */
typedef struct graph_shelf {
  atomic_bool busy;
  graph *first;
} graph_shelf;

/* A kind of attention, and how far a device's fused operation is off with it. */
typedef struct fused_kind {
  int32_t size, group; /* of a head; query heads to a key head */
  bool masked, few;
  double error; /* a share of the largest number; infinity: the device has none */
} fused_kind;

enum { FUSED_KINDS = 64 };

typedef struct fused_book {
  atomic_bool busy;
  fused_kind kinds[FUSED_KINDS];
  int32_t count;
} fused_book;

typedef struct device {
  backend_operations operations; /* what the core sees; first, so that a table's address is its device's */
  ggml_backend_dev_t handle;
  ggml_backend_dev_t judge; /* knows what it runs: the same, or the device of this machine that a process of ours lends as this one */
  struct child *process;    /* that process; null: there is none, or it is lost */
  ggml_backend_buffer_type_t memory; /* what buffers of it are made of */
  ggml_backend_reg_t registered; /* of a server: what GGML made of it, which it does not keep itself */
  ggml_backend_buffer_t held;    /* the same: a connection lasts while a buffer does, and this one stays, so that later calls meet it and not a new one or none */
  char name[96];   /* "ggml:" and GGML's own name of it, "rpc:" and the server's address, or "child:" and the name of what a process lends */
  char origin[80]; /* the same without the number among the server's; "": this process has it */
  int server;        /* guard.h */
  atomic_bool losing; /* somebody writes what follows */
  atomic_bool lost;  /* GGML gave up on it: nothing of it is touched any more, */
  char why[256];     /* for this reason, written before `lost` is */
  device_counts *counts;
  graph_shelf *shelf;
  fused_book *fused;
} device;

/* Runs an entry of the table, entry(argument), under guard. Errors: the entry's; IO if the device is or gets lost; MEMORY. */
dimple_status on_device(const device *d, dimple_status (*entry)(void *), void *argument);
/* Lets go of something on the device, unless that is lost. */
void let_go(const device *d, dimple_status (*entry)(void *), void *argument);

/* GGML's last complaint on this thread since forget_complaint(), "" if there is none: it logs what it cannot return. */
void forget_complaint(void);
const char *last_complaint(void);

/* ------------------------------------------------------------------------------------------------------------- weights */

struct weight {
  uint64_t number; /* no two of a process have the same, and later ones have higher ones */
  const device *device;
  struct ggml_context *context; /* owns the tensor's description */
  ggml_backend_buffer_t memory;
  struct ggml_tensor *tensor; /* [columns, rows, matrices]; a vector is [columns]. Null: rows are decoded on the host */
  int32_t type;               /* of the file; `host` is laid out by it */
  const uint8_t *host;        /* WEIGHT_ROWS that the device cannot look up */
  int64_t rows, columns, matrices;
  float first; /* WEIGHT_VECTOR: its first element */
  int64_t bytes;
};

dimple_status ggml_room_weight_upload(context *c, const tensor_source *source, weight_use use, weight **out);
void ggml_room_weight_free(weight *w);
int64_t ggml_room_weight_bytes(const weight *w);

/* ------------------------------------------------------------------------------------------------------------- buffers */

struct buffer {
  const device *device;
  ggml_backend_buffer_t memory;
  int64_t count;
  uint64_t number; /* no two of a process have the same */
};

/* ------------------------------------------------------------------------------------------------------------ recording */

typedef enum recorded_kind {
  RECORDED_COPY_IN,
  RECORDED_COPY_OUT,
  RECORDED_EMBED_ROWS,
  RECORDED_GATHER_ROWS,
  RECORDED_SCATTER_ROWS,
  RECORDED_PACK_KV,
  RECORDED_ADD_ROWS,
  RECORDED_ADJUST,
  RECORDED_RMS_NORM,
  RECORDED_LAYER_NORM,
  RECORDED_LINEAR,
  RECORDED_ROTARY,
  RECORDED_ATTENTION,
  RECORDED_ROUTE,
  RECORDED_EXPERTS,
  RECORDED_HEAD
} recorded_kind;

typedef struct class_plan class_plan;

/* An operation with copies of what it took from the host. */
typedef struct recorded {
  recorded_kind kind;
  view x, y;
  const weight *w, *b;
  const int32_t *index; /* [index_count]; of SCATTER_ROWS the rows of x that go on, null: all do */
  int64_t index_count;
  const int64_t *targets; /* SCATTER_ROWS: [index_count] the rows of y that they go to */
  const float *values; /* COPY_IN */
  float *target;       /* COPY_OUT */
  float epsilon; /* RMS_NORM */
  float factor;  /* ADD_ROWS */
  int32_t kv_type; /* PACK_KV */
  const linear_output *outputs;
  int32_t output_count;
  rotary_call rotary;
  adjust_call adjust;
  attention_call attention;
  route_call route;
  experts_call experts;
  head_call head;
  struct head_piece *pieces; /* HEAD: what comes back of its rows, once the pass ends */
  int64_t piece_count;
  const class_plan *plan; /* HEAD: how its classes are laid out; null: it has none */
} recorded;

/* Memory of a pass. */
typedef struct arena {
  void **blocks;
  int64_t count;
} arena;

void *arena_take(arena *a, size_t bytes); /* null: no memory */
void arena_release(arena *a);

/* Makes room for one more element behind `count`. */
dimple_status grow(void **array, int64_t count, int64_t *room, size_t size);

/* -------------------------------------------------------------------------------------------------------------- graphs */

/* Host memory that goes into a graph, or that something of it goes to, in terms of the operation that it was built for; `at` tells the parts of an
 * operation apart. Null: no memory. */
typedef void *(*host_part)(context *c, recorded *o, int64_t at);

typedef struct graph_input {
  struct ggml_tensor *tensor;
  size_t bytes;
  int64_t operation;
  host_part part;
  int64_t at;
  const void *from[4]; /* the copies that its contents hang on; of the pass that it was built in */
} graph_input;

typedef struct graph_output {
  struct ggml_tensor *tensor;
  size_t bytes;
  int64_t operation;
  host_part part;
  int64_t at;
} graph_output;

/* A tensor whose place is another one in the next pass: a buffer's, or the allocator's. */
typedef struct graph_place {
  struct ggml_tensor *tensor;
  const struct ggml_tensor *base; /* the buffer's that it is a view of; null: an intermediate, or a view of one */
} graph_place;

typedef struct numbers {
  int64_t *list;
  int64_t count, room;
} numbers;

struct graph {
  graph *next;
  uint64_t serial; /* no two of a process have the same */
  numbers shape;
  uint64_t first_weight, last_weight; /* the lowest and the highest number of its weights */
  uint64_t holder; /* the number of the context whose allocator has its intermediates */
  struct ggml_context *nodes;
  struct ggml_cgraph *order;
  struct ggml_tensor **bases; /* [buffer_count] the whole of each buffer; one tensor each, so that GGML sees which nodes touch the same memory */
  uint64_t *bound;            /* [buffer_count] the numbers of the buffers that it is put to */
  int64_t buffer_count;
  graph_place *places;
  int64_t place_count, place_room;
  graph_input *inputs;
  int64_t input_count, input_room;
  graph_output *outputs;
  int64_t output_count, output_room;
  struct ggml_tensor **sums; /* what is watched, by numbers of rows */
  int64_t sum_count, sum_room;
};

/* A copy of the caller's memory; equal ones of a pass are one. */
typedef struct kept_copy {
  const void *copy;
  size_t bytes;
} kept_copy;

struct context {
  uint64_t number; /* no two of a process have the same */
  const device *device;
  ggml_backend_t stream;
  ggml_gallocr_t allocator; /* of intermediates; kept from pass to pass */
  uint64_t allocated;       /* the serial of the graph that it was last asked for */
  atomic_bool *cancelled;
  bool recording;
  recorded *operations;
  int64_t operation_count, operation_room;
  arena copies; /* of host memory, until the pass has ended */
  kept_copy *kept;
  int64_t kept_count, kept_room;
  class_plan *plans; /* of the partitions that heads have had, for they stay the same through a decoding */

  /* Of the pass that ends. */
  numbers shape;
  uint64_t first_weight, last_weight; /* no weights: first > last */
  buffer **buffers;                   /* in the order in which its operations name them first */
  int64_t buffer_count, buffer_room;
  graph *graph;
  int64_t building; /* the operation that nodes are made for */
  float flaw;       /* finite if all that the pass watched was */
};

/* shape.c: fills in what of a pass its graph hangs on. */
dimple_status work_out_shape(context *c);
int64_t ordinal_of(const context *c, const buffer *b); /* -1: the pass does not name it */

/* shelf.c */
graph *take_graph(const device *d, const numbers *shape); /* null: none of the shape is there */
void keep_graph(const device *d, graph *g);
void drop_graphs_of(const device *d, uint64_t weight);
int64_t count_graphs(const device *d);
void free_graph(graph *g);

/* record.c: fills the table's operations. */
void record_operations(backend_operations *table);
/* classes.c: the layout of a head's classes, made at its first call and sent to the device then. Errors: MEMORY, IO. */
dimple_status plan_classes(context *c, const head_call *call, const class_plan **out);
view tokens_of_plan(const class_plan *p); /* on the device; without memory: nothing is there */
view classes_of_plan(const class_plan *p); /* the class of each token, where a list is among classes; without memory: it is not there */
int64_t count_classes(const class_plan *p);
int64_t units_of_plan(const class_plan *p, int64_t group);
void forget_class_plans(context *c); /* a pass begins, which names none yet */
void drop_class_plans(context *c);
int64_t class_plan_bytes(const context *c);
/* graph.c: builds, runs and reads back what was recorded. */
dimple_status run_recorded(context *c);

/* -------------------------------------------------------------------------------------------- what graphs are built with */

/* A view as a matrix [columns, rows] of float32. */
struct ggml_tensor *matrix_of(context *c, view v);
/* Its rows as [size, heads, rows] and, cut into windows, [size, heads, rows, windows]. */
struct ggml_tensor *heads_of(context *c, view v, int64_t heads, int64_t size, int64_t windows);
/* Rows of keys or values [rows x width] that pack_kv has packed, to be read. UNSUPPORTED if blocks of such rows fill no whole elements of the view. */
dimple_status packed_rows(context *c, view v, int64_t width, int32_t kv_type, struct ggml_tensor **out);
/* A view of the same memory as int32. */
struct ggml_tensor *numbers_of(context *c, view v);
/* A node that writes `value`, of the view's shape, to the view. */
dimple_status write_view(context *c, view v, struct ggml_tensor *value);
/* Puts a node into the graph; UNSUPPORTED if the device cannot run it or one that it needs. */
dimple_status expand(context *c, struct ggml_tensor *node);
/* A part of the operation's host memory as a tensor; those that are made of the same copies share one. */
dimple_status input_of(context *c, enum ggml_type type, int64_t columns, int64_t rows, graph_input input, struct ggml_tensor **out);
/* Reads `node`, which must be contiguous, into a part of the operation's host memory after the graph. */
dimple_status output_to(context *c, struct ggml_tensor *node, host_part part, int64_t at);
/*
 * Numbers that overflow. Much of GGML passes over NaN and infinity, or makes numbers of them: rounding to 8 bits, clamping, looking for the highest
 * score, and norms of rows whose squares overflow, which become zeros. So a graph sums up what products give before it is used, and the squares
 * of what is normed; one number of all these sums comes back, and a pass in which it is not finite fails.
 */
dimple_status watch_numbers(context *c, struct ggml_tensor *values);
dimple_status watch_squares(context *c, struct ggml_tensor *values);
/* act(gate) * up, as a gated linear mode has it; both contiguous. */
struct ggml_tensor *gated(context *c, linear_mode mode, struct ggml_tensor *gate, struct ggml_tensor *up);
/* Whether the device can run a node, and those it was made of that are not in the graph yet. */
bool runs_here(const context *c, const struct ggml_tensor *node);

/* attention.c */
dimple_status build_attention(context *c, const recorded *o);
/* fused.c: whether attention is to run by the device's fused operation. Errors: MEMORY, CANCELLED. */
dimple_status use_fused(context *c, const attention_call *call, int64_t rows, bool masked, bool *used);
/* experts.c */
dimple_status build_route(context *c, const route_call *call);
dimple_status build_experts(context *c, const experts_call *call);
/* head.c */
dimple_status build_head(context *c, const recorded *o);
dimple_status open_head(context *c, recorded *o); /* before the graph is built or run */
dimple_status finish_head(const recorded *o);     /* after it has run */

#endif
