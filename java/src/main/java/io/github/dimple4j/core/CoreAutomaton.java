package io.github.dimple4j.core;

/**
 * {@code dimple_automaton}. The arrays are not copied.
 *
 * @param byteClass of each of the 256 bytes its class
 * @param next {@code [stateCount x classCount]} the state behind each state and class, -1: no way
 * @param accepting of each state 1 if a response may end there, otherwise 0
 * @param start the state before the first byte
 * @param stateSlot of each state its slot, -1: none; empty without slots
 * @param slotTokens of each slot the most tokens of a visit
 */
public record CoreAutomaton(int stateCount, int classCount, byte[] byteClass, int[] next, byte[] accepting, int start, int[] stateSlot,
    int[] slotTokens) {}
