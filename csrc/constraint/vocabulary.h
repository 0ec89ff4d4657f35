/* The tokens of a model as bytes, and a trie over them. */
#ifndef DIMPLE_VOCABULARY_H
#define DIMPLE_VOCABULARY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "dimple.h"

/* A node stands for the bytes from the root to it. Nodes lie in preorder: the first child follows its parent, and behind the subtree of
 * a node, at `end`, its next sibling. So a walk is one pass over the array that jumps over what it does not enter. */
typedef struct trie_node {
  int32_t end;    /* number of the node behind its subtree */
  int32_t group;  /* what ends at this node; -1: nothing */
  uint16_t depth; /* bytes from the root, at least 1 */
  uint8_t byte;   /* the last of them */
} trie_node;

/* Without the root. */
typedef struct trie {
  trie_node *nodes; /* [count] */
  int32_t count;
  int32_t depth; /* of the deepest node; 0 for none */
} trie;

struct dimple_vocabulary {
  atomic_int holders;
  int32_t count;
  uint8_t *kinds;   /* [count] dimple_token_kind; EXCLUDED for text without bytes */
  int64_t *offsets; /* [count + 1] into bytes */
  uint8_t *bytes;
  trie trie;            /* of the text; a group is the tokens of equal bytes */
  int32_t group_count;
  int32_t *group_first; /* [group_count + 1] into group_tokens */
  int32_t *group_tokens; /* the text tokens, group by group, each ascending */
};

void vocabulary_retain(dimple_vocabulary *v);

#endif
