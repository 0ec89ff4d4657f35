/** Weights in GGML's block formats to floats and back. The C core does the work. */
package io.github.dimple4j.gguf.codec;
