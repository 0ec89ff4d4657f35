/**
 * Making and reading GGUF files: {@link io.github.dimple4j.gguf.Converter} makes them from Hugging Face checkpoints,
 * {@link io.github.dimple4j.gguf.Synth} from random numbers; {@link io.github.dimple4j.gguf.GgufFile} reads them and
 * {@link io.github.dimple4j.gguf.Inspector} shows and {@link io.github.dimple4j.gguf.Validator} checks them.
 */
package io.github.dimple4j.gguf;
