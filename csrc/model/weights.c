#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "model/model.h"
#include "quant/block_formats.h"

/* Where the tensors of one tower come from and who packs them. */
typedef struct loader {
  dimple_model *model;
  const gguf_parts *files;
  context *context;
} loader;

typedef struct tensor_name {
  char text[GGUF_MAX_NAME + 1];
} tensor_name;

__attribute__((format(printf, 1, 2))) static tensor_name named(const char *format, ...) {
  tensor_name name;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(name.text, sizeof name.text, format, arguments);
  va_end(arguments);
  return name;
}

/* A tensor of the file, checked: `rows` rows (the slowest dimension) of `columns` elements in a readable type. */
typedef struct found_tensor {
  const gguf_file *file;
  const gguf_tensor *tensor;
  const block_format *format;
} found_tensor;

static dimple_status find_tensor(const loader *l, const char *name, int64_t rows, int64_t columns, found_tensor *found) {
  const gguf_tensor *t = gguf_parts_find_tensor(l->files, name, &found->file);
  if (!t) return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: tensor %s is missing", gguf_path(l->files->files[0]), name);
  const char *path = gguf_path(found->file);
  const int64_t *d = t->dimensions;
  /* Columns may be spread over several dimensions (a patch kernel's are), and so may rows (a bank of experts). */
  int64_t inner = 1;
  int used = 0;
  while (used < t->dimension_count && inner < columns) inner *= d[used++];
  int64_t outer = 1;
  while (used < t->dimension_count) outer *= d[used++];
  if (inner != columns || outer != rows)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: tensor %s has shape [%" PRId64 ", %" PRId64 ", %" PRId64 ", %" PRId64 "], expected %" PRId64 " row%s of %" PRId64,
                       path, name, d[0], d[1], d[2], d[3], rows, rows == 1 ? "" : "s", columns);
  found->tensor = t;
  found->format = block_format_of(t->type);
  if (!found->format || !t->data)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s: tensor %s has type %d, which this library does not read", path, name, t->type);
  if (columns % found->format->block_length != 0)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: tensor %s has rows of %" PRId64 " elements, not a multiple of %s's block of %d", path, name, columns, found->format->name, found->format->block_length);
  return DIMPLE_OK;
}

static dimple_status upload(loader *l, const tensor_source *source, weight_use use, weight **out) {
  DIMPLE_TRY(l->model->ops->weight_upload(l->context, source, use, out));
  l->model->parameter_count += (source->matrices ? source->matrices : 1) * source->rows * source->columns;
  l->model->weight_size += l->model->ops->weight_bytes(*out);
  return DIMPLE_OK;
}

static dimple_status load_tensor(loader *l, const char *name, int64_t rows, int64_t columns, weight_use use, weight **out) {
  found_tensor found;
  DIMPLE_TRY(find_tensor(l, name, rows, columns, &found));
  DIMPLE_TRY(upload(l, &(tensor_source){name, found.tensor->type, rows, columns, found.tensor->data, 0}, use, out));
  if (use != WEIGHT_ROWS) gguf_release(found.file, found.tensor);
  return DIMPLE_OK;
}

/* Q or K of a file whose rotary embedding pairs neighbours: rows are reordered head by head, even ones first, so that pairs
 * lie half a head apart as everywhere here. Attention scores do not change, Q and K being reordered alike. */
static dimple_status load_interleaved(loader *l, const char *name, int64_t rows, int64_t columns, int32_t head_size, weight **out) {
  found_tensor found;
  DIMPLE_TRY(find_tensor(l, name, rows, columns, &found));
  int64_t row_size = block_format_row_size(found.format, columns), half = head_size / 2;
  uint8_t *reordered = malloc((size_t)(rows * row_size));
  if (!reordered) return dimple_fail_memory((uint64_t)(rows * row_size), name);
  for (int64_t row = 0; row < rows; row++) {
    int64_t head = row / head_size, j = row % head_size;
    int64_t from = head * head_size + (j < half ? 2 * j : 2 * (j - half) + 1);
    memcpy(reordered + row * row_size, found.tensor->data + from * row_size, (size_t)row_size);
  }
  dimple_status status = upload(l, &(tensor_source){name, found.tensor->type, rows, columns, reordered, 0}, WEIGHT_LINEAR, out);
  free(reordered);
  gguf_release(found.file, found.tensor);
  return status;
}

