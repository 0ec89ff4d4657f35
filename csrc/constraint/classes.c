#include "constraint/classes.h"

#include <string.h>

#include "allocate.h"
#include "constraint/shapes.h"

/* ---------------------------------------------------------------------------------------------------------------- marking */

typedef struct marking {
  mark *marks; /* [groups] */
  uint64_t state;
} marking;

static void mark_effect(void *context, int32_t group, int32_t effect) {
  marking *m = context;
  mark_add(&m->marks[group], m->state << 32 | (uint32_t)effect);
}

/* Marks the groups of a trie by their effects on all states: a table of tokens x states would be too large. `so_far` [depth + 1]. */
static void mark_effects(const trie *t, const automaton *a, int32_t *so_far, mark *marks) {
  for (int32_t q = 0; q < a->state_count; q++) {
    marking m = {marks, (uint64_t)q};
    if (a->live[q]) classes_walk(t, a, q, so_far, mark_effect, &m);
  }
}

/* --------------------------------------------------------------------------------------------------------------- sorting */

/* Scratch, with room for all groups of a vocabulary. */
typedef struct sorting {
  int32_t *so_far;   /* [depth + 1] */
  mark *marks;       /* [groups] */
  int32_t *class_of; /* [groups] the class of each group of a trie; -1: none */
  int32_t *shape_of; /* [groups] the shape of each group of the vocabulary; -1: none */
  int32_t *table;    /* [table_size] a group of each class, by its mark; -1: free */
  int32_t table_size; /* a power of 2, at least twice the groups */
  int32_t *needed;   /* [nodes + 1] */
  uint8_t *pending;  /* [depth + 2] */
  trie shapes;       /* of one group of each shape */
} sorting;

static void free_sorting(sorting *s) {
  free(s->so_far);
  free(s->marks);
  free(s->class_of);
  free(s->shape_of);
  free(s->table);
  free(s->needed);
  free(s->pending);
  free(s->shapes.nodes);
}

static dimple_status allocate_sorting(const dimple_vocabulary *v, sorting *s) {
  for (s->table_size = 2; s->table_size / 2 < v->group_count; s->table_size *= 2) continue;
  ALLOCATE(s->so_far, (int64_t)v->trie.depth + 1, "sorting tokens into classes");
  ALLOCATE(s->marks, v->group_count, "sorting tokens into classes");
  ALLOCATE(s->class_of, v->group_count, "sorting tokens into classes");
  ALLOCATE(s->shape_of, v->group_count, "sorting tokens into classes");
  ALLOCATE(s->table, s->table_size, "sorting tokens into classes");
  ALLOCATE(s->needed, (int64_t)v->trie.count + 1, "sorting tokens into classes");
  ALLOCATE(s->pending, (int64_t)v->trie.depth + 2, "sorting tokens into classes");
  return DIMPLE_OK;
}

/* What `needed` says of a node: it stands for its class, or leads to one that does. */
enum { NODE_REPRESENTS = 1, NODE_LEADS = 2 };

/* Gives each group of a trie that is marked its class, those of equal marks the same, in the order of the trie; `needed` marks the node of
 * each class's first group. Returns how many classes there are. */
static int32_t number_classes(const trie *t, sorting *s, int32_t *class_of) {
  int32_t count = 0;
  memset(s->table, 0xff, (size_t)s->table_size * sizeof *s->table);
  for (int32_t n = 0; n < t->count; n++) {
    int32_t group = t->nodes[n].group;
    s->needed[n] = 0;
    if (group < 0) continue;
    class_of[group] = -1;
    mark m = s->marks[group];
    if (mark_is_none(m)) continue;
    uint32_t at = (uint32_t)m.low & (uint32_t)(s->table_size - 1);
    while (s->table[at] >= 0 && memcmp(&s->marks[s->table[at]], &m, sizeof m) != 0) at = (at + 1) & (uint32_t)(s->table_size - 1);
    if (s->table[at] < 0) {
      s->table[at] = group;
      class_of[group] = count++;
      s->needed[n] = NODE_REPRESENTS;
    }
    class_of[group] = class_of[s->table[at]];
  }
  return count;
}

/* Completes `needed` by the nodes on the way to those that are marked; returns how many there are in all. `pending` [depth + 2]: whether a
 * needed node of each depth waits for its parent. */
static int32_t mark_ways(const trie *t, int32_t *needed, uint8_t *pending) {
  int32_t count = 0;
  memset(pending, 0, (size_t)t->depth + 2);
  for (int32_t n = t->count - 1; n >= 0; n--) { /* children come before their parent */
    int32_t depth = t->nodes[n].depth;
    if (pending[depth + 1]) needed[n] |= NODE_LEADS;
    pending[depth + 1] = 0;
    pending[depth] |= needed[n] != 0;
    count += needed[n] != 0;
  }
  return count;
}

