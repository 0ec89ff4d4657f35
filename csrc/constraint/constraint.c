#include "constraint/constraint.h"

#include <inttypes.h>
#include <string.h>

#include "allocate.h"
#include "constraint/shapes.h"

enum {
  MAX_NODES = 1 << 18,
  MAX_LABEL_CLASSES = 1 << 26, /* of all labels together: 256 MiB */
  MAX_EDGES = 1 << 25          /* 256 MiB */
};

/* ---------------------------------------------------------------------------------------------------------------- growing */

/* Room for `count` elements in all, with some to spare. */
static dimple_status grow(void **array, int64_t *capacity, int64_t count, size_t size, const char *purpose) {
  if (count <= *capacity) return DIMPLE_OK;
  int64_t wanted = count + count / 2 + 64;
  void *larger = realloc(*array, (size_t)wanted * size);
  if (!larger) return dimple_fail_memory((uint64_t)wanted * size, purpose);
  *array = larger;
  *capacity = wanted;
  return DIMPLE_OK;
}

/* ----------------------------------------------------------------------------------------------------------------- labels */

/* The ways out of one state of the automaton, and the labels so far. */
typedef struct compiling {
  dimple_constraint *c;
  int64_t class_capacity, label_capacity, way_capacity;
  int32_t *table;         /* [table_size] labels by their hash; -1: free */
  int32_t table_size;     /* a power of 2, more than twice the labels */
  int32_t *so_far;        /* [depth of the classes' trie + 1] */
  int32_t *count_of;      /* [states * EFFECTS] classes with an effect on the state, zeroed between states; later where they go */
  int32_t *found;         /* [classes] the effects of the state, in the order in which they are met */
  int32_t found_count;
  int32_t *reached_class, *reached_effect; /* [classes] what the walk met */
  int32_t reached_count;
  int32_t *sorted;        /* [classes] the classes, effect by effect */
  /* The ways of all states: an effect and its label. */
  int64_t *way_first;     /* [states + 1] */
  int32_t *way_effect, *way_label;
} compiling;

static void free_compiling(compiling *w) {
  free(w->table);
  free(w->so_far);
  free(w->count_of);
  free(w->found);
  free(w->reached_class);
  free(w->reached_effect);
  free(w->sorted);
  free(w->way_first);
  free(w->way_effect);
  free(w->way_label);
}

static dimple_status allocate_compiling(compiling *w) {
  const dimple_constraint *c = w->c;
  int64_t effects = (int64_t)c->automaton.state_count * EFFECTS;
  w->table_size = 1024;
  ALLOCATE(w->table, w->table_size, "the labels of a constraint");
  ALLOCATE(w->so_far, (int64_t)c->classes.trie.depth + 1, "compiling a constraint");
  w->count_of = calloc((size_t)effects, sizeof *w->count_of);
  if (!w->count_of) return dimple_fail_memory((uint64_t)effects * sizeof *w->count_of, "compiling a constraint");
  ALLOCATE(w->found, c->classes.count, "compiling a constraint");
  ALLOCATE(w->reached_class, c->classes.count, "compiling a constraint");
  ALLOCATE(w->reached_effect, c->classes.count, "compiling a constraint");
  ALLOCATE(w->sorted, c->classes.count, "compiling a constraint");
  ALLOCATE(w->way_first, (int64_t)c->automaton.state_count + 1, "compiling a constraint");
  memset(w->table, 0xff, (size_t)w->table_size * sizeof *w->table);
  DIMPLE_TRY(grow((void **)&w->c->label_first, &w->label_capacity, 1, sizeof *w->c->label_first, "the labels of a constraint"));
  w->c->label_first[0] = 0;
  return DIMPLE_OK;
}

static uint32_t hash_classes(const int32_t *classes, int64_t count) {
  uint32_t hash = 2166136261u; /* FNV-1a, a class at a time */
  for (int64_t i = 0; i < count; i++) hash = (hash ^ (uint32_t)classes[i]) * 16777619u;
  return hash ^ hash >> 15;
}

static void enter_label(compiling *w, int32_t label) {
  const dimple_constraint *c = w->c;
  const int32_t *classes = c->label_classes + c->label_first[label];
  uint32_t at = hash_classes(classes, c->label_first[label + 1] - c->label_first[label]);
  while (w->table[at & (uint32_t)(w->table_size - 1)] >= 0) at++;
  w->table[at & (uint32_t)(w->table_size - 1)] = label;
}

