/*
 * Tokens that an automaton cannot tell apart, found without a walk of every token through every state.
 *
 * The walk is of sets of trie nodes. Where a state leads several bytes to one state, all the nodes behind these bytes go on as one set.
 * What becomes of a set depends on how the state parts the bytes and not on where they lead, and all states within strings part them
 * alike, whichever field they are of and however many characters are left: so their walks are one. Two tokens are of one shape if they
 * are in the same sets; then they have the same effect on every state.
 */
#ifndef DIMPLE_SHAPES_H
#define DIMPLE_SHAPES_H

#include "constraint/automaton.h"

/* A sum for each of the sets or effects that a group of tokens is in or has: groups of equal marks are alike. That others get the same
 * sum of 128 bits has a chance of 2^-128. Zero: none. */
typedef struct mark {
  uint64_t low, high;
} mark;

static inline bool mark_is_none(mark m) { return m.low == 0 && m.high == 0; }

/* Adds what `key` stands for. */
void mark_add(mark *m, uint64_t key);

/* Nodes in all sets together: 64 MiB. */
enum { SHAPES_LIMIT = 1 << 24 };

/* Marks the groups of the trie [groups], all zero before, by their shapes. *found is false if the sets would have more nodes than
 * `limit`, as the states part the bytes in too many ways: then the marks mean nothing. Errors: MEMORY. */
dimple_status shapes_mark(const trie *t, const automaton *a, int64_t limit, mark *marks, bool *found);

#endif
