/*
 * The room of libdimple-ggml: one backend of Dimple's over every device that a GGML on this machine knows. A library of its own, so that
 * libdimple depends on nothing more; backend/plugin.c loads it and asks dimple_plugin_open() for its tables, one per device.
 *
 * A pass is recorded (record.c) and becomes one graph at its end (graph.c): nodes in the order of the operations, which GGML's backends
 * keep. Buffers of the seam are device memory that the nodes read and write through views; intermediates belong to the graph's allocator.
 */
#ifndef DIMPLE_GGML_ROOM_H
#define DIMPLE_GGML_ROOM_H

#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <ggml.h>

#include <stdatomic.h>

#include "backend/backend.h"
#include "error.h"

/* ------------------------------------------------------------------------------------------------------------- devices */

typedef struct device {
  backend_operations operations; /* what the core sees; first, so that a table's address is its device's */
  ggml_backend_dev_t handle;
  ggml_backend_buffer_type_t memory; /* what buffers of it are made of */
  char name[96];     /* "ggml:" and GGML's own name of it, or "rpc:" and the server's address */
  char endpoint[72]; /* "HOST:PORT"; "": of this machine */
  int server;        /* guard.h */
  atomic_bool lost;  /* GGML gave up on it: nothing of it is touched any more, */
  char why[256];     /* for this reason, written before `lost` is */
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
  struct ggml_tensor *base; /* all of it, in graph number `graph` */
  uint64_t graph;
};

/* ------------------------------------------------------------------------------------------------------------ recording */

typedef enum recorded_kind {
  RECORDED_COPY_IN,
  RECORDED_COPY_OUT,
  RECORDED_EMBED_ROWS,
  RECORDED_GATHER_ROWS,
  RECORDED_SCATTER_ROWS,
  RECORDED_PACK_HALVES,
  RECORDED_UNPACK_HALVES,
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

/* An operation with copies of what it took from the host. */
typedef struct recorded {
  recorded_kind kind;
  view x, y;
  const weight *w, *b;
  const int32_t *index; /* [index_count] */
  int64_t index_count;
  const float *values; /* COPY_IN */
  float *target;       /* COPY_OUT */
  float epsilon; /* RMS_NORM */
  float factor;  /* ADD_ROWS */
  const linear_output *outputs;
  int32_t output_count;
  rotary_call rotary;
  adjust_call adjust;
  attention_call attention;
  route_call route;
  experts_call experts;
  head_call head;
} recorded;

/* Host memory that a graph reads when it starts. */
typedef struct graph_input {
  struct ggml_tensor *tensor;
  const void *data; /* lives as long as the recorded pass */
  size_t bytes;
} graph_input;

/* Device memory that is wanted on the host when a graph has run. */
typedef struct graph_output {
  struct ggml_tensor *tensor;
  void *data;
  size_t bytes;
} graph_output;

/* Rows of a head on their way to the host; head.c knows what they mean. */
typedef struct head_piece head_piece;

typedef struct arena {
  void **blocks;
  int64_t count;
} arena;

struct context {
  const device *device;
  ggml_backend_t stream;
  ggml_gallocr_t allocator; /* of intermediates; kept from pass to pass */
  atomic_bool *cancelled;
  bool recording;
  recorded *operations;
  int64_t operation_count, operation_room;
  arena copies; /* of host memory, until the pass has ended */

  /* The graph under construction; no two of a process have the same number. */
  uint64_t serial;
  struct ggml_context *nodes;
  struct ggml_cgraph *graph;
  graph_input *inputs;
  int64_t input_count, input_room;
  graph_output *outputs;
  int64_t output_count, output_room;
  head_piece *heads;

  /* What has crossed the bus and how often the device was set to work; the tests look at them. */
  int64_t bytes_in, bytes_out, computes;
};

void *arena_take(arena *a, size_t bytes); /* null: no memory */
void arena_release(arena *a);

/* record.c: fills the table's operations. */
void record_operations(backend_operations *table);
/* graph.c: builds, runs and reads back what was recorded. */
dimple_status run_recorded(context *c);

/* -------------------------------------------------------------------------------------------- what graphs are built with */

/* A view as a matrix [columns, rows] of float32. */
struct ggml_tensor *matrix_of(context *c, view v);
/* Its rows as [size, heads, rows] and, cut into windows, [size, heads, rows, windows]. */
struct ggml_tensor *heads_of(context *c, view v, int64_t heads, int64_t size, int64_t windows);
/* A view of the same memory as int32. */
struct ggml_tensor *numbers_of(context *c, view v);
/* A node that writes `value`, of the view's shape, to the view. */
dimple_status write_view(context *c, view v, struct ggml_tensor *value);
/* Puts a node into the graph; UNSUPPORTED if the device cannot run it or one that it needs. */
dimple_status expand(context *c, struct ggml_tensor *node);
/* Host memory as a tensor; equal contents share one. `data` must live until the end of the pass. */
dimple_status input_of(context *c, enum ggml_type type, int64_t columns, int64_t rows, const void *data, struct ggml_tensor **out);
/* Reads `node`, which must be contiguous, into host memory after the graph. */
dimple_status output_to(context *c, struct ggml_tensor *node, void *data, size_t bytes);
/* act(gate) * up, as a gated linear mode has it; both contiguous. */
struct ggml_tensor *gated(context *c, linear_mode mode, struct ggml_tensor *gate, struct ggml_tensor *up);
/* Whether the device can run a node, and those it was made of that are not in the graph yet. */
bool runs_here(const context *c, const struct ggml_tensor *node);

/* attention.c */
dimple_status build_attention(context *c, const attention_call *call);
/* experts.c */
dimple_status build_route(context *c, const route_call *call);
dimple_status build_experts(context *c, const experts_call *call);
/* head.c */
dimple_status build_head(context *c, const head_call *call);
dimple_status finish_heads(context *c); /* after the graph has run */

#endif
