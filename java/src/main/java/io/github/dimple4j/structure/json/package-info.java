/** The spelling of JSON as parts of a graph over bytes: strings with their escapes in UTF-8, numbers by their digits, any value. */
package io.github.dimple4j.structure.json;