static dimple_status enlarge_table(compiling *w) {
  int32_t size = w->table_size * 2, *larger;
  ALLOCATE(larger, size, "the labels of a constraint");
  free(w->table);
  w->table = larger;
  w->table_size = size;
  memset(w->table, 0xff, (size_t)size * sizeof *w->table);
  for (int32_t label = 0; label < w->c->label_count; label++) enter_label(w, label);
  return DIMPLE_OK;
}

/* The label of these classes, which are ascending. */
static dimple_status find_label(compiling *w, const int32_t *classes, int32_t count, int32_t *out) {
  dimple_constraint *c = w->c;
  for (uint32_t at = hash_classes(classes, count);; at++) {
    int32_t label = w->table[at & (uint32_t)(w->table_size - 1)];
    if (label < 0) break;
    if (c->label_first[label + 1] - c->label_first[label] != count) continue;
    if (memcmp(c->label_classes + c->label_first[label], classes, (size_t)count * sizeof *classes) != 0) continue;
    *out = label;
    return DIMPLE_OK;
  }
  int64_t before = c->label_first[c->label_count];
  if (before + count > MAX_LABEL_CLASSES)
    return dimple_fail(DIMPLE_ERROR_LIMIT, "constraint: its states tell more than %" PRId64 " classes of tokens apart, expected at most %d",
                       before, MAX_LABEL_CLASSES);
  DIMPLE_TRY(grow((void **)&c->label_classes, &w->class_capacity, before + count, sizeof *c->label_classes, "the labels of a constraint"));
  DIMPLE_TRY(grow((void **)&c->label_first, &w->label_capacity, (int64_t)c->label_count + 2, sizeof *c->label_first,
                  "the labels of a constraint"));
  if (c->label_count == w->table_size / 2 - 1) DIMPLE_TRY(enlarge_table(w));
  memcpy(c->label_classes + before, classes, (size_t)count * sizeof *classes);
  c->label_first[c->label_count + 1] = before + count;
  enter_label(w, c->label_count);
  *out = c->label_count++;
  return DIMPLE_OK;
}

static dimple_status count_tokens(dimple_constraint *c) {
  const token_classes *classes = &c->classes;
  ALLOCATE(c->label_tokens, c->label_count, "the labels of a constraint");
  ALLOCATE(c->label_lowest, c->label_count, "the labels of a constraint");
  for (int32_t k = 0; k < c->label_count; k++) {
    c->label_tokens[k] = 0;
    c->label_lowest[k] = INT32_MAX;
    for (int64_t i = c->label_first[k]; i < c->label_first[k + 1]; i++) {
      int32_t first = classes->first[c->label_classes[i]];
      c->label_tokens[k] += classes->first[c->label_classes[i] + 1] - first;
      if (classes->members[first] < c->label_lowest[k]) c->label_lowest[k] = classes->members[first];
    }
  }
  return DIMPLE_OK;
}

/* ------------------------------------------------------------------------------------------------------- ways of states */

static void note_class(void *context, int32_t class, int32_t effect) {
  compiling *w = context;
  if (w->count_of[effect]++ == 0) w->found[w->found_count++] = effect;
  w->reached_class[w->reached_count] = class;
  w->reached_effect[w->reached_count++] = effect;
}

/* Sorts the classes that the walk met by their effect: the order of the trie, which numbers classes, stays within each. */
static void sort_reached(compiling *w) {
  int32_t begin = 0;
  for (int32_t i = 0; i < w->found_count; i++) {
    int32_t size = w->count_of[w->found[i]];
    w->count_of[w->found[i]] = begin;
    begin += size;
  }
  for (int32_t i = 0; i < w->reached_count; i++) w->sorted[w->count_of[w->reached_effect[i]]++] = w->reached_class[i];
}

static dimple_status add_way(compiling *w, int64_t at, int32_t effect, int32_t label) {
  int64_t capacity = w->way_capacity;
  if (at >= MAX_EDGES)
    return dimple_fail(DIMPLE_ERROR_LIMIT, "constraint: its states have more than %" PRId64 " ways between them, expected at most %d", at,
                       MAX_EDGES);
  DIMPLE_TRY(grow((void **)&w->way_effect, &capacity, at + 1, sizeof *w->way_effect, "the ways of a constraint"));
  DIMPLE_TRY(grow((void **)&w->way_label, &w->way_capacity, at + 1, sizeof *w->way_label, "the ways of a constraint"));
  w->way_effect[at] = effect;
  w->way_label[at] = label;
  return DIMPLE_OK;
}

