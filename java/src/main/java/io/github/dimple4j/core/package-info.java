/**
 * The C core behind an interface of Java's own types: arrays in, records out. The one package that knows C; which implementation
 * stands behind it is decided in {@link io.github.dimple4j.core.Core#instance}. Not exported to users.
 */
package io.github.dimple4j.core;
