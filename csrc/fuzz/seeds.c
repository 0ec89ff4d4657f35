/* Writes seeds anew: for fuzz_model the smallest models of every family, with and without a tower, and for fuzz_gguf files that have a bit
 * of everything. seeds FOLDER, which is corpus/ */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "test/random_model.h"

static const char *folder;

static const char *place(const char *target, const char *name) {
  static char path[4096];
  snprintf(path, sizeof path, "%s/%s/%s.gguf", folder, target, name);
  return path;
}

static void write_models(void) {
  static const struct {
    const char *name;
    model_shape shape;
  } seeds[] = {
      {"dimple", {.family = FAMILY_DIMPLE}},
      {"dimple-vision", {.family = FAMILY_DIMPLE, .vision = true}},
      {"dream-tied", {.family = FAMILY_DREAM, .tied = true}},
      {"dream-q4_0", {.family = FAMILY_DREAM, .type = DIMPLE_TENSOR_Q4_0, .width = 32}},
      {"llada", {.family = FAMILY_LLADA, .causal = true}},
      {"llada-moe", {.family = FAMILY_LLADA_MOE}},
      {"a2d-qwen2", {.family = FAMILY_A2D_QWEN2}},
      {"a2d-qwen3", {.family = FAMILY_A2D_QWEN3}},
      {"fast-dllm-v2", {.family = FAMILY_FAST_DLLM_V2}},
      {"sdar", {.family = FAMILY_SDAR}},
      {"sdar-moe", {.family = FAMILY_SDAR_MOE}},
      {"stable-diffcoder", {.family = FAMILY_STABLE_DIFFCODER}},
      {"rnd1", {.family = FAMILY_RND1}},
      {"llada2", {.family = FAMILY_LLADA2, .layers = 2}}, /* the first has no experts */
      {"llada22", {.family = FAMILY_LLADA22, .layers = 2}},
      {"diffusion-gemma", {.family = FAMILY_DIFFUSION_GEMMA, .layers = 2}},
      {"dream-vl-vision", {.family = FAMILY_DREAM_VL, .vision = true}},
      {"dimple-block-vision", {.family = FAMILY_DIMPLE_BLOCK, .vision = true}},
      {"sdar-vl-vision", {.family = FAMILY_SDAR_VL, .vision = true}},
      {"llada-v-vision", {.family = FAMILY_LLADA_V, .vision = true}},
      {"lavida-dream-vision", {.family = FAMILY_LAVIDA_DREAM, .vision = true}},
      {"diffuse-dream", {.family = FAMILY_DIFFUSE_DREAM}},
      {"diffuse-llada", {.family = FAMILY_DIFFUSE_LLADA}},
      {"mmproj", {.mmproj = true}},
  };
  for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++) {
    model_shape shape = seeds[i].shape;
    gguf_writer w = {0};
    if (!shape.layers) shape.layers = 1;
    if (!shape.width) shape.width = 8;
    shape.heads = 2;
    shape.kv_heads = 1;
    shape.feed_forward = shape.width;
    shape.vocab = 12;
    random_model_write(&w, &shape);
    gguf_writer_save(&w, place("model", seeds[i].name));
    gguf_writer_free(&w);
  }
}

static void write_kinds_of_values(void) {
  static const float values[32] = {1, -2, 0.5f};
  gguf_writer w = {0};
  gguf_writer_u32(&w, "general.alignment", GGUF_ALIGNMENT);
  gguf_writer_string(&w, "s", "text");
  gguf_writer_f32(&w, "f", 0.5f);
  gguf_writer_bool(&w, "b", true);
  gguf_writer_ints(&w, "i", (int32_t[]){1, -1, 7}, 3);
  gguf_writer_floats(&w, "a", values, 3);
  gguf_writer_strings(&w, "t", (const char *const[]){"one", "", "three"}, 3);
  gguf_writer_tensor(&w, "v", 1, (uint64_t[]){3}, DIMPLE_TENSOR_F32, values);
  gguf_writer_tensor(&w, "m", 2, (uint64_t[]){2, 3}, DIMPLE_TENSOR_F16, values);
  gguf_writer_tensor(&w, "q", 1, (uint64_t[]){32}, DIMPLE_TENSOR_Q8_0, values);
  gguf_writer_save(&w, place("gguf", "values"));
  gguf_writer_free(&w);
}

static void write_part(void) {
  gguf_writer w = {0};
  gguf_writer_u32(&w, "split.no", 0);
  gguf_writer_u32(&w, "split.count", 3);
  gguf_writer_u32(&w, "split.tensors.count", 1);
  gguf_writer_tensor(&w, "v", 1, (uint64_t[]){1}, DIMPLE_TENSOR_F32, (const float[]){1});
  gguf_writer_save(&w, place("gguf", "part"));
  gguf_writer_free(&w);
}

/* Numbers of every type, by hand: the writer knows the common ones. */
static void write_numbers(void) {
  static const uint8_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  gguf_bytes b = {0};
  gguf_put_header(&b, 2, 0, 11);
  for (uint32_t type = 0; type < sizeof sizes; type++) {
    if (!sizes[type]) continue;
    gguf_put_key(&b, (const char[]){(char)('a' + type), 0}, type);
    gguf_put_u8(&b, 1);
    gguf_put_zeros(&b, sizes[type] - 1u);
  }
  FILE *file = fopen(place("gguf", "numbers"), "wb");
  if (!file || fwrite(b.data, 1, b.size, file) != b.size || fclose(file) != 0) {
    perror(folder);
    exit(1);
  }
  gguf_bytes_free(&b);
}

int main(int argument_count, char **arguments) {
  if (argument_count != 2) {
    fprintf(stderr, "usage: %s FOLDER\n", arguments[0]);
    return 2;
  }
  folder = arguments[1];
  write_models();
  write_kinds_of_values();
  write_part();
  write_numbers();
  return 0;
}
