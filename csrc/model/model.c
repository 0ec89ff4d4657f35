#include "model/model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/split.h"
#include "error.h"
#include "model/packing.h"
#include "model/placement.h"
#include "model/unknown.h"
#include "platform/platform.h"

enum { MAX_THREADS = 1024 };

dimple_status dimple_resolve_threads(int32_t wanted, int32_t *threads) {
  if (!threads) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_resolve_threads: threads is null");
  if (wanted < 0 || wanted > MAX_THREADS)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "threads is %d, expected 0 (one per processor) to %d", wanted, MAX_THREADS);
  if (wanted == 0) wanted = platform_processor_count();
  *threads = wanted < MAX_THREADS ? wanted : MAX_THREADS;
  return DIMPLE_OK;
}

static dimple_status upload(dimple_model *m, int32_t threads, const dimple_model_options *options) {
  DIMPLE_TRY(m->ops->context_open(m->ops, threads, &m->context));
  model_choose_packing(m, options && options->unpacked, options ? options->weight_memory : 0);
  bool kept = options && options->pack_cache;
  pack_lists lists = {&m->files, &m->mmproj, &m->text_tensors, &m->vision_tensors, m->ops, m->context};
  if (kept) DIMPLE_TRY(pack_cache_open(&m->packs, &lists));
  DIMPLE_TRY(tensor_list_load(&m->text_tensors, m->ops, m->context, &m->totals));
  DIMPLE_TRY(tensor_list_load(&m->vision_tensors, m->ops, m->context, &m->totals));
  if (kept) m->pack_result = pack_cache_finish(&m->packs, &lists, m->pack_note, sizeof m->pack_note);
  return DIMPLE_OK;
}

static dimple_status check_unknown(dimple_model *m, bool ignore) {
  dimple_model_check_summary summary = {0};
  DIMPLE_TRY(unknown_find(m, &summary));
  return ignore ? DIMPLE_OK : unknown_refuse(m);
}

static dimple_status load(dimple_model *m, const char *path, const dimple_model_options *options) {
  int32_t threads = 0;
  DIMPLE_TRY(dimple_resolve_threads(options ? options->threads : 0, &threads));
  backend_names names;
  DIMPLE_TRY(backends_find(options ? options->backend : NULL, &names));
  if (options && options->unpacked != 0 && options->unpacked != 1)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "unpacked is %d, expected 0 or 1", options->unpacked);
  if (options && options->weight_memory < 0)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "weight_memory is %" PRId64 ", expected 0 (what the machine has available) or more bytes", options->weight_memory);
  if (options && options->pack_cache != 0 && options->pack_cache != 1)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "pack_cache is %d, expected 0 or 1", options->pack_cache);
  if (options && options->unpacked && (options->weight_memory > 0 || options->pack_cache))
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "%s does not go with unpacked, which leaves no weights to pack",
                       options->weight_memory > 0 ? "weight_memory" : "pack_cache");
  DIMPLE_TRY(model_open(m, path));
  DIMPLE_TRY(model_read(m, options ? options->mmproj_path : NULL));
  DIMPLE_TRY(model_check_tensors(m));
  DIMPLE_TRY(model_check_fit(m));
  DIMPLE_TRY(check_unknown(m, options && options->ignore_unknown));
  DIMPLE_TRY(model_place(m, &names, options ? options->device_layers : 0));
  return upload(m, threads, options);
}

dimple_status dimple_model_load(const char *path, const dimple_model_options *options, dimple_model **model) {
  if (!path || !model) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_model_load: %s is null", path ? "model" : "path");
  dimple_model *m = calloc(1, sizeof *m);
  if (!m) return dimple_fail_memory(sizeof *m, "a model");
  atomic_init(&m->references, 1);
  dimple_status status = load(m, path, options);
  if (status == DIMPLE_OK)
    *model = m;
  else
    dimple_model_free(m);
  return status;
}

void model_retain(dimple_model *m) { atomic_fetch_add(&m->references, 1); }

void dimple_model_free(dimple_model *m) {
  if (!m || atomic_fetch_sub(&m->references, 1) != 1) return;
  if (m->ops) {
    tensor_list_unload(&m->text_tensors, m->ops);
    tensor_list_unload(&m->vision_tensors, m->ops);
    if (m->context) m->ops->context_close(m->context);
    split_close(m->ops);
  }
  pack_cache_close(&m->packs);
  model_close(m);
  free(m);
}

