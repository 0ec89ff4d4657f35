/* Keys that writers of a kind of file write and that change nothing for a reader of this library. */
#ifndef DIMPLE_GGUF_HARMLESS_H
#define DIMPLE_GGUF_HARMLESS_H

#include "gguf/gguf.h"

typedef struct harmless_key {
  const char *name; /* behind a prefix that the list's owner states */
  const char *only; /* null, or a value with which it changes nothing: a string, "true" or "false", a number; a line for each */
} harmless_key;

/* Whether a key is in `list` (which ends with a null name; null: empty) and has a harmless value; the list's prefix are the first
 * `prefix_size` bytes of the key. */
bool harmless_key_listed(const harmless_key *list, const dimple_metadata *value, uint64_t prefix_size);

/* Whether a key is in `list`, whatever its value. */
bool harmless_key_named(const harmless_key *list, const dimple_metadata *value, uint64_t prefix_size);

#endif