/* A bank [columns, rows, experts] of one matrix per expert. */
static dimple_status load_bank(loader *l, tensor_name name, int64_t experts, int64_t rows, int64_t columns, weight **out) {
  found_tensor found;
  DIMPLE_TRY(find_tensor(l, name.text, experts * rows, columns, &found));
  DIMPLE_TRY(upload(l, &(tensor_source){name.text, found.tensor->type, rows, columns, found.tensor->data, experts}, WEIGHT_LINEAR, out));
  gguf_release(found.file, found.tensor);
  return DIMPLE_OK;
}

static dimple_status load_vector(loader *l, const char *name, int64_t length, weight **out) {
  return load_tensor(l, name, 1, length, WEIGHT_VECTOR, out);
}

typedef enum bias_rule { BIAS_NONE, BIAS_REQUIRED } bias_rule;

/* <name>.weight and <name>.bias */
static dimple_status load_linear(loader *l, tensor_name name, int64_t rows, int64_t columns, bias_rule bias, linear_weights *out) {
  DIMPLE_TRY(load_tensor(l, named("%s.weight", name.text).text, rows, columns, WEIGHT_LINEAR, &out->w));
  if (bias == BIAS_REQUIRED) DIMPLE_TRY(load_vector(l, named("%s.bias", name.text).text, rows, &out->bias));
  return DIMPLE_OK;
}

/* What the two towers call the parts of a block that they name differently, and what a block has. */
typedef struct block_names {
  const char *prefix, *norm1, *norm2, *output;
  bias_rule attention_bias, other_bias;
  bool interleaved_rope, head_norm;
} block_names;

static dimple_status load_feed_forward(loader *l, const block_names *n, const block_shape *s, int32_t i, block_weights *block) {
  if (!s->experts) {
    DIMPLE_TRY(load_linear(l, named("%s.%d.ffn_gate", n->prefix, i), s->feed_forward, s->width, n->other_bias, &block->gate));
    DIMPLE_TRY(load_linear(l, named("%s.%d.ffn_up", n->prefix, i), s->feed_forward, s->width, n->other_bias, &block->up));
    return load_linear(l, named("%s.%d.ffn_down", n->prefix, i), s->width, s->feed_forward, n->other_bias, &block->down);
  }
  DIMPLE_TRY(load_tensor(l, named("%s.%d.ffn_gate_inp.weight", n->prefix, i).text, s->experts, s->width, WEIGHT_LINEAR, &block->router));
  DIMPLE_TRY(load_bank(l, named("%s.%d.ffn_gate_exps.weight", n->prefix, i), s->experts, s->feed_forward, s->width, &block->expert_gate));
  DIMPLE_TRY(load_bank(l, named("%s.%d.ffn_up_exps.weight", n->prefix, i), s->experts, s->feed_forward, s->width, &block->expert_up));
  return load_bank(l, named("%s.%d.ffn_down_exps.weight", n->prefix, i), s->experts, s->width, s->feed_forward, &block->expert_down);
}

static dimple_status load_rotated(loader *l, const block_names *n, tensor_name name, int64_t rows, const block_shape *s, linear_weights *out) {
  if (!n->interleaved_rope) return load_linear(l, name, rows, s->width, n->attention_bias, out);
  return load_interleaved(l, named("%s.weight", name.text).text, rows, s->width, s->head_size, &out->w);
}

