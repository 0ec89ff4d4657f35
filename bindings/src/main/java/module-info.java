/**
 * The C core of Dimple4j as Java method handles: jextract's output for {@code dimple.h}, and the loader of the native library.
 * A layer for libraries; applications use the module {@code io.github.dimple4j}.
 */
module io.github.dimple4j.bindings {
  exports io.github.dimple4j.bindings;
}
