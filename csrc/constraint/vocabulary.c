#include "constraint/vocabulary.h"

#include <inttypes.h>
#include <string.h>

#include "allocate.h"

enum { MAX_TOKEN_BYTES = 65535 }; /* what trie_node.depth holds */

/* ---------------------------------------------------------------------------------------------------------------- sorting */

typedef struct text_token {
  const uint8_t *bytes;
  int32_t size, id;
} text_token;

/* By bytes, a prefix before what it is a prefix of, and by id: the order of the trie's nodes. */
static int order_tokens(const void *a, const void *b) {
  const text_token *x = a, *y = b;
  int32_t common = x->size < y->size ? x->size : y->size;
  int order = memcmp(x->bytes, y->bytes, (size_t)common);
  if (order != 0) return order;
  if (x->size != y->size) return x->size < y->size ? -1 : 1;
  return x->id < y->id ? -1 : 1;
}

static int32_t common_prefix(const text_token *a, const text_token *b) {
  int32_t n = 0;
  while (n < a->size && n < b->size && a->bytes[n] == b->bytes[n]) n++;
  return n;
}

/* ------------------------------------------------------------------------------------------------------------------ trie */

/* How many nodes the trie of the sorted tokens has. */
static int64_t count_nodes(const text_token *tokens, int32_t count) {
  int64_t nodes = 0;
  for (int32_t i = 0; i < count; i++) nodes += tokens[i].size - (i ? common_prefix(&tokens[i - 1], &tokens[i]) : 0);
  return nodes;
}

/* `open` [deepest token] receives the nodes on the way from the root. */
static void fill_trie(dimple_vocabulary *v, const text_token *tokens, int32_t count, int32_t *open) {
  int32_t depth = 0; /* open nodes */
  for (int32_t i = 0; i < count; i++) {
    int32_t common = i ? common_prefix(&tokens[i - 1], &tokens[i]) : 0;
    while (depth > common) v->trie.nodes[open[--depth]].end = v->trie.count;
    while (depth < tokens[i].size) {
      open[depth] = v->trie.count;
      v->trie.nodes[v->trie.count++] = (trie_node){.group = -1, .depth = (uint16_t)(depth + 1), .byte = tokens[i].bytes[depth]};
      depth++;
    }
    trie_node *last = &v->trie.nodes[v->trie.count - 1]; /* equal bytes open no node: the last one is still theirs */
    if (last->group < 0) {
      last->group = v->group_count;
      v->group_first[v->group_count++] = i;
    }
    v->group_tokens[i] = tokens[i].id;
  }
  while (depth > 0) v->trie.nodes[open[--depth]].end = v->trie.count;
  v->group_first[v->group_count] = count;
}

static dimple_status build_trie(dimple_vocabulary *v, const text_token *tokens, int32_t count) {
  int64_t nodes = count_nodes(tokens, count);
  if (nodes > INT32_MAX)
    return dimple_fail(DIMPLE_ERROR_LIMIT, "the vocabulary has %" PRId64 " different beginnings of tokens, expected at most %d", nodes,
                       INT32_MAX);
  for (int32_t i = 0; i < count; i++)
    if (tokens[i].size > v->trie.depth) v->trie.depth = tokens[i].size;
  ALLOCATE(v->trie.nodes, nodes, "the trie of a vocabulary");
  ALLOCATE(v->group_first, (int64_t)count + 1, "the tokens of a vocabulary");
  ALLOCATE(v->group_tokens, count, "the tokens of a vocabulary");
  int32_t *open;
  ALLOCATE(open, v->trie.depth, "the trie of a vocabulary");
  fill_trie(v, tokens, count, open);
  free(open);
  return DIMPLE_OK;
}