static dimple_status compile_state(compiling *w, int32_t state) {
  int64_t at = w->way_first[state];
  w->found_count = w->reached_count = 0;
  if (w->c->automaton.live[state])
    classes_walk(&w->c->classes.trie, &w->c->automaton, state, w->so_far, note_class, w);
  sort_reached(w);
  for (int32_t i = 0, begin = 0; i < w->found_count; i++) {
    int32_t end = w->count_of[w->found[i]], label;
    DIMPLE_TRY(find_label(w, w->sorted + begin, end - begin, &label));
    DIMPLE_TRY(add_way(w, at++, w->found[i], label));
    begin = end;
  }
  for (int32_t i = 0; i < w->found_count; i++) w->count_of[w->found[i]] = 0;
  w->way_first[state + 1] = at;
  return DIMPLE_OK;
}

static dimple_status compile_states(compiling *w) {
  w->way_first[0] = 0;
  for (int32_t q = 0; q < w->c->automaton.state_count; q++) DIMPLE_TRY(compile_state(w, q));
  return DIMPLE_OK;
}

/* ------------------------------------------------------------------------------------------------------------------ nodes */

/* How many tokens of the visit of its slot a node may have used. */
static int32_t limit_of(const automaton *a, int32_t state) { return a->slot[state] < 0 ? 0 : a->limit[a->slot[state]]; }

/* The node behind a state in which `used` tokens of its slot are used, and an effect on it; -1: the limit is passed. */
static int32_t node_behind(const dimple_constraint *c, int32_t state, int32_t used, int32_t number) {
  const automaton *a = &c->automaton;
  effect e = effect_of(number);
  if (e.counts && used >= limit_of(a, state)) return -1;
  return c->state_node[e.state] + (e.left ? e.arrived : used + e.counts);
}

int32_t constraint_step(const dimple_constraint *c, int32_t node, int32_t token) {
  const dimple_vocabulary *v = c->vocabulary;
  if (v->kinds[token] == DIMPLE_TOKEN_END) return c->accepting[node] ? c->end : -1;
  if (v->kinds[token] == DIMPLE_TOKEN_FILLER) return node == c->end ? c->end : -1;
  if (v->kinds[token] != DIMPLE_TOKEN_TEXT || node == c->end) return -1;
  int32_t state = c->node_state[node], size = (int32_t)(v->offsets[token + 1] - v->offsets[token]);
  int32_t number = automaton_effect(&c->automaton, state, v->bytes + v->offsets[token], size);
  return number < 0 ? -1 : node_behind(c, state, node - c->state_node[state], number);
}

static dimple_status number_nodes(dimple_constraint *c) {
  const automaton *a = &c->automaton;
  ALLOCATE(c->state_node, (int64_t)a->state_count + 1, "the nodes of a constraint");
  int64_t nodes = 0;
  for (int32_t q = 0; q < a->state_count; q++) {
    c->state_node[q] = (int32_t)nodes;
    if (a->live[q]) nodes += (int64_t)limit_of(a, q) + 1;
    if (nodes >= MAX_NODES)
      return dimple_fail(DIMPLE_ERROR_LIMIT,
                         "constraint: it has %" PRId64 " states and more, those of slots counted token by token, expected at most %d",
                         nodes, MAX_NODES);
  }
  c->state_node[a->state_count] = c->end = (int32_t)nodes;
  c->node_count = c->end + 1;
  c->start = c->state_node[a->start];
  ALLOCATE(c->node_state, c->node_count, "the nodes of a constraint");
  ALLOCATE(c->accepting, c->node_count, "the nodes of a constraint");
  ALLOCATE(c->distance, c->node_count, "the nodes of a constraint");
  ALLOCATE(c->edge_first, (int64_t)c->node_count + 1, "the nodes of a constraint");
  for (int32_t q = 0; q < a->state_count; q++)
    for (int32_t n = c->state_node[q]; n < c->state_node[q + 1]; n++) {
      c->node_state[n] = q;
      c->accepting[n] = a->accepting[q];
    }
  c->node_state[c->end] = -1;
  c->accepting[c->end] = 1;
  return DIMPLE_OK;
}

