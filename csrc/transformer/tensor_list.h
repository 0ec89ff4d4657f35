/* The tensors that a model wants of its files, by name and shape, and where their packed weights go. A text body and a vision tower
 * write such a list; checking a file and loading it both walk it, so they cannot disagree. */
#ifndef DIMPLE_TENSOR_LIST_H
#define DIMPLE_TENSOR_LIST_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/backend.h"
#include "gguf/parts.h"

typedef struct linear_weights {
  weight *w;
  weight *bias; /* null: none */
} linear_weights;

typedef enum bias_rule { BIAS_NONE, BIAS_REQUIRED } bias_rule;

/* What a tensor has to be, and where it goes. */
typedef struct tensor_want {
  int64_t matrices;     /* of a bank, one after the other under one handle; 0: no bank */
  int64_t rows;         /* of one matrix: outputs */
  int64_t columns;      /* inputs */
  int64_t part_of;      /* above 0: rows of the file's tensor, of which these begin with row part_first */
  int64_t part_first;
  int32_t paired_heads; /* above 0: the size of heads whose rows the file pairs 2j with 2j + 1, see want_paired */
  weight_use use;
  bool unpacked;         /* a matrix that is to stay in the file where that can be; false until it is set */
  int32_t stage;         /* as backend.h's tensor_source has them; 0 and false until they are set */
  bool also_last;
  weight **target;       /* null: */
  const uint8_t **table; /* numbers that stay in the file */
} tensor_want;

typedef struct wanted_tensor {
  tensor_want want;
  const gguf_file *file; /* where checking found it; */
  const gguf_tensor *found; /* null: it is not checked */
  const packed_part *packed; /* as tensor_source has them; null and false until they are set */
  bool packed_unproven;
  packed_part *kept; /* [matrices, 1 of no bank] receives what was packed, bytes null where nothing can be kept; null: nobody asks */
  char name[GGUF_MAX_NAME + 1];
} wanted_tensor;

typedef struct tensor_list {
  const gguf_parts *files;
  wanted_tensor *tensors;
  int64_t count;
  bool out_of_memory; /* an entry found no room; checking the list says so */
} tensor_list;

/* An empty list of tensors in `files`, which must outlive it. */
tensor_list tensor_list_of(const gguf_parts *files);
void tensor_list_close(tensor_list *list); /* a zeroed one is allowed; leaves the weights alone */

/* Whether the files hold a tensor of that name, whatever its shape. */
bool tensor_list_has(const tensor_list *list, const char *name);

/* What follows adds to the list; a name is given as for printf. Targets must outlive the list. */

/* A matrix [rows x columns] for `use`. */
__attribute__((format(printf, 6, 7))) void want_matrix(tensor_list *list, weight_use use, int64_t rows, int64_t columns, weight **target,
                                                       const char *format, ...);
/* A norm's weight or the like: `length` numbers. */
__attribute__((format(printf, 4, 5))) void want_vector(tensor_list *list, int64_t length, weight **target, const char *format, ...);
/* `length` float32 numbers for the host, which stay in the file; table_at reads them. */
__attribute__((format(printf, 4, 5))) void want_table(tensor_list *list, int64_t length, const uint8_t **target, const char *format, ...);
float table_at(const uint8_t *table, int64_t index);
/* NAME.weight [rows x columns] and, with BIAS_REQUIRED, NAME.bias [rows]. */
__attribute__((format(printf, 6, 7))) void want_linear(tensor_list *list, int64_t rows, int64_t columns, bias_rule bias,
                                                       linear_weights *target, const char *format, ...);
/* NAME.weight of queries or keys in a file whose rotary embedding pairs neighbours: rows are reordered head by head, even ones first,
 * so that pairs lie half a head apart as everywhere here. Attention scores do not change, Q and K being reordered alike. */
__attribute__((format(printf, 6, 7))) void want_paired(tensor_list *list, int64_t rows, int64_t columns, int32_t head_size,
                                                       linear_weights *target, const char *format, ...);
/* NAME.weight has `all` rows, and these are `rows` of them from the `first` on. */
__attribute__((format(printf, 7, 8))) void want_part(tensor_list *list, int64_t all, int64_t first, int64_t rows, int64_t columns,
                                                     linear_weights *target, const char *format, ...);
/* A bank of as many matrices [rows x columns]. */
__attribute__((format(printf, 6, 7))) void want_bank(tensor_list *list, int64_t matrices, int64_t rows, int64_t columns, weight **target,
                                                     const char *format, ...);

/* Whether the files hold the `index`-th tensor of the list in its shape and in a type that this library reads. Errors: FORMAT,
 * UNSUPPORTED, naming file and tensor. */
dimple_status tensor_list_check(const tensor_list *list, int64_t index);
/* The same for all of them, up to the first that is not right. Errors: also MEMORY, if the list is incomplete. */
dimple_status tensor_list_check_all(const tensor_list *list);

/* What packing a list came to. */
typedef struct tensor_totals {
  int64_t elements;
  int64_t bytes; /* of packed weights */
  int64_t unpacked; /* bytes of the file that matrices which are not packed have there */
} tensor_totals;

/* Whether an entry is a matrix that may stay in the file: it has no rows that are reordered. */
bool tensor_list_can_stay(const tensor_want *want);
/* An entry of a checked list as a backend takes it, whole and in the file's order; and its bytes in the file. */
tensor_source tensor_list_source(const wanted_tensor *wanted);
int64_t tensor_list_file_bytes(const wanted_tensor *wanted);

/* Whether an entry is packed for products. */
bool tensor_list_is_packed(const wanted_tensor *wanted);

/* Packs the tensors of a checked list into their targets, which must be null, and adds to *totals; those marked `unpacked` are left in the file. What was packed before a failure stays with its target. Errors: as backend.h's weight_upload. */
dimple_status tensor_list_load(const tensor_list *list, const backend_operations *ops, context *c, tensor_totals *totals);
/* Frees what the targets hold. */
void tensor_list_unload(const tensor_list *list, const backend_operations *ops);

#endif
