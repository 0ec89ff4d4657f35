/** Regular expressions of ECMA-262 as automata over code points. */
package io.github.dimple4j.structure.regex;
