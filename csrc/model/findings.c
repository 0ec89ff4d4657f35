#include "model/findings.h"

#include <stdbool.h>
#include <stdlib.h>

#include "error.h"

/* A copy of text[size] as one line; what follows the first TEXT_SIZE bytes is cut between two characters of UTF-8. */
static char *copy_line(const char *text, uint64_t size) {
  enum { TEXT_SIZE = 1024 };
  if (size > TEXT_SIZE)
    for (size = TEXT_SIZE; size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80;) size--;
  char *copy = malloc(size + 1);
  if (!copy) return NULL;
  for (uint64_t i = 0; i < size; i++) copy[i] = text[i] ? text[i] : '?';
  copy[size] = '\0';
  dimple_make_line(copy);
  return copy;
}

dimple_status findings_add(findings *list, dimple_finding finding, const char *text, uint64_t size) {
  bool full = (list->count & (list->count - 1)) == 0; /* room doubles at powers of two */
  size_t room = full ? (list->count == 0 ? 1 : 2 * (size_t)list->count) : 0;
  if (full) {
    dimple_finding *items = realloc(list->items, room * sizeof *items);
    if (!items) return dimple_fail_memory(room * sizeof *items, "the findings of a check");
    list->items = items;
  }
  finding.text = copy_line(text, size);
  if (!finding.text) return dimple_fail_memory(size + 1, "a finding's text");
  list->items[list->count++] = finding;
  return DIMPLE_OK;
}

void findings_free(findings *list) {
  for (int64_t i = 0; i < list->count; i++) free((char *)list->items[i].text);
  free(list->items);
  *list = (findings){0};
}
