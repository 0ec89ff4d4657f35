/** Structure of responses: what their bytes may be, as one automaton. */
package io.github.dimple4j.structure;
