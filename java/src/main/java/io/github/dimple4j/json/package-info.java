/** JSON, read strictly: for every room that takes some. Not for programs that use the library. */
package io.github.dimple4j.json;