dimple_status dimple_model_get_info(const dimple_model *m, dimple_model_info *info) {
  if (!m || !info) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_model_get_info: %s is null", m ? "info" : "model");
  const text_parameters *p = &m->text;
  const layer_parameters *first = &p->layer[0];
  const image_parameters *image = &m->vision.image;
  int64_t kv_width = 0;
  for (int32_t i = 0; i < p->layers; i++) kv_width += layer_kv_width(&p->layer[i]);
  *info = (dimple_model_info){
      .vocab_size = p->vocab, .context_length = p->context, .layer_count = p->layers, .embedding_length = p->width,
      .head_count = first->heads, .head_count_kv = first->kv_heads, .head_size = first->head_size,
      .bidirectional = !p->causal, .shift_logits = p->shift_logits,
      .mask_token_id = p->mask_token, .bos_token_id = p->bos_token, .eos_token_id = p->eos_token,
      .pad_token_id = p->pad_token, .image_token_id = p->image_token,
      .has_vision = m->vision.present, .patch_size = image->patch_size, .merge_size = image->merge_size,
      .min_pixels = image->min_pixels, .max_pixels = image->max_pixels,
      .parameter_count = m->totals.elements,
      .file_size = gguf_parts_size(&m->files) + gguf_parts_size(&m->mmproj),
      .weight_size = m->totals.bytes, .unpacked_size = m->totals.unpacked, .pack_cache = m->pack_result,
      .kv_bytes_per_token = (int64_t)sizeof(float) * 2 * kv_width};
  snprintf(info->architecture, sizeof info->architecture, "%s", p->architecture->name);
  snprintf(info->pack_cache_note, sizeof info->pack_cache_note, "%s", m->pack_note);
  snprintf(info->backend, sizeof info->backend, "%s", m->ops->name);
  return DIMPLE_OK;
}

dimple_status dimple_model_get_ignored(const dimple_model *m, int64_t index, dimple_finding *finding) {
  if (!m || !finding) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_model_get_ignored: %s is null", m ? "finding" : "model");
  if (index < 0 || index >= m->ignored.count)
    return dimple_fail(DIMPLE_ERROR_NOT_FOUND, "there is no ignored key or tensor %" PRId64 ", the model has %" PRId64, index, m->ignored.count);
  *finding = m->ignored.items[index];
  return DIMPLE_OK;
}

dimple_status dimple_model_find_metadata(const dimple_model *m, const char *key, dimple_metadata *value) {
  if (!m || !key || !value) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_model_find_metadata: an argument is null");
  const dimple_metadata *found = gguf_find(model_file(m), key);
  if (!found) return dimple_fail(DIMPLE_ERROR_NOT_FOUND, "%s: there is no key %s", gguf_path(model_file(m)), key);
  *value = *found;
  return DIMPLE_OK;
}

dimple_status dimple_model_get_metadata(const dimple_model *m, int64_t index, dimple_metadata *value) {
  if (!m || !value) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_model_get_metadata: an argument is null");
  if (index < 0 || index >= gguf_metadata_count(model_file(m)))
    return dimple_fail(DIMPLE_ERROR_NOT_FOUND, "%s: there is no key %" PRId64 ", the file has %" PRId64, gguf_path(model_file(m)), index, gguf_metadata_count(model_file(m)));
  *value = *gguf_metadata_at(model_file(m), index);
  return DIMPLE_OK;
}

static dimple_status require_vision(const dimple_model *m) {
  if (!m->vision.present) return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s has no vision tower, so it takes no images", gguf_path(model_file(m)));
  return DIMPLE_OK;
}

dimple_status dimple_model_get_image_grid(const dimple_model *m, int32_t width, int32_t height, dimple_image_grid *grid) {
  if (!m || !grid) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_model_get_image_grid: %s is null", m ? "grid" : "model");
  DIMPLE_TRY(require_vision(m));
  if (width < 1 || height < 1)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "a picture of %" PRId32 " x %" PRId32 " pixels, expected at least one", width, height);
  return m->vision.tower->grid(&m->vision, width, height, grid);
}

dimple_status dimple_model_preprocess(const dimple_model *m, const dimple_image *image, float *patches, int64_t count, uint8_t *resized) {
  if (!m || !image || !patches) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_model_preprocess: an argument is null");
  DIMPLE_TRY(require_vision(m));
  const image_parameters *p = &m->vision.image;
  dimple_image_grid grid;
  DIMPLE_TRY(image_check(image));
  DIMPLE_TRY(m->vision.tower->grid(&m->vision, image->width, image->height, &grid));
  int64_t expected = (int64_t)grid.rows * grid.columns * 3 * p->temporal_patch * p->patch_size * p->patch_size;
  if (count != expected) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_model_preprocess: count is %" PRId64 ", expected %" PRId64, count, expected);
  size_t bytes = 3 * (size_t)grid.resized_width * (size_t)grid.resized_height;
  uint8_t *rgb = resized ? resized : malloc(bytes);
  if (!rgb) return dimple_fail_memory(bytes, "a resized image");
  dimple_status status = tower_prepare(&m->vision, image, &grid, rgb);
  if (status == DIMPLE_OK) image_patches(p, &grid, rgb, patches);
  if (!resized) free(rgb);
  return status;
}
