/* An automaton over tokens: what dimple_constraint_create makes of an automaton over bytes and a vocabulary. */
#ifndef DIMPLE_CONSTRAINT_H
#define DIMPLE_CONSTRAINT_H

#include "constraint/classes.h"

/*
 * A node is a state of the response between two tokens: a state of the automaton, in a slot together with the tokens used there, or the
 * last node, where the response has ended. An edge leads from a node to another with all tokens of its *label*, a set of classes. The
 * labels of a node's edges are disjoint. Labels of equal sets are one: all states within strings share theirs.
 */
struct dimple_constraint {
  atomic_int holders;
  dimple_vocabulary *vocabulary;
  automaton automaton;
  token_classes classes;

  int32_t label_count;
  int64_t *label_first;    /* [label_count + 1] into label_classes */
  int32_t *label_classes;  /* label by label, ascending */
  int32_t *label_tokens;   /* [label_count] how many tokens it has */
  int32_t *label_lowest;   /* [label_count] the lowest of them */

  int32_t node_count;
  int32_t start, end;      /* nodes */
  int32_t *state_node;     /* [states + 1] the first node of each state; state_node[states] is `end` */
  int32_t *node_state;     /* [node_count] -1: the end */
  uint8_t *accepting;      /* [node_count] the canvas may end here */
  int32_t *distance;       /* [node_count] tokens to the next accepting node; INT32_MAX: none */
  int64_t *edge_first;     /* [node_count + 1] into the two below */
  int32_t *edge_target;    /* nodes from which an accepting one can be reached */
  int32_t *edge_label;
};

void constraint_retain(dimple_constraint *c);

/* The node behind `node` and a token; -1: the token cannot stand there. */
int32_t constraint_step(const dimple_constraint *c, int32_t node, int32_t token);

#endif
