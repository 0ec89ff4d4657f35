/** Picture files and pictures of the Java platform become 8-bit RGB. Not exported: callers meet {@link io.github.dimple4j.Image}. */
package io.github.dimple4j.image;
