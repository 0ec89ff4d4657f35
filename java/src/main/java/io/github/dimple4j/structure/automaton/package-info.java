/** Automata over integers: graphs with free moves, their determinization, products, and the least automaton. Knows nothing of JSON. */
package io.github.dimple4j.structure.automaton;
