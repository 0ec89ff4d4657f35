/**
 * What is done with GGUF files: {@link io.github.dimple4j.gguf.tools.Converter} makes them from Hugging Face checkpoints,
 * {@link io.github.dimple4j.gguf.tools.Synth} from random numbers and {@link io.github.dimple4j.gguf.tools.Quantizer} from larger ones;
 * {@link io.github.dimple4j.gguf.tools.Inspector} shows, {@link io.github.dimple4j.gguf.tools.Validator} checks and
 * {@link io.github.dimple4j.gguf.tools.FileDifference} compares them.
 */
package io.github.dimple4j.gguf.tools;