static dimple_status load_block(loader *l, const block_names *n, const block_shape *s, int32_t i, block_weights *block) {
  int64_t q_width = (int64_t)s->heads * s->head_size, kv_width = (int64_t)s->kv_heads * s->head_size;
  DIMPLE_TRY(load_vector(l, named("%s.%d.%s.weight", n->prefix, i, n->norm1).text, s->width, &block->norm1));
  DIMPLE_TRY(load_vector(l, named("%s.%d.%s.weight", n->prefix, i, n->norm2).text, s->width, &block->norm2));
  DIMPLE_TRY(load_rotated(l, n, named("%s.%d.attn_q", n->prefix, i), q_width, s, &block->q));
  DIMPLE_TRY(load_rotated(l, n, named("%s.%d.attn_k", n->prefix, i), kv_width, s, &block->k));
  DIMPLE_TRY(load_linear(l, named("%s.%d.attn_v", n->prefix, i), kv_width, s->width, n->attention_bias, &block->v));
  DIMPLE_TRY(load_linear(l, named("%s.%d.%s", n->prefix, i, n->output), s->width, q_width, n->other_bias, &block->output));
  if (n->head_norm) {
    DIMPLE_TRY(load_vector(l, named("%s.%d.attn_q_norm.weight", n->prefix, i).text, s->head_size, &block->q_norm));
    DIMPLE_TRY(load_vector(l, named("%s.%d.attn_k_norm.weight", n->prefix, i).text, s->head_size, &block->k_norm));
  }
  return load_feed_forward(l, n, s, i, block);
}

static dimple_status load_blocks(loader *l, const block_names *names, const block_shape *shape, int32_t count, block_weights **out) {
  *out = calloc((size_t)count, sizeof **out);
  if (!*out) return dimple_fail_memory((uint64_t)count * sizeof **out, "the layers' weights");
  for (int32_t i = 0; i < count; i++) DIMPLE_TRY(load_block(l, names, shape, i, &(*out)[i]));
  return DIMPLE_OK;
}

static dimple_status load_text(loader *l) {
  dimple_model *m = l->model;
  const text_parameters *p = &m->text;
  DIMPLE_TRY(load_tensor(l, "token_embd.weight", p->vocab, p->width, WEIGHT_ROWS, &m->embedding));
  DIMPLE_TRY(load_vector(l, "output_norm.weight", p->width, &m->output_norm));
  /* A file without output.weight ties the head to the embedding. */
  const gguf_file *file;
  const char *head = gguf_parts_find_tensor(l->files, "output.weight", &file) ? "output.weight" : "token_embd.weight";
  DIMPLE_TRY(load_tensor(l, head, p->vocab, p->width, WEIGHT_LINEAR, &m->output));
  block_shape shape = text_block_shape(p);
  block_names names = {"blk", "attn_norm", "ffn_norm", "attn_output", p->attention_bias ? BIAS_REQUIRED : BIAS_NONE, BIAS_NONE,
                       p->interleaved_rope, p->head_norm};
  return load_blocks(l, &names, &shape, p->layers, &m->layers);
}

static dimple_status load_vision(loader *l) {
  dimple_model *m = l->model;
  const vision_parameters *v = &m->vision;
  vision_weights *w = &m->vision_weights;
  int64_t kernel = 3 * (int64_t)v->image.patch_size * v->image.patch_size;
  for (int32_t frame = 0; frame < v->image.temporal_patch; frame++) {
    tensor_name name = frame == 0 ? named("v.patch_embd.weight") : named("v.patch_embd.weight.%d", frame);
    DIMPLE_TRY(load_tensor(l, name.text, v->width, kernel, WEIGHT_LINEAR, &w->patch[frame]));
  }
  block_shape shape = vision_block_shape(v);
  block_names names = {"v.blk", "ln1", "ln2", "attn_out", BIAS_REQUIRED, BIAS_REQUIRED, false, false};
  DIMPLE_TRY(load_blocks(l, &names, &shape, v->layers, &w->layers));
  int64_t merged = (int64_t)v->width * v->image.merge_size * v->image.merge_size;
  DIMPLE_TRY(load_vector(l, "v.post_ln.weight", v->width, &w->merger_norm));
  DIMPLE_TRY(load_linear(l, named("mm.0"), merged, merged, BIAS_REQUIRED, &w->merger[0]));
  DIMPLE_TRY(load_linear(l, named("mm.2"), v->out_width, merged, BIAS_REQUIRED, &w->merger[1]));

  const gguf_file *file;
  bool projector = gguf_parts_find_tensor(l->files, "mm.img_projector.0.weight", &file) != NULL;
  if (!projector && strcmp(m->text.architecture, "dimple") == 0)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: tensor mm.img_projector.0.weight is missing", gguf_path(l->files->files[0]));
  if (projector) {
    DIMPLE_TRY(load_linear(l, named("mm.img_projector.0"), m->text.width, v->out_width, BIAS_REQUIRED, &w->projector[0]));
    return load_linear(l, named("mm.img_projector.2"), m->text.width, m->text.width, BIAS_REQUIRED, &w->projector[1]);
  }
  if (v->out_width != m->text.width)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: the vision tower gives %d features, the text model takes %d", gguf_path(l->files->files[0]), v->out_width, m->text.width);
  return DIMPLE_OK;
}

