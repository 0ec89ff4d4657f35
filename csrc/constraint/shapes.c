#include "constraint/shapes.h"

#include <string.h>

#include "allocate.h"

enum { BYTES = 256, DEAD = -1 };

/* The finalizer of SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014). */
static uint64_t mix(uint64_t x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

void mark_add(mark *m, uint64_t key) {
  m->low += mix(key + 0x9e3779b97f4a7c15u);
  m->high += mix(key ^ 0xd1b54a32d192ed03u);
}

/* --------------------------------------------------------------------------------------------------------------- memory */

/* An array that grows. */
typedef struct numbers {
  int32_t *at;
  int64_t count, capacity;
} numbers;

static dimple_status reserve(numbers *n, int64_t more) {
  if (n->count + more <= n->capacity) return DIMPLE_OK;
  int64_t capacity = (n->count + more) * 3 / 2 + 256;
  int32_t *larger = realloc(n->at, (size_t)capacity * sizeof *larger);
  if (!larger) return dimple_fail_memory((uint64_t)capacity * sizeof *larger, "the shapes of tokens");
  n->at = larger;
  n->capacity = capacity;
  return DIMPLE_OK;
}

static dimple_status append(numbers *n, int32_t value) {
  DIMPLE_TRY(reserve(n, 1));
  n->at[n->count++] = value;
  return DIMPLE_OK;
}

/* Numbers by keys: open addressing, a power of 2 of places, at most half of them taken. */
typedef struct table {
  uint64_t *keys;
  int32_t *values; /* -1: free */
  int32_t size, taken;
} table;

/* The place of a key, or the free one where it belongs. */
static int32_t place_of(const table *t, uint64_t key) {
  uint32_t at = (uint32_t)mix(key) & (uint32_t)(t->size - 1);
  while (t->values[at] >= 0 && t->keys[at] != key) at = (at + 1) & (uint32_t)(t->size - 1);
  return (int32_t)at;
}

static int32_t find(const table *t, uint64_t key) { return t->size ? t->values[place_of(t, key)] : -1; }

static dimple_status enlarge(table *t) {
  table larger = {.size = t->size ? 2 * t->size : 1024};
  ALLOCATE(larger.keys, larger.size, "the shapes of tokens");
  larger.values = malloc((size_t)larger.size * sizeof *larger.values);
  if (!larger.values) {
    free(larger.keys);
    return dimple_fail_memory((uint64_t)larger.size * sizeof *larger.values, "the shapes of tokens");
  }
  memset(larger.values, 0xff, (size_t)larger.size * sizeof *larger.values);
  for (int32_t i = 0; i < t->size; i++) {
    if (t->values[i] < 0) continue;
    int32_t at = place_of(&larger, t->keys[i]);
    larger.keys[at] = t->keys[i];
    larger.values[at] = t->values[i];
  }
  larger.taken = t->taken;
  free(t->keys);
  free(t->values);
  *t = larger;
  return DIMPLE_OK;
}

/* The key is not there yet; `value` >= 0. */
static dimple_status enter(table *t, uint64_t key, int32_t value) {
  if (t->taken >= t->size / 2) DIMPLE_TRY(enlarge(t));
  int32_t at = place_of(t, key);
  t->keys[at] = key;
  t->values[at] = value;
  t->taken++;
  return DIMPLE_OK;
}

static void free_table(table *t) {
  free(t->keys);
  free(t->values);
}

/* ----------------------------------------------------------------------------------------------------------------- walk */

typedef struct walk {
  const trie *trie;
  const automaton *automaton;
  mark *marks;
  int64_t limit;
  bool too_many;
  /* How states part the bytes: for each of the class_count classes the first one that leads to the same state, or DEAD. */
  int32_t *partition_of; /* [states] */
  numbers partitions;    /* [partitions x class_count] */
  table partition_numbers;
  /* Sets of nodes, ascending. The first is of the root, which is no node, and empty. */
  numbers pool, set_first; /* set_first: [sets + 1] */
  table set_numbers;       /* by the sum of their nodes' hashes */
  /* What a way of parting makes of a set: pieces of it, each by a class that leads there and the set behind. */
  numbers pieces;          /* class, set, .. */
  numbers split_first;     /* [splits + 1] */
  table split_numbers;     /* by set and partition */
  table seen;              /* by set and state */
  numbers waiting;         /* set, state, .. */
  int32_t *children;       /* [nodes] those of a set, class by class */
  int32_t class_size[BYTES];
} walk;

static void free_walk(walk *w) {
  free(w->partition_of);
  free(w->partitions.at);
  free_table(&w->partition_numbers);
  free(w->pool.at);
  free(w->set_first.at);
  free_table(&w->set_numbers);
  free(w->pieces.at);
  free(w->split_first.at);
  free_table(&w->split_numbers);
  free_table(&w->seen);
  free(w->waiting.at);
  free(w->children);
}

static uint64_t pair(int32_t a, int32_t b) { return (uint64_t)(uint32_t)a << 32 | (uint32_t)b; }

static int32_t target_of(const automaton *a, int32_t state, int32_t class) {
  int32_t step = a->steps[(int64_t)state * a->class_count + class];
  return step < 0 ? DEAD : step / STEPS;
}

/* Writes how a state parts the bytes; `first_to` [states], DEAD throughout before and after. */
static void part_bytes(const automaton *a, int32_t state, int32_t *first_to, int32_t *partition) {
  for (int32_t c = 0; c < a->class_count; c++) {
    int32_t to = target_of(a, state, c);
    if (to != DEAD && first_to[to] == DEAD) first_to[to] = c;
    partition[c] = to == DEAD ? DEAD : first_to[to];
  }
  for (int32_t c = 0; c < a->class_count; c++)
    if (target_of(a, state, c) != DEAD) first_to[target_of(a, state, c)] = DEAD;
}

/* The number of the partition that was written behind the others: that of an equal one, or its own. */
static dimple_status number_partition(walk *w, int32_t *number) {
  int32_t columns = w->automaton->class_count;
  int32_t own = (int32_t)(w->partitions.count / columns);
  const int32_t *partition = w->partitions.at + w->partitions.count;
  uint64_t key = 0;
  for (int32_t c = 0; c < columns; c++) key = mix(key + (uint64_t)partition[c] + 2);
  for (*number = find(&w->partition_numbers, key); *number >= 0; *number = find(&w->partition_numbers, ++key))
    if (memcmp(w->partitions.at + (int64_t)*number * columns, partition, (size_t)columns * sizeof *partition) == 0) return DIMPLE_OK;
  DIMPLE_TRY(enter(&w->partition_numbers, key, own));
  w->partitions.count += columns;
  *number = own;
  return DIMPLE_OK;
}

static dimple_status part_states(walk *w) {
  const automaton *a = w->automaton;
  int32_t *first_to;
  ALLOCATE(w->partition_of, a->state_count, "the shapes of tokens");
  ALLOCATE(first_to, a->state_count, "the shapes of tokens");
  memset(first_to, 0xff, (size_t)a->state_count * sizeof *first_to);
  dimple_status status = DIMPLE_OK;
  for (int32_t q = 0; q < a->state_count && status == DIMPLE_OK; q++) {
    if (!a->live[q]) continue;
    status = reserve(&w->partitions, a->class_count);
    if (status != DIMPLE_OK) break;
    part_bytes(a, q, first_to, w->partitions.at + w->partitions.count);
    status = number_partition(w, &w->partition_of[q]);
  }
  free(first_to);
  return status;
}

/* Marks the groups that end in a set. */
static void mark_set(walk *w, int32_t set) {
  for (int64_t i = w->set_first.at[set]; i < w->set_first.at[set + 1]; i++) {
    int32_t group = w->trie->nodes[w->pool.at[i]].group;
    if (group >= 0) mark_add(&w->marks[group], (uint64_t)set);
  }
}

/* The number of a set of `count` >= 1 nodes, ascending. */
static dimple_status number_set(walk *w, const int32_t *nodes, int32_t count, int32_t *number) {
  uint64_t key = 0;
  for (int32_t i = 0; i < count; i++) key += mix((uint64_t)nodes[i] + 1);
  for (*number = find(&w->set_numbers, key); *number >= 0; *number = find(&w->set_numbers, ++key)) {
    int32_t first = w->set_first.at[*number];
    if (w->set_first.at[*number + 1] - first != count) continue;
    if (memcmp(w->pool.at + first, nodes, (size_t)count * sizeof *nodes) == 0) return DIMPLE_OK;
  }
  if (w->pool.count + count > w->limit) {
    w->too_many = true;
    return DIMPLE_OK;
  }
  *number = (int32_t)w->set_first.count - 1;
  DIMPLE_TRY(enter(&w->set_numbers, key, *number));
  DIMPLE_TRY(reserve(&w->pool, count));
  memcpy(w->pool.at + w->pool.count, nodes, (size_t)count * sizeof *nodes);
  w->pool.count += count;
  DIMPLE_TRY(append(&w->set_first, (int32_t)w->pool.count));
  mark_set(w, *number);
  return DIMPLE_OK;
}

/* Calls for the children of the nodes of a set that a partition leads on: counts them, or places them, class by class. */
static void sort_children(walk *w, int32_t set, const int32_t *partition, int32_t *place) {
  const trie_node *nodes = w->trie->nodes;
  int64_t first = w->set_first.at[set], last = w->set_first.at[set + 1];
  for (int64_t i = first; i < last || (i == first && set == 0); i++) {
    int32_t begin = set == 0 ? 0 : w->pool.at[i] + 1, end = set == 0 ? w->trie->count : nodes[w->pool.at[i]].end;
    for (int32_t child = begin; child < end; child = nodes[child].end) {
      int32_t class = partition[w->automaton->byte_class[nodes[child].byte]];
      if (class == DEAD) continue;
      if (place) w->children[place[class]++] = child;
      else w->class_size[class]++;
    }
  }
}

/* Splits a set; what becomes of it stands behind the other splits then. */
static dimple_status split_set(walk *w, int32_t set, int32_t partition_number) {
  const int32_t *partition = w->partitions.at + (int64_t)partition_number * w->automaton->class_count;
  int32_t place[BYTES], count = 0;
  memset(w->class_size, 0, sizeof w->class_size);
  sort_children(w, set, partition, NULL);
  for (int32_t c = 0; c < w->automaton->class_count; c++) {
    place[c] = count;
    count += w->class_size[c];
  }
  sort_children(w, set, partition, place);
  for (int32_t c = 0; c < w->automaton->class_count && !w->too_many; c++) {
    int32_t behind;
    if (w->class_size[c] == 0) continue;
    DIMPLE_TRY(number_set(w, w->children + place[c] - w->class_size[c], w->class_size[c], &behind));
    if (w->too_many) break;
    DIMPLE_TRY(append(&w->pieces, c));
    DIMPLE_TRY(append(&w->pieces, behind));
  }
  DIMPLE_TRY(enter(&w->split_numbers, pair(set, partition_number), (int32_t)w->split_first.count - 1));
  return append(&w->split_first, (int32_t)w->pieces.count);
}

static dimple_status visit(walk *w, int32_t set, int32_t state) {
  if (find(&w->seen, pair(set, state)) >= 0) return DIMPLE_OK;
  DIMPLE_TRY(enter(&w->seen, pair(set, state), 0));
  DIMPLE_TRY(append(&w->waiting, set));
  return append(&w->waiting, state);
}

/* Leads a set on from a state. */
static dimple_status lead_on(walk *w, int32_t set, int32_t state) {
  int32_t partition = w->partition_of[state], split = find(&w->split_numbers, pair(set, partition));
  if (split < 0) {
    split = (int32_t)w->split_first.count - 1;
    DIMPLE_TRY(split_set(w, set, partition));
  }
  for (int64_t i = w->split_first.at[split]; i < w->split_first.at[split + 1] && !w->too_many; i += 2)
    DIMPLE_TRY(visit(w, w->pieces.at[i + 1], target_of(w->automaton, state, w->pieces.at[i])));
  return DIMPLE_OK;
}

static dimple_status run(walk *w) {
  ALLOCATE(w->children, w->trie->count, "the shapes of tokens");
  DIMPLE_TRY(part_states(w));
  DIMPLE_TRY(append(&w->set_first, 0));
  DIMPLE_TRY(append(&w->set_first, 0));
  DIMPLE_TRY(append(&w->split_first, 0));
  for (int32_t q = 0; q < w->automaton->state_count; q++) {
    if (w->automaton->live[q]) DIMPLE_TRY(visit(w, 0, q));
    while (w->waiting.count > 0 && !w->too_many) {
      int32_t state = w->waiting.at[w->waiting.count - 1], set = w->waiting.at[w->waiting.count - 2];
      w->waiting.count -= 2;
      DIMPLE_TRY(lead_on(w, set, state));
    }
  }
  return DIMPLE_OK;
}

dimple_status shapes_mark(const trie *t, const automaton *a, int64_t limit, mark *marks, bool *found) {
  walk w = {.trie = t, .automaton = a, .marks = marks, .limit = limit};
  dimple_status status = run(&w);
  *found = !w.too_many;
  free_walk(&w);
  return status;
}