/* Writes the edges out of a node, or only counts them if there is no room yet. */
static int64_t list_edges(const compiling *w, int32_t node, int32_t end_label, int32_t behind_label) {
  dimple_constraint *c = w->c;
  int64_t at = c->edge_first[node];
  bool ends = c->accepting[node] && end_label >= 0;
  int32_t state = c->node_state[node];
  for (int64_t i = state < 0 ? 0 : w->way_first[state]; state >= 0 && i < w->way_first[state + 1]; i++) {
    int32_t target = node_behind(c, state, node - c->state_node[state], w->way_effect[i]);
    if (target < 0) continue;
    if (c->edge_target) {
      c->edge_target[at] = target;
      c->edge_label[at] = w->way_label[i];
    }
    at++;
  }
  if (ends && c->edge_target) {
    c->edge_target[at] = c->end;
    c->edge_label[at] = node == c->end ? behind_label : end_label;
  }
  return at + ends;
}

/* The labels of the tokens that end a response, and of those behind; -1: the vocabulary has no such tokens. */
static dimple_status label_ends(compiling *w, int32_t *end_label, int32_t *behind_label) {
  const token_classes *classes = &w->c->classes;
  int32_t both[2] = {classes_end(classes), classes_filler(classes)};
  *end_label = *behind_label = -1;
  if (classes->first[both[0]] == classes->first[both[0] + 1]) return DIMPLE_OK;
  bool fillers = classes->first[both[1]] < classes->first[both[1] + 1];
  DIMPLE_TRY(find_label(w, both, 1, end_label));
  return find_label(w, both, fillers ? 2 : 1, behind_label);
}

static dimple_status build_edges(compiling *w) {
  dimple_constraint *c = w->c;
  int32_t end_label, behind_label;
  DIMPLE_TRY(label_ends(w, &end_label, &behind_label));
  c->edge_first[0] = 0;
  for (int32_t n = 0; n < c->node_count; n++) {
    c->edge_first[n + 1] = list_edges(w, n, end_label, behind_label);
    if (c->edge_first[n + 1] > MAX_EDGES)
      return dimple_fail(DIMPLE_ERROR_LIMIT, "constraint: its states have more than %" PRId64 " ways between them, expected at most %d",
                         c->edge_first[n + 1], MAX_EDGES);
  }
  int64_t edges = c->edge_first[c->node_count];
  ALLOCATE(c->edge_label, edges, "the edges of a constraint");
  ALLOCATE(c->edge_target, edges, "the edges of a constraint");
  for (int32_t n = 0; n < c->node_count; n++) list_edges(w, n, end_label, behind_label);
  return DIMPLE_OK;
}

/* ------------------------------------------------------------------------------------------------------------- distances */

/* Breadth first from the accepting nodes against the edges: `first` [node_count + 2] and `from` [edges] list these by their target. */
static void measure(dimple_constraint *c, int64_t *first, int32_t *from, int32_t *queue) {
  int32_t count = 0;
  memset(first, 0, ((size_t)c->node_count + 2) * sizeof *first);
  for (int64_t i = 0; i < c->edge_first[c->node_count]; i++) first[c->edge_target[i] + 2]++;
  for (int32_t n = 2; n < c->node_count + 2; n++) first[n] += first[n - 1];
  for (int32_t n = 0; n < c->node_count; n++) {
    for (int64_t i = c->edge_first[n]; i < c->edge_first[n + 1]; i++) from[first[c->edge_target[i] + 1]++] = n;
    c->distance[n] = c->accepting[n] ? 0 : INT32_MAX;
    if (c->accepting[n]) queue[count++] = n;
  }
  for (int32_t at = 0; at < count; at++) {
    for (int64_t i = first[queue[at]]; i < first[queue[at] + 1]; i++) {
      if (c->distance[from[i]] < INT32_MAX) continue;
      c->distance[from[i]] = c->distance[queue[at]] + 1;
      queue[count++] = from[i];
    }
  }
}

static dimple_status measure_distances(dimple_constraint *c, int64_t **first, int32_t **from, int32_t **queue) {
  ALLOCATE(*first, (int64_t)c->node_count + 2, "measuring a constraint");
  ALLOCATE(*from, c->edge_first[c->node_count], "measuring a constraint");
  ALLOCATE(*queue, c->node_count, "measuring a constraint");
  measure(c, *first, *from, *queue);
  if (c->distance[c->start] < INT32_MAX) return DIMPLE_OK;
  return dimple_fail(DIMPLE_ERROR_ARGUMENT, "constraint: no tokens of this vocabulary spell anything that the automaton accepts");
}

