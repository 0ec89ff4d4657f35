/** What the C core does for these tools: GGML's block formats to floats and back, and what the file of a model must be. */
package io.github.dimple4j.gguf.core;
