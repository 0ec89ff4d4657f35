package io.github.dimple4j.core;

/**
 * {@code dimple_tensor_type_info}.
 *
 * @param name as in file names and on the command line, e.g. {@code "q4_0"}
 * @param blockLength elements per block
 * @param blockSize bytes per block
 * @param canQuantize whether {@link Core#quantizeRows} writes it
 */
public record TensorFacts(String name, int blockLength, int blockSize, boolean canQuantize) {}
