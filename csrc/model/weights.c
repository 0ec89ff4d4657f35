#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "model/model.h"
#include "quant/block_formats.h"

/* Where the tensors of one tower come from and who packs them. */
typedef struct loader {
  dimple_model *model;
  const gguf_file *file;
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

/* Packs tensor `name`, whose columns may be spread over several dimensions (the patch kernel's are). */
static dimple_status load_tensor(loader *l, const char *name, int64_t rows, int64_t columns, weight_use use, weight **out) {
  const gguf_tensor *t = gguf_find_tensor(l->file, name);
  if (!t) return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: tensor %s is missing", gguf_path(l->file), name);
  const int64_t *d = t->dimensions;
  int64_t found_rows = use == WEIGHT_VECTOR ? 1 : d[t->dimension_count - 1], found_columns = 1;
  for (int i = 0; i < t->dimension_count - (use == WEIGHT_VECTOR ? 0 : 1); i++) found_columns *= d[i];
  if (found_rows != rows || found_columns != columns)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: tensor %s has shape [%" PRId64 ", %" PRId64 ", %" PRId64 ", %" PRId64 "], expected %" PRId64 " rows of %" PRId64,
                       gguf_path(l->file), name, d[0], d[1], d[2], d[3], rows, columns);
  const block_format *format = block_format_of(t->type);
  if (!format || !t->data)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s: tensor %s has type %d, which this library does not read", gguf_path(l->file), name, t->type);
  if (columns % format->block_length != 0)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: tensor %s has rows of %" PRId64 " elements, not a multiple of %s's block of %d", gguf_path(l->file), name, columns, format->name, format->block_length);

  tensor_source source = {.name = name, .type = t->type, .rows = rows, .columns = columns, .data = t->data};
  DIMPLE_TRY(l->model->ops->weight_upload(l->context, &source, use, out));
  l->model->parameter_count += rows * columns;
  l->model->weight_size += l->model->ops->weight_bytes(*out);
  if (use != WEIGHT_ROWS) gguf_release(l->file, t);
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

/* What the two towers call the parts of a block that they name differently. */
typedef struct block_names {
  const char *prefix, *norm1, *norm2, *output;
  bias_rule output_bias, ffn_bias;
} block_names;

static const block_names text_block = {"blk", "attn_norm", "ffn_norm", "attn_output", BIAS_NONE, BIAS_NONE};
static const block_names vision_block = {"v.blk", "ln1", "ln2", "attn_out", BIAS_REQUIRED, BIAS_REQUIRED};

static dimple_status load_block(loader *l, const block_names *n, const block_shape *s, int32_t i, block_weights *block) {
  int64_t q_width = (int64_t)s->heads * s->head_size, kv_width = (int64_t)s->kv_heads * s->head_size;
  DIMPLE_TRY(load_vector(l, named("%s.%d.%s.weight", n->prefix, i, n->norm1).text, s->width, &block->norm1));
  DIMPLE_TRY(load_vector(l, named("%s.%d.%s.weight", n->prefix, i, n->norm2).text, s->width, &block->norm2));
  DIMPLE_TRY(load_linear(l, named("%s.%d.attn_q", n->prefix, i), q_width, s->width, BIAS_REQUIRED, &block->q));
  DIMPLE_TRY(load_linear(l, named("%s.%d.attn_k", n->prefix, i), kv_width, s->width, BIAS_REQUIRED, &block->k));
  DIMPLE_TRY(load_linear(l, named("%s.%d.attn_v", n->prefix, i), kv_width, s->width, BIAS_REQUIRED, &block->v));
  DIMPLE_TRY(load_linear(l, named("%s.%d.%s", n->prefix, i, n->output), s->width, q_width, n->output_bias, &block->output));
  DIMPLE_TRY(load_linear(l, named("%s.%d.ffn_gate", n->prefix, i), s->feed_forward, s->width, n->ffn_bias, &block->gate));
  DIMPLE_TRY(load_linear(l, named("%s.%d.ffn_up", n->prefix, i), s->feed_forward, s->width, n->ffn_bias, &block->up));
  return load_linear(l, named("%s.%d.ffn_down", n->prefix, i), s->width, s->feed_forward, n->ffn_bias, &block->down);
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
  const char *head = gguf_find_tensor(l->file, "output.weight") ? "output.weight" : "token_embd.weight";
  DIMPLE_TRY(load_tensor(l, head, p->vocab, p->width, WEIGHT_LINEAR, &m->output));
  block_shape shape = text_block_shape(p);
  return load_blocks(l, &text_block, &shape, p->layers, &m->layers);
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
  DIMPLE_TRY(load_blocks(l, &vision_block, &shape, v->layers, &w->layers));
  int64_t merged = (int64_t)v->width * v->image.merge_size * v->image.merge_size;
  DIMPLE_TRY(load_vector(l, "v.post_ln.weight", v->width, &w->merger_norm));
  DIMPLE_TRY(load_linear(l, named("mm.0"), merged, merged, BIAS_REQUIRED, &w->merger[0]));
  DIMPLE_TRY(load_linear(l, named("mm.2"), v->out_width, merged, BIAS_REQUIRED, &w->merger[1]));

  bool projector = gguf_find_tensor(l->file, "mm.img_projector.0.weight") != NULL;
  if (!projector && strcmp(m->text.architecture, "dimple") == 0)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: tensor mm.img_projector.0.weight is missing", gguf_path(l->file));
  if (projector) {
    DIMPLE_TRY(load_linear(l, named("mm.img_projector.0"), m->text.width, v->out_width, BIAS_REQUIRED, &w->projector[0]));
    return load_linear(l, named("mm.img_projector.2"), m->text.width, m->text.width, BIAS_REQUIRED, &w->projector[1]);
  }
  if (v->out_width != m->text.width)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: the vision tower gives %d features, the text model takes %d", gguf_path(l->file), v->out_width, m->text.width);
  return DIMPLE_OK;
}

/* The vocabulary's size is the embedding's; a key that disagrees, or a special token beyond it, is an error. */
static dimple_status check_vocabulary(dimple_model *m) {
  text_parameters *p = &m->text;
  const char *path = gguf_path(m->file);
  const gguf_tensor *t = gguf_find_tensor(m->file, "token_embd.weight");
  if (!t) return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: tensor token_embd.weight is missing", path);
  if (t->dimension_count != 2 || t->dimensions[1] < 1 || t->dimensions[1] > INT32_MAX)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: tensor token_embd.weight has %d dimensions, expected a matrix with a row per token", path, t->dimension_count);
  p->vocab = (int32_t)t->dimensions[1];
  char key[64];
  int64_t vocab = p->vocab;
  snprintf(key, sizeof key, "%s.vocab_size", p->architecture);
  DIMPLE_TRY(gguf_optional_int(m->file, key, 1, INT32_MAX, &vocab));
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
  loader text = {.model = m, .file = m->file};
  DIMPLE_TRY(m->ops->context_open(threads, &text.context));
  loader vision = {.model = m, .file = m->mmproj ? m->mmproj : m->file, .context = text.context};
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
