/**
 * JSON Schema: a document with its references, terms (conjunctions of schemas), what they say of each type of value (shapes), and the
 * automaton of the texts of all values that a schema admits.
 */
package io.github.dimple4j.structure.schema;