/* The vocabulary's size is the embedding's; a key that disagrees, or a special token beyond it, is an error. */
static dimple_status check_vocabulary(dimple_model *m) {
  text_parameters *p = &m->text;
  const char *path = gguf_path(model_file(m));
  const gguf_file *file;
  const gguf_tensor *t = gguf_parts_find_tensor(&m->files, "token_embd.weight", &file);
  if (!t) return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: tensor token_embd.weight is missing", path);
  if (t->dimension_count != 2 || t->dimensions[1] < 1 || t->dimensions[1] > INT32_MAX)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: tensor token_embd.weight has %d dimensions, expected a matrix with a row per token", path, t->dimension_count);
  p->vocab = (int32_t)t->dimensions[1];
  char key[64];
  int64_t vocab = p->vocab;
  snprintf(key, sizeof key, "%s.vocab_size", p->architecture);
  DIMPLE_TRY(gguf_optional_int(model_file(m), key, 1, INT32_MAX, &vocab));
  if (vocab != p->vocab)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key %s is %" PRId64 ", but token_embd.weight has %d rows", path, key, vocab, p->vocab);
  const struct { const char *name; int32_t id; } special[] = {
      {"mask", p->mask_token}, {"bos", p->bos_token}, {"eos", p->eos_token}, {"padding", p->pad_token}, {"image", p->image_token}};
  for (size_t i = 0; i < sizeof special / sizeof *special; i++)
    if (special[i].id >= p->vocab)
      return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: the %s token's id is %d, expected less than the vocabulary's %d", path, special[i].name, special[i].id, p->vocab);
  return DIMPLE_OK;
}

dimple_status model_weights_load(dimple_model *m, int32_t threads) {
  DIMPLE_TRY(check_vocabulary(m));
  loader text = {.model = m, .files = &m->files};
  DIMPLE_TRY(m->ops->context_open(threads, &text.context));
  loader vision = {.model = m, .files = m->mmproj.count ? &m->mmproj : &m->files, .context = text.context};
  dimple_status status = load_text(&text);
  if (status == DIMPLE_OK && m->vision.present) status = load_vision(&vision);
  m->ops->context_close(text.context);
  return status;
}

static void free_linear(const backend_operations *ops, linear_weights *l) {
  ops->weight_free(l->w);
  ops->weight_free(l->bias);
}

static void free_blocks(const backend_operations *ops, block_weights *blocks, int32_t count) {
  for (int32_t i = 0; blocks && i < count; i++) {
    block_weights *b = &blocks[i];
    ops->weight_free(b->norm1);
    ops->weight_free(b->norm2);
    linear_weights *all[] = {&b->q, &b->k, &b->v, &b->output, &b->gate, &b->up, &b->down};
    for (size_t j = 0; j < sizeof all / sizeof *all; j++) free_linear(ops, all[j]);
    weight *single[] = {b->q_norm, b->k_norm, b->router, b->expert_gate, b->expert_up, b->expert_down};
    for (size_t j = 0; j < sizeof single / sizeof *single; j++) ops->weight_free(single[j]);
  }
  free(blocks);
}

void model_weights_free(dimple_model *m) {
  const backend_operations *ops = m->ops;
  vision_weights *w = &m->vision_weights;
  ops->weight_free(m->embedding);
  ops->weight_free(m->output_norm);
  ops->weight_free(m->output);
  free_blocks(ops, m->layers, m->text.layers);
  free_blocks(ops, w->layers, m->vision.layers);
  for (size_t i = 0; i < sizeof w->patch / sizeof *w->patch; i++) ops->weight_free(w->patch[i]);
  ops->weight_free(w->merger_norm);
  for (int i = 0; i < 2; i++) {
    free_linear(ops, &w->merger[i]);
    free_linear(ops, &w->projector[i]);
  }
}
