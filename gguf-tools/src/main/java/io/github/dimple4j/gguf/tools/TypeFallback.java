package io.github.dimple4j.gguf.tools;

import io.github.dimple4j.gguf.TensorType;

/**
 * A matrix that could not have the type wanted.
 *
 * @param tensor its name
 * @param wanted the type that its rows do not divide into
 * @param used the type it has instead
 */
public record TypeFallback(String tensor, TensorType wanted, TensorType used) {}
