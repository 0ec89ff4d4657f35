/**
 * The C core of Dimple4j as Java method handles: jextract's output for {@code dimple.h}, and the loader of the native library.
 * Only the module {@code io.github.dimple4j} sees them; applications use that one.
 */
@SuppressWarnings("module") // of the qualified export, whose module is compiled later
module io.github.dimple4j.bindings {
  exports io.github.dimple4j.bindings to io.github.dimple4j;
  exports io.github.dimple4j.platform;

  uses io.github.dimple4j.platform.NativeResources;
}
