/** What the jars of native libraries provide to the bindings. */
package io.github.dimple4j.platform;
