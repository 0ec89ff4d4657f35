#include "gguf/harmless.h"

#include <stdlib.h>
#include <string.h>

#include "gguf/scalars.h"

static bool has_value(const dimple_metadata *value, const char *only) {
  int64_t integer;
  float number;
  if (value->type == DIMPLE_METADATA_STRING) return value->size == strlen(only) && memcmp(value->data, only, value->size) == 0;
  if (value->type == DIMPLE_METADATA_BOOL) return strcmp(only, value->data[0] ? "true" : "false") == 0;
  if (gguf_is_float(value->type)) return gguf_load_float(value->type, value->data, &number) && number == strtof(only, NULL);
  return gguf_is_integer(value->type) && gguf_load_int(value->type, value->data, &integer) && integer == strtoll(only, NULL, 10);
}

static bool is_named(const harmless_key *entry, const dimple_metadata *value, uint64_t prefix_size) {
  uint64_t size = value->key_size - prefix_size;
  return strlen(entry->name) == size && memcmp(entry->name, value->key + prefix_size, size) == 0;
}

bool harmless_key_listed(const harmless_key *list, const dimple_metadata *value, uint64_t prefix_size) {
  for (const harmless_key *entry = list; entry && entry->name; entry++)
    if (is_named(entry, value, prefix_size) && (!entry->only || has_value(value, entry->only))) return true;
  return false;
}

bool harmless_key_named(const harmless_key *list, const dimple_metadata *value, uint64_t prefix_size) {
  for (const harmless_key *entry = list; entry && entry->name; entry++)
    if (is_named(entry, value, prefix_size)) return true;
  return false;
}
