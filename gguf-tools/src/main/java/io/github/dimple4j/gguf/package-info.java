/** Making and reading GGUF files: {@link io.github.dimple4j.gguf.Converter} from Hugging Face checkpoints. */
package io.github.dimple4j.gguf;
