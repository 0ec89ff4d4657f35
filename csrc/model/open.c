#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "error.h"
#include "model/model.h"

static dimple_status fail_no_encoder(const gguf_file *file) {
  return dimple_fail(DIMPLE_ERROR_FORMAT, "%s has no vision encoder (key clip.has_vision_encoder)", gguf_path(file));
}

/* The vision tower may lie in the model's own file or in a second one. */
static dimple_status read_keys(dimple_model *m, const char *mmproj_path) {
  const char *path = gguf_path(model_file(m));
  DIMPLE_TRY(text_parameters_read(model_file(m), &m->text));
  DIMPLE_TRY(vision_parameters_read(model_file(m), &m->vision));
  if (!mmproj_path) return DIMPLE_OK;
  if (m->vision.present)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "%s has a vision tower of its own, so the mmproj %s cannot be used with it", path, mmproj_path);
  DIMPLE_TRY(gguf_parts_open(mmproj_path, &m->mmproj));
  DIMPLE_TRY(vision_parameters_read(m->mmproj.files[0], &m->vision));
  return m->vision.present ? DIMPLE_OK : fail_no_encoder(m->mmproj.files[0]);
}

/* They are of the vocabulary, and leave one beside the mask that a masked position can become. */
static dimple_status check_suppressed(const text_parameters *p, const char *path) {
  int32_t count = p->suppressed_count, left = p->vocab - (p->mask_token >= 0);
  for (int32_t i = 0; i < count; i++) left -= p->suppressed[i] != p->mask_token;
  if (count == 0 || (p->suppressed[count - 1] < p->vocab && left > 0)) return DIMPLE_OK;
  return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key diffusion.suppress_tokens has %d tokens up to %d, expected ids below the vocabulary's "
                     "%d, and one left beside the mask", path, count, p->suppressed[count - 1], p->vocab);
}

/* The vocabulary's size is the embedding's; a key that disagrees, or a special token beyond it, is an error. */
static dimple_status read_vocabulary(dimple_model *m) {
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
  snprintf(key, sizeof key, "%s.vocab_size", p->architecture->name);
  DIMPLE_TRY(gguf_optional_int(model_file(m), key, 1, INT32_MAX, &vocab));
  if (vocab != p->vocab)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key %s is %" PRId64 ", but token_embd.weight has %d rows", path, key, vocab, p->vocab);
  const struct { const char *name; int32_t id; } special[] = {
      {"mask", p->mask_token}, {"bos", p->bos_token}, {"eos", p->eos_token}, {"eot", p->eot_token}, {"padding", p->pad_token}, {"image", p->image_token}, {"expand", p->expand_token},
      {"delete", p->delete_token}, {"split", p->split_token}};
  for (size_t i = 0; i < sizeof special / sizeof *special; i++)
    if (special[i].id >= p->vocab)
      return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: the %s token's id is %d, expected less than the vocabulary's %d", path, special[i].name, special[i].id, p->vocab);
  DIMPLE_TRY(check_suppressed(p, path));
  /* A file that lists its ends of text and names none of them as the one: the first is. */
  for (int32_t i = 0; i < p->end_count && p->eos_token < 0; i++) {
    if (p->ends[i] >= p->vocab) continue;
    p->eos_token = p->ends[i];
    p->ends[i] = p->ends[0];
    p->ends[0] = p->eos_token; /* where pipelines that know one end alone look */
  }
  return DIMPLE_OK;
}

static dimple_status allocate_layers(int32_t count, block_weights **out) {
  *out = calloc((size_t)count, sizeof **out);
  return *out ? DIMPLE_OK : dimple_fail_memory((uint64_t)count * sizeof **out, "the layers' weights");
}

static dimple_status list_text(dimple_model *m) {
  const text_parameters *p = &m->text;
  m->text_tensors = tensor_list_of(&m->files);
  DIMPLE_TRY(allocate_layers(p->layers, &m->weights.layers));
  p->architecture->want_tensors(&m->text_tensors, p, &m->weights);
  return DIMPLE_OK;
}

/* The tower, and behind it the projector into the text model's embedding space where the architecture has one or the file brings one.
 * With a null `text` the tower is alone, and the width of the text model is what the projector's first bias says. */
static dimple_status list_vision(dimple_model *m, const text_parameters *text) {
  vision_parameters *v = &m->vision;
  tensor_list *list = &m->vision_tensors;
  *list = tensor_list_of(m->mmproj.count ? &m->mmproj : &m->files);
  DIMPLE_TRY(allocate_layers(v->layers, &m->vision_weights.layers));
  m->vision_weights.bounded = calloc((size_t)v->layers, sizeof *m->vision_weights.bounded);
  if (!m->vision_weights.bounded) return dimple_fail_memory((uint64_t)v->layers * sizeof *m->vision_weights.bounded, "the layers' weights");
  v->tower->want_tensors(list, v, &m->vision_weights);
  int32_t projected = vision_projected_width(list);
  v->projector = projected > 0 || (text && text->architecture->vision_projector);
  v->projector_mode = text && text->architecture->projector_gelu ? LINEAR_GELU : LINEAR_SILU;
  if (v->projector) vision_want_projector(list, v, text ? text->width : projected, &m->vision_weights);
  return DIMPLE_OK;
}

dimple_status model_open(dimple_model *m, const char *path) { return gguf_parts_open(path, &m->files); }

dimple_status model_read(dimple_model *m, const char *mmproj_path) {
  DIMPLE_TRY(read_keys(m, mmproj_path));
  if (m->vision.present && m->text.image_token < 0)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: there is a vision tower, but neither key %s.image_token_id nor a token <|image_pad|> or <|image|>",
                       gguf_path(model_file(m)), m->text.architecture->name);
  DIMPLE_TRY(read_vocabulary(m));
  DIMPLE_TRY(list_text(m));
  return m->vision.present ? list_vision(m, &m->text) : DIMPLE_OK;
}

dimple_status model_read_tower(dimple_model *m) {
  const gguf_file *file = model_file(m);
  DIMPLE_TRY(vision_parameters_read(file, &m->vision));
  return m->vision.present ? list_vision(m, NULL) : fail_no_encoder(file);
}

dimple_status model_check_tensors(const dimple_model *m) {
  DIMPLE_TRY(tensor_list_check_all(&m->text_tensors));
  return m->vision.present ? tensor_list_check_all(&m->vision_tensors) : DIMPLE_OK;
}

dimple_status model_check_fit(const dimple_model *m) {
  if (m->vision.present && !m->vision.projector && m->vision.out_width != m->text.width)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: the vision tower gives %d features, the text model takes %d",
                       gguf_path(m->vision_tensors.files->files[0]), m->vision.out_width, m->text.width);
  return DIMPLE_OK;
}

void model_close(dimple_model *m) {
  findings_free(&m->ignored);
  free(m->weights.layers);
  free(m->vision_weights.layers);
  free(m->vision_weights.bounded);
  tensor_list_close(&m->text_tensors);
  tensor_list_close(&m->vision_tensors);
  gguf_parts_close(&m->mmproj);
  gguf_parts_close(&m->files);
}
