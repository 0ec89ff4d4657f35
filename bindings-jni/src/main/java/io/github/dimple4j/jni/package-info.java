/**
 * The C core through the Java Native Interface. {@code Shim}, {@code Structs} and the C file of the shim are generated from
 * {@code dimple.h}; the other classes say in terms of them what {@link io.github.dimple4j.core.Core} asks for.
 */
package io.github.dimple4j.jni;
