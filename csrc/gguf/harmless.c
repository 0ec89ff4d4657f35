#include "gguf/harmless.h"

#include <stdlib.h>
#include <string.h>

#include "gguf/scalars.h"

static bool has_value(const dimple_metadata *value, const char *only) {
  int64_t number;
  if (value->type == DIMPLE_METADATA_STRING) return value->size == strlen(only) && memcmp(value->data, only, value->size) == 0;
  if (value->type == DIMPLE_METADATA_BOOL) return strcmp(only, value->data[0] ? "true" : "false") == 0;
  return gguf_is_integer(value->type) && gguf_load_int(value->type, value->data, &number) && number == strtoll(only, NULL, 10);
}

bool harmless_key_listed(const harmless_key *list, const dimple_metadata *value, uint64_t prefix_size) {
  const char *rest = value->key + prefix_size;
  uint64_t size = value->key_size - prefix_size;
  for (const harmless_key *entry = list; entry && entry->name; entry++)
    if (strlen(entry->name) == size && memcmp(entry->name, rest, size) == 0) return !entry->only || has_value(value, entry->only);
  return false;
}