static dimple_status index_text(dimple_vocabulary *v) {
  text_token *tokens;
  int32_t count = 0;
  ALLOCATE(tokens, v->count, "sorting a vocabulary");
  for (int32_t t = 0; t < v->count; t++) {
    if (v->kinds[t] != DIMPLE_TOKEN_TEXT) continue;
    tokens[count++] = (text_token){v->bytes + v->offsets[t], (int32_t)(v->offsets[t + 1] - v->offsets[t]), t};
  }
  qsort(tokens, (size_t)count, sizeof *tokens, order_tokens);
  dimple_status status = build_trie(v, tokens, count);
  free(tokens);
  return status;
}

/* ------------------------------------------------------------------------------------------------------------ life cycle */

static dimple_status check(const uint8_t *bytes, const int64_t *offsets, const uint8_t *kinds, int32_t count) {
  if (!offsets || !kinds) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_vocabulary_create: %s is null", offsets ? "kinds" : "offsets");
  if (count < 1) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_vocabulary_create: count is %d, expected at least 1", count);
  if (offsets[0] != 0)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_vocabulary_create: offsets[0] is %" PRId64 ", expected 0", offsets[0]);
  for (int32_t t = 0; t < count; t++) {
    if (kinds[t] > DIMPLE_TOKEN_EXCLUDED)
      return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_vocabulary_create: kinds[%d] is %d, expected 0 .. %d", t, kinds[t],
                         DIMPLE_TOKEN_EXCLUDED);
    /* The first comparison keeps the difference from overflowing. */
    if (offsets[t + 1] < offsets[t] || offsets[t + 1] - offsets[t] > MAX_TOKEN_BYTES)
      return dimple_fail(DIMPLE_ERROR_ARGUMENT,
                         "dimple_vocabulary_create: token %d lies from %" PRId64 " to %" PRId64 ", expected 0 .. %d bytes", t, offsets[t],
                         offsets[t + 1], MAX_TOKEN_BYTES);
  }
  if (!bytes && offsets[count] > 0) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_vocabulary_create: bytes is null");
  return DIMPLE_OK;
}

static dimple_status fill(dimple_vocabulary *v, const uint8_t *bytes, const int64_t *offsets, const uint8_t *kinds) {
  ALLOCATE(v->kinds, v->count, "a vocabulary");
  ALLOCATE(v->offsets, (int64_t)v->count + 1, "a vocabulary");
  ALLOCATE(v->bytes, offsets[v->count], "a vocabulary");
  memcpy(v->kinds, kinds, (size_t)v->count);
  memcpy(v->offsets, offsets, ((size_t)v->count + 1) * sizeof *offsets);
  if (offsets[v->count] > 0) memcpy(v->bytes, bytes, (size_t)offsets[v->count]);
  /* A token without bytes would let a response of any length stand for the same text. */
  for (int32_t t = 0; t < v->count; t++)
    if (kinds[t] == DIMPLE_TOKEN_TEXT && offsets[t] == offsets[t + 1]) v->kinds[t] = DIMPLE_TOKEN_EXCLUDED;
  return index_text(v);
}

dimple_status dimple_vocabulary_create(const uint8_t *bytes, const int64_t *offsets, const uint8_t *kinds, int32_t count,
                                       dimple_vocabulary **vocabulary) {
  if (!vocabulary) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_vocabulary_create: vocabulary is null");
  DIMPLE_TRY(check(bytes, offsets, kinds, count));
  dimple_vocabulary *v = calloc(1, sizeof *v);
  if (!v) return dimple_fail_memory(sizeof *v, "a vocabulary");
  atomic_init(&v->holders, 1);
  v->count = count;
  dimple_status status = fill(v, bytes, offsets, kinds);
  if (status != DIMPLE_OK) {
    dimple_vocabulary_free(v);
    return status;
  }
  *vocabulary = v;
  return DIMPLE_OK;
}

void vocabulary_retain(dimple_vocabulary *v) { atomic_fetch_add(&v->holders, 1); }

void dimple_vocabulary_free(dimple_vocabulary *v) {
  if (!v || atomic_fetch_sub(&v->holders, 1) > 1) return;
  free(v->kinds);
  free(v->offsets);
  free(v->bytes);
  free(v->trie.nodes);
  free(v->group_first);
  free(v->group_tokens);
  free(v);
}
