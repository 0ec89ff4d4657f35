#include "vision/tower.h"

#include <stdio.h>
#include <string.h>

#include "error.h"

/* The table: a line for each, whose name is that of its file. */
#define TOWERS(ENTRY) \
  ENTRY(qwen2_5_vl)     \
  ENTRY(qwen2_vl)       \
  ENTRY(gemma4)

#define DECLARE(name) extern const tower tower_##name;
TOWERS(DECLARE)

#define ADDRESS(name) &tower_##name,
static const tower *const towers[] = {TOWERS(ADDRESS)};
enum { TOWER_COUNT = sizeof towers / sizeof *towers };

static const tower *find(const char *projector) {
  for (size_t i = 0; i < TOWER_COUNT; i++)
    if (strcmp(towers[i]->projector, projector) == 0) return towers[i];
  return NULL;
}

/* Writes "a, b or c": the projectors in the table. */
static void list_projectors(char *target, size_t capacity) {
  size_t used = 0;
  for (size_t i = 0; i < TOWER_COUNT && used < capacity; i++) {
    const char *separator = i == 0 ? "" : i + 1 == TOWER_COUNT ? " or " : ", ";
    used += (size_t)snprintf(target + used, capacity - used, "%s%s", separator, towers[i]->projector);
  }
}

dimple_status vision_parameters_read(const gguf_file *file, vision_parameters *v) {
  memset(v, 0, sizeof *v);
  DIMPLE_TRY(gguf_optional_bool(file, "clip.has_vision_encoder", &v->present));
  if (!v->present) return DIMPLE_OK;
  char projector[32] = "";
  DIMPLE_TRY(gguf_optional_string(file, "clip.vision.projector_type", projector, sizeof projector));
  if (!*projector) DIMPLE_TRY(gguf_require_string(file, "clip.projector_type", projector, sizeof projector));
  v->tower = find(projector);
  if (v->tower) return v->tower->read_keys(file, v);
  char projectors[256];
  list_projectors(projectors, sizeof projectors);
  return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s: clip.projector_type is \"%s\", expected %s", gguf_path(file), projector, projectors);
}

bool tower_stands_alone(const gguf_file *file) {
  char name[32] = "";
  return gguf_optional_string(file, "general.architecture", name, sizeof name) == DIMPLE_OK && strcmp(name, "clip") == 0;
}
