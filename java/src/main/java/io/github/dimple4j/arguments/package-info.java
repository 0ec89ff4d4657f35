/** What callers hand over, before anything is made of it. */
package io.github.dimple4j.arguments;
