/** GGUF files and their types: {@link io.github.dimple4j.gguf.GgufFile} reads them, {@link io.github.dimple4j.gguf.GgufWriter} writes them. */
package io.github.dimple4j.gguf;
