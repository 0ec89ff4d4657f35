/** The {@code dimple} command. */
package io.github.dimple4j.cli;
