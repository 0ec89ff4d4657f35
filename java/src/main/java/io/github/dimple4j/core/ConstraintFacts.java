package io.github.dimple4j.core;

/**
 * {@code dimple_constraint_info}.
 *
 * @param states of the response between two tokens
 * @param classes of tokens with the same effect on all states
 * @param labels different sets of classes between two states
 * @param edges pairs of states with tokens from one to the other
 * @param shortest tokens of the shortest response that fits
 * @param bytes of memory
 */
public record ConstraintFacts(int states, int classes, int labels, long edges, int shortest, long bytes) {}
