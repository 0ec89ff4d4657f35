/* Writes the corpus of fuzz_model anew: the smallest models of every family, with and without a tower. seeds FOLDER */
#include <stdio.h>
#include <unistd.h>

#include "test/random_model.h"

int main(int argument_count, char **arguments) {
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
      {"mmproj", {.mmproj = true}},
  };
  if (argument_count != 2) {
    fprintf(stderr, "usage: %s FOLDER\n", arguments[0]);
    return 2;
  }
  for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++) {
    model_shape shape = seeds[i].shape;
    char path[4096];
    gguf_writer w = {0};
    shape.layers = 1;
    if (!shape.width) shape.width = 8;
    shape.heads = 2;
    shape.kv_heads = 1;
    shape.feed_forward = shape.width;
    shape.vocab = 12;
    random_model_write(&w, &shape);
    snprintf(path, sizeof path, "%s/%s.gguf", arguments[1], seeds[i].name);
    gguf_writer_save(&w, path);
    gguf_writer_free(&w);
  }
  return 0;
}
