/* What is said of a model's files: a list of findings that owns their texts. */
#ifndef DIMPLE_FINDINGS_H
#define DIMPLE_FINDINGS_H

#include "dimple.h"

/* Zeroed: empty. */
typedef struct findings {
  dimple_finding *items;
  int64_t count;
} findings;

/* Adds a finding whose text is text[size] as one line of UTF-8, cut if very long; its path must outlive the list. Errors: MEMORY. */
dimple_status findings_add(findings *list, dimple_finding finding, const char *text, uint64_t size);

void findings_free(findings *list);

#endif
