package io.github.dimple4j;

/**
 * What a session holds outside the Java heap.
 *
 * @param kvBytes keys and values
 * @param scratchBytes everything else; the threads that sessions share are not counted
 */
public record SessionMemory(long kvBytes, long scratchBytes) {}
