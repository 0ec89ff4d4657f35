/* Which tokens have the same effect on every state of an automaton: they form a class, and all that follows speaks of classes. */
#ifndef DIMPLE_CLASSES_H
#define DIMPLE_CLASSES_H

#include "constraint/automaton.h"

typedef struct token_classes {
  int32_t count;     /* text classes, and behind them, in any case, that of END and that of FILLER tokens */
  int32_t *of;       /* [vocabulary] the class of each token; -1: it can stand nowhere */
  int32_t *first;    /* [count + 1] into members */
  int32_t *members;  /* class by class, ascending */
  trie trie;         /* of one token of each text class; the groups are the classes, numbered in the order of its nodes */
} token_classes;

static inline int32_t classes_end(const token_classes *c) { return c->count - 2; }
static inline int32_t classes_filler(const token_classes *c) { return c->count - 1; }

/* On failure *out is not touched. `shapes_limit` (shapes.h) bounds memory on the way, and changes nothing in the result. Errors: MEMORY. */
dimple_status classes_create(const dimple_vocabulary *v, const automaton *a, int64_t shapes_limit, token_classes *out);
void classes_free(token_classes *c); /* a zeroed one is allowed */

/* Calls reach(context, group, effect) for what ends at nodes of the trie that bytes lead to from the state, in the trie's order. `so_far`
 * [depth of the trie + 1] is scratch. */
static inline void classes_walk(const trie *t, const automaton *a, int32_t state, int32_t *so_far,
                                void (*reach)(void *context, int32_t group, int32_t effect), void *context) {
  so_far[0] = state * EFFECTS;
  for (int32_t n = 0; n < t->count;) {
    const trie_node *node = &t->nodes[n];
    int32_t effect = automaton_advance(a, so_far[node->depth - 1], node->byte);
    if (effect < 0) {
      n = node->end;
      continue;
    }
    so_far[node->depth] = effect;
    if (node->group >= 0) reach(context, node->group, effect);
    n++;
  }
}

#endif