/* Copies the needed nodes; `needed` becomes the number of needed ones before each node. */
static void copy_needed(const trie *from, const int32_t *class_of, int32_t *needed, trie *to) {
  for (int32_t n = 0; n < from->count; n++) {
    int32_t mark = needed[n];
    needed[n] = to->count;
    if (!mark) continue;
    trie_node *copy = &to->nodes[to->count++];
    *copy = from->nodes[n];
    copy->group = mark & NODE_REPRESENTS ? class_of[copy->group] : -1;
    if (copy->depth > to->depth) to->depth = copy->depth;
  }
  needed[from->count] = to->count;
  for (int32_t n = 0; n < to->count; n++) to->nodes[n].end = needed[to->nodes[n].end];
}

/* Sorts the groups of a trie by their marks into classes, whose number is *count, and leaves a trie of one group of each. */
static dimple_status sort_groups(const trie *from, sorting *s, int32_t *class_of, int32_t *count, trie *to) {
  *count = number_classes(from, s, class_of);
  int32_t nodes = mark_ways(from, s->needed, s->pending);
  ALLOCATE(to->nodes, nodes, "the trie of token classes");
  copy_needed(from, class_of, s->needed, to);
  return DIMPLE_OK;
}

/* By shapes first, of which there are few, and these by their effects. */
static dimple_status sort_tokens(const dimple_vocabulary *v, const automaton *a, int64_t limit, sorting *s, token_classes *c) {
  size_t size = (size_t)v->group_count * sizeof *s->marks;
  bool found;
  int32_t shapes = 0;
  memset(s->marks, 0, size);
  DIMPLE_TRY(shapes_mark(&v->trie, a, limit, s->marks, &found));
  if (found) {
    DIMPLE_TRY(sort_groups(&v->trie, s, s->shape_of, &shapes, &s->shapes));
  } else {
    for (int32_t g = 0; g < v->group_count; g++) s->shape_of[g] = g;
  }
  const trie *t = found ? &s->shapes : &v->trie;
  memset(s->marks, 0, size);
  mark_effects(t, a, s->so_far, s->marks);
  DIMPLE_TRY(sort_groups(t, s, s->class_of, &c->count, &c->trie));
  c->count += 2; /* ends and fillers */
  for (int32_t g = 0; g < v->group_count; g++)
    if (s->shape_of[g] >= 0) s->shape_of[g] = s->class_of[s->shape_of[g]];
  return DIMPLE_OK;
}

/* --------------------------------------------------------------------------------------------------------------- members */

static int32_t class_of_token(const dimple_vocabulary *v, const token_classes *c, int32_t token) {
  if (v->kinds[token] == DIMPLE_TOKEN_END) return classes_end(c);
  if (v->kinds[token] == DIMPLE_TOKEN_FILLER) return classes_filler(c);
  return -1;
}

static dimple_status list_members(const dimple_vocabulary *v, const sorting *s, token_classes *c) {
  ALLOCATE(c->of, v->count, "token classes");
  ALLOCATE(c->members, v->count, "token classes");
  c->first = calloc((size_t)c->count + 2, sizeof *c->first);
  if (!c->first) return dimple_fail_memory(((uint64_t)c->count + 2) * sizeof *c->first, "token classes");
  for (int32_t t = 0; t < v->count; t++) c->of[t] = class_of_token(v, c, t);
  for (int32_t g = 0; g < v->group_count; g++)
    for (int32_t i = v->group_first[g]; i < v->group_first[g + 1]; i++) c->of[v->group_tokens[i]] = s->shape_of[g]; /* by now their class */
  /* Counted two places on, added up, and filled one place on: then first[k] .. first[k + 1] are the members of class k. */
  for (int32_t t = 0; t < v->count; t++)
    if (c->of[t] >= 0) c->first[c->of[t] + 2]++;
  for (int32_t k = 2; k < c->count + 2; k++) c->first[k] += c->first[k - 1];
  for (int32_t t = 0; t < v->count; t++)
    if (c->of[t] >= 0) c->members[c->first[c->of[t] + 1]++] = t;
  return DIMPLE_OK;
}

static dimple_status sort(const dimple_vocabulary *v, const automaton *a, int64_t limit, sorting *s, token_classes *c) {
  DIMPLE_TRY(allocate_sorting(v, s));
  DIMPLE_TRY(sort_tokens(v, a, limit, s, c));
  return list_members(v, s, c);
}

dimple_status classes_create(const dimple_vocabulary *v, const automaton *a, int64_t shapes_limit, token_classes *out) {
  token_classes fresh = {0};
  sorting s = {0};
  dimple_status status = sort(v, a, shapes_limit, &s, &fresh);
  free_sorting(&s);
  if (status != DIMPLE_OK) {
    classes_free(&fresh);
    return status;
  }
  *out = fresh;
  return DIMPLE_OK;
}

void classes_free(token_classes *c) {
  free(c->of);
  free(c->first);
  free(c->members);
  free(c->trie.nodes);
  *c = (token_classes){0};
}
