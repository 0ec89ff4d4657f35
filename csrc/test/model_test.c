/* Loading models: what is refused, and what a loaded one says of itself. */
#include <string.h>

#include "test/session_fixture.h"

static void null_arguments(void) {
  dimple_model *m = NULL;
  dimple_model_info info;
  dimple_metadata value;
  dimple_image_grid grid;
  dimple_image image = picture();
  float f = 0;
  EXPECT_NULL_REFUSED(dimple_model_load(NULL, NULL, &m));
  EXPECT_NULL_REFUSED(dimple_model_load("x", NULL, NULL));
  EXPECT_NULL_REFUSED(dimple_model_get_info(NULL, &info));
  EXPECT_NULL_REFUSED(dimple_model_get_info(text_model, NULL));
  EXPECT_NULL_REFUSED(dimple_model_find_metadata(NULL, "x", &value));
  EXPECT_NULL_REFUSED(dimple_model_find_metadata(text_model, NULL, &value));
  EXPECT_NULL_REFUSED(dimple_model_find_metadata(text_model, "x", NULL));
  EXPECT_NULL_REFUSED(dimple_model_get_metadata(NULL, 0, &value));
  EXPECT_NULL_REFUSED(dimple_model_get_metadata(text_model, 0, NULL));
  EXPECT_NULL_REFUSED(dimple_model_get_image_grid(NULL, 8, 8, &grid));
  EXPECT_NULL_REFUSED(dimple_model_get_image_grid(vision_model, 8, 8, NULL));
  EXPECT_NULL_REFUSED(dimple_model_preprocess(NULL, &image, &f, 1, NULL));
  EXPECT_NULL_REFUSED(dimple_model_preprocess(vision_model, NULL, &f, 1, NULL));
  EXPECT_NULL_REFUSED(dimple_model_preprocess(vision_model, &image, NULL, 1, NULL));
  EXPECT(m == NULL, "output touched");
  dimple_model_free(NULL);
}

static void unloadable_files(void) {
  dimple_model *m = NULL;
  char path[64], vision_path[64];
  EXPECT_FAILS(load_model("/tmp/dimple-there-is-no-such-file", NULL, &m), DIMPLE_ERROR_IO, "dimple-there-is-no-such-file");
  EXPECT_FAILS(load_model("/tmp", NULL, &m), DIMPLE_ERROR_IO, "/tmp");
  random_model_save(&(model_shape){0}, path);
  EXPECT_FAILS(dimple_model_load(path, &(dimple_model_options){.backend = "abacus"}, &m), DIMPLE_ERROR_UNSUPPORTED, "abacus");
  EXPECT_FAILS(dimple_model_load(path, &(dimple_model_options){.threads = -1}, &m), DIMPLE_ERROR_ARGUMENT, "threads is -1");
  EXPECT_FAILS(load_model(path, "/tmp/dimple-there-is-no-such-file", &m), DIMPLE_ERROR_IO, "no-such-file");
  EXPECT_FAILS(load_model(path, path, &m), DIMPLE_ERROR_FORMAT, "no vision encoder");
  remove(path);
  random_model_save(&(model_shape){.vision = true}, path);
  EXPECT_FAILS(load_model(path, path, &m), DIMPLE_ERROR_ARGUMENT, "vision tower of its own");
  remove(path);
  random_model_save(&(model_shape){.mmproj = true}, vision_path);
  EXPECT_FAILS(load_model(vision_path, NULL, &m), DIMPLE_ERROR_UNSUPPORTED, "clip");
  remove(vision_path);
  static const char *const missing[] = {"token_embd.weight", "output_norm.weight", "blk.1.attn_v.bias", "blk.0.ffn_down.weight",
                                        "v.patch_embd.weight.1", "v.blk.1.ffn_gate.bias", "v.post_ln.weight", "mm.2.bias",
                                        "mm.img_projector.0.weight"};
  for (size_t i = 0; i < sizeof missing / sizeof missing[0]; i++) {
    random_model_save(&(model_shape){.vision = true, .missing = missing[i]}, path);
    EXPECT_FAILS(load_model(path, NULL, &m), DIMPLE_ERROR_FORMAT, missing[i]);
    remove(path);
  }
  EXPECT(m == NULL, "output touched");
}

static void facts_of_the_model(void) {
  dimple_model_info info;
  EXPECT_OK(dimple_model_get_info(vision_model, &info));
  dimple_metadata value;
  EXPECT_OK(dimple_model_find_metadata(vision_model, "general.architecture", &value));
  EXPECT(strlen(info.architecture) == value.size && memcmp(info.architecture, value.data, value.size) == 0 && info.backend[0],
         "\"%s\" on \"%s\"", info.architecture, info.backend);
  EXPECT(info.vocab_size == VOCAB && info.context_length == CONTEXT && info.layer_count == LAYERS, "%d", info.vocab_size);
  EXPECT(info.embedding_length == WIDTH && info.head_count == HEADS && info.head_count_kv == KV_HEADS, "%d", info.head_count);
  EXPECT(info.head_size == WIDTH / HEADS && info.bidirectional && info.shift_logits, "head size %d", info.head_size);
  EXPECT(info.mask_token_id == MASK && info.eos_token_id == EOS && info.pad_token_id == PAD, "mask %d", info.mask_token_id);
  EXPECT(info.image_token_id == IMAGE && info.bos_token_id == -1, "bos %d", info.bos_token_id);
  EXPECT(info.has_vision && info.patch_size == PATCH && info.merge_size == MERGE, "patch %d", info.patch_size);
  EXPECT(info.min_pixels == 32 && info.max_pixels == 256, "max %d", (int)info.max_pixels);
  EXPECT(info.parameter_count > 0 && info.file_size > info.parameter_count * 4, "%d", (int)info.parameter_count);
  EXPECT(info.kv_bytes_per_token == 2 * LAYERS * KV_HEADS * WIDTH / HEADS * 4, "%d", (int)info.kv_bytes_per_token);
  EXPECT_OK(dimple_model_get_info(text_model, &info));
  EXPECT(!info.has_vision && info.patch_size == 0 && info.merge_size == 0, "patch %d", info.patch_size);
  EXPECT_OK(dimple_model_find_metadata(text_model, "dimple.block_count", &value));
  EXPECT(value.type == DIMPLE_METADATA_UINT32 && value.size == 4 && value.data[0] == LAYERS, "type %d", value.type);
  EXPECT_FAILS(dimple_model_find_metadata(text_model, "dimple.blocks", &value), DIMPLE_ERROR_NOT_FOUND, "dimple.blocks");
  EXPECT_OK(dimple_model_get_metadata(text_model, 0, &value));
  EXPECT(value.key_size == 20 && memcmp(value.key, "general.architecture", 20) == 0, "%.*s", (int)value.key_size, value.key);
  EXPECT_FAILS(dimple_model_get_metadata(text_model, -1, &value), DIMPLE_ERROR_NOT_FOUND, "-1");
  EXPECT_FAILS(dimple_model_get_metadata(text_model, 1000, &value), DIMPLE_ERROR_NOT_FOUND, "1000");
}

int main(void) {
  if (fixture_open()) {
    null_arguments();
    unloadable_files();
    facts_of_the_model();
  }
  fixture_close();
  return expect_summary("model");
}
