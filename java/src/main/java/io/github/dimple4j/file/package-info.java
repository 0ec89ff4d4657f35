/** Files that are written. Not for programs that use the library. */
package io.github.dimple4j.file;
