#include "constraint/classes.h"

#include <string.h>

#include "allocate.h"

/* ------------------------------------------------------------------------------------------------------- marks of effects */

/* The sum of a mark for each state and effect of a group of tokens. A table of tokens x states would be too large; that two groups of
 * different effects get the same sum of 128 bits has a chance of 2^-128. */
typedef struct mark {
  uint64_t low, high;
} mark;

/* The finalizer of SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014). */
static uint64_t mix(uint64_t x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

typedef struct marking {
  mark *marks; /* [groups] */
  uint64_t state;
} marking;

static void mark_group(void *context, int32_t group, int32_t effect) {
  marking *m = context;
  uint64_t key = m->state << 32 | (uint32_t)effect;
  m->marks[group].low += mix(key + 0x9e3779b97f4a7c15u);
  m->marks[group].high += mix(key ^ 0xd1b54a32d192ed03u);
}

static bool unmarked(mark m) { return m.low == 0 && m.high == 0; }

/* ---------------------------------------------------------------------------------------------------------------- classes */

/* Scratch. */
typedef struct sorting {
  int32_t *so_far; /* [depth + 1] */
  mark *marks;     /* [groups] */
  int32_t *class_of; /* [groups] -1: none */
  int32_t *table;  /* [table_size] a group of each class, by its mark; -1: free */
  int32_t table_size; /* a power of 2, at least twice the groups */
  int32_t *needed; /* [nodes + 1] */
  uint8_t *pending; /* [depth + 2] */
} sorting;

static void free_sorting(sorting *s) {
  free(s->so_far);
  free(s->marks);
  free(s->class_of);
  free(s->table);
  free(s->needed);
  free(s->pending);
}

static dimple_status allocate_sorting(const dimple_vocabulary *v, sorting *s) {
  for (s->table_size = 2; s->table_size / 2 < v->group_count; s->table_size *= 2) continue;
  ALLOCATE(s->so_far, (int64_t)v->trie.depth + 1, "sorting tokens into classes");
  ALLOCATE(s->marks, v->group_count, "sorting tokens into classes");
  ALLOCATE(s->class_of, v->group_count, "sorting tokens into classes");
  ALLOCATE(s->table, s->table_size, "sorting tokens into classes");
  ALLOCATE(s->needed, (int64_t)v->trie.count + 1, "sorting tokens into classes");
  ALLOCATE(s->pending, (int64_t)v->trie.depth + 2, "sorting tokens into classes");
  return DIMPLE_OK;
}

/* What `needed` says of a node: it stands for its class, or leads to one that does. */
enum { NODE_REPRESENTS = 1, NODE_LEADS = 2 };

/* Gives each group its class, in the order of the trie, which is that of the groups; `needed` marks the node of each class's first
 * group. Returns how many classes there are. */
static int32_t number_classes(const dimple_vocabulary *v, sorting *s) {
  int32_t count = 0;
  memset(s->table, 0xff, (size_t)s->table_size * sizeof *s->table);
  for (int32_t n = 0; n < v->trie.count; n++) {
    int32_t group = v->trie.nodes[n].group;
    s->needed[n] = 0;
    if (group < 0) continue;
    s->class_of[group] = -1;
    mark m = s->marks[group];
    if (unmarked(m)) continue;
    uint32_t at = (uint32_t)m.low & (uint32_t)(s->table_size - 1);
    while (s->table[at] >= 0 && memcmp(&s->marks[s->table[at]], &m, sizeof m) != 0) at = (at + 1) & (uint32_t)(s->table_size - 1);
    if (s->table[at] < 0) {
      s->table[at] = group;
      s->class_of[group] = count++;
      s->needed[n] = NODE_REPRESENTS;
    }
    s->class_of[group] = s->class_of[s->table[at]];
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

static dimple_status reduce_trie(const trie *from, sorting *s, trie *to) {
  int32_t count = mark_ways(from, s->needed, s->pending);
  ALLOCATE(to->nodes, count, "the trie of token classes");
  copy_needed(from, s->class_of, s->needed, to);
  return DIMPLE_OK;
}

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
    for (int32_t i = v->group_first[g]; i < v->group_first[g + 1]; i++) c->of[v->group_tokens[i]] = s->class_of[g];
  /* Counted two places on, added up, and filled one place on: then first[k] .. first[k + 1] are the members of class k. */
  for (int32_t t = 0; t < v->count; t++)
    if (c->of[t] >= 0) c->first[c->of[t] + 2]++;
  for (int32_t k = 2; k < c->count + 2; k++) c->first[k] += c->first[k - 1];
  for (int32_t t = 0; t < v->count; t++)
    if (c->of[t] >= 0) c->members[c->first[c->of[t] + 1]++] = t;
  return DIMPLE_OK;
}

static dimple_status sort(const dimple_vocabulary *v, const automaton *a, sorting *s, token_classes *c) {
  DIMPLE_TRY(allocate_sorting(v, s));
  memset(s->marks, 0, (size_t)v->group_count * sizeof *s->marks);
  for (int32_t q = 0; q < a->state_count; q++) {
    if (!a->live[q]) continue;
    marking m = {s->marks, (uint64_t)q};
    classes_walk(&v->trie, a, q, s->so_far, mark_group, &m);
  }
  c->count = number_classes(v, s) + 2;
  DIMPLE_TRY(list_members(v, s, c));
  return reduce_trie(&v->trie, s, &c->trie);
}

dimple_status classes_create(const dimple_vocabulary *v, const automaton *a, token_classes *out) {
  token_classes fresh = {0};
  sorting s = {0};
  dimple_status status = sort(v, a, &s, &fresh);
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
