/** Hugging Face model directories: weights in safetensors, settings in JSON, tokenizers. Knows nothing of any architecture. */
package io.github.dimple4j.gguf.checkpoint;