/* Drops edges from where nothing accepted can be reached any more, as bytes that no token has lie ahead. */
static void drop_dead_edges(dimple_constraint *c) {
  int64_t kept = 0;
  for (int32_t n = 0; n < c->node_count; n++) {
    int64_t begin = c->edge_first[n];
    c->edge_first[n] = kept;
    for (int64_t i = begin; i < c->edge_first[n + 1]; i++) {
      if (c->distance[c->edge_target[i]] == INT32_MAX) continue;
      c->edge_target[kept] = c->edge_target[i];
      c->edge_label[kept++] = c->edge_label[i];
    }
  }
  c->edge_first[c->node_count] = kept;
}

/* ------------------------------------------------------------------------------------------------------------ life cycle */

static dimple_status build(compiling *w) {
  dimple_constraint *c = w->c;
  DIMPLE_TRY(allocate_compiling(w));
  DIMPLE_TRY(compile_states(w));
  DIMPLE_TRY(number_nodes(c));
  DIMPLE_TRY(build_edges(w));
  int64_t *first = NULL;
  int32_t *from = NULL, *queue = NULL;
  dimple_status status = measure_distances(c, &first, &from, &queue);
  free(first);
  free(from);
  free(queue);
  DIMPLE_TRY(status);
  drop_dead_edges(c);
  return count_tokens(c);
}

static dimple_status compile(dimple_constraint *c, const dimple_automaton *source) {
  DIMPLE_TRY(automaton_create(source, &c->automaton));
  DIMPLE_TRY(classes_create(c->vocabulary, &c->automaton, SHAPES_LIMIT, &c->classes));
  compiling w = {.c = c};
  dimple_status status = build(&w);
  free_compiling(&w);
  return status;
}

dimple_status dimple_constraint_create(dimple_vocabulary *vocabulary, const dimple_automaton *source, dimple_constraint **constraint) {
  if (!vocabulary || !constraint)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_constraint_create: %s is null", vocabulary ? "constraint" : "vocabulary");
  dimple_constraint *c = calloc(1, sizeof *c);
  if (!c) return dimple_fail_memory(sizeof *c, "a constraint");
  atomic_init(&c->holders, 1);
  vocabulary_retain(vocabulary);
  c->vocabulary = vocabulary;
  dimple_status status = compile(c, source);
  if (status != DIMPLE_OK) {
    dimple_constraint_free(c);
    return status;
  }
  *constraint = c;
  return DIMPLE_OK;
}

void constraint_retain(dimple_constraint *c) { atomic_fetch_add(&c->holders, 1); }

void dimple_constraint_free(dimple_constraint *c) {
  if (!c || atomic_fetch_sub(&c->holders, 1) > 1) return;
  dimple_vocabulary_free(c->vocabulary);
  automaton_free(&c->automaton);
  classes_free(&c->classes);
  free(c->label_first);
  free(c->label_classes);
  free(c->label_tokens);
  free(c->label_lowest);
  free(c->state_node);
  free(c->node_state);
  free(c->accepting);
  free(c->distance);
  free(c->edge_first);
  free(c->edge_target);
  free(c->edge_label);
  free(c);
}

/* --------------------------------------------------------------------------------------------------------- looking inside */

static int64_t memory_of(const dimple_constraint *c) {
  const automaton *a = &c->automaton;
  int64_t states = a->state_count, labels = c->label_count, nodes = c->node_count, words = 0, longs = labels + nodes;
  words += states * a->class_count + states;                          /* automaton */
  words += 2 * (int64_t)c->vocabulary->count + c->classes.count;      /* classes */
  words += c->label_first[labels] + 2 * labels;                       /* labels */
  words += states + 2 * nodes + 2 * c->edge_first[nodes];             /* nodes and edges */
  return 4 * words + 8 * longs + 2 * states + c->node_count + (int64_t)sizeof(trie_node) * c->classes.trie.count + (int64_t)sizeof *c;
}

dimple_status dimple_constraint_get_info(const dimple_constraint *c, dimple_constraint_info *info) {
  if (!c || !info) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_constraint_get_info: %s is null", c ? "info" : "constraint");
  *info = (dimple_constraint_info){.states = c->end, .classes = c->classes.count, .labels = c->label_count,
                                   .shortest = c->distance[c->start], .edges = c->edge_first[c->node_count], .bytes = memory_of(c)};
  return DIMPLE_OK;
}
